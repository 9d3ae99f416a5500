package controllers_test

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

// These tests do not run beside others: they count what the whole server did.

// A class's login that cannot be had keeps what it may do for the tenant. Granted by one step and taken
// back by another, it came and went at each pass.
func TestLoginThatCannotBeHadCostsNothing(t *testing.T) {
	b := newBench(t)
	b.Class.Spec.Credentials = &v1alpha1.CredentialsPolicy{GraceSeconds: 1}
	b.settle(t)
	acme := b.tenant(t, "acme")
	b.Create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: "login-main"}, StringData: map[string]string{"password": "not-ours"}})
	b.setMode(t, v1alpha1.LoginSetRole)
	b.pass(t, b.Class)
	b.Expect(t, b.Class, operator.Want{Condition: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonSecretNameTaken})
	operator.Poll(t, operator.Soon, func() error {
		b.pass(t, acme)
		if age := time.Since(acme.Status.Credentials.Since.Time); age < 3*time.Second {
			return fmt.Errorf("the own login is %s old, and the grace not over", age)
		}
		return nil
	})
	b.Expect(t, acme, operator.Ready())
	b.steady(t, "passes without the class's login", []conditions.Object{acme})
}

// A schema over its bound has nothing more to lose, and costs a look at each pass. INSERT comes back also
// where the status that told of its loss was lost.
func TestQuotaAtRest(t *testing.T) {
	b := newBench(t)
	b.Class.Spec.Limits = &v1alpha1.TenantLimits{Schema: &v1alpha1.SchemaQuota{
		Size: new(resource.MustParse("1Mi")), WhenExceeded: v1alpha1.QuotaRevokeInsert,
	}}
	b.settle(t)
	acme := b.tenant(t, "acme")
	measure := func() {
		t.Helper()
		b.by.Tenant.Quotas.Measure(t.Context(), false)
		b.pass(t, acme)
	}
	measure()
	within := operator.Want{Condition: v1alpha1.ConditionWithinQuota, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded}
	b.Expect(t, acme, within)
	uri := keys(b.secret(t, acme))["uri"]
	operator.Exec(t, uri, "INSERT INTO note (body) SELECT repeat(md5(i::text), 40) FROM generate_series(1, 2000) i")
	measure()
	b.Expect(t, acme, operator.Want{Condition: v1alpha1.ConditionWithinQuota, Reason: v1alpha1.ReasonInsertRevoked})
	b.steady(t, "passes over a schema that is too large", []conditions.Object{acme})

	b.forge(t, acme, func(s *v1alpha1.TenantStatus) {
		for i := range s.Conditions {
			if c := &s.Conditions[i]; c.Type == v1alpha1.ConditionWithinQuota {
				c.Status, c.Reason = within.Status, within.Reason
			}
		}
	})
	operator.Exec(t, uri, "DELETE FROM note WHERE id > 10")
	b.shrink(t, acme.Status.Schema+".note", 1<<19)
	measure()
	b.Expect(t, acme, within)
	operator.Exec(t, uri, "INSERT INTO note (body) VALUES ('works')")
}
