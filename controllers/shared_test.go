package controllers_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// shared gives the bench a set "auth" for the shared schema, with the tables account and plan.
func (b *bench) shared(t *testing.T) *v1alpha1.MigrationSet {
	t.Helper()
	return b.sharedOf(t, map[string]string{
		"0001_account.sql": "CREATE TABLE account (id bigint PRIMARY KEY, email text);",
		"0002_plan.sql":    "CREATE TABLE plan (id bigint PRIMARY KEY, name text);",
	})
}

// sharedOf is shared with other files.
func (b *bench) sharedOf(t *testing.T, files map[string]string) *v1alpha1.MigrationSet {
	t.Helper()
	b.Create(t, b.ConfigMap("auth-files", files))
	set := b.Set.DeepCopy()
	set.Name, set.Spec.Source.ConfigMaps[0].Name = "auth", "auth-files"
	b.Database.Spec.Shared = &v1alpha1.SharedSchema{MigrationSetRef: v1alpha1.LocalReference{Name: "auth"}}
	return set
}

// sharedRights are the rights of the tenants' group on the shared tables.
func (b *bench) sharedRights(t *testing.T) []string {
	t.Helper()
	return operator.Query[[]string](t, b.AdminDSN, `SELECT coalesce(array_agg(table_name || ' ' || privilege_type ORDER BY table_name, privilege_type), '{}')
		FROM information_schema.role_table_grants WHERE table_schema = 'shared' AND grantee LIKE 'tenantry\_tenants%'`)
}

// Tenants have exactly the rights on shared tables that the set and the database name together: what is
// taken out of either is taken away, and a table that is not there is said.
func TestSharedGrantsOfSet(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	set := b.shared(t)
	set.Spec.SharedGrants = []v1alpha1.SharedGrant{
		{Table: "account", Privileges: []v1alpha1.TablePrivilege{"SELECT", "REFERENCES"}},
		{Table: "plan", Privileges: []v1alpha1.TablePrivilege{"SELECT"}},
	}
	b.Database.Spec.Shared.Grants = []v1alpha1.SharedGrant{{Table: "account", Privileges: []v1alpha1.TablePrivilege{"SELECT", "UPDATE"}}}
	b.Create(t, set)
	b.pass(t, set)
	b.settle(t)
	want := func(rights ...string) {
		t.Helper()
		if diff := cmp.Diff(rights, b.sharedRights(t), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("rights of tenants (-want +got):\n%s", diff)
		}
	}
	want("account REFERENCES", "account SELECT", "account UPDATE", "plan SELECT")

	operator.Update(t, b.Servers, set, func(ms *v1alpha1.MigrationSet) {
		ms.Spec.SharedGrants = []v1alpha1.SharedGrant{{Table: "plan", Privileges: []v1alpha1.TablePrivilege{"SELECT"}}}
	})
	b.pass(t, set)
	b.pass(t, b.Database)
	want("account SELECT", "account UPDATE", "plan SELECT")

	operator.Update(t, b.Servers, set, func(ms *v1alpha1.MigrationSet) {
		ms.Spec.SharedGrants = []v1alpha1.SharedGrant{{Table: "invoice", Privileges: []v1alpha1.TablePrivilege{"SELECT"}}}
	})
	b.pass(t, set)
	b.pass(t, b.Database)
	b.Expect(t, b.Database, operator.Stalled(v1alpha1.ConditionSharedMigrated, v1alpha1.ReasonInvalidGrant, `no table "invoice"`))
	want("account SELECT", "account UPDATE", "plan SELECT")

	operator.Update(t, b.Servers, set, func(ms *v1alpha1.MigrationSet) { ms.Spec.SharedGrants = nil })
	operator.Update(t, b.Servers, b.Database, func(d *v1alpha1.TenantDatabase) { d.Spec.Shared.Grants = nil })
	b.pass(t, set)
	b.pass(t, b.Database)
	b.Expect(t, b.Database, operator.Ready())
	want()
}

