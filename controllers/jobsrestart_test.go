package controllers_test

import (
	"context"
	"errors"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/jobs"
	"github.com/tenantry/tenantry/test/operator"
)

// nextVersion gives the set's Job another version.
func (b *bench) nextVersion(t *testing.T, version, expect string) {
	t.Helper()
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Job.Version, ms.Spec.Job.Expect = version, []string{expect} })
	b.pass(t, b.Set)
}

// dropJob deletes the only Job, and its Secret as a garbage collector would.
func (b *bench) dropJob(t *testing.T) {
	t.Helper()
	job, secret := b.theJob(t), &corev1.Secret{}
	secret.Namespace, secret.Name = job.Namespace, job.Name
	b.Delete(t, job)
	if err := client.IgnoreNotFound(b.Admin.Delete(t.Context(), secret)); err != nil {
		t.Fatal(err)
	}
	b.AwaitGone(t, operator.Eventually, job)
}

// lost puts a Job into the place of the only one that nobody looks after, as those on a node that is gone: it does not
// end, and is given up after so long.
func (b *bench) lost(t *testing.T, left time.Duration) *batchv1.Job {
	t.Helper()
	job := b.theJob(t)
	b.dropJob(t)
	lost := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: job.Namespace, Name: job.Name, Labels: job.Labels, Annotations: job.Annotations, OwnerReferences: job.OwnerReferences,
		},
		Spec: *job.Spec.DeepCopy(),
	}
	lost.Spec.ManagedBy = new("tenantry.test/nobody") // The Job controller lets it alone.
	lost.Spec.Selector, lost.Spec.Template.Labels = nil, nil
	b.Create(t, lost)
	base := lost.DeepCopy()
	lost.Status.StartTime = &metav1.Time{Time: time.Now().Add(left - jobs.Grace - time.Duration(*job.Spec.ActiveDeadlineSeconds)*time.Second)}
	if err := b.Admin.Status().Patch(t.Context(), lost, client.MergeFrom(base)); err != nil {
		t.Fatal(err)
	}
	return lost
}

// wantFailures says how many tenants the set counts as failed.
func (b *bench) wantFailures(t *testing.T, when string, want int32) {
	t.Helper()
	b.pass(t, b.Set)
	if got := b.Set.Status.FailedTenants; got != want {
		t.Errorf("%s, the set counts %d failures, want %d", when, got, want)
	}
}

// wantSoon holds against a bound when the next pass comes.
func wantSoon(t *testing.T, result ctrl.Result, limit time.Duration) {
	t.Helper()
	if result.RequeueAfter <= 0 || result.RequeueAfter > limit {
		t.Errorf("the next pass comes after %s, want at most %s", result.RequeueAfter, limit)
	}
}

// oneOfTwo is a bench with two tenants of which one may be migrated at a time. The first one's Job is there.
func oneOfTwo(t *testing.T) (b *bench, first, second *v1alpha1.Tenant) {
	t.Helper()
	b = byJobs(t)
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Rollout = &v1alpha1.Rollout{MaxInFlight: 1} })
	b.pass(t, b.Set)
	first, second = b.Tenant("acme"), b.Tenant("globex")
	b.Create(t, first, second)
	b.pass(t, first)
	return b, first, second
}

// After a restart the Jobs that run have their places before anybody asks for one.
func TestRestartLeavesThePlacesToJobsThatRun(t *testing.T) {
	t.Parallel()
	b, acme, globex := oneOfTwo(t)
	b.Expect(t, acme, operator.Waiting("Migrated", v1alpha1.ReasonProgressing, "migrates schema"))

	b.restart(t)
	b.pass(t, b.Database)
	b.pass(t, globex)
	b.Expect(t, globex, operator.Waiting("Migrated", v1alpha1.ReasonRolloutPending, "when a Job of another tenant has ended"))
	job := b.theJob(t)
	if got, want := job.Annotations[jobs.AnnotationTenants], acme.Namespace+"/acme"; got != want {
		t.Errorf("the Job is for %q, want %q", got, want)
	}
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Migrated", v1alpha1.ReasonProgressing, "migrates schema"))
	b.migrated(t, acme)
	b.dropJob(t)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	b.pass(t, globex)
	b.Expect(t, globex, operator.Waiting("Migrated", v1alpha1.ReasonProgressing, "migrates schema"))
}

// A tenant that left its set while its Job ran takes no place of it for ever, also after a restart.
func TestRestartHoldsNoPlaceForWhoLeft(t *testing.T) {
	t.Parallel()
	b, acme, globex := oneOfTwo(t)
	b.restart(t)
	b.pass(t, b.Database)
	b.pass(t, globex)
	b.Expect(t, globex, operator.Waiting("Migrated", v1alpha1.ReasonRolloutPending))
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { c.Spec.MigrationSetRef = nil })
	b.dropJob(t)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	if !b.place() {
		t.Error("a tenant that left the set keeps its place")
	}
}

// mute is an API server that does not answer.
type mute struct{ client.Reader }

func (mute) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("the API server is away")
}

