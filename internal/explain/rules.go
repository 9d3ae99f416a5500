package explain

import (
	"cmp"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/domains"
)

// rule is one way of a route for one host, of either API.
type rule struct {
	owner *metav1.OwnerReference
	// host as the route names it, wildcards among them.
	host string
	path string
	// exact says that only the path itself matches, not what is below it.
	exact   bool
	headers map[string]string
	// backend to which requests go, with its namespace; or location, to which clients are sent.
	backend  v1alpha1.ServiceBackend
	location string
	// toHTTPS says that the rule only sends clients from http to https.
	toHTTPS bool
	// setsHeaders says that the backend is told about a tenant.
	setsHeaders bool
}

// rulesOfHTTPRoute takes a route apart. Matches by method, query and regular expression are none of the
// operator's and are left out.
func rulesOfHTTPRoute(r *gatewayv1.HTTPRoute) (rules []rule) {
	for _, host := range r.Spec.Hostnames {
		for _, from := range r.Spec.Rules {
			for _, match := range from.Matches {
				to := rule{owner: metav1.GetControllerOf(r), host: string(host), path: "/"}
				if match.Path != nil && match.Path.Value != nil {
					to.path = *match.Path.Value
					to.exact = match.Path.Type != nil && *match.Path.Type == gatewayv1.PathMatchExact
				}
				to.headers = headersOf(match)
				to.read(r.Namespace, from)
				rules = append(rules, to)
			}
		}
	}
	return rules
}

func headersOf(match gatewayv1.HTTPRouteMatch) map[string]string {
	headers := map[string]string{}
	for _, h := range match.Headers {
		headers[string(h.Name)] = h.Value
	}
	return headers
}

// read takes from a rule of Gateway API where it leads.
func (to *rule) read(namespace string, from gatewayv1.HTTPRouteRule) {
	for _, f := range from.Filters {
		if f.RequestHeaderModifier != nil && len(f.RequestHeaderModifier.Set) > 0 {
			to.setsHeaders = true
		}
		if redirect := f.RequestRedirect; redirect != nil {
			if redirect.Hostname != nil {
				to.location = string(*redirect.Hostname)
			} else {
				to.toHTTPS = true
			}
		}
	}
	if len(from.BackendRefs) == 0 {
		return
	}
	ref := from.BackendRefs[0]
	to.backend = v1alpha1.ServiceBackend{Namespace: namespace, Name: string(ref.Name)}
	if ref.Namespace != nil {
		to.backend.Namespace = string(*ref.Namespace)
	}
	if ref.Port != nil {
		to.backend.Port = *ref.Port
	}
}

// rulesOfIngress takes an Ingress apart. A rule without a path takes every path, like one for "/".
func rulesOfIngress(in *networkingv1.Ingress) (rules []rule) {
	for _, from := range in.Spec.Rules {
		if from.HTTP == nil {
			continue
		}
		for _, path := range from.HTTP.Paths {
			to := rule{owner: metav1.GetControllerOf(in), host: from.Host, path: path.Path}
			to.exact = path.PathType != nil && *path.PathType == networkingv1.PathTypeExact
			if path.Backend.Service != nil {
				to.backend = v1alpha1.ServiceBackend{
					Namespace: in.Namespace, Name: path.Backend.Service.Name, Port: path.Backend.Service.Port.Number,
				}
			}
			rules = append(rules, to)
		}
	}
	return rules
}

// matches says whether a request takes the rule, its host left out.
func (to *rule) matches(q Query) bool {
	for name, value := range to.headers {
		if !q.has(name, value) {
			return false
		}
	}
	return pathMatches(to.path, to.exact, q.Path)
}

// has says whether the request has a header with exactly this value.
func (q Query) has(name, value string) bool {
	got, found := q.header(name)
	return found && got == value
}

func (q Query) header(name string) (value string, found bool) {
	for n, v := range q.Headers {
		if strings.EqualFold(n, name) {
			return v, true
		}
	}
	return "", false
}

// pathMatches compares by whole segments, as both APIs do: /a is a prefix of /a/b and not of /ab.
func pathMatches(pattern string, exact bool, path string) bool {
	if exact {
		return path == pattern
	}
	pattern = strings.TrimSuffix(pattern, "/")
	return path == pattern || strings.HasPrefix(path, pattern+"/")
}

// hostMatches says whether a host of a route takes requests for a host.
func hostMatches(pattern, host string) bool {
	return pattern == host || domains.Covers(pattern, host)
}

// choose returns the rule that a request takes, nil if there is none: the most exact host, then an exact
// path, then the longest prefix, then the most headers (Gateway API, HTTPRouteSpec). Rules that only send
// from http to https do not count: the request comes again, and takes another.
func choose(rules []rule, q Query) *rule {
	var fit []*rule
	for i := range rules {
		if r := &rules[i]; !r.toHTTPS && hostMatches(r.host, q.Host) && r.matches(q) {
			fit = append(fit, r)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return slices.MinFunc(fit, func(a, b *rule) int {
		return cmp.Or(
			last(domains.IsWildcard(a.host), domains.IsWildcard(b.host)),
			cmp.Compare(len(b.host), len(a.host)),
			last(!a.exact, !b.exact),
			cmp.Compare(len(b.path), len(a.path)),
			cmp.Compare(len(b.headers), len(a.headers)),
		)
	})
}

// last orders what is so behind what is not.
func last(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
