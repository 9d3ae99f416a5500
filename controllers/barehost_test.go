package controllers_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// A route without hosts on a custom domain's own listener takes what the domain's route should answer.
func TestRouteWithoutHostsOnAnOwnListener(t *testing.T) {
	t.Parallel()
	b := ofCertificates(t)
	shop := b.custom("shop")
	acme := b.Tenant("acme", b.Host("acme"), shop)
	b.Create(t, acme)
	b.pass(t, acme)
	b.serve(t, acme)
	thief := &gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: "thief"}}
	thief.Spec.ParentRefs = []gatewayv1.ParentReference{{
		Namespace: new(gatewayv1.Namespace(b.gateway.Namespace)), Name: gatewayv1.ObjectName(b.Class.Name + "-tls-0"),
	}}
	if err := b.Admin.Create(t.Context(), thief); err == nil || !strings.Contains(err.Error(), "a route without hostnames") {
		t.Errorf("the guard says %v", err)
	}
	b.CreateUnguarded(t, thief)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Routed", v1alpha1.ReasonHostShadowed, shop, "without hosts is on this host's listener"))
	for host, want := range map[string]v1alpha1.DomainState{shop: v1alpha1.DomainClaimed, b.Host("acme"): v1alpha1.DomainServing} {
		if d := domain(t, acme, host); d.State != want {
			t.Errorf("%s is %s, want %s", host, d.State, want)
		}
	}
	b.Delete(t, thief)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
}
