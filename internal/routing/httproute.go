package routing

import (
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// HTTPRoutes returns the routes of a tenant for Gateway API: one that serves the primary host,
// and as many as it takes to redirect the others. None without hosts.
func HTTPRoutes(w Wish) []gatewayv1.HTTPRoute {
	if len(w.Hosts) == 0 {
		return nil
	}
	routes := []gatewayv1.HTTPRoute{w.httpRoute(w.Tenant.Name, w.Hosts[:1], serve(w))}
	i := 0
	for aliases := range slices.Chunk(w.Hosts[1:], maxHostnames) {
		name := shardName(w.Tenant.Name+"-alias", i)
		routes = append(routes, w.httpRoute(name, aliases, redirect(w.Hosts[0])))
		i++
	}
	return routes
}

func (w Wish) httpRoute(name string, hosts []string, rule gatewayv1.HTTPRouteRule) gatewayv1.HTTPRoute {
	r := gatewayv1.HTTPRoute{ObjectMeta: w.objectMeta(name)}
	for _, h := range hosts {
		r.Spec.Hostnames = append(r.Spec.Hostnames, gatewayv1.Hostname(h))
	}
	for _, p := range w.Routing.Gateway.ParentRefs {
		r.Spec.ParentRefs = append(r.Spec.ParentRefs, parentRef(p))
	}
	rule.Matches = []gatewayv1.HTTPRouteMatch{{Path: &gatewayv1.HTTPPathMatch{
		Type: new(gatewayv1.PathMatchPathPrefix), Value: new("/"),
	}}}
	r.Spec.Rules = []gatewayv1.HTTPRouteRule{rule}
	return r
}

func parentRef(p v1alpha1.GatewayReference) gatewayv1.ParentReference {
	ref := gatewayv1.ParentReference{
		Group:     new(gatewayv1.Group(gatewayv1.GroupName)),
		Kind:      new(gatewayv1.Kind("Gateway")),
		Namespace: new(gatewayv1.Namespace(p.Namespace)),
		Name:      gatewayv1.ObjectName(p.Name),
	}
	if p.SectionName != "" {
		ref.SectionName = new(gatewayv1.SectionName(p.SectionName))
	}
	return ref
}

// serve sends to the backend with the tenant's header set, never added: a header that the client
// sent must not survive.
func serve(w Wish) gatewayv1.HTTPRouteRule {
	return gatewayv1.HTTPRouteRule{
		Filters: []gatewayv1.HTTPRouteFilter{{
			Type: gatewayv1.HTTPRouteFilterRequestHeaderModifier,
			RequestHeaderModifier: &gatewayv1.HTTPHeaderFilter{Set: []gatewayv1.HTTPHeader{{
				Name: gatewayv1.HTTPHeaderName(w.Routing.TenantHeader), Value: TenantHeader(w.Tenant),
			}}},
		}},
		BackendRefs: []gatewayv1.HTTPBackendRef{{BackendRef: gatewayv1.BackendRef{
			BackendObjectReference: gatewayv1.BackendObjectReference{
				Group:     new(gatewayv1.Group("")),
				Kind:      new(gatewayv1.Kind("Service")),
				Namespace: new(gatewayv1.Namespace(w.BackendNamespace())),
				Name:      gatewayv1.ObjectName(w.Routing.Backend.Name),
				Port:      new(w.Routing.Backend.Port),
			},
			Weight: new(int32(1)),
		}}},
	}
}

// redirect leaves scheme, port, path and query as the client sent them.
func redirect(to string) gatewayv1.HTTPRouteRule {
	return gatewayv1.HTTPRouteRule{Filters: []gatewayv1.HTTPRouteFilter{{
		Type: gatewayv1.HTTPRouteFilterRequestRedirect,
		RequestRedirect: &gatewayv1.HTTPRequestRedirectFilter{
			Hostname:   new(gatewayv1.PreciseHostname(to)),
			StatusCode: new(301),
		},
	}}}
}
