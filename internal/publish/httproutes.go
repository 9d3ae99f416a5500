package publish

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
)

// HTTPRoutes makes the owner's HTTPRoutes the wanted ones. The first error says whether the data plane
// accepted what is there, the second that it could not be written. where narrows down in which
// namespace the owner can have routes.
func (p *Publisher) HTTPRoutes(ctx context.Context, owner client.Object, wanted []gatewayv1.HTTPRoute, where ...client.ListOption) (accepted, err error) {
	var have gatewayv1.HTTPRouteList
	err = p.List(ctx, &have, append(where, client.UnsafeDisableDeepCopy)...)
	if meta.IsNoMatchError(err) {
		if len(wanted) == 0 {
			return nil, nil
		}
		return fault.NewWaiting(v1alpha1.ReasonRouteAPIMissing, time.Minute,
			"The cluster has no Gateway API, which the class routes by; install its CRDs"), nil
	}
	if err != nil {
		return nil, fmt.Errorf("list HTTPRoutes: %w", err)
	}
	controllers, err := p.controllers(ctx, wanted)
	if err != nil {
		if fault.ReasonOf(err) == "" {
			return nil, err
		}
		// Who answers for the Gateway is not known; the routes are written all the same.
		missing := err
		defer func() {
			if accepted == nil && err == nil {
				accepted = missing
			}
		}()
	}
	routes := kind[*gatewayv1.HTTPRoute]{httpRouteDiffers, func(is, w *gatewayv1.HTTPRoute) error {
		return httpRouteAccepted(is, w, controllers)
	}}
	return routes.apply(ctx, p, owner, pointers(have.Items), pointers(wanted))
}

// controllers returns the name of the controller that serves each Gateway of the routes: its word
// counts, and nobody else's. The error is a fault where a Gateway or its class does not exist.
func (p *Publisher) controllers(ctx context.Context, wanted []gatewayv1.HTTPRoute) (map[client.ObjectKey]gatewayv1.GatewayController, error) {
	names := map[client.ObjectKey]gatewayv1.GatewayController{}
	for i := range wanted {
		for _, parent := range wanted[i].Spec.ParentRefs {
			key := gatewayKey(parent)
			if _, known := names[key]; known {
				continue
			}
			name, err := Controller(ctx, p, key)
			if err != nil {
				return nil, err
			}
			names[key] = name
		}
	}
	return names, nil
}

// Controller returns the name of the controller that serves a Gateway. The error is a fault where the
// Gateway or its class does not exist.
func Controller(ctx context.Context, reader client.Reader, key client.ObjectKey) (gatewayv1.GatewayController, error) {
	gateway, class := &gatewayv1.Gateway{}, &gatewayv1.GatewayClass{}
	if err := reader.Get(ctx, key, gateway); apierrors.IsNotFound(err) {
		return "", fault.NewWaiting(v1alpha1.ReasonRouteNotAccepted, 30*time.Second, "Gateway %s, which the class names, does not exist", key)
	} else if err != nil {
		return "", err
	}
	name := string(gateway.Spec.GatewayClassName)
	if err := reader.Get(ctx, client.ObjectKey{Name: name}, class); apierrors.IsNotFound(err) {
		return "", fault.NewWaiting(v1alpha1.ReasonRouteNotAccepted, 30*time.Second, "GatewayClass %q of Gateway %s does not exist", name, key)
	} else if err != nil {
		return "", err
	}
	return class.Spec.ControllerName, nil
}

func gatewayKey(parent gatewayv1.ParentReference) client.ObjectKey {
	key := client.ObjectKey{Name: string(parent.Name)}
	if parent.Namespace != nil { // Ours have one, until somebody edits them.
		key.Namespace = string(*parent.Namespace)
	}
	return key
}

// httpRouteDiffers makes a route what it should be, and says whether it was not.
func httpRouteDiffers(is, w *gatewayv1.HTTPRoute) bool {
	if equality.Semantic.DeepEqual(is.Spec, w.Spec) && contains(is.Labels, w.Labels) {
		return false
	}
	is.Spec, is.Labels = w.Spec, overlay(is.Labels, w.Labels)
	return true
}

// httpRouteAccepted asks the route's status, for its present generation, each Gateway, and the
// controller that serves it.
func httpRouteAccepted(is, w *gatewayv1.HTTPRoute, controllers map[client.ObjectKey]gatewayv1.GatewayController) error {
	for _, parent := range w.Spec.ParentRefs {
		if err := parentAccepted(is, w, parent, controllers[gatewayKey(parent)]); err != nil {
			return err
		}
	}
	return nil
}

func parentAccepted(is, w *gatewayv1.HTTPRoute, parent gatewayv1.ParentReference, controller gatewayv1.GatewayController) error {
	if is != nil {
		for _, p := range is.Status.Parents {
			if equality.Semantic.DeepEqual(p.ParentRef, parent) && p.ControllerName == controller {
				return verdictOf(is, p)
			}
		}
	}
	return routeWaits(w.Name, parent, "has not looked at the route yet; does its controller run?")
}

// Accepted says what a Gateway thinks of the present generation of a route, by the word of the controller
// that serves it: nil, or a fault that says what is missing.
func Accepted(route *gatewayv1.HTTPRoute, parent gatewayv1.ParentReference, controller gatewayv1.GatewayController) error {
	return parentAccepted(route, route, parent, controller)
}

func verdictOf(is *gatewayv1.HTTPRoute, p gatewayv1.RouteParentStatus) error {
	for _, kind := range []gatewayv1.RouteConditionType{gatewayv1.RouteConditionAccepted, gatewayv1.RouteConditionResolvedRefs} {
		c := meta.FindStatusCondition(p.Conditions, string(kind))
		if c == nil || c.ObservedGeneration < is.Generation {
			return routeWaits(is.Name, p.ParentRef, "has not looked at this version of the route yet")
		}
		if c.Status != metav1.ConditionTrue {
			return routeRefused(is.Name, p.ParentRef, c)
		}
	}
	return nil
}

func routeWaits(route string, parent gatewayv1.ParentReference, why string) error {
	return fault.NewWaiting(v1alpha1.ReasonRouteNotAccepted, 30*time.Second, "HTTPRoute %s: Gateway %s %s", route, gatewayKey(parent), why)
}

func routeRefused(route string, parent gatewayv1.ParentReference, c *metav1.Condition) error {
	reason := v1alpha1.ReasonRouteNotAccepted
	switch gatewayv1.RouteConditionReason(c.Reason) {
	case gatewayv1.RouteReasonRefNotPermitted:
		reason = v1alpha1.ReasonReferenceNotPermitted
	case gatewayv1.RouteReasonBackendNotFound:
		reason = v1alpha1.ReasonBackendNotFound
	}
	return fault.NewWaiting(reason, time.Minute, "HTTPRoute %s: Gateway %s refuses it (%s): %s",
		route, gatewayKey(parent), c.Reason, c.Message)
}
