package controllers_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

// files gives the world's set other files and lets the set look at them.
func (b *bench) files(t *testing.T, change map[string]string) {
	t.Helper()
	operator.Update(t, b.Servers, b.Files, func(cm *corev1.ConfigMap) {
		for name, text := range change {
			if cm.Data[name] = text; text == "" {
				delete(cm.Data, name)
			}
		}
	})
	b.pass(t, b.Set)
}

// noScratch fails if a scratch schema, a role or a row of one is left.
func (b *bench) noScratch(t *testing.T) {
	t.Helper()
	if got := operator.Query[int](t, b.AdminDSN, `SELECT (SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'tenantry\_scratch\_%')
		+ (SELECT count(*) FROM pg_roles WHERE rolname LIKE 'tn\_' || current_database() || '%scratch%') + (SELECT count(*) FROM tenantry.scratch)`); got != 0 {
		t.Errorf("%d things are left of scratch schemas", got)
	}
}

// A version that the server refuses reaches nobody, and that costs nothing from then on, also when the
// operator has just been started. This test does not run beside others.
func TestDryRunStopsABadVersion(t *testing.T) {
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	b.pass(t, b.Set)
	b.files(t, map[string]string{
		"0004_idx.sql": "CREATE INDEX CONCURRENTLY note_body ON note (body);\n",
		"0005_bad.sql": "ALTER TABLE note ADD COLUMN c5 integer;\n\nALTER TABLE nowhere ADD COLUMN c5 integer;\n",
	})
	failed := operator.Stalled("Ready", v1alpha1.ReasonDryRunFailed, "TenantDatabase "+b.Namespace+"/main", "0005_bad.sql line 3", `relation "nowhere" does not exist`, "42P01", "No tenant")
	unreached := operator.Stalled(v1alpha1.ConditionRolledOut, v1alpha1.ReasonDryRunFailed, "0005_bad.sql line 3")
	b.Expect(t, b.Set, failed, unreached)
	st := b.Set.Status.DryRun
	if st == nil || st.Result != v1alpha1.DryRunFailed || b.Set.Status.Version != "3" {
		t.Fatalf("version is %q, dryRun %+v", b.Set.Status.Version, st)
	}
	want := []v1alpha1.PlannedMigration{
		{Version: "4", File: "0004_idx.sql", Statements: 1},
		{Version: "5", File: "0005_bad.sql", Transactional: true, Statements: 2},
	}
	if diff := cmp.Diff(want, st.Plan); diff != "" || st.Planned != 2 {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	b.noScratch(t)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready(), operator.Want{Condition: "Migrated", Status: "True", Reason: v1alpha1.ReasonSucceeded, Message: []string{"At version 3"}})
	fresh := b.tenant(t, "fresh")
	if fresh.Status.Version != "3" {
		t.Errorf("a new tenant is at version %q", fresh.Status.Version)
	}
	b.pass(t, b.Set)
	all := []conditions.Object{b.Set, acme}
	b.steady(t, "passes behind a failed dry run", all)
	b.restart(t)
	b.steady(t, "passes after a restart", all)
	b.Expect(t, b.Set, failed, unreached)

	// A user's word tries again what failed for another reason than the file.
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) {
		ms.Annotations = map[string]string{v1alpha1.AnnotationRetry: "1"}
	})
	writes := b.Writes(t)
	b.pass(t, b.Set)
	if n, _ := writes.SQL(t); n == 0 {
		t.Error("the retry was not tried")
	}
	b.Expect(t, b.Set, failed)

	b.files(t, map[string]string{"0005_bad.sql": "ALTER TABLE note ADD COLUMN c5 integer;\n"})
	if st := b.Set.Status.DryRun; st == nil || st.Result != v1alpha1.DryRunPassed || st.Message != "" || len(st.Databases) != 1 || b.Set.Status.Version != "5" {
		t.Errorf("version is %q, dryRun %+v", b.Set.Status.Version, st)
	}
	b.pass(t, acme)
	b.pass(t, fresh)
	b.Expect(t, acme, operator.Ready())
	b.pass(t, b.Set)
	b.Expect(t, b.Set, operator.Ready())
	b.noScratch(t)
	b.steady(t, "passes behind a dry run that passed", all)
}

