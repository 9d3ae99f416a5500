package listeners

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/routing"
)

// Bring makes a class's shards what they should be, in all namespaces: only its controller calls it, so
// that one writer gives out the places. Without a place, nothing is wanted. It says whether listeners
// that are not wanted any more are left because routes are attached to them.
func (k *Keeper) Bring(ctx context.Context, class string, p *Place, wanted []gatewayv1.Listener) (left bool, err error) {
	return k.bring(ctx, class, len(wanted) > 0, func(have []gatewayv1.Gateway, used map[attachment]bool) ([]change, bool) {
		return changes(class, p, have, wanted, used)
	})
}

// Trim is Bring for a class whose Gateway cannot be had, so that nobody knows what its listeners should be
// like: those that are to be kept stay as they are, and none is added.
func (k *Keeper) Trim(ctx context.Context, class string, keep func(namespace string, l gatewayv1.Listener) bool) (left bool, err error) {
	return k.bring(ctx, class, false, func(have []gatewayv1.Gateway, used map[attachment]bool) ([]change, bool) {
		return trims(class, have, keep, used)
	})
}

// bring does what a plan says of the shards as they are, if there are any or any are wanted.
func (k *Keeper) bring(ctx context.Context, class string, wanted bool, plan func([]gatewayv1.Gateway, map[attachment]bool) ([]change, bool)) (left bool, err error) {
	have, err := k.ShardsOf(ctx, k.Client, class)
	if err != nil || len(have) == 0 && !wanted {
		return false, err
	}
	used, err := k.attached(ctx)
	if err != nil {
		return false, err
	}
	todo, left := plan(have, used)
	if len(todo) == 0 {
		return left, nil
	}
	// Places are given out by what the API server has: the cache may not know of the last ones.
	if have, err = k.ShardsOf(ctx, k.Live, class); err != nil {
		return false, err
	}
	todo, left = plan(have, used)
	for _, c := range todo {
		if err := k.apply(ctx, class, c); err != nil {
			return left, err
		}
	}
	return left, nil
}

// change is a shard as it is, nil for a new one, and as it should be; without listeners it should go.
type change struct{ is, wanted *gatewayv1.Gateway }

// changes plans each namespace by itself: where the class's Gateway was before, nothing is wanted.
func changes(class string, p *Place, have []gatewayv1.Gateway, wanted []gatewayv1.Listener, used map[attachment]bool) (todo []change, left bool) {
	byNamespace := grouped(have)
	if p != nil && len(byNamespace[p.Gateway.Namespace]) == 0 {
		byNamespace[p.Gateway.Namespace] = nil // It may get its first.
	}
	for _, namespace := range slices.Sorted(maps.Keys(byNamespace)) {
		plan := plan{class: class, namespace: namespace, used: used}
		if p != nil && namespace == p.Gateway.Namespace {
			plan.like, plan.wanted = p.Gateway, wanted
		}
		its, stay := plan.changes(byNamespace[namespace])
		todo, left = append(todo, its...), left || stay
	}
	return todo, left
}

// trims plans each namespace by itself too: what is wanted is some of what is there.
func trims(class string, have []gatewayv1.Gateway, keep func(namespace string, l gatewayv1.Listener) bool, used map[attachment]bool) (todo []change, left bool) {
	byNamespace := grouped(have)
	for _, namespace := range slices.Sorted(maps.Keys(byNamespace)) {
		its := byNamespace[namespace]
		plan := plan{class: class, namespace: namespace, used: used}
		for _, g := range its {
			for _, l := range g.Spec.Listeners {
				if keep(namespace, l) {
					plan.wanted = append(plan.wanted, l)
				}
			}
		}
		some, stay := plan.changes(its)
		todo, left = append(todo, some...), left || stay
	}
	return todo, left
}

func grouped(shards []gatewayv1.Gateway) map[string][]gatewayv1.Gateway {
	byNamespace := map[string][]gatewayv1.Gateway{}
	for _, g := range shards {
		byNamespace[g.Namespace] = append(byNamespace[g.Namespace], g)
	}
	return byNamespace
}

// plan is what the shards of one namespace should be. like is nil where nothing is wanted.
type plan struct {
	class, namespace string
	like             *gatewayv1.Gateway
	wanted           []gatewayv1.Listener
	used             map[attachment]bool
}

