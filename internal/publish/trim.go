package publish

import (
	"context"
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Trim takes the hosts off the owner's routes that are not to be kept, and changes nothing else: what is left
// leads where it led. A route without hosts would take every request, so it goes; and so does one that sends
// clients to a host that is not kept, since somebody else may have that by now.
func (p *Publisher) Trim(ctx context.Context, owner client.Object, keep func(host string) bool, where ...client.ListOption) error {
	routes, err := p.ownRoutes(ctx, owner, where)
	if err != nil && !meta.IsNoMatchError(err) {
		return fmt.Errorf("list HTTPRoutes: %w", err)
	}
	ingresses, err := p.ownIngresses(ctx, owner, where)
	if err != nil {
		return fmt.Errorf("list Ingresses: %w", err)
	}
	gone := func(host string) bool { return !keep(host) }
	if err := trim(ctx, p, owner, routes, hostsOf, func(r *gatewayv1.HTTPRoute) { cutRoute(r, gone) }); err != nil {
		return err
	}
	return trim(ctx, p, owner, ingresses, ruleHosts, func(in *networkingv1.Ingress) { cutIngress(in, gone) })
}

func cutRoute(r *gatewayv1.HTTPRoute, gone func(host string) bool) {
	if slices.ContainsFunc(locations(r), gone) {
		r.Spec.Hostnames = nil
		return
	}
	r.Spec.Hostnames = slices.DeleteFunc(r.Spec.Hostnames, func(h gatewayv1.Hostname) bool { return gone(string(h)) })
}

// locations are the other hosts to which a route sends clients.
func locations(r *gatewayv1.HTTPRoute) (hosts []string) {
	for _, rule := range r.Spec.Rules {
		for _, f := range rule.Filters {
			if to := f.RequestRedirect; to != nil && to.Hostname != nil {
				hosts = append(hosts, string(*to.Hostname))
			}
		}
	}
	return hosts
}

func cutIngress(in *networkingv1.Ingress, gone func(host string) bool) {
	in.Spec.Rules = slices.DeleteFunc(in.Spec.Rules, func(r networkingv1.IngressRule) bool { return gone(r.Host) })
	for i := range in.Spec.TLS {
		in.Spec.TLS[i].Hosts = slices.DeleteFunc(in.Spec.TLS[i].Hosts, gone)
	}
	in.Spec.TLS = slices.DeleteFunc(in.Spec.TLS, func(t networkingv1.IngressTLS) bool { return len(t.Hosts) == 0 })
}

// trim cuts copies: what was read is the cache's.
func trim[T client.Object](ctx context.Context, p *Publisher, owner client.Object, have []T, hosts func(T) []string, cut func(T)) error {
	for _, is := range have {
		if !metav1.IsControlledBy(is, owner) {
			continue
		}
		mended := is.DeepCopyObject().(T)
		cut(mended)
		var err error
		switch len(hosts(mended)) {
		case len(hosts(is)):
			continue
		case 0:
			err = client.IgnoreNotFound(p.Delete(ctx, mended))
		default:
			err = p.Update(ctx, mended)
		}
		if err != nil {
			return fmt.Errorf("take hosts off route %s: %w", client.ObjectKeyFromObject(is), err)
		}
	}
	return nil
}
