package publish

import (
	"context"
	"slices"
	"testing"

	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/internal/stored"
)

// informers have the informer of HTTPRoutes alone.
type informers struct {
	cache.Informers

	routes cache.Informer
}

func (i informers) GetInformer(context.Context, client.Object, ...cache.InformerGetOption) (cache.Informer, error) {
	return i.routes, nil
}

// The cache finds the routes without hosts where a listener is, and has no need to list all.
func TestRoutesWithoutHostsAreStored(t *testing.T) {
	informer := toolscache.NewSharedIndexInformer(&toolscache.ListWatch{}, &gatewayv1.HTTPRoute{}, 0, toolscache.Indexers{})
	named := httpRoute("shop", "/")
	named.Spec.ParentRefs = bare("shop", "", "std-tls-0", "").Spec.ParentRefs
	for name, route := range map[string]gatewayv1.HTTPRoute{
		"whole":     bare("shop", "", "std-tls-0", ""),
		"listener":  bare("shop", "Gateway", "std-tls-0", "acme.com"),
		"elsewhere": bare("shop", "Gateway", "edge", ""),
		"set":       bare("shop", "ListenerSet", "std-tls-0", ""),
		"named":     named,
	} {
		route.Name = name
		if err := informer.GetIndexer().Add(&route); err != nil {
			t.Fatal(err)
		}
	}
	p := &Publisher{Stored: stored.New(informers{routes: informer})}
	on := parent{"Gateway", client.ObjectKey{Namespace: "gw", Name: "std-tls-0"}}
	routes, err := p.routesWithoutHostOn(t.Context(), []ownListener{{parent: on, host: "acme.com"}, {parent: on, host: "acme.org"}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range routes {
		names = append(names, r.Name)
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"listener", "whole"}) {
		t.Errorf("routes %q", names)
	}
}
