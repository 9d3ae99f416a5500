package routing

import (
	"maps"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Ingresses returns the routes of a tenant for the Ingress API. It knows no redirects and no
// headers, so that every host is served and the backend must go by the host. None without hosts.
func Ingresses(w Wish) []networkingv1.Ingress {
	var rules []networkingv1.IngressRule
	for _, host := range w.Hosts {
		rules = append(rules, ingressRule(host, w.ingressPaths()))
	}
	var list []networkingv1.Ingress
	if len(rules) > 0 {
		list = append(list, w.ingress(w.Tenant.Name, rules, w.ingressTLS()))
	}
	for i, v := range w.sharedValues() {
		rule := ingressRule(v.On.Host, ingressPath(v.Value, v1alpha1.PathPrefix, w.Backend()))
		name, tls := shardName(w.Tenant.Name, sharedSuffix, i), sharedTLS(w.Routing, []string{v.On.Host})
		list = append(list, w.ingress(name, []networkingv1.IngressRule{rule}, tls))
	}
	return list
}

func (w Wish) ingressPaths() []networkingv1.HTTPIngressPath {
	var paths []networkingv1.HTTPIngressPath
	for _, p := range w.Routing.PublicPaths {
		backend := w.Backend()
		if p.Backend != nil && !w.Held {
			backend = *p.Backend
		}
		paths = append(paths, ingressPath(p.Path, p.Match, backend)...)
	}
	return append(paths, everyPath(w.Backend()))
}

func (w Wish) ingress(name string, rules []networkingv1.IngressRule, tls []networkingv1.IngressTLS) networkingv1.Ingress {
	ing := networkingv1.Ingress{ObjectMeta: w.objectMeta(name)}
	ing.Annotations = annotations(w.Routing.Ingress)
	ing.Spec.IngressClassName = new(w.Routing.Ingress.ClassName)
	ing.Spec.Rules, ing.Spec.TLS = rules, tls
	return ing
}

func ingressRule(host string, paths []networkingv1.HTTPIngressPath) networkingv1.IngressRule {
	return networkingv1.IngressRule{
		Host:             host,
		IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: paths}},
	}
}

// annotations are those that a class asks for, with a note of which they are: one that it asks for no more is
// told by it from those that controllers write.
func annotations(routing *v1alpha1.IngressRouting) map[string]string {
	if len(routing.Annotations) == 0 {
		return nil
	}
	keys := strings.Join(slices.Sorted(maps.Keys(routing.Annotations)), ",")
	all := maps.Clone(routing.Annotations)
	all[AnnotationAnnotations] = keys
	return all
}

// everyPath leads all paths of a host to a backend. It names no path: Traefik ranks rules by their length, and
// would rank a prefix "/" before short exact paths. An empty path is "/" to ingress-nginx, HAProxy, Contour,
// Cilium and GKE, too.
func everyPath(backend v1alpha1.ServiceBackend) networkingv1.HTTPIngressPath {
	return networkingv1.HTTPIngressPath{PathType: new(networkingv1.PathTypeImplementationSpecific), Backend: ingressBackend(backend)}
}

// ingressPath is one path, or two: some controllers (Traefik by default) compare prefixes by characters
// and would let /acme answer for /acme2. With a slash behind it, a prefix is whole segments for all.
func ingressPath(path string, how v1alpha1.PathMatch, backend v1alpha1.ServiceBackend) []networkingv1.HTTPIngressPath {
	to := ingressBackend(backend)
	paths := []networkingv1.HTTPIngressPath{{Path: path, PathType: new(networkingv1.PathTypeExact), Backend: to}}
	if how != v1alpha1.PathExact {
		paths = append(paths, networkingv1.HTTPIngressPath{Path: path + "/", PathType: new(networkingv1.PathTypePrefix), Backend: to})
	}
	return paths
}

func ingressBackend(b v1alpha1.ServiceBackend) networkingv1.IngressBackend {
	return networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
		Name: b.Name, Port: networkingv1.ServiceBackendPort{Number: b.Port},
	}}
}
