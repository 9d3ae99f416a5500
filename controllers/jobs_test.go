package controllers_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/rollout"
	"github.com/tenantry/tenantry/test/operator"
)

// byJobs is a bench whose tenants are migrated by Jobs that nobody runs: there is no kubelet.
func byJobs(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.Set.Spec.Source = v1alpha1.MigrationSource{}
	b.Set.Spec.Job = &v1alpha1.MigrationJob{
		Framework: v1alpha1.FrameworkRails, Version: "v1", Expect: []string{"7"},
		Template: v1alpha1.JobTemplate{Image: "registry.example/desk:v1", Command: []string{"true"}},
	}
	return b.settle(t)
}

// theJob returns the only Job, nil if there is none.
func (b *bench) theJob(t *testing.T) *batchv1.Job {
	t.Helper()
	var list batchv1.JobList
	if err := b.Admin.List(t.Context(), &list, client.InNamespace(b.Namespace)); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) > 1 {
		t.Fatalf("%d Jobs", len(list.Items))
	}
	if len(list.Items) == 0 {
		return nil
	}
	return &list.Items[0]
}

// migrated is what the Job's program would have done.
func (b *bench) migrated(t *testing.T, tenant *v1alpha1.Tenant) {
	t.Helper()
	owner := "tn_" + b.Name + "__" + tenant.Status.Schema + "_owner"
	b.script(t, fmt.Sprintf(`SET ROLE %q; CREATE TABLE %[2]s.schema_migrations (version varchar PRIMARY KEY); INSERT INTO %[2]s.schema_migrations VALUES ('7')`, owner, tenant.Status.Schema))
}

// atFirst makes a tenant that a Job has brought to the set's first version.
func (b *bench) atFirst(t *testing.T, hosts ...string) *v1alpha1.Tenant {
	t.Helper()
	acme := b.Tenant("acme", hosts...)
	b.Create(t, acme)
	b.pass(t, acme)
	b.migrated(t, acme)
	job := b.theJob(t)
	b.Delete(t, job)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	b.AwaitGone(t, operator.Eventually, job) // the next one waits for its end
	return acme
}

// A tenant whose Job runs, or that is at the version, costs no write, also after a restart. This test does
// not run beside others.
func TestJobsCostNoWritesAtRest(t *testing.T) {
	b := byJobs(t)
	acme := b.Tenant("acme")
	b.Create(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Migrated", v1alpha1.ReasonProgressing, "Job "+b.Namespace+"/app-", "migrates schema"))
	all := []conditions.Object{b.Set, acme}
	b.pass(t, b.Set)
	b.pass(t, acme)
	b.steady(t, "passes while a Job runs", all)
	b.restart(t)
	b.pass(t, b.Database)
	b.pass(t, acme)
	b.steady(t, "passes while a Job runs, after a restart", all)
	if job := b.theJob(t); job == nil || *job.Spec.Suspend {
		t.Fatalf("there is no Job that may run: %v", job)
	}
	b.migrated(t, acme)
	b.Delete(t, b.theJob(t))
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	b.pass(t, b.Set)
	b.steady(t, "passes at the version", all)
}

// What was wrong before a Job began, and is not any more, is not said while it runs: the customer works at the old
// version.
func TestReadyIsOfNowWhileAJobRuns(t *testing.T) {
	t.Parallel()
	b := byJobs(t)
	acme := b.atFirst(t, b.Host("acme"))
	b.pass(t, b.Set)
	b.connection(t, map[string]string{"uri": strings.Replace(b.DSN, ":"+strconv.Itoa(b.Server.Port)+"/", ":"+closedPort(t)+"/", 1)})
	b.restart(t)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Want{Condition: "Ready", Reason: v1alpha1.ReasonUnreachable})
	b.connection(t, map[string]string{"uri": b.DSN})
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Job.Version, ms.Spec.Job.Expect = "v2", []string{"8"} })
	b.pass(t, b.Set)
	b.restart(t)
	b.pass(t, b.Database)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Migrated", v1alpha1.ReasonProgressing),
		operator.Want{Condition: "Ready", Status: "True", Reason: v1alpha1.ReasonReady, Message: []string{"at version v1"}, KStatus: status.InProgressStatus})
	// What a Job met stands until the next one has ended.
	job, secret := b.theJob(t), &corev1.Secret{}
	secret.Namespace, secret.Name = job.Namespace, job.Name
	b.Delete(t, job, secret) // as a garbage collector would
	b.pass(t, acme)
	b.Expect(t, acme, operator.Stalled("Ready", v1alpha1.ReasonJobFailed))
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Annotations = map[string]string{v1alpha1.AnnotationRetry: "1"} })
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Migrated", v1alpha1.ReasonJobFailed), operator.Want{Condition: "Ready", Reason: v1alpha1.ReasonJobFailed})
}

