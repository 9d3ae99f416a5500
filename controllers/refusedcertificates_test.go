package controllers_test

import (
	"fmt"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/certificates"
	"github.com/tenantry/tenantry/test/operator"
)

// A Certificate that cannot be made or changed is its own host's trouble. The others are published, what is served
// stays served, and an order to suspend takes effect.
func TestRefusedCertificateHoldsNothingElseUp(t *testing.T) {
	t.Parallel()
	b := ofCertificates(t, func(c *v1alpha1.TenantClass) {
		c.Spec.Routing.Holding = &v1alpha1.ServiceBackend{Name: "holding", Port: 8080}
	})
	holding := b.backend()
	holding.Name = "holding"
	shop, store, late := b.custom("shop"), b.custom("store"), b.custom("late")
	acme := b.Tenant("acme", b.Host("acme"), shop, store)
	b.Create(t, holding, acme)
	b.pass(t, acme)
	b.serve(t, acme)

	b.refuseCertificates(t)
	b.Delete(t, b.certificates(t, b.gateway.Namespace)[store])
	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.Domains = append(tn.Spec.Domains, late) })
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { c.Spec.Routing.TLS.IssuerRef.Name = "other" })
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Routed", v1alpha1.ReasonCertificateNotReady,
		shop+": its certificate", store+": its certificate", late+": its certificate", "not on a Sunday"))
	for host, listeners := range map[string]int{b.Host("acme"): 2, shop: 2, store: 2, late: 0} {
		if got := b.places(t)[host]; len(got) != listeners {
			t.Errorf("%s is on %v, want %d listeners", host, got, listeners)
		}
	}
	if d := domain(t, acme, b.Host("acme")); d.State != v1alpha1.DomainServing {
		t.Errorf("%s is %s: %s", d.Host, d.State, d.Message)
	}
	if d := domain(t, acme, late); d.State != v1alpha1.DomainClaimed || !strings.Contains(d.Message, "not on a Sunday") {
		t.Errorf("%s is %s: %q", d.Host, d.State, d.Message)
	}
	b.quietHere(t, "passes over a tenant whose certificates are refused", acme)

	fresh := b.Tenant("fresh", b.Host("fresh"), b.custom("fresh"))
	b.Create(t, fresh)
	b.pass(t, fresh)
	b.acceptAll(t)
	b.pass(t, fresh)
	if d := domain(t, fresh, b.Host("fresh")); d.State != v1alpha1.DomainServing {
		t.Errorf("%s, a new tenant's, is %s: %s", d.Host, d.State, d.Message)
	}

	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.Suspended = true })
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Routed", v1alpha1.ReasonSuspended))
	for _, route := range b.routes(t) {
		if backend := leadsTo(route); metav1.IsControlledBy(&route, acme) && backend != "" && backend != "holding" {
			t.Errorf("route %s of a suspended tenant leads to %s", route.Name, backend)
		}
	}
}

// leadsTo is the Service of a route; none of one that redirects.
func leadsTo(route gatewayv1.HTTPRoute) string {
	for _, rule := range route.Spec.Rules {
		for _, ref := range rule.BackendRefs {
			return string(ref.Name)
		}
	}
	return ""
}

// refuseCertificates installs a policy that lets nobody make or change a Certificate beside the Gateway, and waits
// until it is in force.
func (b *tlsBench) refuseCertificates(t *testing.T) {
	t.Helper()
	meta := metav1.ObjectMeta{Name: b.gateway.Namespace}
	policy := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicySpec{
		FailurePolicy: new(admissionv1.Fail),
		MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
			RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
				Rule:       admissionv1.Rule{APIGroups: []string{certificates.GroupVersion.Group}, APIVersions: []string{"*"}, Resources: []string{"certificates"}},
			},
		}}},
		Validations: []admissionv1.Validation{{Expression: fmt.Sprintf("request.namespace != %q", b.gateway.Namespace), Message: "not on a Sunday"}},
	}}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
		PolicyName: meta.Name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
	}}
	b.Create(t, policy, binding)
	t.Cleanup(func() { b.Delete(t, binding, policy) })
	operator.Poll(t, operator.Soon, func() error {
		try := &certificates.Certificate{
			ObjectMeta: metav1.ObjectMeta{Namespace: b.gateway.Namespace, Name: "try"},
			Spec:       certificates.Spec{DNSNames: []string{"try.example"}, SecretName: "try", IssuerRef: certificates.IssuerRef{Name: "ca"}},
		}
		if said := fmt.Sprint(b.Admin.Create(t.Context(), try, client.DryRunAll)); !strings.Contains(said, "not on a Sunday") {
			return fmt.Errorf("the policy is not in force yet: %s", said)
		}
		return nil
	})
}
