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
// leads where it led. A route without hosts would take every request, so it goes.
func (p *Publisher) Trim(ctx context.Context, owner client.Object, keep func(host string) bool, where ...client.ListOption) error {
	routes, err := p.ownRoutes(ctx, owner, where)
	if err != nil && !meta.IsNoMatchError(err) {
		return fmt.Errorf("list HTTPRoutes: %w", err)
	}
	ingresses, err := p.ownIngresses(ctx, owner, where)
	if err != nil {
		return fmt.Errorf("list Ingresses: %w", err)
	}
	if err := trim(ctx, p, owner, routes, hostsOf, keep, func(r *gatewayv1.HTTPRoute) {
		r.Spec.Hostnames = slices.DeleteFunc(r.Spec.Hostnames, func(h gatewayv1.Hostname) bool { return !keep(string(h)) })
	}); err != nil {
		return err
	}
	return trim(ctx, p, owner, ingresses, ruleHosts, keep, func(in *networkingv1.Ingress) {
		in.Spec.Rules = slices.DeleteFunc(in.Spec.Rules, func(r networkingv1.IngressRule) bool { return !keep(r.Host) })
		for i := range in.Spec.TLS {
			in.Spec.TLS[i].Hosts = slices.DeleteFunc(in.Spec.TLS[i].Hosts, func(h string) bool { return !keep(h) })
		}
		in.Spec.TLS = slices.DeleteFunc(in.Spec.TLS, func(t networkingv1.IngressTLS) bool { return len(t.Hosts) == 0 })
	})
}

// trim changes copies: what was read is the cache's.
func trim[T client.Object](ctx context.Context, p *Publisher, owner client.Object, have []T, hosts func(T) []string, keep func(string) bool, cut func(T)) error {
	for _, is := range have {
		kept := slices.DeleteFunc(hosts(is), func(h string) bool { return !keep(h) })
		if !metav1.IsControlledBy(is, owner) || len(kept) == len(hosts(is)) {
			continue
		}
		var err error
		if mended := is.DeepCopyObject().(T); len(kept) == 0 {
			err = client.IgnoreNotFound(p.Delete(ctx, mended))
		} else {
			cut(mended)
			err = p.Update(ctx, mended)
		}
		if err != nil {
			return fmt.Errorf("take hosts off route %s: %w", client.ObjectKeyFromObject(is), err)
		}
	}
	return nil
}
