// Package publish brings the routes of an owner, a Tenant or a TenantClass, to what they should be,
// and says what the data plane thinks of them. It never takes over what somebody else made, and knows
// an owner's routes by their owner reference: a label can be set or taken off by whoever works in the
// namespace.
package publish

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/stored"
)

// Publisher writes routes.
type Publisher struct {
	// Client reads from the cache and writes.
	client.Client
	// Live reads from the API server itself.
	Live client.Reader
	// Stored reads what Client's cache holds; nil where that is not in one place.
	Stored *stored.Reader
}

// kind is what differs between the kinds of routes.
type kind[T client.Object] struct {
	// mend changes what differs from the wanted route and says whether anything did.
	mend func(is, wanted T) bool
	// accepted says what the data plane thinks of a route as it is, which is nil for one that was only
	// just created.
	accepted func(is, wanted T) error
	// hosts of a route.
	hosts func(T) []string
}

// NotAccepted is why the data plane has not accepted all routes, and which hosts are theirs. The other
// hosts are served.
type NotAccepted struct {
	Hosts []string
	why   error
}

// Refused is why some hosts are not served, or not for sure, though their routes are there.
func Refused(hosts []string, why error) *NotAccepted { return &NotAccepted{Hosts: hosts, why: why} }

// Error says why of the first route.
func (e *NotAccepted) Error() string { return e.why.Error() }

// Unwrap returns the fault of the first route.
func (e *NotAccepted) Unwrap() error { return e.why }

// apply creates, mends and deletes until the owner's own objects are the wanted ones. Objects read from
// the cache must not change, so those that are mended are copies. Where one cannot be written, those that
// serve other hosts are brought all the same, and what else serves its hosts stays as it is: it may be
// all that answers there.
func (k kind[T]) apply(ctx context.Context, p *Publisher, owner client.Object, have, wanted []T) (accepted, err error) {
	known := map[client.ObjectKey]T{}
	for _, o := range have {
		if metav1.IsControlledBy(o, owner) {
			known[client.ObjectKeyFromObject(o)] = o.DeepCopyObject().(T)
		}
	}
	var refused *NotAccepted
	var failed failures
	for _, w := range wanted {
		key := client.ObjectKeyFromObject(w)
		is, found := known[key]
		delete(known, key)
		hosts := k.hosts(w)
		if found {
			hosts = slices.Concat(hosts, k.hosts(is))
		}
		if failed.touch(hosts) {
			failed.hosts = append(failed.hosts, hosts...)
			continue
		}
		err = nil
		if !found {
			is, found, err = create(ctx, p, owner, w)
		}
		if found && k.mend(is, w) { // After an error there is none.
			err = p.Update(ctx, is)
		}
		if err != nil {
			failed.add(fmt.Errorf("route %s: %w", key, err), hosts)
			continue
		}
		if why := k.accepted(is, w); why != nil {
			if refused == nil {
				refused = &NotAccepted{why: why}
				accepted = refused
			}
			refused.Hosts = append(refused.Hosts, k.hosts(w)...)
		}
	}
	for key, extra := range known {
		if failed.touch(k.hosts(extra)) {
			continue
		}
		if err := client.IgnoreNotFound(p.Delete(ctx, extra)); err != nil {
			failed.add(fmt.Errorf("delete route %s: %w", key, err), nil)
		}
	}
	if failed.err != nil {
		return nil, failed.err
	}
	return accepted, nil
}

// failures are the routes that could not be written, and whose hosts those are.
type failures struct {
	err   error
	hosts []string
}

func (f *failures) add(err error, hosts []string) {
	if f.hosts = append(f.hosts, hosts...); f.err != nil {
		err = fmt.Errorf("%w; %w", f.err, err)
	}
	f.err = err
}

func (f *failures) touch(hosts []string) bool {
	return slices.ContainsFunc(hosts, func(h string) bool { return slices.Contains(f.hosts, h) })
}

func pointers[T any](items []T) []*T {
	list := make([]*T, len(items))
	for i := range items {
		list[i] = &items[i]
	}
	return list
}

// create never takes over what somebody else made under the same name. Our own that the cache does not know yet
// is returned, to be mended: it may serve hosts that are to be given up.
func create[T client.Object](ctx context.Context, p *Publisher, owner client.Object, obj T) (is T, found bool, err error) {
	if err := p.Create(ctx, obj); !apierrors.IsAlreadyExists(err) {
		return is, false, err
	}
	there, err := fresh(p, obj)
	if err == nil {
		err = p.Live.Get(ctx, client.ObjectKeyFromObject(obj), there)
	}
	switch {
	case err != nil:
		return is, false, err
	case metav1.IsControlledBy(there, owner):
		return there, true, nil
	}
	return is, false, fault.NewWaiting(v1alpha1.ReasonRouteNameTaken, time.Minute,
		"A route named %q exists in namespace %q and belongs to somebody else; delete or rename it", obj.GetName(), obj.GetNamespace())
}

// fresh is an empty object of a kind: what is read into one that is not keeps what the answer leaves out.
func fresh[T client.Object](p *Publisher, like T) (empty T, err error) {
	gvk, err := p.GroupVersionKindFor(like)
	if err != nil {
		return empty, err
	}
	obj, err := p.Scheme().New(gvk)
	if err != nil {
		return empty, err
	}
	return obj.(T), nil
}

// contains says whether all of part is in whole.
func contains(whole, part map[string]string) bool {
	for k, v := range part {
		if whole[k] != v {
			return false
		}
	}
	return true
}

func overlay(base, over map[string]string) map[string]string {
	merged := maps.Clone(base)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, over)
	return merged
}

// Others says whether the owner has a route that is none of the wanted ones, or another than they are.
// It reads the cache.
func (p *Publisher) Others(ctx context.Context, owner client.Object, httpRoutes []gatewayv1.HTTPRoute, ingresses []networkingv1.Ingress, where ...client.ListOption) (bool, error) {
	routes, err := p.ownRoutes(ctx, owner, where)
	if err != nil && !meta.IsNoMatchError(err) {
		return false, fmt.Errorf("list HTTPRoutes: %w", err)
	}
	ing, err := p.ownIngresses(ctx, owner, where)
	if err != nil {
		return false, fmt.Errorf("list Ingresses: %w", err)
	}
	return others(owner, routes, pointers(httpRoutes), func(a, b *gatewayv1.HTTPRoute) bool {
		return equality.Semantic.DeepEqual(a.Spec.Rules, b.Spec.Rules)
	}) || others(owner, ing, pointers(ingresses), sameBackends), nil
}

func others[T client.Object](owner client.Object, have, wanted []T, same func(a, b T) bool) bool {
	return slices.ContainsFunc(have, func(is T) bool {
		return metav1.IsControlledBy(is, owner) && !slices.ContainsFunc(wanted, func(w T) bool {
			return client.ObjectKeyFromObject(is) == client.ObjectKeyFromObject(w) && same(is, w)
		})
	})
}

// sameBackends compares where the rules of two Ingresses lead to, whatever their hosts.
func sameBackends(a, b *networkingv1.Ingress) bool {
	leads := func(in *networkingv1.Ingress) *networkingv1.HTTPIngressRuleValue {
		if len(in.Spec.Rules) == 0 {
			return nil
		}
		return in.Spec.Rules[0].HTTP
	}
	return equality.Semantic.DeepEqual(leads(a), leads(b))
}