// An operator that dies after any of its writes leaves nothing that the next one does not make good: in the
// end there is one Job, it may run, and what its Secret says works.
func TestCrashesAroundAJob(t *testing.T) {
	t.Parallel()
	for writes := range 9 {
		t.Run(fmt.Sprint(writes), func(t *testing.T) {
			t.Parallel()
			b := byJobs(t)
			acme := b.Tenant("acme")
			b.Create(t, acme)
			dying := servers.DyingReconcilers(t, writes)
			for range 3 {
				if _, err := dying.Reconcile(t.Context(), acme); err != nil && !errors.Is(err, operator.ErrCrash) {
					t.Log(err)
				}
			}
			b.pass(t, acme)
			b.pass(t, acme)
			job := b.theJob(t)
			if job == nil || *job.Spec.Suspend {
				t.Fatalf("there is no Job that may run: %v", job)
			}
			secret := &corev1.Secret{}
			if err := b.Admin.Get(t.Context(), client.ObjectKeyFromObject(job), secret); err != nil {
				t.Fatal(err)
			}
			if got := operator.Query[string](t, string(secret.Data["DATABASE_URL"]), "SELECT current_user::text"); got != "tn_"+b.Name+"__"+acme.Status.Schema+"_owner" {
				t.Errorf("the Job is %s in the database", got)
			}
		})
	}
}

// Who leaves its set while a batch forms leaves its place in the rollout to the others.
func TestWhoLeavesAFormingBatchLeavesItsPlace(t *testing.T) {
	t.Parallel()
	b := byJobs(t)
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Job.BatchSize = 2 })
	b.pass(t, b.Set)
	acme := b.Tenant("acme")
	b.Create(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Migrated", v1alpha1.ReasonProgressing, "waits for others"))
	if b.place() {
		t.Fatal("a tenant in a forming batch has no place")
	}
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { c.Spec.MigrationSetRef = nil })
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	if !b.place() {
		t.Error("a tenant that left the set keeps its place")
	}
}

// place says whether another tenant of the database can begin, one at a time.
func (b *bench) place() bool {
	return b.by.Tenant.Permits.Start(rollout.Ask{
		Set: b.Namespace + "/app", Digest: b.Set.Status.Digest, Database: string(b.Database.UID), Tenant: "x/next", MaxInFlight: 1, Now: time.Now(),
	})
}

// A tenant that loses its schema while its Job is at work keeps its place until the Job has ended, and not until
// somebody mends it.
func TestBrokenTenantLeavesItsPlace(t *testing.T) {
	t.Parallel()
	b := byJobs(t)
	acme := b.atFirst(t)
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Job.Version, ms.Spec.Job.Expect = "v2", []string{"8"} })
	b.pass(t, b.Set)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Migrated", v1alpha1.ReasonProgressing, "to version v2"))
	b.script(t, fmt.Sprintf("DROP SCHEMA %s CASCADE", acme.Status.Schema))
	b.pass(t, acme)
	b.Expect(t, acme, operator.Stalled("SchemaReady", v1alpha1.ReasonSchemaLost))
	if b.place() {
		t.Fatal("a tenant whose Job is at work has no place")
	}
	job := b.theJob(t)
	b.Delete(t, job)
	b.AwaitGone(t, operator.Eventually, job)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Stalled("SchemaReady", v1alpha1.ReasonSchemaLost))
	if !b.place() {
		t.Error("a tenant without a schema keeps its place behind the end of its Job")
	}
}

