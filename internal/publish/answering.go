package publish

import (
	"context"
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Answering reads from the API server itself on what the owner's routes of a namespace, which have the given labels,
// answer now. The function that it returns says so of a host, or of a value on it. Routes whose labels somebody took
// off are found by the cache.
func (p *Publisher) Answering(ctx context.Context, owner client.Object, namespace string, mine client.MatchingLabels) (func(host, value string) bool, error) {
	home := client.InNamespace(namespace)
	known, err := p.ownRoutes(ctx, owner, []client.ListOption{home})
	if err != nil && !missing(err) {
		return nil, fmt.Errorf("list HTTPRoutes: %w", err)
	}
	var routes gatewayv1.HTTPRouteList
	if err := p.Live.List(ctx, &routes, home, mine); err != nil && !missing(err) {
		return nil, fmt.Errorf("list HTTPRoutes: %w", err)
	}
	onGateway, err := live(ctx, p, owner, mine, pointers(routes.Items), known)
	if err != nil {
		return nil, err
	}
	have, err := p.ownIngresses(ctx, owner, []client.ListOption{home})
	if err != nil {
		return nil, fmt.Errorf("list Ingresses: %w", err)
	}
	var ingresses networkingv1.IngressList
	if err := p.Live.List(ctx, &ingresses, home, mine); err != nil {
		return nil, fmt.Errorf("list Ingresses: %w", err)
	}
	onIngress, err := live(ctx, p, owner, mine, pointers(ingresses.Items), have)
	if err != nil {
		return nil, err
	}
	return func(host, value string) bool {
		return slices.ContainsFunc(onGateway, func(r *gatewayv1.HTTPRoute) bool { return routeAnswers(r, host, value) }) ||
			slices.ContainsFunc(onIngress, func(in *networkingv1.Ingress) bool { return ingressAnswers(in, host, value) })
	}, nil
}

// missing : a cluster without Gateway API has no HTTPRoutes.
func missing(err error) bool { return meta.IsNoMatchError(err) || apierrors.IsNotFound(err) }

// live adds to routes as the API server lists them by their labels those that the cache has without them, as they are now.
func live[T client.Object](ctx context.Context, p *Publisher, owner client.Object, mine client.MatchingLabels, listed, cached []T) ([]T, error) {
	marked := labels.SelectorFromSet(labels.Set(mine))
	for _, c := range cached {
		if !metav1.IsControlledBy(c, owner) || marked.Matches(labels.Set(c.GetLabels())) {
			continue
		}
		is, err := fresh(p, c)
		if err == nil {
			err = p.Live.Get(ctx, client.ObjectKeyFromObject(c), is)
		}
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read route %s: %w", client.ObjectKeyFromObject(c), err)
		}
		listed = append(listed, is)
	}
	return slices.DeleteFunc(listed, func(is T) bool { return !metav1.IsControlledBy(is, owner) }), nil
}

// routeAnswers goes by paths and headers for a value: either names the tenant on a shared host.
func routeAnswers(r *gatewayv1.HTTPRoute, host, value string) bool {
	if !slices.Contains(r.Spec.Hostnames, gatewayv1.Hostname(host)) {
		return false
	}
	return value == "" || slices.ContainsFunc(r.Spec.Rules, func(rule gatewayv1.HTTPRouteRule) bool {
		return slices.ContainsFunc(rule.Matches, func(m gatewayv1.HTTPRouteMatch) bool {
			return m.Path != nil && m.Path.Value != nil && *m.Path.Value == value ||
				slices.ContainsFunc(m.Headers, func(h gatewayv1.HTTPHeaderMatch) bool { return h.Value == value })
		})
	})
}

func ingressAnswers(in *networkingv1.Ingress, host, value string) bool {
	return slices.ContainsFunc(in.Spec.Rules, func(rule networkingv1.IngressRule) bool {
		return rule.Host == host && (value == "" || rule.HTTP != nil && slices.ContainsFunc(rule.HTTP.Paths, func(p networkingv1.HTTPIngressPath) bool {
			return p.Path == value
		}))
	})
}