// A scratch schema sees the shared schema as a tenant does, and is not tried before that is there.
func TestDryRunSeesTheSharedSchema(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	common := b.Set.DeepCopy()
	common.Name, common.Spec.Source.ConfigMaps[0].Name = "common", "common-migrations"
	b.Create(t, b.ConfigMap("common-migrations", map[string]string{"0001_plans.sql": "CREATE TABLE plans (id bigint PRIMARY KEY);\n"}), common)
	b.Database.Spec.Shared = &v1alpha1.SharedSchema{
		SchemaName: "shared", MigrationSetRef: v1alpha1.LocalReference{Name: "common"},
		Grants: []v1alpha1.SharedGrant{{Table: "plans", Privileges: []v1alpha1.TablePrivilege{"SELECT", "REFERENCES"}}},
	}
	b.Make(t)
	b.pass(t, b.Database)
	b.pass(t, b.Set)
	if st := b.Set.Status.DryRun; st == nil || st.Result != v1alpha1.DryRunSkipped || !strings.Contains(st.Message, "SharedMigrated") {
		t.Errorf("before the shared schema: %+v", st)
	}
	b.pass(t, common)
	b.pass(t, b.Database)
	b.pass(t, b.Class)
	b.files(t, map[string]string{"0004_plan.sql": "ALTER TABLE note ADD COLUMN plan bigint REFERENCES plans;\n"})
	b.Expect(t, b.Set, operator.Ready())
	if st := b.Set.Status.DryRun; st == nil || st.Result != v1alpha1.DryRunPassed {
		t.Errorf("with the shared schema: %+v", st)
	}
	b.tenant(t, "acme")
	b.noScratch(t)
}

// The files as they were before need no dry run, and nothing is said of the other ones any more.
func TestDryRunForgetsWhatWasTakenBack(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	b.tenant(t, "acme")
	b.files(t, map[string]string{"0004_bad.sql": "SELECT 1 FROM nowhere;"})
	b.Expect(t, b.Set, operator.Stalled("Ready", v1alpha1.ReasonDryRunFailed))
	b.files(t, map[string]string{"0004_bad.sql": ""})
	b.Expect(t, b.Set, operator.Want{Condition: "Ready", Status: "True", Reason: v1alpha1.ReasonReady})
	if b.Set.Status.DryRun != nil {
		t.Errorf("dryRun is %+v", b.Set.Status.DryRun)
	}
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.DryRun = v1alpha1.DryRunDisabled })
	b.files(t, map[string]string{"0004_bad.sql": "SELECT 1 FROM nowhere;"})
	if b.Set.Status.Version != "4" || b.Set.Status.DryRun != nil {
		t.Errorf("without a dry run version 4 is not out: %q, %+v", b.Set.Status.Version, b.Set.Status.DryRun)
	}
}

// Without a database to ask, a first version passes, since its tenants will be as empty as a scratch
// schema; a later one waits, and nobody could be migrated anyway.
func TestDryRunWithoutADatabase(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Make(t)
	b.pass(t, b.Set)
	b.Expect(t, b.Set, operator.Ready())
	if st := b.Set.Status.DryRun; st == nil || st.Result != v1alpha1.DryRunSkipped || !strings.Contains(st.Message, "Reachable of TenantDatabase "+b.Namespace+"/main") {
		t.Errorf("dryRun is %+v", st)
	}
	b.pass(t, b.Database)
	b.pass(t, b.Class)
	b.tenant(t, "acme")
	b.connection(t, map[string]string{"name": "x"})
	b.pass(t, b.Database)
	b.files(t, map[string]string{"0004_bad.sql": "SELECT 1 FROM nowhere;"})
	pending := operator.Waiting("Ready", v1alpha1.ReasonDryRunPending, "Version 4", b.Namespace+"/main", "spec.dryRun")
	b.Expect(t, b.Set, pending, operator.Waiting(v1alpha1.ConditionRolledOut, v1alpha1.ReasonDryRunPending, "Version 4"))
	if result := b.pass(t, b.Set); result.RequeueAfter > time.Minute || result.RequeueAfter == 0 {
		t.Errorf("the set wants to be looked at after %s", result.RequeueAfter)
	}
	b.connection(t, map[string]string{"uri": b.DSN})
	b.pass(t, b.Database)
	b.pass(t, b.Set)
	b.Expect(t, b.Set, operator.Stalled("Ready", v1alpha1.ReasonDryRunFailed))
}