// What was said about a registry is not said of a set that has a Job by now.
func TestJobInThePlaceOfAnArtifact(t *testing.T) {
	t.Parallel()
	b := byJobs(t)
	base := b.Set.DeepCopy()
	conditions.False(b.Set, v1alpha1.ConditionSourceCurrent, v1alpha1.ReasonSourceUnavailable, "the registry is away")
	if err := b.Admin.Status().Patch(t.Context(), b.Set, client.MergeFrom(base)); err != nil {
		t.Fatal(err)
	}
	b.pass(t, b.Set)
	if c := conditions.Get(b.Set, v1alpha1.ConditionSourceCurrent); c != nil {
		t.Errorf("a set with a Job has the condition %+v", c)
	}
}

// A shared schema has no Jobs.
func TestSharedSchemaNeedsFiles(t *testing.T) {
	t.Parallel()
	b := byJobs(t)
	operator.Update(t, b.Servers, b.Database, func(tdb *v1alpha1.TenantDatabase) {
		tdb.Spec.Shared = &v1alpha1.SharedSchema{SchemaName: "shared", MigrationSetRef: v1alpha1.LocalReference{Name: "app"}}
	})
	b.pass(t, b.Database)
	b.Expect(t, b.Database, operator.Stalled("SharedMigrated", v1alpha1.ReasonInvalidMigration, "a shared schema needs a set with spec.source"))
}

// What the API server does not let in is said, and nothing is left.
func TestRefusedJob(t *testing.T) {
	t.Parallel()
	b := byJobs(t)
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Job.Template.ServiceAccountName = "No Name" })
	b.pass(t, b.Set)
	acme := b.Tenant("acme")
	b.Create(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Stalled("Migrated", v1alpha1.ReasonJobFailed, "the API server refuses the Job", "serviceAccountName"))
	if job := b.theJob(t); job != nil {
		t.Errorf("Job %s is there", job.Name)
	}
}

// A Job that somebody deletes has failed: it is not begun anew unasked, and its login ends.
func TestDeletedJobIsAFailure(t *testing.T) {
	t.Parallel()
	b := byJobs(t)
	acme := b.Tenant("acme")
	b.Create(t, acme)
	b.pass(t, acme)
	job := b.theJob(t)
	b.Delete(t, job)
	b.AwaitGone(t, operator.Eventually, job)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Stalled("Migrated", v1alpha1.ReasonJobFailed, "was deleted before it had ended"))
	b.pass(t, acme)
	b.Expect(t, acme, operator.Stalled("Migrated", v1alpha1.ReasonJobFailed, "was deleted before it had ended"))
	if job := b.theJob(t); job != nil {
		t.Errorf("Job %s was begun anew", job.Name)
	}
	if roles := operator.Roles(t, b.AdminDSN, "tn_"+b.Name+"__"+acme.Status.Schema+"_job"); len(roles) > 0 {
		t.Errorf("roles %q are left", roles)
	}
}

