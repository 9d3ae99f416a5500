package controllers_test

import (
	"testing"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

// A tenant that came a part of the way has the version that it came to: in its status at every pass, in the
// registry, and for the next version of the set. The test does not run beside others.
func TestPartOfTheWayIsRecorded(t *testing.T) {
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	b.pass(t, b.Set)
	schema := acme.Status.Schema
	operator.Exec(t, keys(b.secret(t, acme))["uri"], "INSERT INTO note (body) VALUES ('bad data')")
	b.files(t, map[string]string{
		"0004_c4.sql": "ALTER TABLE note ADD COLUMN c4 integer;",
		"0005_c5.sql": "ALTER TABLE note ADD CONSTRAINT no_bad CHECK (body <> 'bad data');",
	})
	b.pass(t, acme)
	failed := operator.Stalled("Migrated", v1alpha1.ReasonMigrationFailed, "0005_c5.sql", "stays at version 4")
	b.Expect(t, acme, failed)
	registered := func() {
		t.Helper()
		got := operator.Query[string](t, b.AdminDSN, "SELECT version FROM tenantry.tenant WHERE schema_name = $1", schema)
		if got != "4" || acme.Status.Version != "4" {
			t.Errorf("the registry has version %q and the status %q, want 4", got, acme.Status.Version)
		}
	}
	registered()
	b.pass(t, b.Set)
	b.pass(t, acme)
	registered()
	b.steady(t, "passes of a tenant that came a part of the way", []conditions.Object{acme})
	b.restart(t)
	b.pass(t, acme)
	b.Expect(t, acme, failed)
	registered()

	b.sql(t, "DELETE FROM "+schema+".note")
	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) {
		tn.Annotations = map[string]string{v1alpha1.AnnotationReconcile: "1"}
	})
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	if acme.Status.Version != "5" {
		t.Errorf("the mended tenant is at version %q", acme.Status.Version)
	}
}

// An operator that ended between a schema's ledger and the registry leaves a tenant that is further than the
// registry says. It stays there while the rollout has not come to it.
func TestLedgerAheadOfTheRegistry(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme", inCanary)
	b.tenant(t, "first", inCanary) // for which others wait
	b.pass(t, b.Set)
	b.canary(t)
	b.ship(t)
	b.pass(t, acme)
	if acme.Status.Version != "4" {
		t.Fatalf("the tenant is at version %q", acme.Status.Version)
	}
	b.sql(t, "UPDATE tenantry.tenant SET version = '', digest = '' WHERE schema_name = $1", acme.Status.Schema)
	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Labels = nil })
	b.files(t, map[string]string{"0005_c5.sql": "ALTER TABLE note ADD COLUMN c5 integer;"})
	if before := b.Set.Status.Previous; before == nil || before.Version != "3" {
		t.Fatalf("the version before is %+v", before)
	}
	b.restart(t)
	b.pass(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready(), operator.Want{Condition: "Migrated", Status: "True", Reason: v1alpha1.ReasonSucceeded, Message: []string{"At version 4"}})
}

// A new tenant that came a part of the way to its first version is no tenant at that version: it goes on to where new
// tenants start, whatever the rollout is at, and serves nobody before. The test does not run beside others.
func TestNewTenantIsNotLeftPartOfTheWay(t *testing.T) {
	b := newBench(t)
	b.Files.Data["0002_c2.sql"] = "ALTER TABLE note ADD COLUMN c2 integer;\nSELECT 1 / CASE current_setting('shop.gate', true) WHEN 'closed' THEN 0 ELSE 1 END;\n"
	gate := func(is string) {
		t.Helper()
		b.sql(t, "ALTER DATABASE "+b.Name+" SET shop.gate = '"+is+"'")
		b.restart(t) // for new sessions
		b.pass(t, b.Database)
	}
	b.settle(t)
	b.tenant(t, "first")
	b.pass(t, b.Set)
	b.files(t, map[string]string{"0004_c4.sql": "ALTER TABLE note ADD COLUMN c4 integer;"})
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Rollout = &v1alpha1.Rollout{Paused: true} })
	b.pass(t, b.Set)
	gate("closed")
	late := b.Tenant("late", b.Host("late"))
	b.Create(t, late)
	b.pass(t, late)
	failed := operator.Stalled("Migrated", v1alpha1.ReasonMigrationFailed, "0002_c2.sql line 2", "stays at version 1")
	b.Expect(t, late, failed)
	b.steady(t, "passes of a new tenant that came a part of the way", []conditions.Object{late})
	b.Expect(t, late, failed)
	if late.Status.Version != "1" {
		t.Errorf("status.version is %q, want what the message says", late.Status.Version)
	}
	gate("open")
	operator.Update(t, b.Servers, late, func(tn *v1alpha1.Tenant) {
		tn.Annotations = map[string]string{v1alpha1.AnnotationReconcile: "1"}
	})
	b.pass(t, late)
	b.Expect(t, late, operator.Ready())
	if before := b.Set.Status.Previous; late.Status.Version != "3" || before == nil || late.Status.Digest != before.Digest {
		t.Errorf("the new tenant is at version %q with digest %s, and the version before is %+v", late.Status.Version, late.Status.Digest, before)
	}
	b.pass(t, b.Set)
	b.steady(t, "passes of a tenant that was born at the version before", []conditions.Object{late, b.Set})
}
