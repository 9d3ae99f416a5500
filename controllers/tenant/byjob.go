package tenant

import (
	"context"
	"errors"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/frameworks"
	"github.com/tenantry/tenantry/internal/jobs"
	"github.com/tenantry/tenantry/internal/rollout"
)

// migrateByJob takes the schema to the set's version by a program of the product. A tenant's place in the
// rollout is kept over many passes, for as long as its Job is at work or about to be.
func (r *Reconciler) migrateByJob(ctx context.Context, s *scope, ms *v1alpha1.MigrationSet) (outcome, error) {
	run := &jobRun{Reconciler: r, scope: s, ms: ms, digest: ms.Status.Digest}
	out, err := run.pass(ctx)
	if !run.atWork {
		leave := r.Permits.Gone
		if run.waits {
			leave = r.Permits.Rest // its place in the queue is how it hears that it may begin
		}
		leave(client.ObjectKeyFromObject(s.tenant).String(), time.Now())
		r.Batches.Leave(s.wanted.UID)
	}
	return out, run.untilNews(err)
}

// untilNews is what to say of a try that goes on: a tenant that failed before at this very state of the set says so
// until there is a verdict, as its rollout has counted it. Only a failure that an edit mends is one of a try; and of a Job
// for which there is no room it is news that it is there.
func (j *jobRun) untilNews(err error) error {
	if fault.ReasonOf(err) != v1alpha1.ReasonProgressing || j.tenant.Status.Digest != j.digest {
		return err
	}
	before := recorded(j.scope, j.ms)
	reason := fault.ReasonOf(before)
	if !rollout.Refused(reason) && (reason != v1alpha1.ReasonNoRoomForJob || j.job != nil) {
		return err
	}
	failed := fault.Of(before, "")
	return fault.NewWaiting(failed.Reason, fault.Of(err, "").After, "%s", failed.Message).Because(err)
}

// jobRun is one pass over a tenant that is migrated by Jobs.
type jobRun struct {
	*Reconciler
	*scope

	ms     *v1alpha1.MigrationSet
	digest string
	// job is the tenant's latest, nil for none, or if the one that was let in is gone. Set by look.
	job *batchv1.Job
	// let says that a Job was let into the schema, and nobody has taken that back. Set by look.
	let bool
	// now is when the Job was looked at. Set by look.
	now time.Time
	// counts : a failure spends the rollout's budget. Set by permission.
	counts bool
	// atWork : the tenant keeps its place in the rollout. waits : it wants one, and is called when there is one.
	atWork, waits bool
}

func (j *jobRun) pass(ctx context.Context) (outcome, error) {
	if j.there() && !j.observed.JobLogin {
		j.tenant.Status.Digest = j.digest
		return at(j.scope, j.ms), nil
	}
	if err := j.look(ctx); err != nil {
		j.atWork = true // for all that is known
		return outcome{}, err
	}
	if j.job != nil && jobs.AtWork(j.job, j.now) {
		j.atWork = true
		return outcome{}, j.attend(ctx)
	}
	if err := j.finish(ctx); err != nil {
		j.atWork = j.job != nil && !jobs.StateOf(j.job).Ended() // It has its login yet.
		return outcome{}, err
	}
	if j.there() {
		j.tenant.Status.Digest = j.digest
		return at(j.scope, j.ms), nil
	}
	tried := j.let || j.adrift() || j.job != nil && jobs.Target(j.job) == j.digest
	begin, byPin, err := j.aim()
	if begin { // What fails from here on is a failure of this version.
		j.tenant.Status.Digest = j.digest
	}
	if !begin && !tried {
		if err == nil && !byPin {
			return at(j.scope, j.ms), nil
		}
		return j.asPinned(), err
	}
	return j.settle(ctx, begin, byPin, err)
}

// there : the registry says that the tenant is at the set's version. It was told so by the framework's
// table.
func (j *jobRun) there() bool { return j.version == j.ms.Status.Version && j.scope.digest == j.digest }