// Whoever applies all at once hears of a bad first version from the set: it waits for a database that has
// just been made, and not for one that is stalled or was made long ago.
func TestFirstVersionWaitsForItsDatabase(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Files.Data["0004_bad.sql"] = "SELECT 1 FROM nowhere;"
	b.by.MigrationSet.Patience = 30 * time.Second
	b.Make(t)
	result := b.pass(t, b.Set)
	b.Expect(t, b.Set, operator.Waiting("Ready", v1alpha1.ReasonDryRunPending, "Version 4", "has started", "30s at most", "Reachable of TenantDatabase "+b.Namespace+"/main"))
	if result.RequeueAfter <= 0 || result.RequeueAfter > 31*time.Second || b.Set.Status.Version != "" {
		t.Errorf("version is %q, looked at again after %s", b.Set.Status.Version, result.RequeueAfter)
	}
	b.pass(t, b.Database)
	b.pass(t, b.Set)
	b.Expect(t, b.Set, operator.Stalled("Ready", v1alpha1.ReasonDryRunFailed, "0004_bad.sql"))
	if b.Set.Status.Version != "" {
		t.Errorf("version %q is out", b.Set.Status.Version)
	}
	b.noScratch(t)

	stalled := newBench(t)
	stalled.by.MigrationSet.Patience = 30 * time.Second
	stalled.Make(t)
	stalled.connection(t, map[string]string{"name": "x"})
	stalled.pass(t, stalled.Database)
	stalled.pass(t, stalled.Set)
	stalled.Expect(t, stalled.Set, operator.Ready())
	if st := stalled.Set.Status.DryRun; st == nil || st.Result != v1alpha1.DryRunSkipped {
		t.Errorf("dryRun is %+v", st)
	}
}

// What was published before there was a database is tried when there is one, as long as no tenant has it, and
// taken back if it does not run. This test does not run beside others.
func TestSkippedDryRunIsMadeUpFor(t *testing.T) {
	for name, tt := range map[string]struct {
		file, version string
		want          v1alpha1.DryRunResult
		ready         operator.Want
		rolledOut     operator.Want
	}{
		"good": {
			"ALTER TABLE note ADD COLUMN c3 integer;", "3", v1alpha1.DryRunPassed, operator.Ready(),
			operator.Want{Condition: v1alpha1.ConditionRolledOut, Status: "True", Reason: v1alpha1.ReasonSucceeded},
		},
		"bad": {
			"SELECT 1 FROM nowhere;", "", v1alpha1.DryRunFailed, operator.Stalled("Ready", v1alpha1.ReasonDryRunFailed, "0003_c3.sql"),
			operator.Stalled(v1alpha1.ConditionRolledOut, v1alpha1.ReasonDryRunFailed, "0003_c3.sql"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.Files.Data["0003_c3.sql"] = tt.file
			b.Make(t)
			b.pass(t, b.Set)
			b.Expect(t, b.Set, operator.Ready())
			b.steady(t, "passes without a database", []conditions.Object{b.Set})
			b.pass(t, b.Database)
			b.pass(t, b.Class)
			b.pass(t, b.Set)
			if st := b.Set.Status.DryRun; st == nil || st.Result != tt.want || len(st.Databases) != 1 || b.Set.Status.Version != tt.version {
				t.Fatalf("version is %q, dryRun %+v", b.Set.Status.Version, st)
			}
			b.Expect(t, b.Set, tt.ready, tt.rolledOut)
			if tt.version == "" && (b.Set.Status.Rollout != nil || b.Set.Status.Previous != nil) {
				t.Errorf("a version that was taken back counts as rolled out: %+v, %+v", b.Set.Status.Rollout, b.Set.Status.Previous)
			}
			b.noScratch(t)
			b.steady(t, "passes behind it", []conditions.Object{b.Set})
			acme := b.Tenant("acme", b.Host("acme"))
			b.Create(t, acme)
			b.pass(t, acme)
			if acme.Status.Version != tt.version {
				t.Errorf("a tenant got version %q, want %q", acme.Status.Version, tt.version)
			}
			b.files(t, map[string]string{"0003_c3.sql": "ALTER TABLE note ADD COLUMN c3 integer;"})
			b.Expect(t, b.Set, operator.Want{Condition: "Ready", Status: "True", Reason: v1alpha1.ReasonReady})
			b.pass(t, acme)
			b.Expect(t, acme, operator.Ready())
		})
	}
}

