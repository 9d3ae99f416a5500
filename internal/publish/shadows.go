package publish

import (
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
}

// Shadows finds the routes of others than the owner that ask for one of its hosts, or for a host below
// one of its wildcards. It reads the cache.
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
	return shadowsAmong(routes, pointers(ingresses.Items), own, hosts, gateways), nil
}

// ShadowsAmong finds, among routes, those that are not the holder's own and ask for one of its hosts, or
// for a host below one of its wildcards: data planes accept both, and either may win. HTTPRoutes count if
// they attach to one of the given Gateways, Ingresses always. Routes that only answer a certificate
// authority's challenges, where certificates are ordered, answer in nobody's place.
func ShadowsAmong(routes []gatewayv1.HTTPRoute, ingresses []networkingv1.Ingress, own func(metav1.Object) bool, hosts []string, gateways []client.ObjectKey) []Shadow {
	return shadowsAmong(pointers(routes), pointers(ingresses), own, hosts, gateways)
}

func shadowsAmong(routes []*gatewayv1.HTTPRoute, ingresses []*networkingv1.Ingress, own func(metav1.Object) bool, hosts []string, gateways []client.ObjectKey) []Shadow {
	var shadows []Shadow
	for _, r := range routes {
		if own(r) || !attaches(r, gateways) || solves(r, gateways) {
			continue
		}
		for _, h := range r.Spec.Hostnames {
			if takes(hosts, string(h)) {
				shadows = append(shadows, Shadow{"HTTPRoute", types.NamespacedName{Namespace: r.Namespace, Name: r.Name}, string(h)})
			}
		}
	}
	for _, in := range ingresses {
		if own(in) {
			continue
		}
		for _, rule := range in.Spec.Rules {
			if takes(hosts, rule.Host) && !solvesBeside(in, ingresses, own) {
				shadows = append(shadows, Shadow{"Ingress", types.NamespacedName{Namespace: in.Namespace, Name: in.Name}, rule.Host})
			}
		}
	}
	return shadows
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
