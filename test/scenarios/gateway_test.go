package scenarios

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// A cluster without Gateway API is told what it lacks, by the tenants that need it and no others.
// Whoever leaves need not wait for it, and once it is there the same operator works on.
func TestClusterWithoutGatewayAPI(t *testing.T) {
	t.Parallel()
	bare := servers.WithoutGatewayAPI(t)
	own, err := bare.Run(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := own.Stop(); err != nil {
			t.Error(err)
		}
	})
	w := bare.World(t)
	w.Class.Spec.Routing = &v1alpha1.Routing{
		Gateway: &v1alpha1.GatewayRouting{ParentRefs: []v1alpha1.GatewayReference{{
			NamespacedReference: v1alpha1.NamespacedReference{Namespace: w.Namespace, Name: "edge"},
		}}},
		Backend: v1alpha1.ServiceBackend{Name: "web", Port: 8080},
	}
	w.Create(t, service(w.Namespace, "web"))
	w.Make(t)
	unrouted := w.Class.DeepCopy()
	unrouted.ResourceVersion, unrouted.Name, unrouted.Spec.Routing = "", w.Class.Name+"-unrouted", nil
	plain := w.Tenant("plain", w.Host("plain"))
	plain.Spec.ClassName = unrouted.Name
	acme, leaving := w.Tenant("acme", w.Host("acme")), w.Tenant("leaving", w.Host("leaving"))
	leaving.Spec.DeletionPolicy = v1alpha1.DeletionDelete
	w.Create(t, unrouted, plain, acme, leaving)
	for _, tenant := range []*v1alpha1.Tenant{acme, leaving} {
		w.AwaitWant(t, operator.Eventually, tenant,
			operator.Waiting("Routed", v1alpha1.ReasonRouteAPIMissing, "install its CRDs"), operator.Waiting("Ready", v1alpha1.ReasonRouteAPIMissing))
	}
	w.AwaitReady(t, plain)
	w.Delete(t, leaving)
	w.AwaitGone(t, operator.Eventually, leaving)

	if err := bare.Plane.InstallGatewayAPI(t.Context()); err != nil {
		t.Fatal(err)
	}
	operator.Update(t, bare, acme, func(tn *v1alpha1.Tenant) {
		tn.Annotations = map[string]string{v1alpha1.AnnotationReconcile: "Gateway API is there"}
	})
	// The Gateway that the class names is not there; the route is.
	w.AwaitWant(t, operator.Eventually, acme, operator.Waiting("Routed", v1alpha1.ReasonRouteNotAccepted, "edge"))
	var routes gatewayv1.HTTPRouteList
	if err := bare.Admin.List(t.Context(), &routes, client.InNamespace(w.Namespace)); err != nil || len(routes.Items) != 1 {
		t.Errorf("%d routes, %v; want one", len(routes.Items), err)
	}
}