func (j *jobRun) asPinned() outcome {
	return outcome{reason: v1alpha1.ReasonPinned, message: fmt.Sprintf("At version %s as pinned; MigrationSet %s has %s", j.version, j.ms.Name, j.ms.Status.Version)}
}

// adrift : a program was let into the schema, and nobody has seen since that it brought it to any version.
func (j *jobRun) adrift() bool { return j.version != "" && j.scope.digest == "" }

// stuck : the tenant's Job is given up, and is there.
func (j *jobRun) stuck() bool { return j.job != nil && jobs.Overdue(j.job, j.now) }

// look finds the tenant's Job. Before one that was let in is taken for ended, gone or given up, which takes its login
// away, the API server itself is asked: the cache may not know it yet.
func (j *jobRun) look(ctx context.Context) error {
	found, err := j.Jobs.Find(ctx, j.ms, j.wanted.UID)
	j.job, j.let, j.now = jobs.Latest(found), j.observed.JobLogin, time.Now()
	if err == nil && j.let && (j.job == nil || jobs.StateOf(j.job).Ended() || j.stuck()) {
		found, err = j.Jobs.FindLive(ctx, j.ms, j.wanted.UID)
		j.job = jobs.Latest(found)
	}
	if j.let && j.job != nil && jobs.StateOf(j.job).Ended() && jobs.Target(j.job) != j.base.Status.Digest {
		j.job = nil // It ended long ago; the one that was let in, to where the status says, is no more.
	}
	return err
}

// finish takes back what the Job was given, before anybody looks at what it did.
func (j *jobRun) finish(ctx context.Context) error {
	if j.let {
		if err := j.db.FinishJobLogin(ctx, j.wanted.UID, j.wanted.Schema); err != nil {
			return err
		}
	}
	if j.job == nil {
		if j.let { // Its place may be that in the rollout of another set.
			j.Permits.Gone(client.ObjectKeyFromObject(j.tenant).String(), time.Now())
		}
		return nil
	}
	if len(jobs.Members(j.job)) > 1 && !jobs.StateOf(j.job).Ended() {
		return nil // Its Secret is the others', too.
	}
	return j.Jobs.End(ctx, j.job)
}

// aim says whether the tenant may begin: by its pin, or by the rollout. Its error is what to say of one
// that may not.
func (j *jobRun) aim() (begin, byPin bool, err error) {
	t, unborn := j.tenant, j.version == "" && j.scope.digest == ""
	if pinned(t) {
		switch pin := t.Spec.Migrations.TargetVersion; {
		case pin == j.ms.Status.Version:
			return true, true, nil
		case pin == j.version && pin != "":
			return false, true, nil
		default:
			return false, true, fault.NewInvalid(v1alpha1.ReasonUnknownVersion,
				"spec.migrations.targetVersion: MigrationSet %q runs a Job, which takes tenants to version %s alone; a tenant can be pinned to that, or to the version it has (%s)",
				j.ms.Name, j.ms.Status.Version, either(j.version, "none"))
		}
	}
	switch {
	case may(j.ms, j.base) || unborn && j.ms.Status.Previous == nil && !still(j.ms):
		return true, false, nil
	case unborn:
		return false, false, pendingRollout(j.ms, errors.New("its Job takes tenants to the newest version alone"))
	}
	return false, false, recorded(j.scope, j.ms)
}