// Who takes a version back whose Job broke off is told so by the framework's table, and not by what the registry knew
// of before.
func TestRevertedJobIsNotBelieved(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Set.Spec.Source = v1alpha1.MigrationSource{}
	job := func(version, expect string) *v1alpha1.MigrationJob {
		return &v1alpha1.MigrationJob{
			Framework: v1alpha1.FrameworkGolangMigrate, Version: version, Expect: []string{expect},
			Template: v1alpha1.JobTemplate{Image: "registry.example/desk:" + version, Command: []string{"true"}},
		}
	}
	b.Set.Spec.Job = job("v1", "7")
	b.settle(t)
	acme := b.Tenant("acme", b.Host("acme"))
	b.Create(t, acme)
	b.pass(t, acme)
	schema := acme.Status.Schema
	ends := func(table string) {
		t.Helper()
		j, secret := b.theJob(t), &corev1.Secret{}
		secret.Namespace, secret.Name = j.Namespace, j.Name
		b.script(t, table)
		b.Delete(t, j, secret) // as a garbage collector would
		b.pass(t, acme)
		b.AwaitGone(t, operator.Eventually, j)
	}
	ends(fmt.Sprintf("SET ROLE %q; CREATE TABLE %[2]s.schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL); INSERT INTO %[2]s.schema_migrations VALUES (7, false)",
		"tn_"+b.Name+"__"+schema+"_owner", schema))
	b.Expect(t, acme, operator.Ready())
	b.pass(t, b.Set)

	ship := func(j *v1alpha1.MigrationJob) {
		t.Helper()
		operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Job = j })
		b.pass(t, b.Set)
		b.pass(t, acme)
	}
	ship(job("v2", "8"))
	b.Expect(t, acme, operator.Waiting("Migrated", v1alpha1.ReasonProgressing))
	ends("UPDATE " + schema + ".schema_migrations SET version = 8, dirty = true")
	b.Expect(t, acme, operator.Stalled("Migrated", v1alpha1.ReasonJobFailed))
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Rollout = &v1alpha1.Rollout{Paused: true} })
	ship(job("v1", "7"))
	b.Expect(t, acme, operator.Stalled("Migrated", v1alpha1.ReasonJobIncomplete, "8", "broke off"))
	b.sql(t, "UPDATE "+schema+".schema_migrations SET version = 7, dirty = false")
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	if got := operator.Query[string](t, b.AdminDSN, "SELECT digest FROM tenantry.tenant WHERE schema_name = $1", schema); got != b.Set.Status.Digest {
		t.Errorf("the registry has digest %q, want %q", got, b.Set.Status.Digest)
	}
}

// While a Job works, an edit of its set changes nothing that is said of it, nor does its end look like a failure.
func TestSetIsEditedWhileAJobRuns(t *testing.T) {
	t.Parallel()
	b := byJobs(t)
	acme := b.atFirst(t, b.Host("acme"))
	edit := func(version, expect string) {
		t.Helper()
		operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Job.Version, ms.Spec.Job.Expect = version, []string{expect} })
	}
	edit("v2", "8")
	b.pass(t, b.Set)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Migrated", v1alpha1.ReasonProgressing, "to version v2"))
	second := acme.Status.Digest
	edit("v3", "9")
	b.pass(t, acme) // before the set's own pass
	b.Expect(t, acme, operator.Waiting("Migrated", v1alpha1.ReasonProgressing, "still works on schema"))
	if acme.Status.Digest != second {
		t.Errorf("status.digest is %s while the Job goes to %s", acme.Status.Digest, second)
	}
	b.pass(t, b.Set)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Migrated", v1alpha1.ReasonProgressing, "another version"))
	job := b.theJob(t)
	b.Await(t, operator.Soon, job, func(bool) error {
		if job.Status.StartTime == nil {
			return errors.New("the Job has not begun")
		}
		return nil
	})
	base := job.DeepCopy()
	now := metav1.Now()
	job.Status.CompletionTime, job.Status.Succeeded, job.Status.Active, job.Status.Ready, job.Status.Terminating = &now, 1, 0, new(int32(0)), new(int32(0))
	job.Status.Conditions = []batchv1.JobCondition{
		{Type: batchv1.JobSuccessCriteriaMet, Status: corev1.ConditionTrue}, {Type: batchv1.JobComplete, Status: corev1.ConditionTrue},
	}
	if err := b.Admin.Status().Patch(t.Context(), job, client.MergeFrom(base)); err != nil {
		t.Fatal(err)
	}
	b.sql(t, "INSERT INTO "+acme.Status.Schema+".schema_migrations VALUES ('8')")
	b.pass(t, acme)
	if c := conditions.Get(acme, "Migrated"); c == nil || c.Reason != v1alpha1.ReasonProgressing {
		t.Errorf("behind the end of the Job to v2, Migrated is %+v", c)
	}
}

