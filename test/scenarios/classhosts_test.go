package scenarios

import (
	"errors"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// A class hears of its own hosts' routes by a watch: what the data plane says of them, and that one is gone.
func TestRoutesOfClassesAreWatched(t *testing.T) {
	t.Parallel()
	w := servers.World(t)
	w.Class.Spec.Routing = &v1alpha1.Routing{
		Gateway: &v1alpha1.GatewayRouting{ParentRefs: []v1alpha1.GatewayReference{{
			NamespacedReference: v1alpha1.NamespacedReference{Namespace: "gateways", Name: "edge"},
		}}},
		Backend:     v1alpha1.ServiceBackend{Name: "web", Port: 8080},
		PublicHosts: []v1alpha1.PublicHost{{Host: w.Host("api"), Backend: v1alpha1.ServiceBackend{Namespace: w.Namespace, Name: "web", Port: 8080}}},
	}
	w.Create(t, service(w.Namespace, "web"))
	w.Make(t)
	w.AwaitReady(t, w.Database, w.Set) // A class looks when they change.
	w.AwaitWant(t, operator.Eventually, w.Class, operator.Waiting("Ready", v1alpha1.ReasonRouteNotAccepted, "has not looked at the route yet"))
	route := &gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: w.Class.Name + "." + w.Host("api")}}
	say := func(resolved metav1.ConditionStatus, reason gatewayv1.RouteConditionReason) {
		t.Helper()
		w.Get(t, route)
		before, parent := route.DeepCopy(), gatewayv1.RouteParentStatus{ParentRef: route.Spec.ParentRefs[0], ControllerName: "example.com/edge"}
		for _, c := range []metav1.Condition{
			{Type: "Accepted", Status: "True", Reason: "Accepted"}, {Type: "ResolvedRefs", Status: resolved, Reason: string(reason)},
		} {
			c.ObservedGeneration = route.Generation
			meta.SetStatusCondition(&parent.Conditions, c)
		}
		route.Status.Parents = []gatewayv1.RouteParentStatus{parent}
		if err := w.Admin.Status().Patch(t.Context(), route, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
	}
	say(metav1.ConditionTrue, gatewayv1.RouteReasonResolvedRefs)
	w.AwaitWant(t, operator.Soon, w.Class, operator.Ready())
	say(metav1.ConditionFalse, gatewayv1.RouteReasonRefNotPermitted)
	w.AwaitWant(t, operator.Soon, w.Class, operator.Waiting("Ready", v1alpha1.ReasonReferenceNotPermitted))
	say(metav1.ConditionTrue, gatewayv1.RouteReasonResolvedRefs)
	w.AwaitWant(t, operator.Soon, w.Class, operator.Ready())

	was := route.UID
	w.Delete(t, route)
	operator.Poll(t, operator.Soon, func() error {
		err := w.Admin.Get(t.Context(), client.ObjectKeyFromObject(route), route)
		if err == nil && route.UID == was {
			err = errors.New("the route is the old one")
		}
		return err
	})
}

// A class hears at once that a wildcard over its host is given up.
func TestClassHearsOfTheEndOfAWildcard(t *testing.T) {
	t.Parallel()
	w := servers.World(t)
	w.Create(t, service(w.Namespace, "web"))
	w.Make(t)
	w.AwaitReady(t, w.Database, w.Set, w.Class)
	acme := w.Tenant("acme", w.Host("acme"), "*."+w.Host("acme"))
	w.Create(t, acme)
	w.AwaitReady(t, acme)
	api := "api." + w.Host("acme")
	operator.Update(t, w.Servers, w.Class, func(c *v1alpha1.TenantClass) {
		c.Spec.Routing = &v1alpha1.Routing{
			Gateway: &v1alpha1.GatewayRouting{ParentRefs: []v1alpha1.GatewayReference{{
				NamespacedReference: v1alpha1.NamespacedReference{Namespace: "gateways", Name: "edge"},
			}}},
			Backend:     v1alpha1.ServiceBackend{Name: "web", Port: 8080},
			PublicHosts: []v1alpha1.PublicHost{{Host: api, Backend: v1alpha1.ServiceBackend{Namespace: w.Namespace, Name: "web", Port: 8080}}},
		}
	})
	w.AwaitWant(t, operator.Eventually, w.Class, operator.Waiting("Ready", v1alpha1.ReasonDomainTaken, api))
	operator.Update(t, w.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.Domains = tn.Spec.Domains[:1] })
	w.AwaitWant(t, operator.Soon, w.Class, operator.Waiting("Ready", v1alpha1.ReasonRouteNotAccepted, "has not looked at the route yet"))
}
