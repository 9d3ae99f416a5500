package routing

import (
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// HTTPRoutes returns the routes of a tenant for Gateway API: those that serve the primary host and
// wildcards, those that redirect the other hosts, both once more for hosts with listeners of their
// own, one for each shared host, and those that redirect plain HTTP. A route without hostnames would
// catch every request, so there is none without hosts.
func HTTPRoutes(w Wish) []gatewayv1.HTTPRoute {
	served, aliases := w.split()
	toPrimary := []gatewayv1.HTTPRouteRule{matching(redirect(w.Primary()), pathMatch("/", v1alpha1.PathPrefix))}
	onClass := func([]string) []gatewayv1.ParentReference { return gateways(w.Routing) }
	routes := w.routes("", w.without(served), onClass, w.servedRules())
	routes = append(routes, w.routes(aliasSuffix, w.without(aliases), onClass, toPrimary)...)
	routes = append(routes, w.routes(customSuffix, w.with(served), w.ownListeners, w.servedRules())...)
	routes = append(routes, w.routes(customSuffix+aliasSuffix, w.with(aliases), w.ownListeners, toPrimary)...)
	for i, v := range w.sharedValues() {
		rules := []gatewayv1.HTTPRouteRule{w.sharedRule(v)}
		routes = append(routes, w.httpRoute(shardName(w.Tenant.Name, sharedSuffix, i), []string{v.On.Host}, gateways(w.Routing), rules))
	}
	return append(routes, w.plainRoutes(served, aliases)...)
}

// routes are the routes with a suffix to their name, each for as many hosts as one takes.
func (w Wish) routes(suffix string, hosts []string, on func([]string) []gatewayv1.ParentReference, rules []gatewayv1.HTTPRouteRule) []gatewayv1.HTTPRoute {
	var routes []gatewayv1.HTTPRoute
	for shard := range slices.Chunk(hosts, maxHostnames) {
		routes = append(routes, w.httpRoute(shardName(w.Tenant.Name, suffix, len(routes)), shard, on(shard), rules))
	}
	return routes
}

func (w Wish) sharedValues() []SharedValue {
	if w.Held {
		return nil // The shared host's fallback answers.
	}
	return w.Shared
}

func (w Wish) httpRoute(name string, hosts []string, on []gatewayv1.ParentReference, rules []gatewayv1.HTTPRouteRule) gatewayv1.HTTPRoute {
	return gatewayv1.HTTPRoute{ObjectMeta: w.objectMeta(name), Spec: httpRouteSpec(hosts, on, rules)}
}

func httpRouteSpec(hosts []string, on []gatewayv1.ParentReference, rules []gatewayv1.HTTPRouteRule) (spec gatewayv1.HTTPRouteSpec) {
	for _, h := range hosts {
		spec.Hostnames = append(spec.Hostnames, gatewayv1.Hostname(h))
	}
	spec.ParentRefs, spec.Rules = on, rules
	return spec
}

// gateways are where the hosts of a class are served, unless they have listeners of their own.
func gateways(routing *v1alpha1.Routing) []gatewayv1.ParentReference {
	var refs []gatewayv1.ParentReference
	for _, p := range routing.Gateway.ParentRefs {
		refs = append(refs, parentRef(p))
	}
	return refs
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

// servedRules are the rules of hosts that a backend answers: public paths first, then all else.
func (w Wish) servedRules() []gatewayv1.HTTPRouteRule {
	if w.Held {
		rule := w.to(w.Backend(), withoutTenant(w.Routing))
		return []gatewayv1.HTTPRouteRule{matching(rule, pathMatch("/", v1alpha1.PathPrefix))}
	}
	var rules []gatewayv1.HTTPRouteRule
	for _, p := range w.Routing.PublicPaths {
		backend := w.Backend()
		if p.Backend != nil {
			backend = *p.Backend
		}
		rules = append(rules, matching(w.to(backend, withoutTenant(w.Routing)), pathMatch(p.Path, p.Match)))
	}
	return append(rules, matching(w.to(w.Backend(), w.withTenant()), pathMatch("/", v1alpha1.PathPrefix)))
}

func (w Wish) sharedRule(v SharedValue) gatewayv1.HTTPRouteRule {
	rule := w.to(w.Backend(), w.withTenant())
	if v.On.Header == nil {
		if v.On.PathPrefix.Strip {
			rule.Filters = append(rule.Filters, stripPrefix())
		}
		return matching(rule, pathMatch(v.Value, v1alpha1.PathPrefix))
	}
	match := pathMatch("/", v1alpha1.PathPrefix)
	match.Headers = []gatewayv1.HTTPHeaderMatch{{
		Type: new(gatewayv1.HeaderMatchExact), Name: gatewayv1.HTTPHeaderName(v.On.Header.Name), Value: v.Value,
	}}
	return matching(rule, match)
}

func matching(rule gatewayv1.HTTPRouteRule, match gatewayv1.HTTPRouteMatch) gatewayv1.HTTPRouteRule {
	rule.Matches = []gatewayv1.HTTPRouteMatch{match}
	return rule
}

func pathMatch(path string, how v1alpha1.PathMatch) gatewayv1.HTTPRouteMatch {
	kind := gatewayv1.PathMatchPathPrefix
	if how == v1alpha1.PathExact {
		kind = gatewayv1.PathMatchExact
	}
	return gatewayv1.HTTPRouteMatch{Path: &gatewayv1.HTTPPathMatch{Type: &kind, Value: &path}}
}

// to sends to a backend of the tenant.
func (w Wish) to(backend v1alpha1.ServiceBackend, headers gatewayv1.HTTPRouteFilter) gatewayv1.HTTPRouteRule {
	return toService(backend, w.BackendNamespace(backend), headers)
}

func toService(backend v1alpha1.ServiceBackend, namespace string, headers gatewayv1.HTTPRouteFilter) gatewayv1.HTTPRouteRule {
	return gatewayv1.HTTPRouteRule{
		Filters: []gatewayv1.HTTPRouteFilter{headers},
		BackendRefs: []gatewayv1.HTTPBackendRef{{BackendRef: gatewayv1.BackendRef{
			BackendObjectReference: gatewayv1.BackendObjectReference{
				Group:     new(gatewayv1.Group("")),
				Kind:      new(gatewayv1.Kind("Service")),
				Namespace: new(gatewayv1.Namespace(namespace)),
				Name:      gatewayv1.ObjectName(backend.Name),
				Port:      new(backend.Port),
			},
			Weight: new(int32(1)),
		}}},
	}
}

func stripPrefix() gatewayv1.HTTPRouteFilter {
	return gatewayv1.HTTPRouteFilter{
		Type: gatewayv1.HTTPRouteFilterURLRewrite,
		URLRewrite: &gatewayv1.HTTPURLRewriteFilter{Path: &gatewayv1.HTTPPathModifier{
			Type: gatewayv1.PrefixMatchHTTPPathModifier, ReplacePrefixMatch: new("/"),
		}},
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
