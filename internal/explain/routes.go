package explain

import (
	"context"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/publish"
)

// routes of the cluster, of both APIs, as far as they may be read.
type routes struct {
	http      gatewayv1.HTTPRouteList
	ingresses networkingv1.IngressList
	// onHTTP and onIngress say how much of each was read.
	onHTTP, onIngress extent
}

// readRoutes reads all routes or, where the caller may not, those of the given namespaces.
func (in *inquiry) readRoutes(ctx context.Context, namespaces ...string) (err error) {
	in.routes.onHTTP, err = in.list(ctx, &in.routes.http, "HTTPRoutes of all namespaces: whether one takes the host from another's", namespaces...)
	if err != nil {
		return err
	}
	in.routes.onIngress, err = in.list(ctx, &in.routes.ingresses, "Ingresses of all namespaces: whether one takes the host from another's", namespaces...)
	return err
}

// cover says whether the routes of a namespace were read.
func (r *routes) cover(namespace string) bool {
	return r.onHTTP.covers(namespace) && r.onIngress.covers(namespace)
}

// all says whether those of every namespace were read.
func (r *routes) all() bool { return r.onHTTP.everything && r.onIngress.everything }

// ownedBy says of an object whether one of the UIDs is its owner's.
func ownedBy(uids ...types.UID) func(metav1.Object) bool {
	return func(o metav1.Object) bool {
		owner := metav1.GetControllerOf(o)
		return owner != nil && slices.Contains(uids, owner.UID)
	}
}

// rules of the routes that are somebody's own.
func (r *routes) rules(own func(metav1.Object) bool) (rules []rule) {
	for i := range r.http.Items {
		if route := &r.http.Items[i]; own(route) {
			rules = append(rules, rulesOfHTTPRoute(route)...)
		}
	}
	for i := range r.ingresses.Items {
		if ing := &r.ingresses.Items[i]; own(ing) {
			rules = append(rules, rulesOfIngress(ing)...)
		}
	}
	return rules
}

// describeRoutes tells of the routes that are somebody's own and name the host.
func (in *inquiry) describeRoutes(ctx context.Context, own func(metav1.Object) bool) error {
	for i := range in.routes.http.Items {
		r := &in.routes.http.Items[i]
		if !own(r) || !slices.ContainsFunc(r.Spec.Hostnames, func(h gatewayv1.Hostname) bool { return hostMatches(string(h), in.query.Host) }) {
			continue
		}
		said := Route{Kind: "HTTPRoute", Namespace: r.Namespace, Name: r.Name}
		for _, ref := range r.Spec.ParentRefs {
			p, err := in.parent(ctx, r, ref)
			if err != nil {
				return err
			}
			said.Parents = append(said.Parents, p)
		}
		said.Parents = ofHost(said.Parents)
		in.answer.Routes = append(in.answer.Routes, said)
	}
	for i := range in.routes.ingresses.Items {
		ing := &in.routes.ingresses.Items[i]
		if own(ing) && slices.ContainsFunc(ing.Spec.Rules, func(r networkingv1.IngressRule) bool { return hostMatches(r.Host, in.query.Host) }) {
			in.answer.Routes = append(in.answer.Routes, Route{
				Kind: "Ingress", Namespace: ing.Namespace, Name: ing.Name, Parents: []Parent{ingressParent(ing)},
			})
		}
	}
	return nil
}

// ofHost leaves out the parents for other hosts of a route: hosts with certificates of their own have
// listeners of their own, and a route for several of them names all of these.
func ofHost(parents []Parent) []Parent {
	other := func(p Parent) bool { return p.forOther }
	if !slices.ContainsFunc(parents, func(p Parent) bool { return !other(p) }) {
		return parents
	}
	return slices.DeleteFunc(parents, other)
}

// shadows tells of somebody else's routes that may answer in the place of own ones: as the operator finds
// them, and of those the ones that take this very host.
func (in *inquiry) shadows(own func(metav1.Object) bool, host string, classes ...*v1alpha1.TenantClass) {
	for _, s := range publish.ShadowsAmong(in.routes.http.Items, in.routes.ingresses.Items, own, []string{host}, gatewaysOf(classes)) {
		if hostMatches(s.Host, in.query.Host) {
			o := Other{Kind: s.Kind, Namespace: s.Namespace, Name: s.Name, Host: s.Host}
			if s.Bare {
				o.Host = ""
			}
			in.addOther(o)
		}
	}
}

func gatewaysOf(classes []*v1alpha1.TenantClass) (gateways []client.ObjectKey) {
	for _, c := range classes {
		if c == nil || c.Spec.Routing == nil || c.Spec.Routing.Gateway == nil {
			continue
		}
		for _, p := range c.Spec.Routing.Gateway.ParentRefs {
			gateways = append(gateways, client.ObjectKey{Namespace: p.Namespace, Name: p.Name})
		}
	}
	return gateways
}

// anyRoutes tells of every route that takes a host which nobody holds, also by a wildcard or because it
// names no host at all.
func (in *inquiry) anyRoutes() {
	for i := range in.routes.http.Items {
		r := &in.routes.http.Items[i]
		if len(r.Spec.Hostnames) == 0 {
			in.addOther(Other{Kind: "HTTPRoute", Namespace: r.Namespace, Name: r.Name})
		}
		for _, h := range r.Spec.Hostnames {
			if hostMatches(string(h), in.query.Host) {
				in.addOther(Other{Kind: "HTTPRoute", Namespace: r.Namespace, Name: r.Name, Host: string(h)})
			}
		}
	}
	for i := range in.routes.ingresses.Items {
		ing := &in.routes.ingresses.Items[i]
		if ing.Spec.DefaultBackend != nil {
			in.addOther(Other{Kind: "Ingress", Namespace: ing.Namespace, Name: ing.Name})
		}
		for _, r := range ing.Spec.Rules {
			if r.Host == "" || hostMatches(r.Host, in.query.Host) {
				in.addOther(Other{Kind: "Ingress", Namespace: ing.Namespace, Name: ing.Name, Host: r.Host})
			}
		}
	}
}

func (in *inquiry) addOther(o Other) {
	if !slices.Contains(in.answer.Others, o) {
		in.answer.Others = append(in.answer.Others, o)
	}
}
