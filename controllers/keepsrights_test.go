package controllers_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// Behind a migration that makes nothing and changes no rights, what was proved before holds as long as it would
// have held without one. Behind any other one the login's rights are asked for.
func TestRightsAreAskedWhereTheyMayHaveChanged(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	b.script(t, "REVOKE SELECT ON "+acme.Status.Schema+".note FROM "+acme.Status.Credentials.Role)
	b.migrate(t, 4, acme) // a column
	b.Expect(t, acme, operator.Ready())
	if acme.Status.Version != "4" {
		t.Errorf("the tenant is at version %s", acme.Status.Version)
	}
	operator.Update(t, b.Servers, b.Files, func(files *corev1.ConfigMap) {
		files.Data["0005_more.sql"] = "CREATE TABLE more (id integer)"
	})
	b.pass(t, b.Set)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Ready", v1alpha1.ReasonVerificationFailed, "lacks SELECT", "note"))

	// A user who asks is told at once.
	b.script(t, "GRANT SELECT ON "+acme.Status.Schema+".note TO "+acme.Status.Credentials.Role)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	b.script(t, "REVOKE SELECT ON "+acme.Status.Schema+".note FROM "+acme.Status.Credentials.Role)
	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) {
		tn.Annotations = map[string]string{v1alpha1.AnnotationReconcile: "now"}
	})
	b.migrate(t, 6, acme)
	b.Expect(t, acme, operator.Waiting("Ready", v1alpha1.ReasonVerificationFailed, "lacks SELECT", "note"))
}
