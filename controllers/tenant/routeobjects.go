package tenant

import (
	"context"
	"fmt"
	"maps"
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
	"github.com/tenantry/tenantry/internal/routing"
)

func wantedRoutes(w routing.Wish) ([]gatewayv1.HTTPRoute, []networkingv1.Ingress) {
	switch {
	case w.Routing == nil:
		return nil, nil
	case w.Routing.Gateway != nil:
		return routing.HTTPRoutes(w), nil
	default:
		return nil, routing.Ingresses(w)
	}
}

// applyHTTPRoutes returns in its first error whether the data plane accepted what is there. Routes are
// known by their owner: a label can be taken off by whoever works in the namespace.
func (r *Reconciler) applyHTTPRoutes(ctx context.Context, t *v1alpha1.Tenant, wanted []gatewayv1.HTTPRoute) (accepted, err error) {
	var have gatewayv1.HTTPRouteList
	err = r.List(ctx, &have, client.InNamespace(t.Namespace), client.UnsafeDisableDeepCopy)
	if meta.IsNoMatchError(err) {
		if len(wanted) == 0 {
			return nil, nil
		}
		return fault.NewWaiting(v1alpha1.ReasonRouteAPIMissing, time.Minute,
			"The cluster has no Gateway API, which class %q routes by; install its CRDs", t.Spec.ClassName), nil
	}
	if err != nil {
		return nil, fmt.Errorf("list HTTPRoutes: %w", err)
	}
	return apply(ctx, r, t, pointers(have.Items), pointers(wanted), httpRouteDiffers, httpRouteAccepted)
}

// httpRouteDiffers makes a route what it should be, and says whether it was not.
func httpRouteDiffers(is, w *gatewayv1.HTTPRoute) bool {
	if equality.Semantic.DeepEqual(is.Spec, w.Spec) && contains(is.Labels, w.Labels) {
		return false
	}
	is.Spec, is.Labels = w.Spec, overlay(is.Labels, w.Labels)
	return true
}

// httpRouteAccepted asks the route's status, for its present generation and for each Gateway.
func httpRouteAccepted(is, w *gatewayv1.HTTPRoute) error {
	for _, parent := range w.Spec.ParentRefs {
		if err := parentAccepted(is, w, parent); err != nil {
			return err
		}
	}
	return nil
}

func parentAccepted(is, w *gatewayv1.HTTPRoute, parent gatewayv1.ParentReference) error {
	if is != nil {
		for _, p := range is.Status.Parents {
			if !equality.Semantic.DeepEqual(p.ParentRef, parent) {
				continue
			}
			for _, kind := range []gatewayv1.RouteConditionType{gatewayv1.RouteConditionAccepted, gatewayv1.RouteConditionResolvedRefs} {
				c := meta.FindStatusCondition(p.Conditions, string(kind))
				if c == nil || c.ObservedGeneration < is.Generation {
					return routeWaits(w.Name, *parent.Namespace, parent.Name, "has not looked at the route yet")
				}
				if c.Status != metav1.ConditionTrue {
					return routeRefused(w.Name, parent, c)
				}
			}
			return nil
		}
	}
	return routeWaits(w.Name, *parent.Namespace, parent.Name, "has not looked at the route yet; does the Gateway exist, and its controller run?")
}

func routeWaits(route string, namespace gatewayv1.Namespace, name gatewayv1.ObjectName, why string) error {
	return fault.NewWaiting(v1alpha1.ReasonRouteNotAccepted, 30*time.Second, "HTTPRoute %s: Gateway %s/%s %s", route, namespace, name, why)
}

func routeRefused(route string, parent gatewayv1.ParentReference, c *metav1.Condition) error {
	reason := v1alpha1.ReasonRouteNotAccepted
	switch gatewayv1.RouteConditionReason(c.Reason) {
	case gatewayv1.RouteReasonRefNotPermitted:
		reason = v1alpha1.ReasonReferenceNotPermitted
	case gatewayv1.RouteReasonBackendNotFound:
		reason = v1alpha1.ReasonBackendNotFound
	}
	return fault.NewWaiting(reason, time.Minute, "HTTPRoute %s: Gateway %s/%s refuses it (%s): %s",
		route, *parent.Namespace, parent.Name, c.Reason, c.Message)
}

// applyIngresses is applyHTTPRoutes for the Ingress API, whose only word of acceptance is the
// address in the status.
func (r *Reconciler) applyIngresses(ctx context.Context, t *v1alpha1.Tenant, wanted []networkingv1.Ingress) (accepted, err error) {
	var have networkingv1.IngressList
	if err := r.List(ctx, &have, client.InNamespace(t.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list Ingresses: %w", err)
	}
	return apply(ctx, r, t, pointers(have.Items), pointers(wanted), ingressDiffers, ingressAccepted)
}

func ingressDiffers(is, w *networkingv1.Ingress) bool {
	if equality.Semantic.DeepEqual(is.Spec, w.Spec) && contains(is.Labels, w.Labels) && contains(is.Annotations, w.Annotations) {
		return false
	}
	is.Spec = w.Spec
	is.Labels, is.Annotations = overlay(is.Labels, w.Labels), overlay(is.Annotations, w.Annotations)
	return true
}

func ingressAccepted(is, w *networkingv1.Ingress) error {
	if is != nil && len(is.Status.LoadBalancer.Ingress) > 0 {
		return nil
	}
	return fault.NewWaiting(v1alpha1.ReasonRouteNotAccepted, 30*time.Second,
		"Ingress %s has no address yet; does a controller for IngressClass %q run, and publish its address?", w.Name, *w.Spec.IngressClassName)
}

// apply creates, mends and deletes until the tenant's own objects are the wanted ones. mend changes
// what differs and says whether anything did; its objects are copies, since the cache's must not
// change. accepts gets nil for an object that was only just created.
func apply[T client.Object](ctx context.Context, r *Reconciler, t *v1alpha1.Tenant, have, wanted []T, mend func(is, w T) bool, accepts func(is, w T) error) (accepted, err error) {
	known := map[string]T{}
	for _, o := range have {
		if metav1.IsControlledBy(o, t) {
			known[o.GetName()] = o.DeepCopyObject().(T)
		}
	}
	for _, w := range wanted {
		is, found := known[w.GetName()]
		delete(known, w.GetName())
		switch {
		case !found:
			err = r.createRoute(ctx, t, w)
		case mend(is, w):
			err = r.Update(ctx, is)
		}
		if err != nil {
			return nil, err
		}
		if p := accepts(is, w); p != nil && accepted == nil {
			accepted = p
		}
	}
	for _, extra := range known {
		if err := client.IgnoreNotFound(r.Delete(ctx, extra)); err != nil {
			return nil, fmt.Errorf("delete route %s: %w", extra.GetName(), err)
		}
	}
	return accepted, nil
}

func pointers[T any](items []T) []*T {
	list := make([]*T, len(items))
	for i := range items {
		list[i] = &items[i]
	}
	return list
}

// createRoute never takes over what somebody else made under the same name. Our own that the cache
// does not know yet is found there by the next pass.
func (r *Reconciler) createRoute(ctx context.Context, t *v1alpha1.Tenant, obj client.Object) error {
	err := r.Create(ctx, obj)
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	is := obj.DeepCopyObject().(client.Object)
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(obj), is); err != nil {
		return err
	}
	if metav1.IsControlledBy(is, t) {
		return nil
	}
	return fault.NewWaiting(v1alpha1.ReasonRouteNameTaken, time.Minute,
		"A route named %q exists in namespace %q and is not this tenant's; delete or rename it", obj.GetName(), obj.GetNamespace())
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