// What waits for somebody else's transaction must not hold a version for ever: after the limit tenants go
// on without a verdict, and that is said.
func TestDryRunHasALimit(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	old := operator.Hold(t, b.AdminDSN)
	for _, sql := range []string{"BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1"} {
		if _, err := old.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	b.by.MigrationSet.DryRunLimit = 10 * time.Second
	rolledOut := operator.Want{Condition: v1alpha1.ConditionRolledOut, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded}
	b.Expect(t, b.Set, rolledOut)
	operator.Update(t, b.Servers, b.Files, func(cm *corev1.ConfigMap) {
		cm.Data["0004_idx.sql"] = "CREATE INDEX CONCURRENTLY note_body ON note (body);\n"
	})
	done := make(chan error, 1)
	go func() {
		_, err := b.by.Reconcile(t.Context(), b.Set)
		done <- err
	}()
	b.AwaitWant(t, operator.Eventually, b.Set, operator.Waiting(v1alpha1.ConditionRolledOut, v1alpha1.ReasonProgressing, "Trying version 4"))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	b.Get(t, b.Set)
	b.Expect(t, b.Set, rolledOut)
	st := b.Set.Status.DryRun
	if st == nil || st.Result != v1alpha1.DryRunInconclusive || !strings.Contains(st.Message, "0004_idx.sql") || !strings.Contains(st.Message, "10s") {
		t.Errorf("dryRun is %+v", st)
	}
	if b.Set.Status.Version != "4" {
		t.Errorf("version is %q", b.Set.Status.Version)
	}
	b.noScratch(t)
}

// An operator that dies in a dry run leaves a scratch schema that the next one drops.
func TestDryRunIsKilled(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	b.tenant(t, "acme")
	b.pass(t, b.Set)
	// The scratch schema as a crash leaves it: its row stands, and nobody holds the row's lock.
	b.sql(t, `INSERT INTO tenantry.scratch (set_uid, set_name, digest, schema_name, owner_role, keeper_role)
		SELECT $1, 'x', 'x', 'tenantry_scratch_dead', owner_role || '_s', keeper_role FROM tenantry.tenant LIMIT 1`, string(b.Set.UID))
	owner := operator.Query[string](t, b.AdminDSN, "SELECT owner_role FROM tenantry.scratch")
	keeper := operator.Query[string](t, b.AdminDSN, "SELECT keeper_role FROM tenantry.scratch")
	for _, sql := range []string{"CREATE ROLE " + owner, "GRANT " + owner + " TO " + keeper + " WITH ADMIN OPTION", "CREATE SCHEMA tenantry_scratch_dead AUTHORIZATION " + owner} {
		b.sql(t, sql)
	}
	b.restart(t)
	b.pass(t, b.Database) // it was made just now
	if got := operator.Query[int](t, b.AdminDSN, "SELECT count(*) FROM tenantry.scratch"); got != 1 {
		t.Fatalf("%d scratch schemas are registered", got)
	}
	b.ship(t)
	b.Expect(t, b.Set, operator.Want{Condition: v1alpha1.ConditionReady, Status: "True", Reason: v1alpha1.ReasonReady})
	if b.Set.Status.Version != "4" {
		t.Errorf("version is %q", b.Set.Status.Version)
	}
	if got := operator.Query[int](t, b.AdminDSN, `SELECT (SELECT count(*) FROM tenantry.scratch) + (SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'tenantry\_scratch%')
		+ (SELECT count(*) FROM pg_roles WHERE rolname = $1)`, owner); got != 0 {
		t.Errorf("%d things are left of the scratch schema", got)
	}
}

// A checkpoint that makes what its migrations make is where new tenants start; one that does not is refused
// with the difference, and holds nobody up. This test does not run beside others.
func TestDryRunComparesCheckpoints(t *testing.T) {
	b := newBench(t)
	const good = "CREATE TABLE note (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL, c2 integer, c3 integer);\n"
	b.Files.Data["checkpoint_0003.pgsql"] = good
	b.Make(t)
	b.pass(t, b.Set)
	b.Expect(t, b.Set, operator.Ready(), operator.Want{Condition: v1alpha1.ConditionCheckpointsVerified, Status: "Unknown", Reason: v1alpha1.ReasonDryRunPending})
	b.restart(t) // it forgets when to look again
	b.pass(t, b.Database)
	b.pass(t, b.Class)
	b.pass(t, b.Set)
	verified := operator.Want{Condition: v1alpha1.ConditionCheckpointsVerified, Status: "True", Reason: v1alpha1.ReasonSucceeded, Message: []string{"checkpoint_0003.pgsql"}}
	b.Expect(t, b.Set, operator.Ready(), verified)
	b.noScratch(t)
	// transactions that wrote the ledger tell whether the files ran one by one.
	transactions := func(tn *v1alpha1.Tenant) int {
		return operator.Query[int](t, b.AdminDSN, "SELECT count(DISTINCT xmin::text) FROM "+tn.Status.Schema+".tenantry_migrations")
	}
	acme := b.tenant(t, "acme")
	if n := transactions(acme); n != 1 || acme.Status.Version != "3" {
		t.Errorf("%d transactions made the tenant, which is at version %q", n, acme.Status.Version)
	}
	b.pass(t, b.Set)
	b.ship(t)
	b.pass(t, b.Set)
	b.files(t, map[string]string{"checkpoint_0003.pgsql": good})
	b.Expect(t, b.Set, verified)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	if n := transactions(b.tenant(t, "globex")); n != 2 {
		t.Errorf("%d transactions made a tenant from a checkpoint and a migration", n)
	}
	b.pass(t, b.Set)
	b.steady(t, "passes over a set with checkpoints", []conditions.Object{b.Set, acme})

	b.files(t, map[string]string{"checkpoint_0003.pgsql": strings.Replace(good, "c3 integer", "c3 bigint", 1)})
	refused := operator.Want{
		Condition: v1alpha1.ConditionCheckpointsVerified, Reason: v1alpha1.ReasonCheckpointRefused,
		Message: []string{"checkpoint_0003.pgsql", "table note column c3: 4, bigint", "table note column c3: 4, integer", "New tenants get the migrations"},
	}
	b.Expect(t, b.Set, operator.Ready(), refused)
	if st := b.Set.Status.Checkpoints; len(st) != 1 || st[0].State != v1alpha1.CheckpointRefused {
		t.Errorf("checkpoints are %+v", st)
	}
	if n := transactions(b.tenant(t, "initech")); n != 4 {
		t.Errorf("%d transactions made a tenant by a refused checkpoint, want the four migrations", n)
	}
	b.files(t, map[string]string{"checkpoint_0003.pgsql": "CREATE TABLE note (id bigint REFERENCES nowhere);\n"})
	refused.Message = []string{"checkpoint_0003.pgsql line 1", `relation "nowhere" does not exist`}
	b.Expect(t, b.Set, operator.Ready(), refused)
	b.pass(t, b.Set)
	b.noScratch(t)
	b.steady(t, "passes over a set whose checkpoint was refused", []conditions.Object{b.Set, acme})
	b.files(t, map[string]string{"checkpoint_0003.pgsql": ""})
	if b.Set.Status.Checkpoints != nil || conditions.Get(b.Set, v1alpha1.ConditionCheckpointsVerified) != nil {
		t.Errorf("a checkpoint that was taken out is still spoken of: %+v", b.Set.Status.Checkpoints)
	}
}