// As long as nobody knows whether a tenant's Job has ended, its place is nobody else's.
func TestPlaceIsKeptWhileNobodyKnows(t *testing.T) {
	t.Parallel()
	b := byJobs(t)
	acme := b.Tenant("acme")
	b.Create(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Migrated", v1alpha1.ReasonProgressing))
	b.dropJob(t)
	keeper := b.by.Tenant.Jobs
	live := keeper.Live
	keeper.Live = mute{live}
	if _, err := b.by.Reconcile(t.Context(), acme); err == nil {
		t.Fatal("a pass without the API server's word succeeds")
	}
	if b.place() {
		t.Fatal("a tenant of whose Job nobody knows has lost its place")
	}
	keeper.Live = live
	b.pass(t, acme)
	b.Expect(t, acme, operator.Stalled("Migrated", v1alpha1.ReasonJobFailed, "was deleted before it had ended"))
	if !b.place() {
		t.Error("a tenant without a Job keeps its place")
	}
}

// Who failed says so until another try has ended, and is counted all the while: a first try alone is progress. The Job
// is looked after as any other.
func TestRetryByJobIsNoNewsYet(t *testing.T) {
	t.Parallel()
	b := byJobs(t)
	acme := b.atFirst(t)
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Rollout = &v1alpha1.Rollout{} })
	b.nextVersion(t, "v2", "8")
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Migrated", v1alpha1.ReasonProgressing, "to version v2"))
	b.wantFailures(t, "in the first try", 0)
	b.dropJob(t)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Stalled("Migrated", v1alpha1.ReasonJobFailed, "was deleted before it had ended"))
	b.wantFailures(t, "behind the first try", 1)

	again := []operator.Want{
		operator.Waiting("Migrated", v1alpha1.ReasonJobFailed, "was deleted before it had ended"), {Condition: "Ready", Reason: v1alpha1.ReasonJobFailed},
	}
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Annotations = map[string]string{v1alpha1.AnnotationRetry: "1"} })
	wantSoon(t, b.pass(t, acme), time.Minute)
	b.Expect(t, acme, again...)
	if job := b.theJob(t); job == nil || *job.Spec.Suspend {
		t.Fatalf("there is no Job that may run: %v", job)
	}
	b.wantFailures(t, "in the second try", 1)

	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Rollout.Paused = true })
	b.wantFailures(t, "in a pause", 1)
	b.restart(t)
	b.pass(t, b.Database)
	wantSoon(t, b.pass(t, acme), time.Minute)
	b.Expect(t, acme, again...)
	if b.place() {
		t.Error("a tenant whose Job is at work has no place")
	}
	b.wantFailures(t, "after a restart", 1)

	b.sql(t, "INSERT INTO "+acme.Status.Schema+".schema_migrations VALUES ('8')")
	b.dropJob(t)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	b.wantFailures(t, "behind the second try", 0)
}

// A Job that does not end is given up: its login goes, others get its place, and no other one begins beside it.
func TestJobThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	b := byJobs(t)
	acme := b.atFirst(t)
	b.nextVersion(t, "v2", "8")
	b.pass(t, acme)
	const left = 50 * time.Second
	b.lost(t, left)
	wantSoon(t, b.pass(t, acme), left)
	b.Expect(t, acme, operator.Waiting("Migrated", v1alpha1.ReasonProgressing, "to version v2"))
	if b.place() {
		t.Fatal("a tenant whose Job is at work has no place")
	}

	job := b.lost(t, 0)
	b.pass(t, acme)
	givenUp := operator.Stalled("Migrated", v1alpha1.ReasonJobFailed, "Job "+job.Namespace+"/"+job.Name+" has not ended", "kubectl delete pod", "stays at version v1")
	b.Expect(t, acme, givenUp)
	if roles := operator.Roles(t, b.AdminDSN, "tn_"+b.Name+"__"+acme.Status.Schema+"_job"); len(roles) > 0 {
		t.Errorf("roles %q are left", roles)
	}
	if !b.place() {
		t.Error("a tenant whose Job is given up keeps its place")
	}
	b.Nudge(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, givenUp)
	b.restart(t)
	b.pass(t, b.Database)
	for range 2 {
		b.pass(t, acme)
		b.Expect(t, acme, givenUp)
	}
	if got := b.theJob(t); got == nil || got.UID != job.UID {
		t.Fatalf("beside the Job that does not end: %v", got)
	}

	b.Delete(t, job)
	b.AwaitGone(t, operator.Eventually, job)
	b.Nudge(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Migrated", v1alpha1.ReasonJobFailed, "has not ended"))
	if got := b.theJob(t); got == nil || got.UID == job.UID {
		t.Errorf("there is no other Job: %v", got)
	}
}

// Another version waits for a Job that does not end, and is not failed by that at once.
func TestVersionBehindAJobThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	b := byJobs(t)
	acme := b.atFirst(t)
	b.nextVersion(t, "v2", "8")
	b.pass(t, acme)
	job := b.lost(t, 0)
	b.nextVersion(t, "v3", "9")
	wantSoon(t, b.pass(t, acme), time.Minute)
	b.Expect(t, acme, operator.Waiting("Migrated", v1alpha1.ReasonMigrationBusy, "Job "+job.Namespace+"/"+job.Name+" has not ended", "version v3 comes then"))
	b.wantFailures(t, "before the new version's deadline", 0)
	if !b.place() {
		t.Error("a tenant whose Job is given up keeps its place")
	}
	b.Delete(t, job)
	b.AwaitGone(t, operator.Eventually, job)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Migrated", v1alpha1.ReasonProgressing, "to version v3"))
}

// What a Job that does not end was given is taken back, too, where its set has files by now.
func TestFilesBehindAJobThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	b := byJobs(t)
	acme := b.Tenant("acme")
	b.Create(t, acme)
	b.pass(t, acme)
	b.lost(t, 0)
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) {
		ms.Spec.Job, ms.Spec.Source.ConfigMaps = nil, []v1alpha1.ConfigMapSource{{LocalReference: v1alpha1.LocalReference{Name: b.Files.Name}}}
	})
	b.pass(t, b.Set)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	if roles := operator.Roles(t, b.AdminDSN, "tn_"+b.Name+"__"+acme.Status.Schema+"_job"); len(roles) > 0 {
		t.Errorf("roles %q are left", roles)
	}
}