func (p plan) changes(have []gatewayv1.Gateway) (todo []change, left bool) {
	shards := make([]routing.Shard, len(have))
	for i, g := range have {
		shards[i] = routing.Shard{Name: g.Name, Listeners: g.Spec.Listeners}
	}
	uses := func(shard string, l gatewayv1.SectionName) bool {
		return p.used[attachment{client.ObjectKey{Namespace: p.namespace, Name: shard}, l}]
	}
	placed := 0
	for i, shard := range routing.Shards(p.class, shards, p.wanted, uses) {
		placed += len(shard.Listeners)
		c := change{wanted: &gatewayv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: shard.Name, Labels: labels(p.class)}}}
		if i < len(have) {
			c = change{is: &have[i], wanted: have[i].DeepCopy()}
		}
		if p.like != nil {
			c.wanted.Spec = like(p.like)
		}
		c.wanted.Spec.Listeners = shard.Listeners
		if c.is == nil || len(shard.Listeners) == 0 || !equality.Semantic.DeepEqual(c.is.Spec, c.wanted.Spec) {
			todo = append(todo, c)
		}
	}
	return todo, placed > len(p.wanted)
}

func labels(class string) map[string]string {
	return map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, routing.LabelClass: class}
}

// like is what a shard has from the class's Gateway: who serves it and how. Its annotations, by which
// others order certificates and records, are its own.
func like(gateway *gatewayv1.Gateway) gatewayv1.GatewaySpec {
	spec := gateway.Spec.DeepCopy()
	return gatewayv1.GatewaySpec{GatewayClassName: spec.GatewayClassName, Infrastructure: spec.Infrastructure, TLS: spec.TLS}
}

func (k *Keeper) apply(ctx context.Context, class string, c change) error {
	if c.is == nil {
		err := k.Create(ctx, c.wanted)
		if apierrors.IsAlreadyExists(err) {
			return fault.NewWaiting(v1alpha1.ReasonListenerNameTaken, time.Minute,
				"A Gateway named %q exists in namespace %q and is not class %q's; delete or rename it", c.wanted.Name, c.wanted.Namespace, class)
		}
		return err
	}
	if len(c.wanted.Spec.Listeners) == 0 {
		uid := c.is.UID
		return client.IgnoreNotFound(k.Delete(ctx, c.is, client.Preconditions{UID: &uid}))
	}
	if err := k.Update(ctx, c.wanted); err != nil {
		return fmt.Errorf("update Gateway %s/%s: %w", c.wanted.Namespace, c.wanted.Name, err)
	}
	return nil
}

// attachment is a listener of a shard to which a route of the operator's is attached.
type attachment struct {
	shard    client.ObjectKey
	listener gatewayv1.SectionName
}

// attached returns the listeners to which tenants' routes are attached. Only the operator's own routes
// count: others could keep a listener, and with it a key, for ever.
func (k *Keeper) attached(ctx context.Context) (map[attachment]bool, error) {
	var routes gatewayv1.HTTPRouteList
	if err := k.List(ctx, &routes, client.UnsafeDisableDeepCopy); err != nil && !absent(err) {
		return nil, fmt.Errorf("list HTTPRoutes: %w", err)
	}
	used := map[attachment]bool{}
	for i := range routes.Items {
		owner := metav1.GetControllerOf(&routes.Items[i])
		if owner == nil || owner.Kind != "Tenant" || owner.APIVersion != v1alpha1.GroupVersion.String() {
			continue
		}
		for _, ref := range routes.Items[i].Spec.ParentRefs {
			if ref.Namespace != nil && ref.SectionName != nil {
				used[attachment{client.ObjectKey{Namespace: string(*ref.Namespace), Name: string(ref.Name)}, *ref.SectionName}] = true
			}
		}
	}
	return used, nil
}

// Elsewhere returns a shard to which the data plane gave none of the class's Gateway's addresses: customers'
// DNS points at those.
func (k *Keeper) Elsewhere(ctx context.Context, class string, p Place) (*gatewayv1.Gateway, error) {
	shards, err := k.ShardsOf(ctx, k.Client, class, client.InNamespace(p.Gateway.Namespace))
	if err != nil {
		return nil, err
	}
	for i := range shards {
		its, home := shards[i].Status.Addresses, p.Gateway.Status.Addresses
		if len(its) > 0 && len(home) > 0 && !slices.ContainsFunc(its, func(a gatewayv1.GatewayStatusAddress) bool {
			return slices.ContainsFunc(home, func(b gatewayv1.GatewayStatusAddress) bool { return a.Value == b.Value })
		}) {
			return &shards[i], nil
		}
	}
	return nil, nil
}
