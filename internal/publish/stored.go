package publish

import (
	"cmp"
	"context"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/internal/stored"
)

// Routes are found in the cache by who controls them, and by the hosts, and wildcards over them, that they ask
// for; those that ask for none, by what they are on.
var (
	routesByOwner = stored.Index[*gatewayv1.HTTPRoute]{
		Kind: &gatewayv1.HTTPRoute{}, Name: "tenantry-owner", Keys: func(r *gatewayv1.HTTPRoute) []string { return ownerKey(r) },
	}
	ingressesByOwner = stored.Index[*networkingv1.Ingress]{
		Kind: &networkingv1.Ingress{}, Name: "tenantry-owner", Keys: func(in *networkingv1.Ingress) []string { return ownerKey(in) },
	}
	routesByHost = stored.Index[*gatewayv1.HTTPRoute]{
		Kind: &gatewayv1.HTTPRoute{}, Name: "tenantry-host", Keys: func(r *gatewayv1.HTTPRoute) (keys []string) {
			for _, host := range r.Spec.Hostnames {
				keys = append(append(keys, string(host)), domains.Above(string(host))...)
			}
			return keys
		},
	}
	// routesWithoutHost are found by what they attach to.
	routesWithoutHost = stored.Index[*gatewayv1.HTTPRoute]{
		Kind: &gatewayv1.HTTPRoute{}, Name: "tenantry-without-host", Keys: func(r *gatewayv1.HTTPRoute) (keys []string) {
			if len(r.Spec.Hostnames) > 0 {
				return nil
			}
			for _, ref := range r.Spec.ParentRefs {
				of := parentOf(ref)
				of.Namespace = cmp.Or(of.Namespace, r.Namespace)
				keys = append(keys, of.String())
			}
			return keys
		},
	}
)

func ownerKey(o metav1.Object) []string {
	if c := metav1.GetControllerOf(o); c != nil {
		return []string{string(c.UID)}
	}
	return nil
}

// ownRoutes are the owner's HTTPRoutes, and may have others' among them. where narrows down in which
// namespace it can have any.
func (p *Publisher) ownRoutes(ctx context.Context, owner client.Object, where []client.ListOption) ([]*gatewayv1.HTTPRoute, error) {
	if own, ok, err := routesByOwner.By(ctx, p.Stored, string(owner.GetUID())); ok || err != nil {
		return within(own, where), err
	}
	var list gatewayv1.HTTPRouteList
	err := p.List(ctx, &list, append(where, client.UnsafeDisableDeepCopy)...)
	return pointers(list.Items), err
}

func (p *Publisher) ownIngresses(ctx context.Context, owner client.Object, where []client.ListOption) ([]*networkingv1.Ingress, error) {
	if own, ok, err := ingressesByOwner.By(ctx, p.Stored, string(owner.GetUID())); ok || err != nil {
		return within(own, where), err
	}
	var list networkingv1.IngressList
	err := p.List(ctx, &list, append(where, client.UnsafeDisableDeepCopy)...)
	return pointers(list.Items), err
}

// within drops what is in other namespaces: whoever may write there can name any owner.
func within[T client.Object](routes []T, where []client.ListOption) []T {
	options := (&client.ListOptions{}).ApplyOptions(where)
	return slices.DeleteFunc(routes, func(r T) bool {
		return options.Namespace != "" && r.GetNamespace() != options.Namespace ||
			options.LabelSelector != nil && !options.LabelSelector.Matches(labels.Set(r.GetLabels()))
	})
}

// routesFor are the HTTPRoutes that ask for one of the hosts, or for a host below one of them, and may have
// others among them.
func (p *Publisher) routesFor(ctx context.Context, hosts []string) (routes []*gatewayv1.HTTPRoute, err error) {
	for _, host := range hosts {
		asking, ok, err := routesByHost.By(ctx, p.Stored, host)
		if err != nil {
			return nil, err
		}
		if !ok {
			var list gatewayv1.HTTPRouteList
			err := p.List(ctx, &list, client.UnsafeDisableDeepCopy)
			return pointers(list.Items), err
		}
		for _, r := range asking {
			if !slices.Contains(routes, r) {
				routes = append(routes, r)
			}
		}
	}
	return routes, nil
}

// routesWithoutHostOn are the HTTPRoutes that name no host and attach to where some listeners are. Where the cache
// has no index there are none: routesFor has listed all routes then.
func (p *Publisher) routesWithoutHostOn(ctx context.Context, listeners []ownListener) (routes []*gatewayv1.HTTPRoute, err error) {
	var seen []parent
	for _, l := range listeners {
		if slices.Contains(seen, l.parent) {
			continue
		}
		seen = append(seen, l.parent)
		on, _, err := routesWithoutHost.By(ctx, p.Stored, l.String())
		if err != nil {
			return nil, err
		}
		for _, r := range on {
			if !slices.Contains(routes, r) {
				routes = append(routes, r)
			}
		}
	}
	return routes, nil
}
