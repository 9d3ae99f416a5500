package publish

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/internal/domains"
)

// Shadow is somebody else's route that may answer in the place of an owner's.
type Shadow struct {
	Kind string
	types.NamespacedName
	Host string
	// Bare says that it names no host: it is on the host's own listener, and answers for whatever comes in there.
	Bare bool
}

// Shadows finds the routes of others than the owner that ask for one of its hosts, or for a host below
// one of its wildcards, or are on the listener of one without naming any. It reads the cache.
func (p *Publisher) Shadows(ctx context.Context, owner client.Object, hosts []string, gateways []client.ObjectKey) ([]Shadow, error) {
	routes, err := p.routesFor(ctx, hosts)
	if err != nil && !meta.IsNoMatchError(err) {
		return nil, fmt.Errorf("list HTTPRoutes: %w", err)
	}
	var ingresses networkingv1.IngressList
	if err := p.List(ctx, &ingresses, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list Ingresses: %w", err)
	}
	own := func(o metav1.Object) bool { return metav1.IsControlledBy(o, owner) }
	bare, err := p.routesWithoutHostOn(ctx, ownListeners(routes, own, hosts))
	if err != nil {
		return nil, fmt.Errorf("list HTTPRoutes: %w", err)
	}
	routes = append(routes, bare...)
	return shadowsAmong(routes, pointers(ingresses.Items), own, hosts, gateways), nil
}

// ShadowsAmong finds, among routes, those that are not the holder's own and ask for one of its hosts, or
// for a host below one of its wildcards: data planes accept both, and either may win. HTTPRoutes count if
// they attach to one of the given Gateways, or where a listener of one of its hosts is, Ingresses always. One without
// hosts counts on such a listener alone. Routes that only answer a certificate authority's challenges, where
// certificates are ordered, answer in nobody's place.
func ShadowsAmong(routes []gatewayv1.HTTPRoute, ingresses []networkingv1.Ingress, own func(metav1.Object) bool, hosts []string, gateways []client.ObjectKey) []Shadow {
	return shadowsAmong(pointers(routes), pointers(ingresses), own, hosts, gateways)
}

func shadowsAmong(routes []*gatewayv1.HTTPRoute, ingresses []*networkingv1.Ingress, own func(metav1.Object) bool, hosts []string, gateways []client.ObjectKey) []Shadow {
	var shadows []Shadow
	listeners := ownListeners(routes, own, hosts)
	gateways = slices.Clone(gateways)
	for _, l := range listeners {
		gateways = append(gateways, l.ObjectKey)
	}
	for _, r := range routes {
		if own(r) || !attaches(r, gateways) || solves(r, gateways) {
			continue
		}
		for _, l := range listeners {
			if l.takesBare(r) {
				shadows = append(shadows, Shadow{"HTTPRoute", types.NamespacedName{Namespace: r.Namespace, Name: r.Name}, l.host, true})
			}
		}
		for _, h := range r.Spec.Hostnames {
			if takes(hosts, string(h)) {
				shadows = append(shadows, Shadow{"HTTPRoute", types.NamespacedName{Namespace: r.Namespace, Name: r.Name}, string(h), false})
			}
		}
	}
	for _, in := range ingresses {
		if own(in) {
			continue
		}
		for _, rule := range in.Spec.Rules {
			if takes(hosts, rule.Host) && !solvesBeside(in, ingresses, own) {
				shadows = append(shadows, Shadow{"Ingress", types.NamespacedName{Namespace: in.Namespace, Name: in.Name}, rule.Host, false})
			}
		}
	}
	return shadows
}

// ownListener is the listener that one host has for itself. It takes routes of the holder's namespace alone.
type ownListener struct {
	parent
	section         gatewayv1.SectionName
	host, namespace string
}

// ownListeners finds those of the hosts by the holder's own routes: a listener that has a host for itself is named
// by it.
func ownListeners(routes []*gatewayv1.HTTPRoute, own func(metav1.Object) bool, hosts []string) (found []ownListener) {
	for _, r := range routes {
		if !own(r) {
			continue
		}
		for _, h := range r.Spec.Hostnames {
			for _, ref := range r.Spec.ParentRefs {
				l := ownListener{parentOf(ref), gatewayv1.SectionName(domains.ClaimName(string(h))), string(h), r.Namespace}
				if ref.SectionName != nil && *ref.SectionName == l.section && slices.Contains(hosts, l.host) && !slices.Contains(found, l) {
					found = append(found, l)
				}
			}
		}
	}
	return found
}

// takesBare says whether a route is on the listener and names no host.
func (l ownListener) takesBare(r *gatewayv1.HTTPRoute) bool {
	return len(r.Spec.Hostnames) == 0 && r.Namespace == l.namespace && slices.ContainsFunc(r.Spec.ParentRefs, func(ref gatewayv1.ParentReference) bool {
		of := parentOf(ref)
		of.Namespace = cmp.Or(of.Namespace, r.Namespace)
		return of == l.parent && (ref.SectionName == nil || *ref.SectionName == l.section)
	})
}

func attaches(r *gatewayv1.HTTPRoute, gateways []client.ObjectKey) bool {
	return slices.ContainsFunc(r.Spec.ParentRefs, func(ref gatewayv1.ParentReference) bool {
		namespace := r.Namespace
		if ref.Namespace != nil {
			namespace = string(*ref.Namespace)
		}
		return slices.Contains(gateways, client.ObjectKey{Namespace: namespace, Name: string(ref.Name)})
	})
}

func takes(hosts []string, host string) bool {
	return host != "" && slices.ContainsFunc(hosts, func(h string) bool { return h == host || domains.Covers(h, host) })
}

// challenge is where certificate authorities look (RFC 8555, section 8.3).
const challenge = "/.well-known/acme-challenge/"

// solves says whether a route only answers challenges, in the namespace of one of the Gateways: there
// certificates are ordered, and none but the platform makes routes.
func solves(r *gatewayv1.HTTPRoute, gateways []client.ObjectKey) bool {
	return slices.ContainsFunc(gateways, func(g client.ObjectKey) bool { return g.Namespace == r.Namespace }) &&
		len(r.Spec.Rules) > 0 && !slices.ContainsFunc(r.Spec.Rules, func(rule gatewayv1.HTTPRouteRule) bool {
		return len(rule.Matches) == 0 || slices.ContainsFunc(rule.Matches, func(m gatewayv1.HTTPRouteMatch) bool {
			return m.Path == nil || m.Path.Value == nil || !strings.HasPrefix(*m.Path.Value, challenge)
		})
	})
}

// solvesBeside is solves for an Ingress, whose certificates are ordered beside the holder's own.
func solvesBeside(in *networkingv1.Ingress, all []*networkingv1.Ingress, own func(metav1.Object) bool) bool {
	answersMore := slices.ContainsFunc(in.Spec.Rules, func(rule networkingv1.IngressRule) bool {
		return rule.HTTP == nil || slices.ContainsFunc(rule.HTTP.Paths, func(p networkingv1.HTTPIngressPath) bool {
			return !strings.HasPrefix(p.Path, challenge)
		})
	})
	return !answersMore && in.Spec.DefaultBackend == nil && slices.ContainsFunc(all, func(other *networkingv1.Ingress) bool {
		return other.Namespace == in.Namespace && own(other)
	})
}
