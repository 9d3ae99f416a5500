package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// A version goes ring by ring by Jobs. One tenant fails, within the budget, and says why; it keeps what it
// had, and comes along when its data are mended and somebody asks for another try.
func TestJobsRollOut(t *testing.T) {
	t.Parallel()
	f := newJobFleet(t, "a1", "a2", "b1", "b2", "b3")
	f.noLogins(t)
	f.spec(t, func(r *v1alpha1.Rollout) { r.Rings, r.FailureBudget = ringsOf(0, "a", "b"), budget(1) })
	f.spoil(t, "a2")
	order := f.order(t, "1.2")
	f.ship(t)
	f.awaitRollout(t, v1alpha1.ReasonTenantsFailed, "Version 1.2", "status.failures")
	f.wantVersions(t, "in the end", all("1.2", "a1", "b1", "b2", "b3"), all("1.1", "a2"))
	if got := order(); len(got) != 4 || got[0] != "a1" {
		t.Errorf("the tenants came in the order %q; a1 is the canary", got)
	}
	a2 := f.tenants["a2"]
	f.AwaitWant(t, operator.Soon, a2, operator.Stalled("Migrated", v1alpha1.ReasonJobFailed, "Job "+f.Namespace+"/app-", "ended with code 1",
		`invalid input syntax for type integer: "none"`, "the schema stays at version 1.1"))
	if diff := cmp.Diff([]string{"id", "body"}, f.columns(t, "a2")); diff != "" {
		t.Errorf("columns of the one that failed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"id", "body", "number"}, f.columns(t, "b1")); diff != "" {
		t.Errorf("columns of one that did not (-want +got):\n%s", diff)
	}
	f.noLogins(t)
	f.mend(t, "a2")
	operator.Update(t, f.Servers, f.Set, func(ms *v1alpha1.MigrationSet) {
		ms.Annotations = map[string]string{v1alpha1.AnnotationRetry: "now"}
	})
	f.AwaitReady(t, a2)
	f.awaitRollout(t, v1alpha1.ReasonSucceeded)
	f.wantVersions(t, "after a retry", all("1.2", "a1", "a2", "b1", "b2", "b3"))
	f.noLogins(t)
}

// When the budget is spent, nobody else gets a Job.
func TestFailedJobsSpendTheBudget(t *testing.T) {
	t.Parallel()
	f := newJobFleet(t, "a1", "b1", "b2")
	f.spec(t, func(r *v1alpha1.Rollout) { r.Rings, r.FailureBudget = ringsOf(0, "a", "b"), budget(0) })
	f.spoil(t, "a1")
	f.ship(t)
	f.awaitRollout(t, v1alpha1.ReasonFailureBudgetSpent, "Version 1.2 stopped in ring a")
	f.stays(t, "after the stop", all("1.1", "a1", "b1", "b2"))
	for name, want := range map[string]int{"a1": 2, "b1": 1, "b2": 1} {
		if got := len(f.jobs(t)[name]); got != want {
			t.Errorf("%s has had %d Jobs, want %d", name, got, want)
		}
	}
}

// Only tenants that are behind get a Job: of four, two were migrated by hand.
func TestOnlyTenantsBehindGetAJob(t *testing.T) {
	t.Parallel()
	f := newJobFleet(t, "a1", "a2", "a3", "a4")
	for _, name := range []string{"a1", "a3"} {
		schema := f.tenants[name].Status.Schema
		operator.Exec(t, f.AdminDSN, fmt.Sprintf("ALTER TABLE %[1]s.note ADD COLUMN number integer; INSERT INTO %[1]s.goose_db_version (version_id, is_applied) VALUES (2, true)", schema))
	}
	f.ship(t)
	f.awaitRollout(t, v1alpha1.ReasonSucceeded)
	f.wantVersions(t, "in the end", all("1.2", "a1", "a2", "a3", "a4"))
	for name, want := range map[string]int{"a1": 1, "a2": 2, "a3": 1, "a4": 2} {
		if got := len(f.jobs(t)[name]); got != want {
			t.Errorf("%s has had %d Jobs, want %d", name, got, want)
		}
	}
}

// A Job that says that all is well and did nothing has failed.
func TestJobThatDoesNothing(t *testing.T) {
	t.Parallel()
	f := newJobFleet(t, "a1")
	f.ship(t, "-idle")
	f.AwaitWant(t, operator.Eventually, f.tenants["a1"], operator.Stalled("Migrated", v1alpha1.ReasonJobIncomplete, "ended well, but schema", "lacks 2 of what spec.job.expect names"))
	f.wantVersions(t, "after the Job", all("1.1", "a1"))
	f.noLogins(t)
	f.ship(t)
	f.awaitRollout(t, v1alpha1.ReasonSucceeded, "Version 1.2")
	f.wantVersions(t, "after a Job that works", all("1.2", "a1"))
	f.AwaitReady(t, f.tenants["a1"])
}

// A Job that somebody deletes is no success, takes its login along, and is not begun anew unasked.
func TestJobDeletedByHand(t *testing.T) {
	t.Parallel()
	f := newJobFleet(t, "a1")
	gate := filepath.Join(t.TempDir(), "gate")
	f.ship(t, "-wait", gate)
	job := f.awaitJob(t, "a1")
	f.AwaitWant(t, operator.Soon, f.tenants["a1"],
		operator.Want{Condition: "Migrated", Reason: v1alpha1.ReasonProgressing, Message: []string{"Job " + f.Namespace + "/" + job.Name + " migrates schema"}})
	if err := f.Admin.Delete(t.Context(), job, client.PropagationPolicy("Background")); err != nil {
		t.Fatal(err)
	}
	f.AwaitWant(t, operator.Eventually, f.tenants["a1"], operator.Stalled("Migrated", v1alpha1.ReasonJobFailed, "was deleted before it had ended"))
	f.noLogins(t)
	if got := f.sessions(t, "a1"); got != 0 {
		t.Errorf("%d sessions of the Job are left", got)
	}
	f.stays(t, "after the Job was deleted", all("1.1", "a1"))
	open(t, gate)
	f.Nudge(t, f.tenants["a1"])
	f.AwaitReady(t, f.tenants["a1"])
	f.wantVersions(t, "after another try", all("1.2", "a1"))
}

func open(t *testing.T, gate string) {
	t.Helper()
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// While its Job runs, a tenant is served and Ready; what the Job has is in no plain sight; and a tenant
// that is deleted goes with schema, login and Job.
func TestTenantDeletedWhileItsJobRuns(t *testing.T) {
	t.Parallel()
	f := newJobFleet(t, "a1", "a2")
	f.ship(t, "-wait", filepath.Join(t.TempDir(), "never"))
	job := f.awaitJob(t, "a1")
	f.awaitJob(t, "a2")
	secret := &corev1.Secret{}
	if err := f.Admin.Get(t.Context(), client.ObjectKeyFromObject(job), secret); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprint(job.Spec, job.ObjectMeta)
	if password := string(secret.Data["PGPASSWORD"]); len(password) < 20 || strings.Contains(text, password) {
		t.Error("the password is not in the Secret alone")
	}
	operator.Update(t, f.Servers, f.tenants["a1"], func(tenant *v1alpha1.Tenant) { tenant.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
	f.Delete(t, f.tenants["a1"])
	f.AwaitGone(t, operator.Eventually, f.tenants["a1"])
	f.AwaitGone(t, operator.Eventually, job)
	if got := operator.Roles(t, f.AdminDSN, f.tenants["a1"].Status.Schema); len(got) != 0 {
		t.Errorf("roles %q are left", got)
	}
	if got := f.sessions(t, "a2"); got == 0 {
		t.Error("the other tenant's Job was ended too")
	}
}

// The set goes while a Job runs: the Job goes with it, and the login too.
func TestSetDeletedWhileItsJobRuns(t *testing.T) {
	t.Parallel()
	f := newJobFleet(t, "a1")
	f.ship(t, "-wait", filepath.Join(t.TempDir(), "never"))
	job := f.awaitJob(t, "a1")
	f.Delete(t, f.Set)
	f.AwaitGone(t, operator.Eventually, job)
	f.noLogins(t)
	if got := f.sessions(t, "a1"); got != 0 {
		t.Errorf("%d sessions of the Job are left", got)
	}
	f.Delete(t, f.tenants["a1"])
	f.AwaitGone(t, operator.Eventually, f.tenants["a1"])
}

// Many tenants in few Jobs: one of a batch fails, the others do not.
func TestJobsInBatches(t *testing.T) {
	t.Parallel()
	f := newJobFleet(t, "a1", "a2", "a3", "a4", "a5")
	f.spec(t, func(r *v1alpha1.Rollout) { r.FailureBudget = budget(1) })
	operator.Update(t, f.Servers, f.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Job.BatchSize = 5 })
	f.spoil(t, "a3")
	f.ship(t)
	f.awaitRollout(t, v1alpha1.ReasonTenantsFailed, "Version 1.2")
	f.wantVersions(t, "in the end", all("1.2", "a1", "a2", "a4", "a5"), all("1.1", "a3"))
	f.AwaitWant(t, operator.Soon, f.tenants["a3"], operator.Stalled("Migrated", v1alpha1.ReasonJobFailed, "did not bring this one there"))
	f.noLogins(t)
	seen := map[string]bool{}
	for _, list := range f.jobs(t) {
		for _, job := range list {
			if strings.HasSuffix(job.Spec.Template.Spec.Containers[0].Image, ":1.2") {
				seen[job.Name] = true
			}
		}
	}
	if len(seen) == 0 || len(seen) > 2 {
		t.Errorf("%d Jobs for five tenants, want one, or two on a busy machine", len(seen))
	}
}

// An operator that is restarted while Jobs run makes no second one, and goes on where it was. This test does
// not run beside others.
func TestRestartWhileJobsRun(t *testing.T) {
	f := newJobFleet(t, "a1", "a2", "a3")
	gate := filepath.Join(t.TempDir(), "gate")
	f.ship(t, "-wait", gate)
	names := map[string]string{}
	for name := range f.tenants {
		names[name] = f.awaitJob(t, name).Name
	}
	for range 2 {
		if err := restart(); err != nil {
			t.Fatal(err)
		}
	}
	for name, job := range names {
		if got := f.awaitJob(t, name).Name; got != job {
			t.Errorf("%s has Job %s, before it was %s", name, got, job)
		}
	}
	open(t, gate)
	f.awaitRollout(t, v1alpha1.ReasonSucceeded)
	f.wantVersions(t, "in the end", all("1.2", "a1", "a2", "a3"))
	for name, list := range f.jobs(t) {
		if len(list) != 2 {
			t.Errorf("%s has had %d Jobs for two versions", name, len(list))
		}
		for _, job := range list {
			if job.Status.Succeeded != 1 || job.Status.Failed != 0 {
				t.Errorf("Job %s: %d Pods succeeded, %d failed", job.Name, job.Status.Succeeded, job.Status.Failed)
			}
		}
	}
	if got := len(f.kubelet.Started()); got != 6 {
		t.Errorf("%d Pods were started for 3 tenants and 2 versions", got)
	}
	f.noLogins(t)
}

// A pin of a set with a Job is to the version that it has, or to the one that the tenant has.
func TestPinsWithJobs(t *testing.T) {
	t.Parallel()
	f := newJobFleet(t, "a1", "b1")
	f.spec(t, func(r *v1alpha1.Rollout) { r.Paused = true })
	pin := func(name, version string) {
		operator.Update(t, f.Servers, f.tenants[name], func(tenant *v1alpha1.Tenant) {
			tenant.Spec.Migrations = &v1alpha1.TenantMigrations{TargetVersion: version}
		})
	}
	pin("a1", "1.1")
	f.ship(t)
	f.AwaitWant(t, operator.Soon, f.tenants["a1"], operator.Want{Condition: "Migrated", Status: "True", Reason: v1alpha1.ReasonPinned, Message: []string{"At version 1.1 as pinned"}})
	pin("a1", "1.7")
	f.AwaitWant(t, operator.Soon, f.tenants["a1"], operator.Stalled("Migrated", v1alpha1.ReasonUnknownVersion, "runs a Job, which takes tenants to version 1.2 alone"))
	pin("a1", "1.2")
	f.AwaitReady(t, f.tenants["a1"])
	f.wantVersions(t, "while the rollout is paused", all("1.2", "a1"), all("1.1", "b1"))
}
