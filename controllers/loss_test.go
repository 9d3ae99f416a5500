package controllers_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// recreate asks for an empty schema in the place of the one that is lost.
func (b *bench) recreate(t *testing.T, tenant *v1alpha1.Tenant) {
	t.Helper()
	operator.Update(t, b.Servers, tenant, func(tn *v1alpha1.Tenant) {
		tn.Annotations = map[string]string{v1alpha1.AnnotationRecreate: fmt.Sprintf("%s.%d", tn.UID, tn.Status.SchemaRecreations)}
	})
	b.pass(t, tenant)
}

// fill writes a schema's name for %, and the stem of its roles' names for %r.
func fill(sql, schema, database string) string {
	return strings.NewReplacer("%r", "tn_"+database+"__"+schema, "%", schema).Replace(sql)
}

// A schema that somebody dropped, or that a restore has not, is said to be lost, whatever the registry
// says of its version. It is made anew, with all migrations, only when somebody asks for that.
func TestLostSchemaIsNotMadeAnewUnasked(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"dropped by hand":                   `DROP SCHEMA "%" CASCADE`,
		"restored from before the tenant":   `DROP SCHEMA "%" CASCADE; DELETE FROM tenantry.tenant WHERE schema_name = '%'`,
		"restored, and somebody took roles": `DROP SCHEMA "%" CASCADE; DELETE FROM tenantry.tenant WHERE schema_name = '%'; DROP OWNED BY "%r_app", "%r_owner"; DROP ROLE "%r_app", "%r_owner"`,
	}
	for name, sql := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t).settle(t)
			acme := b.tenant(t, "acme")
			b.sql(t, fill(sql, acme.Status.Schema, b.Name))
			b.pass(t, acme)
			b.Expect(t, acme, operator.Stalled("SchemaReady", v1alpha1.ReasonSchemaLost, "Restore it from a backup", v1alpha1.AnnotationRecreate+"="+string(acme.UID)+".0"))
			b.restart(t)
			// Also whoever put the finalizer on may not be the first to come.
			operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Finalizers = nil })
			b.pass(t, acme)
			b.Expect(t, acme, operator.Stalled("SchemaReady", v1alpha1.ReasonSchemaLost))
			if got := operator.Schemas(t, b.AdminDSN); len(got) != 0 {
				t.Errorf("made %v in the place of what is lost", got)
			}
			if name == "restored from before the tenant" {
				return // The roles are left, and Provision takes no roles over: a DBA has to look.
			}
			b.recreate(t, acme)
			b.Expect(t, acme, operator.Ready())
			if got := operator.Columns(t, b.AdminDSN, acme.Status.Schema, "note"); len(got) == 0 {
				t.Error("Ready without the tables of its migrations")
			}
			// What was asked for once is no answer to the next loss.
			b.sql(t, fill(`DROP SCHEMA "%" CASCADE`, acme.Status.Schema, b.Name))
			b.pass(t, acme)
			b.Expect(t, acme, operator.Stalled("SchemaReady", v1alpha1.ReasonSchemaLost, v1alpha1.AnnotationRecreate+"="+string(acme.UID)+".1"))
		})
	}
}

// An operator that dies while it begins a lost schema anew has counted that before: its annotation, which stays
// there, is no answer to the next loss.
func TestRecreationIsCountedBeforeItIsDone(t *testing.T) {
	t.Parallel()
	for writes := range 3 {
		t.Run(fmt.Sprintf("dies after %d writes", writes), func(t *testing.T) {
			t.Parallel()
			b := newBench(t).settle(t)
			acme := b.tenant(t, "acme")
			lose := fill(`DROP SCHEMA "%" CASCADE`, acme.Status.Schema, b.Name)
			b.sql(t, lose)
			operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) {
				tn.Annotations = map[string]string{v1alpha1.AnnotationRecreate: string(tn.UID) + ".0"}
			})
			b.by = servers.DyingReconcilers(t, writes)
			if _, err := b.by.Reconcile(t.Context(), acme); err != nil && !errors.Is(err, operator.ErrCrash) {
				t.Fatal(err)
			}
			made := len(operator.Schemas(t, b.AdminDSN)) > 0
			if made != (writes > 0) {
				t.Fatalf("a schema was made: %v", made)
			}
			b.restart(t)
			b.pass(t, acme)
			b.Expect(t, acme, operator.Ready())
			b.sql(t, lose)
			b.pass(t, acme)
			b.Expect(t, acme, operator.Stalled("SchemaReady", v1alpha1.ReasonSchemaLost, v1alpha1.AnnotationRecreate+"="+string(acme.UID)+".1"))
		})
	}
}

// A Secret that leads to another TenantDatabase's database moves no tenant there.
func TestSecretThatLeadsElsewhere(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	other := newBench(t).settle(t)
	b.connection(t, map[string]string{"uri": other.DSN})
	b.pass(t, b.Database)
	b.Expect(t, b.Database, operator.Stalled("Bootstrapped", v1alpha1.ReasonIdentityMismatch))
	for range 2 {
		b.pass(t, acme)
		b.Expect(t, acme, operator.Want{Condition: "Ready", Reason: v1alpha1.ReasonDatabaseNotReady})
		b.restart(t)
	}
	if got := operator.Schemas(t, other.AdminDSN); len(got) != 0 {
		t.Errorf("made %v on a database that is another's", got)
	}
	b.connection(t, map[string]string{"uri": b.DSN})
	b.pass(t, b.Database)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
}

// A Tenant that comes back is led to its retained data, also where its class has an emptier database.
func TestReturningTenantMeetsItsData(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	second := b.second(t, 0)
	b.settle(t)
	b.pass(t, second)
	acme := b.tenant(t, "acme")
	home, uid := acme.Status.Database.Name, string(acme.UID)
	b.remove(t, acme)
	b.restart(t)
	b.pass(t, b.Database)
	b.pass(t, second)
	again := b.Tenant("acme", b.Host("acme"))
	b.Create(t, again)
	b.pass(t, again)
	b.Expect(t, again, operator.Stalled("SchemaReady", v1alpha1.ReasonSchemaRetained, uid))
	if got := again.Status.Database.Name; got != home {
		t.Errorf("placed on %s, its data are on %s", got, home)
	}
	operator.Update(t, b.Servers, again, func(tn *v1alpha1.Tenant) {
		tn.Annotations = map[string]string{v1alpha1.AnnotationAdopt: uid}
	})
	b.pass(t, again)
	b.Expect(t, again, operator.Ready())
}

// A restore without the ledger makes no new schema of one that the registry knows: nothing is run until the
// ledger is back.
func TestLedgerIsLost(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	ledger := acme.Status.Schema + ".tenantry_migrations"
	b.sql(t, "ALTER TABLE "+ledger+" RENAME TO away")
	b.ship(t)
	for range 2 {
		b.pass(t, acme)
		b.Expect(t, acme, operator.Stalled(v1alpha1.ConditionMigrated, v1alpha1.ReasonLedgerUnusable, "version 3", ledger, "backup"))
		b.restart(t)
		b.pass(t, b.Set)
	}
	b.sql(t, "ALTER TABLE "+acme.Status.Schema+".away RENAME TO tenantry_migrations")
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	if acme.Status.Version != "4" {
		t.Errorf("acme is at %s, want 4", acme.Status.Version)
	}
}
