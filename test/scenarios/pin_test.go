package scenarios

import (
	"testing"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

func pin(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant, version string) {
	t.Helper()
	operator.Update(t, w.Servers, tenant, func(tn *v1alpha1.Tenant) {
		if tn.Spec.Migrations = nil; version != "" {
			tn.Spec.Migrations = &v1alpha1.TenantMigrations{TargetVersion: version}
		}
	})
}

// A pin, written as the file name has it, holds a tenant back until it is taken away.
func TestPin(t *testing.T) {
	t.Parallel()
	w := servers.World(t).Make(t)
	tenant := w.Tenant("acme")
	tenant.Spec.Migrations = &v1alpha1.TenantMigrations{TargetVersion: "0002"}
	w.Create(t, tenant)
	pinned := operator.Want{Condition: "Migrated", Status: "True", Reason: v1alpha1.ReasonPinned, Message: []string{"At version 2 as pinned", "has 3"}}
	w.AwaitWant(t, operator.Eventually, tenant, operator.Ready(), pinned)
	if got, want := tenant.Status.Version, "2"; got != want {
		t.Errorf("status.version is %q, want %q", got, want)
	}
	write(t, w, operator.Migrations(4))
	pinned.Message = []string{"has 4"}
	w.AwaitWant(t, operator.Soon, tenant, operator.Ready(), pinned)
	w.Await(t, operator.Soon, w.Set, counts(w.Set, 1, 0, 0))
	if got, want := w.Set.Status.PinnedTenants, int32(1); got != want {
		t.Errorf("%d tenants are pinned, want %d", got, want)
	}
	pin(t, w, tenant, "")
	w.AwaitWant(t, operator.Soon, tenant, operator.Ready(), operator.Want{Condition: "Migrated", Status: "True", Reason: v1alpha1.ReasonSucceeded})
	if got, want := len(operator.Columns(t, w.AdminDSN, tenant.Status.Schema, "note")), 5; got != want {
		t.Errorf("%d columns, want %d", got, want)
	}
}

func TestPinToUnknownVersion(t *testing.T) {
	t.Parallel()
	w := servers.World(t).Make(t)
	tenant := w.Tenant("acme")
	tenant.Spec.Migrations = &v1alpha1.TenantMigrations{TargetVersion: "9"}
	w.Create(t, tenant)
	w.AwaitWant(t, operator.Eventually, tenant,
		operator.Stalled("Migrated", v1alpha1.ReasonUnknownVersion, "spec.migrations.targetVersion", "has no version 9", "its newest is 3"))
	// The version may yet come.
	write(t, w, operator.Migrations(9))
	w.AwaitWant(t, operator.Soon, tenant, operator.Ready())
}

func TestDowngradeRefused(t *testing.T) {
	t.Parallel()
	w := servers.World(t)
	tenant := acme(t, w).(*v1alpha1.Tenant)
	w.AwaitReady(t, tenant)
	pin(t, w, tenant, "2")
	w.AwaitWant(t, operator.Soon, tenant,
		operator.Stalled("Migrated", v1alpha1.ReasonDowngradeRefused, "at version 3 and cannot go back to 2"))
	if got, want := tenant.Status.Version, "3"; got != want {
		t.Errorf("status.version is %q, want %q", got, want)
	}
	pin(t, w, tenant, "")
	w.AwaitWant(t, operator.Soon, tenant, operator.Ready())
}
