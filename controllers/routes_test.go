package controllers_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

func gatewayRouting() *v1alpha1.Routing {
	return &v1alpha1.Routing{
		Gateway: &v1alpha1.GatewayRouting{ParentRefs: []v1alpha1.GatewayReference{{
			NamespacedReference: v1alpha1.NamespacedReference{Namespace: "gateways", Name: "edge"},
		}}},
		Backend: v1alpha1.ServiceBackend{Name: "web", Port: 8080},
	}
}

// backend is the Service that the routes lead to.
func (b *bench) backend() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: "web"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 8080}}},
	}
}

// routes returns the HTTPRoutes of the world's namespace.
func (b *bench) routes(t *testing.T) []gatewayv1.HTTPRoute {
	t.Helper()
	var list gatewayv1.HTTPRouteList
	if err := b.Admin.List(t.Context(), &list, client.InNamespace(b.Namespace)); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// acceptRoutes says of all routes of a tenant what a data plane says that serves them.
func (b *bench) acceptRoutes(t *testing.T, tenant *v1alpha1.Tenant) {
	t.Helper()
	for _, route := range b.routes(t) {
		if !metav1.IsControlledBy(&route, tenant) {
			continue
		}
		b.sayOfRoute(t, &route, metav1.ConditionTrue, string(gatewayv1.RouteReasonAccepted), metav1.ConditionTrue, string(gatewayv1.RouteReasonResolvedRefs))
	}
}

// acceptIngress gives a tenant's Ingress an address, as its controller does.
func (b *bench) acceptIngress(t *testing.T, tenant *v1alpha1.Tenant) {
	t.Helper()
	ingress := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: tenant.Namespace, Name: tenant.Name}}
	b.Get(t, ingress)
	before := ingress.DeepCopy()
	ingress.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "192.0.2.1"}}
	if err := b.Admin.Status().Patch(t.Context(), ingress, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) sayOfRoute(t *testing.T, route *gatewayv1.HTTPRoute, accepted metav1.ConditionStatus, why string, resolved metav1.ConditionStatus, whyResolved string) {
	t.Helper()
	condition := func(kind gatewayv1.RouteConditionType, status metav1.ConditionStatus, reason string) metav1.Condition {
		return metav1.Condition{
			Type: string(kind), Status: status, Reason: reason, ObservedGeneration: route.Generation, LastTransitionTime: metav1.Now(),
		}
	}
	before := route.DeepCopy()
	route.Status.Parents = []gatewayv1.RouteParentStatus{{
		ParentRef: route.Spec.ParentRefs[0], ControllerName: "example.com/edge",
		Conditions: []metav1.Condition{
			condition(gatewayv1.RouteConditionAccepted, accepted, why),
			condition(gatewayv1.RouteConditionResolvedRefs, resolved, whyResolved),
		},
	}}
	if err := b.Admin.Status().Patch(t.Context(), route, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}
