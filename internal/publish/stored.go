package publish

import (
	"context"

	networkingv1 "k8s.io/api/networking/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// A list is a copy of every object in it, though a shallow one: of 2,000 routes it takes some milliseconds,
// which each pass over each of 2,000 tenants would spend. What a cache holds is read without.

func (p *Publisher) httpRoutes(ctx context.Context, where ...client.ListOption) ([]*gatewayv1.HTTPRoute, error) {
	if stored, ok, err := storedOf(ctx, p.Informers, &gatewayv1.HTTPRoute{}, where); ok || err != nil {
		return stored, err
	}
	var list gatewayv1.HTTPRouteList
	err := p.List(ctx, &list, append(where, client.UnsafeDisableDeepCopy)...)
	return pointers(list.Items), err
}

func (p *Publisher) ingresses(ctx context.Context, where ...client.ListOption) ([]*networkingv1.Ingress, error) {
	if stored, ok, err := storedOf(ctx, p.Informers, &networkingv1.Ingress{}, where); ok || err != nil {
		return stored, err
	}
	var list networkingv1.IngressList
	err := p.List(ctx, &list, append(where, client.UnsafeDisableDeepCopy)...)
	return pointers(list.Items), err
}

// storedOf returns the objects themselves, which nobody may change. ok is false where a cache does not hold
// all of them in one place, or more than a namespace is asked for.
func storedOf[T client.Object](ctx context.Context, informers cache.Informers, kind T, where []client.ListOption) (items []T, ok bool, err error) {
	options := (&client.ListOptions{}).ApplyOptions(where)
	if informers == nil || options.LabelSelector != nil || options.FieldSelector != nil {
		return nil, false, nil
	}
	informer, err := informers.GetInformer(ctx, kind)
	if err != nil {
		return nil, false, err
	}
	shared, is := informer.(toolscache.SharedIndexInformer)
	if !is {
		return nil, false, nil
	}
	var objects []any
	if options.Namespace == "" {
		objects = shared.GetIndexer().List()
	} else if objects, err = shared.GetIndexer().ByIndex(toolscache.NamespaceIndex, options.Namespace); err != nil {
		return nil, false, err
	}
	items = make([]T, 0, len(objects))
	for _, o := range objects {
		items = append(items, o.(T))
	}
	return items, true, nil
}
