package controllers_test

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

// The first status of a new tenant waits for the data plane, however many passes there are meanwhile, and not
// longer than it may.
func TestFirstStatusWaitsForTheDataPlane(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Routing = gatewayRouting()
	b.settleWithRoutes(t)
	b.by.Tenant.Patience = time.Hour
	create := func(name string) *v1alpha1.Tenant {
		tenant := b.Tenant(name, b.Host(name))
		b.Create(t, tenant)
		return tenant
	}
	acme, slow := create("acme"), create("slow")
	for _, tenant := range []*v1alpha1.Tenant{acme, slow} {
		for n := range 3 {
			after := b.pass(t, tenant).RequeueAfter
			if len(tenant.Status.Conditions) > 0 || after <= 0 || after > time.Hour {
				t.Errorf("pass %d over %s has conditions %v, the next is in %s", n, tenant.Name, tenant.Status.Conditions, after)
			}
		}
	}
	b.acceptRoutes(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())

	b.by.Tenant.Patience = time.Nanosecond
	b.pass(t, slow)
	b.Expect(t, slow, operator.Waiting(v1alpha1.ConditionReady, v1alpha1.ReasonRouteNotAccepted))

	// A failure waits for nobody.
	b.by.Tenant.Patience = time.Hour
	unknown := b.Tenant("unknown", b.Host("unknown"))
	unknown.Spec.ClassName = "none"
	b.Create(t, unknown)
	b.pass(t, unknown)
	b.Expect(t, unknown, operator.Waiting(v1alpha1.ConditionReady, v1alpha1.ReasonClassNotFound))
}

// INSERT that this operator took comes back, also where it knew shortly before of none that was taken.
func TestInsertComesBackAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Limits = &v1alpha1.TenantLimits{Schema: &v1alpha1.SchemaQuota{
		Size: new(resource.MustParse("1Mi")), WhenExceeded: v1alpha1.QuotaRevokeInsert,
	}}
	b.settle(t)
	b.by.Tenant.RecallWithin = time.Hour
	acme, other := b.tenant(t, "acme"), b.tenant(t, "other")
	measure := func(tenant *v1alpha1.Tenant) {
		t.Helper()
		b.by.Tenant.Quotas.Measure(t.Context(), false)
		b.pass(t, tenant)
	}
	measure(other)
	uri := keys(b.secret(t, acme))["uri"]
	operator.Exec(t, uri, "INSERT INTO note (body) SELECT repeat(md5(i::text), 40) FROM generate_series(1, 2000) i")
	measure(acme)
	b.Expect(t, acme, operator.Ready(), operator.Want{Condition: v1alpha1.ConditionWithinQuota, Reason: v1alpha1.ReasonInsertRevoked})
	// Somebody's status write loses what was told of it.
	b.forge(t, acme, func(s *v1alpha1.TenantStatus) {
		for i := range s.Conditions {
			if c := &s.Conditions[i]; c.Type == v1alpha1.ConditionWithinQuota {
				c.Reason = v1alpha1.ReasonQuotaExceeded
			}
		}
	})
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { c.Spec.Limits.Schema = nil })
	b.pass(t, acme)
	if conditions.Get(acme, v1alpha1.ConditionWithinQuota) != nil {
		t.Error("the condition is left")
	}
	operator.Exec(t, uri, "INSERT INTO note (body) VALUES ('works')")
}
