package controllers_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/test/operator"
)

// While tenants are made or migrated, a claim's first status and a new version wait; anything else is told
// at once, and nothing waits for ever.
func TestClaimsWaitWhileTenantsAreMade(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	busy, now := true, time.Now()
	b.by.DomainClaim.Patience, b.by.DomainClaim.Busy = 5*time.Second, func() bool { return busy }
	b.by.DomainClaim.Clock = func() time.Time { return now }
	acme := b.tenant(t, "acme")
	claim := &v1alpha1.DomainClaim{}
	claim.Name = domains.ClaimName(b.Host("acme"))
	b.Get(t, claim)
	if result := b.pass(t, claim); len(claim.Status.Conditions) > 0 || result.RequeueAfter != 5*time.Second {
		t.Errorf("a new claim says %v while tenants are made, and is looked at again in %s", claim.Status.Conditions, result.RequeueAfter)
	}
	busy = false
	b.pass(t, claim)
	b.Expect(t, claim, operator.Ready())
	shows := func(version string) {
		t.Helper()
		if b.pass(t, claim); claim.Status.Serving == nil || claim.Status.Serving.Version != version {
			t.Errorf("the claim shows %+v, want version %s", claim.Status.Serving, version)
		}
	}
	shows("3")
	migrate := func(n int) {
		operator.Update(t, b.Servers, b.Files, func(files *corev1.ConfigMap) {
			name, text := operator.MigrationFile(n)
			files.Data[name] = text
		})
		b.pass(t, b.Set)
		b.pass(t, acme)
		b.Expect(t, acme, operator.Ready())
	}
	busy = true
	migrate(4)
	shows("3")
	now = now.Add(3 * time.Minute)
	shows("4")
	migrate(5)
	shows("4")
	busy = false
	shows("5")
}
