package routing

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Scheme by which a class's hosts are served: https where the class says anything about TLS.
func Scheme(routing *v1alpha1.Routing) string {
	if routing != nil && routing.TLS != nil {
		return "https"
	}
	return "http"
}

// OrdersCertificates says whether custom domains of a class get certificates of their own.
func OrdersCertificates(routing *v1alpha1.Routing) bool {
	return routing != nil && routing.TLS != nil && routing.TLS.Certificates == v1alpha1.CertificatesFromCertManager
}

// At returns the listeners on which a host is served by Gateway API: its own, or those of the class's
// Gateways.
func (w Wish) At(host string) []gatewayv1.ParentReference {
	if own, ok := w.Listeners[host]; ok {
		return []gatewayv1.ParentReference{own}
	}
	return gateways(w.Routing)
}

// with are those of the hosts that have listeners of their own, without the others.
func (w Wish) with(hosts []string) []string {
	return slices.DeleteFunc(slices.Clone(hosts), func(h string) bool { return !w.hasListener(h) })
}

func (w Wish) without(hosts []string) []string {
	return slices.DeleteFunc(slices.Clone(hosts), w.hasListener)
}

func (w Wish) hasListener(host string) bool {
	_, own := w.Listeners[host]
	return own
}

func (w Wish) ownListeners(hosts []string) []gatewayv1.ParentReference {
	var refs []gatewayv1.ParentReference
	for _, h := range hosts {
		refs = append(refs, w.Listeners[h])
	}
	return refs
}

// plainRoutes redirect requests by plain HTTP: an alias straight to the primary host, every other host
// to itself.
func (w Wish) plainRoutes(served, aliases []string) []gatewayv1.HTTPRoute {
	on := plainListeners(w.Routing)
	if len(on) == 0 {
		return nil
	}
	same := func([]string) []gatewayv1.ParentReference { return on }
	return append(w.routes(httpSuffix, served, same, toHTTPS("")),
		w.routes(httpSuffix+aliasSuffix, aliases, same, toHTTPS(w.Primary()))...)
}

// plainListeners are the listeners for plain HTTP of a class's Gateways; none if the class names none.
func plainListeners(routing *v1alpha1.Routing) []gatewayv1.ParentReference {
	if routing.Gateway == nil || routing.TLS == nil || routing.TLS.HTTPSectionName == "" {
		return nil
	}
	var refs []gatewayv1.ParentReference
	var seen []v1alpha1.NamespacedReference
	for _, p := range routing.Gateway.ParentRefs {
		if slices.Contains(seen, p.NamespacedReference) {
			continue // Two listeners of one Gateway.
		}
		seen = append(seen, p.NamespacedReference)
		p.SectionName = routing.TLS.HTTPSectionName
		refs = append(refs, parentRef(p))
	}
	return refs
}

// toHTTPS redirects to a host, or to the same one if it is empty. Path and query stay; the port is the
// usual one, whatever ports are inside of the cluster.
func toHTTPS(host string) []gatewayv1.HTTPRouteRule {
	to := &gatewayv1.HTTPRequestRedirectFilter{Scheme: new("https"), StatusCode: new(301)}
	if host != "" {
		to.Hostname = new(gatewayv1.PreciseHostname(host))
	}
	rule := gatewayv1.HTTPRouteRule{Filters: []gatewayv1.HTTPRouteFilter{{
		Type: gatewayv1.HTTPRouteFilterRequestRedirect, RequestRedirect: to,
	}}}
	return []gatewayv1.HTTPRouteRule{matching(rule, pathMatch("/", v1alpha1.PathPrefix))}
}

// ingressTLS lists the hosts of a tenant by the Secrets with their certificates.
func (w Wish) ingressTLS() []networkingv1.IngressTLS {
	var own []networkingv1.IngressTLS
	var rest []string
	for _, h := range w.Hosts {
		if secret := w.Secrets[h]; secret != "" {
			own = append(own, networkingv1.IngressTLS{Hosts: []string{h}, SecretName: secret})
		} else {
			rest = append(rest, h)
		}
	}
	return append(sharedTLS(w.Routing, rest), own...)
}

// sharedTLS has the class's certificate for hosts; nothing if somebody else looks after certificates.
func sharedTLS(routing *v1alpha1.Routing, hosts []string) []networkingv1.IngressTLS {
	if len(hosts) == 0 || routing.TLS == nil || routing.TLS.Certificates == v1alpha1.CertificatesExternal {
		return nil
	}
	return []networkingv1.IngressTLS{{Hosts: hosts, SecretName: routing.TLS.SecretName}}
}
