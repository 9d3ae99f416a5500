package publish

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

const token = "/.well-known/acme-challenge/8f14e45f"

func httpRoute(namespace string, paths ...string) gatewayv1.HTTPRoute {
	r := gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "solver"}}
	r.Spec.ParentRefs = []gatewayv1.ParentReference{{Namespace: new(gatewayv1.Namespace("gw")), Name: "edge"}}
	r.Spec.Hostnames = []gatewayv1.Hostname{"acme.com"}
	for _, path := range paths {
		r.Spec.Rules = append(r.Spec.Rules, gatewayv1.HTTPRouteRule{Matches: []gatewayv1.HTTPRouteMatch{{Path: &gatewayv1.HTTPPathMatch{Value: &path}}}})
	}
	return r
}

func ingress(namespace string, paths ...string) networkingv1.Ingress {
	in := networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "solver"}}
	http := &networkingv1.HTTPIngressRuleValue{}
	for _, path := range paths {
		http.Paths = append(http.Paths, networkingv1.HTTPIngressPath{Path: path})
	}
	in.Spec.Rules = []networkingv1.IngressRule{{Host: "acme.com", IngressRuleValue: networkingv1.IngressRuleValue{HTTP: http}}}
	return in
}

// A certificate authority's challenge is answered by a route of cert-manager's on the tenant's host. It
// takes nothing from the tenant, where certificates are ordered; elsewhere, whoever can answer it gets a
// certificate for a host of others.
func TestSolversAreNoShadows(t *testing.T) {
	mine := ingress("shop", "/")
	mine.Name = "acme"
	for name, tt := range map[string]struct {
		routes    []gatewayv1.HTTPRoute
		ingresses []networkingv1.Ingress
		want      int
	}{
		"solver beside the Gateway":          {routes: []gatewayv1.HTTPRoute{httpRoute("gw", token)}},
		"solver elsewhere":                   {routes: []gatewayv1.HTTPRoute{httpRoute("evil", token)}, want: 1},
		"more than a challenge":              {routes: []gatewayv1.HTTPRoute{httpRoute("gw", token, "/")}, want: 1},
		"route without rules":                {routes: []gatewayv1.HTTPRoute{httpRoute("gw")}, want: 1},
		"Ingress beside the tenant's":        {ingresses: []networkingv1.Ingress{ingress("shop", token)}},
		"Ingress elsewhere":                  {ingresses: []networkingv1.Ingress{ingress("evil", token)}, want: 1},
		"Ingress with more than a challenge": {ingresses: []networkingv1.Ingress{ingress("shop", token, "/login")}, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			own := func(o metav1.Object) bool { return o.GetName() == "acme" }
			got := ShadowsAmong(tt.routes, append(tt.ingresses, mine), own, []string{"acme.com"}, []client.ObjectKey{{Namespace: "gw", Name: "edge"}})
			if len(got) != tt.want {
				t.Errorf("shadows %v, want %d", got, tt.want)
			}
		})
	}
}

// bare is a route without hosts on a Gateway or ListenerSet, or on one of its listeners.
func bare(namespace, kind, name string, section gatewayv1.SectionName) gatewayv1.HTTPRoute {
	r := httpRoute(namespace, "/login")
	r.Spec.Hostnames = nil
	r.Spec.ParentRefs = []gatewayv1.ParentReference{{Namespace: new(gatewayv1.Namespace("gw")), Name: gatewayv1.ObjectName(name)}}
	if kind != "" {
		r.Spec.ParentRefs[0].Kind = new(gatewayv1.Kind(kind))
	}
	if section != "" {
		r.Spec.ParentRefs[0].SectionName = &section
	}
	return r
}

// A route without hosts answers for whatever comes in where it is: it takes a host that has a listener for itself, from
// the one namespace whose routes that listener takes, and from no other.
func TestRoutesWithoutHostsOnAHostsListener(t *testing.T) {
	mine := httpRoute("shop", "/")
	mine.Name, mine.Spec.ParentRefs = "acme", bare("shop", "Gateway", "std-tls-0", "acme.com").Spec.ParentRefs
	for name, tt := range map[string]struct {
		route gatewayv1.HTTPRoute
		want  int
	}{
		"on the whole Gateway":      {bare("shop", "", "std-tls-0", ""), 1},
		"on the listener":           {bare("shop", "Gateway", "std-tls-0", "acme.com"), 1},
		"on another host's":         {bare("shop", "Gateway", "std-tls-0", "other.com"), 0},
		"from another namespace":    {bare("evil", "Gateway", "std-tls-0", ""), 0},
		"on a ListenerSet so named": {bare("shop", "ListenerSet", "std-tls-0", ""), 0},
		"on another Gateway":        {bare("shop", "Gateway", "std-tls-1", ""), 0},
		"on the class's Gateway":    {bare("shop", "Gateway", "edge", ""), 0},
	} {
		t.Run(name, func(t *testing.T) {
			own := func(o metav1.Object) bool { return o.GetName() == "acme" }
			got := ShadowsAmong([]gatewayv1.HTTPRoute{tt.route, mine}, nil, own, []string{"acme.com"}, []client.ObjectKey{{Namespace: "gw", Name: "edge"}})
			if len(got) != tt.want || tt.want == 1 && (got[0].Host != "acme.com" || !got[0].Bare) {
				t.Errorf("shadows %v, want %d", got, tt.want)
			}
		})
	}
}
