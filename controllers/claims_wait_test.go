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
		b.migrate(t, n, acme)
		b.Expect(t, acme, operator.Ready())
	}
	busy = true
	migrate(4)
	shows("3")
	now = now.Add(2 * time.Minute)
	shows("4")
	migrate(5)
	shows("4")
	busy = false
	shows("5")
}

// migrate adds a file to the MigrationSet and passes over a Tenant that gets it.
func (b *bench) migrate(t *testing.T, n int, tenant *v1alpha1.Tenant) {
	t.Helper()
	operator.Update(t, b.Servers, b.Files, func(files *corev1.ConfigMap) {
		name, text := operator.MigrationFile(n)
		files.Data[name] = text
	})
	b.pass(t, b.Set)
	b.pass(t, tenant)
}

// Its Tenant goes by the claim of a host that wants proof: DNS is asked and the answer told however busy the
// operator is, also when the claim has a new version to tell beside it.
func TestProofDoesNotWait(t *testing.T) {
	t.Parallel()
	z := newZone(t).settled(t)
	z.by.DomainClaim.Patience, z.by.DomainClaim.Busy = 5*time.Second, func() bool { return true }
	host := z.Host("acme")
	acme := z.wants(t, "acme", host)
	record := challenge(t, acme, host)
	z.Expect(t, z.look(t, host), unproved(v1alpha1.ReasonDomainUnverified, record.Value))
	z.migrate(t, 4, acme)
	z.publish(record)
	z.Expect(t, z.later(t, host, time.Minute), proved())
	z.pass(t, acme)
	z.Expect(t, acme, operator.Ready())
}
