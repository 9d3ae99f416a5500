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
	have, err := p.ownRoutes(ctx, owner, where)
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
	servers, err := p.servers(ctx, wanted)
	if err != nil {
		return nil, err
	}
	routes := kind[*gatewayv1.HTTPRoute]{httpRouteDiffers, func(is, w *gatewayv1.HTTPRoute) error {
		return httpRouteAccepted(is, w, servers)
	}, hostsOf}
	return routes.apply(ctx, p, owner, have, pointers(wanted))
}

// server is who serves a parent: a controller, whose word counts and nobody else's, or nobody, and why.
// Routes are written all the same.
type server struct {
	name    gatewayv1.GatewayController
	missing error
}

func (p *Publisher) servers(ctx context.Context, wanted []gatewayv1.HTTPRoute) (map[parent]server, error) {
	servers := map[parent]server{}
	for i := range wanted {
		for _, ref := range wanted[i].Spec.ParentRefs {
			of := parentOf(ref)
			if _, known := servers[of]; known {
				continue
			}
			name, err := p.controller(ctx, of)
			if err != nil && fault.ReasonOf(err) == "" {
				return nil, err
			}
			servers[of] = server{name, err}
		}
	}
	return servers, nil
}

func (p *Publisher) controller(ctx context.Context, of parent) (gatewayv1.GatewayController, error) {
	gateway, err := p.gatewayOf(ctx, of)
	if err != nil {
		return "", err
	}
	return Controller(ctx, p, gateway)
}

// gatewayOf returns the Gateway of a parent, which is one or has one.
func (p *Publisher) gatewayOf(ctx context.Context, of parent) (client.ObjectKey, error) {
	if of.kind != "ListenerSet" {
		return of.ObjectKey, nil
	}
	set := &gatewayv1.ListenerSet{}
	if err := p.Get(ctx, of.ObjectKey, set); apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return client.ObjectKey{}, fault.NewWaiting(v1alpha1.ReasonRouteNotAccepted, 5*time.Second, "%s does not exist", of)
	} else if err != nil {
		return client.ObjectKey{}, err
	}
	gateway := client.ObjectKey{Namespace: set.Namespace, Name: string(set.Spec.ParentRef.Name)}
	if set.Spec.ParentRef.Namespace != nil {
		gateway.Namespace = string(*set.Spec.ParentRef.Namespace)
	}
	return gateway, nil
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

// parent is a Gateway or a ListenerSet to which routes attach.
type parent struct {
	kind gatewayv1.Kind
	client.ObjectKey
}

func parentOf(ref gatewayv1.ParentReference) parent {
	of := parent{"Gateway", client.ObjectKey{Name: string(ref.Name)}}
	if ref.Kind != nil { // Ours have kind and namespace, until somebody edits them.
		of.kind = *ref.Kind
	}
	if ref.Namespace != nil {
		of.Namespace = string(*ref.Namespace)
	}
	return of
}

// String is how messages name it.
func (p parent) String() string { return string(p.kind) + " " + p.ObjectKey.String() }

func hostsOf(r *gatewayv1.HTTPRoute) (hosts []string) {
	for _, h := range r.Spec.Hostnames {
		hosts = append(hosts, string(h))
	}
	return hosts
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
func httpRouteAccepted(is, w *gatewayv1.HTTPRoute, servers map[parent]server) error {
	for _, ref := range w.Spec.ParentRefs {
		if err := parentAccepted(is, w, ref, servers[parentOf(ref)]); err != nil {
			return err
		}
	}
	return nil
}

func parentAccepted(is, w *gatewayv1.HTTPRoute, ref gatewayv1.ParentReference, by server) error {
	if by.missing != nil {
		return by.missing
	}
	if is != nil {
		for _, p := range is.Status.Parents {
			if equality.Semantic.DeepEqual(p.ParentRef, ref) && p.ControllerName == by.name {
				return verdictOf(is, p)
			}
		}
	}
	return routeWaits(w.Name, ref, "has not looked at the route yet; does its controller run?")
}

// Accepted says what a Gateway thinks of the present generation of a route, by the word of the controller
// that serves it: nil, or a fault that says what is missing.
func Accepted(route *gatewayv1.HTTPRoute, parent gatewayv1.ParentReference, controller gatewayv1.GatewayController) error {
	return parentAccepted(route, route, parent, server{name: controller})
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

func routeWaits(route string, on gatewayv1.ParentReference, why string) error {
	return fault.NewWaiting(v1alpha1.ReasonRouteNotAccepted, 30*time.Second, "HTTPRoute %s: %s %s", route, parentOf(on), why)
}

func routeRefused(route string, on gatewayv1.ParentReference, c *metav1.Condition) error {
	reason := v1alpha1.ReasonRouteNotAccepted
	switch gatewayv1.RouteConditionReason(c.Reason) {
	case gatewayv1.RouteReasonRefNotPermitted:
		reason = v1alpha1.ReasonReferenceNotPermitted
	case gatewayv1.RouteReasonBackendNotFound:
		reason = v1alpha1.ReasonBackendNotFound
	}
	return fault.NewWaiting(reason, time.Minute, "HTTPRoute %s: %s refuses it (%s): %s", route, parentOf(on), c.Reason, c.Message)
}