// A Job that was let in by the set that the class named before is cut off, and no failure of the one that it names now.
func TestClassNamesAnotherJobSetWhileAJobRuns(t *testing.T) {
	t.Parallel()
	b := byJobs(t)
	acme := b.atFirst(t, b.Host("acme"))
	other := &v1alpha1.MigrationSet{ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: "other"}}
	other.Spec = *b.Set.Spec.DeepCopy()
	other.Spec.Job.Version, other.Spec.Job.Expect = "w1", []string{"9"}
	b.Create(t, other)
	b.pass(t, other)
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Job.Version, ms.Spec.Job.Expect = "v2", []string{"8"} })
	b.pass(t, b.Set)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Migrated", v1alpha1.ReasonProgressing, "to version v2"))
	first := b.theJob(t)

	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { c.Spec.MigrationSetRef.Name = other.Name })
	b.pass(t, b.Class)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Migrated", v1alpha1.ReasonProgressing, "to version w1"))
	b.pass(t, other)
	if n := other.Status.FailedTenants; n > 0 {
		t.Errorf("%d tenants of the other set have failed", n)
	}
	b.Delete(t, first)
	b.AwaitGone(t, operator.Eventually, first)
	second := b.theJob(t)
	b.Delete(t, second)
	b.AwaitGone(t, operator.Eventually, second)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Stalled("Migrated", v1alpha1.ReasonJobFailed, "was deleted before it had ended"))
}

// Where only what is expected of a version changes, a tenant whose Job failed has not got there by its name.
func TestFailedJobOfTheSameVersionIsNoUpdate(t *testing.T) {
	t.Parallel()
	b := byJobs(t)
	acme := b.atFirst(t)
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Job.Expect = []string{"7", "8"} })
	b.pass(t, b.Set)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Migrated", v1alpha1.ReasonProgressing))
	job, secret := b.theJob(t), &corev1.Secret{}
	secret.Namespace, secret.Name = job.Namespace, job.Name
	b.Delete(t, job, secret)
	b.AwaitGone(t, operator.Soon, job)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Stalled("Migrated", v1alpha1.ReasonJobFailed))
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) {
		ms.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: "Selector", Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"never": "true"}}}
	})
	b.pass(t, b.Set)
	b.pass(t, acme)
	b.pass(t, b.Set)
	if b.Set.Status.UpdatedTenants != 0 {
		t.Errorf("the set counts %d tenants as updated; the tenant says %+v at digest %q", b.Set.Status.UpdatedTenants, conditions.Get(acme, "Migrated"), acme.Status.Digest)
	}
}

// A Job that runs into its deadline has failed, and goes when somebody asks for another try.
func TestJobPastItsDeadline(t *testing.T) {
	t.Parallel()
	b := byJobs(t)
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Job.ActiveDeadlineSeconds = 1 })
	b.pass(t, b.Set)
	acme := b.Tenant("acme")
	b.Create(t, acme)
	b.pass(t, acme)
	job := b.theJob(t)
	b.Await(t, operator.Eventually, job, func(bool) error {
		for _, c := range job.Status.Conditions {
			if c.Type == batchv1.JobFailed {
				return nil
			}
		}
		return errors.New("the Job has not failed yet")
	})
	b.pass(t, acme)
	b.Expect(t, acme, operator.Stalled("Migrated", v1alpha1.ReasonJobFailed, "failed (DeadlineExceeded)", "stays at version none"))
	b.Nudge(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Migrated", v1alpha1.ReasonJobFailed, "failed (DeadlineExceeded)")) // That Job has to go first.
	b.AwaitGone(t, operator.Eventually, job)
	b.pass(t, acme)
	if again := b.theJob(t); again == nil || again.UID == job.UID {
		t.Error("there is no other Job")
	}
}