// A shared schema that came back without its ledger, or with an empty one, is not migrated from the first file once
// more; who drops it gets a new one.
func TestSharedSchemaWithoutItsLedger(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	set := b.sharedOf(t, map[string]string{
		"0001_account.sql": "CREATE TABLE IF NOT EXISTS account (id bigint PRIMARY KEY, credit int);",
		"0002_credit.sql":  "UPDATE account SET credit = credit + 1;",
	})
	b.Create(t, set)
	b.pass(t, set)
	b.settle(t)
	operator.Exec(t, b.AdminDSN, "INSERT INTO shared.account VALUES (1, 10)")
	for _, loss := range []string{"DELETE FROM shared.tenantry_migrations", "DROP TABLE shared.tenantry_migrations"} {
		operator.Exec(t, b.AdminDSN, loss)
		b.pass(t, b.Database)
		b.Expect(t, b.Database, operator.Stalled(v1alpha1.ConditionSharedMigrated, v1alpha1.ReasonLedgerUnusable, "shared is recorded at version 2"))
		if credit := operator.Query[int](t, b.AdminDSN, "SELECT credit FROM shared.account"); credit != 10 {
			t.Errorf("%s: credit is %d, want 10 as before", loss, credit)
		}
	}
	operator.Exec(t, b.AdminDSN, "DROP SCHEMA shared CASCADE")
	b.pass(t, b.Database)
	b.Expect(t, b.Database, operator.Ready())
}

// A tenant's version that needs a version of the shared schema waits until it is there, whichever set is
// shipped first; who has the version before works on.
func TestRequiredSharedVersion(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	set := b.shared(t)
	set.Spec.SharedGrants = []v1alpha1.SharedGrant{{Table: "account", Privileges: []v1alpha1.TablePrivilege{"SELECT", "REFERENCES"}}}
	b.Create(t, set)
	b.pass(t, set)
	b.Set.Spec.DryRun = v1alpha1.DryRunDisabled // it would wait for the shared version before any tenant does
	b.settle(t)
	acme := b.tenant(t, "acme")
	files := operator.Migrations(3)
	files["0004_team.sql"] = "-- tenantry:requires-shared 3\nALTER TABLE note ADD COLUMN team bigint REFERENCES team;"
	operator.Update(t, b.Servers, b.Files, func(cm *corev1.ConfigMap) { cm.Data = files })
	b.pass(t, b.Set)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Want{
		Condition: v1alpha1.ConditionMigrated, Reason: v1alpha1.ReasonSharedNotMigrated, Message: []string{"Version 4 needs version 3", `is at "2"`},
	})
	if acme.Status.Version != "3" {
		t.Errorf("acme is at %s, want 3", acme.Status.Version)
	}
	operator.Update(t, b.Servers, set, func(ms *v1alpha1.MigrationSet) {
		ms.Spec.SharedGrants = append(ms.Spec.SharedGrants, v1alpha1.SharedGrant{Table: "team", Privileges: []v1alpha1.TablePrivilege{"REFERENCES"}})
	})
	shared := b.ConfigMap("auth-files", nil)
	operator.Update(t, b.Servers, shared, func(cm *corev1.ConfigMap) {
		cm.Data["0003_team.sql"] = "CREATE TABLE team (id bigint PRIMARY KEY);"
	})
	b.pass(t, set)
	b.pass(t, b.Database)
	b.Expect(t, b.Database, operator.Ready())
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	if acme.Status.Version != "4" {
		t.Errorf("acme is at %s, want 4", acme.Status.Version)
	}
}

// A crash, or an error, between a shared file and its record loses nothing: it is recorded by a later pass,
// and a change of it stalls the set.
func TestSharedFilesAreRecordedAfterAll(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]func(*testing.T, *bench){
		"by the same operator": func(*testing.T, *bench) {},
		"by the next one":      func(t *testing.T, b *bench) { b.restart(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			set := b.shared(t)
			b.Create(t, set)
			b.pass(t, set)
			b.settle(t)
			b.script(t, `CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not now'; END $$;
				GRANT EXECUTE ON FUNCTION public.refuse() TO PUBLIC; CREATE TRIGGER refuse BEFORE INSERT ON tenantry.migration_file FOR EACH ROW EXECUTE FUNCTION public.refuse()`)
			files := b.ConfigMap("auth-files", nil)
			operator.Update(t, b.Servers, files, func(cm *corev1.ConfigMap) { cm.Data["0003_team.sql"] = "CREATE TABLE team (id bigint PRIMARY KEY);" })
			b.pass(t, set)
			if _, err := b.by.Reconcile(t.Context(), b.Database); err == nil {
				t.Fatal("the file could be recorded")
			}
			b.sql(t, "DROP TRIGGER refuse ON tenantry.migration_file")
			between(t, b)
			b.pass(t, set)
			b.pass(t, b.Database)
			b.Expect(t, b.Database, operator.Ready())
			operator.Update(t, b.Servers, files, func(cm *corev1.ConfigMap) { cm.Data["0003_team.sql"] = "CREATE TABLE team (id text PRIMARY KEY);" })
			b.pass(t, set)
			b.Expect(t, set, operator.Stalled("Ready", v1alpha1.ReasonChecksumChanged, "0003_team.sql"))
		})
	}
}