// settle holds the schema against what is expected. What is there needs no Job; a Job that ended without
// that has failed, whatever it says; else one begins.
func (j *jobRun) settle(ctx context.Context, begin, byPin bool, why error) (outcome, error) {
	ledger, err := j.read(ctx)
	if err != nil {
		return outcome{}, err
	}
	ask := j.permission(byPin)
	if missing := ledger.Missing(j.ms.Spec.Job.Expect); len(missing) == 0 && ledger.Broken() == "" {
		return j.arrived(ctx, ask)
	}
	work := j.work()
	if err := j.failed(ctx, ledger, work, ask); err != nil {
		j.tenant.Status.Digest = j.digest
		return outcome{}, err
	}
	if !begin {
		if broken := ledger.Broken(); broken != "" && why == nil && j.adrift() {
			return outcome{}, fault.NewInvalid(v1alpha1.ReasonJobIncomplete, "%s records that migration %s broke off, by a Job of another version; mend it, "+
				"or let a version of the set do it", j.ms.Spec.Job.Framework, broken)
		}
		if why == nil && byPin {
			return j.asPinned(), nil
		}
		if why == nil {
			return at(j.scope, j.ms), nil
		}
		return outcome{}, why
	}
	if j.stuck() {
		// It was to come to another version. That this one cannot begin is no failure of it yet.
		j.tenant.Status.Digest = j.digest
		return outcome{}, fault.NewWaiting(v1alpha1.ReasonMigrationBusy, jobAgain, "%s; version %s comes then", j.Jobs.Stuck(ctx, j.job), j.ms.Status.Version)
	}
	if err := j.unrecorded(ctx, ledger, j.let || j.job != nil); err != nil {
		return outcome{}, err
	}
	return j.begin(ctx, ask, work)
}

// arrived records that the schema is at the version.
func (j *jobRun) arrived(ctx context.Context, ask rollout.Ask) (outcome, error) {
	version := j.ms.Status.Version
	if _, err := j.db.SetVersion(ctx, j.wanted.UID, j.wanted.Schema, version, j.digest); err != nil {
		return outcome{}, err
	}
	j.version, j.scope.digest = version, j.digest
	j.tenant.Status.Version, j.tenant.Status.Digest = version, j.digest
	j.attempts.note(j.tenant.UID, j.work(), nil, time.Now())
	j.Permits.End(ask, true, false, time.Now())
	return at(j.scope, j.ms), nil
}

// failed is the failure of a try of just this work: of one that has just ended, or of an earlier one as
// long as it is too early for the next. A Job that is given up has failed as long as it is there, whatever work it was
// made for: no other one can begin.
func (j *jobRun) failed(ctx context.Context, ledger frameworks.Ledger, work string, ask rollout.Ask) error {
	uid, now := j.tenant.UID, time.Now()
	stuck := j.stuck() && jobs.Target(j.job) == j.digest
	if err := j.attempts.last(uid, work, now); err != nil && !stuck {
		return err
	}
	ours := stuck || j.job != nil && jobs.Target(j.job) == j.digest && jobs.Work(j.job, j.wanted.UID) == work
	// One that went to another version, or was let in by a set that the class named before, is no try of this one.
	lost := j.let && j.job == nil && j.base.Status.Digest == j.digest
	var job types.UID
	if ours {
		job = j.job.UID
	}
	known := ours && j.attempts.knows(uid, work, job)
	if !ours && !lost || known && !stuck {
		return nil
	}
	err := j.judge(ctx, ledger)
	if known {
		return err
	}
	j.attempts.noteJob(uid, work, job, err, now)
	j.Permits.End(ask, false, j.counts && rollout.Refused(fault.ReasonOf(err)), now)
	return err
}

// read reads the framework's table as the tenant's owner.
func (j *jobRun) read(ctx context.Context) (frameworks.Ledger, error) {
	set := j.wanted.MigrationSet
	migrator, err := j.Pools.Migrator(ctx, j.tdb, set)
	if err != nil {
		return frameworks.Ledger{}, err
	}
	ledger, err := frameworks.Read(ctx, migrator.Pool(), frameworks.Framework(j.ms.Spec.Job.Framework), j.wanted.Schema, j.observed.Roles.Owner)
	if fault.ReasonOf(err) == v1alpha1.ReasonAuthenticationFailed {
		j.Pools.ForgetMigrator(j.tdb.UID, set)
	}
	return ledger, err
}
