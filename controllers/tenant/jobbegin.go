package tenant

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/frameworks"
	"github.com/tenantry/tenantry/internal/jobs"
	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/internal/rollout"
)

const (
	// jobsInFlight is how many Jobs of a set run on one database where the rollout does not say how many
	// tenants may be upgraded at a time.
	jobsInFlight = 10
	// jobAgain is when to look at a Job without cause; its end comes by watch.
	jobAgain = time.Minute
	// quiet is how long a Job may take to start before its Pods are looked at.
	quiet = 15 * time.Second
)

// begin makes the Job, or joins a batch that gets one together.
func (j *jobRun) begin(ctx context.Context, ask rollout.Ask, work string) (outcome, error) {
	if err := sharedReady(j.tdb); err != nil {
		return outcome{}, err
	}
	if err := j.recall(ctx, ask); err != nil {
		return outcome{}, err
	}
	if !j.Permits.Start(ask) {
		j.waits = true
		if j.version == "" && j.scope.digest == "" {
			return outcome{}, fault.NewWaiting(v1alpha1.ReasonRolloutPending, recheck,
				"Version %s of MigrationSet %s/%s comes when a Job of another tenant has ended: %d tenants of a database are migrated at a time (spec.rollout.maxInFlight), and none while the failure budget is spent",
				j.ms.Status.Version, j.ms.Namespace, j.ms.Name, ask.MaxInFlight)
		}
		return stay(j.scope, j.ms)
	}
	j.atWork, j.tenant.Status.Digest = true, j.digest
	batch := []jobs.Member{j.member(work)}
	if size := int(j.ms.Spec.Job.BatchSize); size > 1 {
		key := strings.Join([]string{string(j.ms.UID), j.digest, string(j.tdb.UID)}, "/")
		var wait time.Duration
		if batch, wait = j.Batches.Join(key, j.member(work), size, time.Now()); batch == nil {
			return outcome{}, fault.NewWaiting(v1alpha1.ReasonProgressing, wait, "Schema %s waits for others that go to version %s in the same Job", j.wanted.Schema, j.ms.Status.Version)
		}
	}
	err := j.create(ctx, jobs.Wish{Set: j.ms, Database: ask.Database, Members: batch})
	if fault.KindOf(err) == fault.Invalid {
		j.atWork = false
		j.attempts.note(j.tenant.UID, work, err, time.Now())
		j.Permits.End(ask, false, j.counts && rollout.Refused(fault.ReasonOf(err)), time.Now())
	}
	return outcome{}, err
}

// recall holds the places of tenants whose Jobs are at work since before this process: their own passes may come later
// than that of the first one who asks for a place.
func (j *jobRun) recall(ctx context.Context, ask rollout.Ask) error {
	return j.Jobs.Recall(ctx, j.ms, ask.Database, func(job *batchv1.Job) error {
		for _, request := range ofJob(ctx, job) {
			t := &v1alpha1.Tenant{}
			switch err := j.Get(ctx, request.NamespacedName, t); {
			case apierrors.IsNotFound(err), fault.ReasonOf(err) == v1alpha1.ReasonNamespaceNotWatched:
				continue // It has no passes that would give the place back.
			case err != nil:
				return fmt.Errorf("read Tenant %s: %w", request, err)
			}
			// Another one of the same name has no part in the Job, and one that goes gives nothing back any more.
			if t.DeletionTimestamp.IsZero() && slices.Contains(jobs.Members(job), string(t.UID)) {
				held := ask
				held.Tenant = request.String()
				j.Permits.Hold(held)
			}
		}
		return nil
	})
}

// create makes the Job when no other one of its tenant is left. It never returns nil: there is a Job to
// wait for.
func (j *jobRun) create(ctx context.Context, w jobs.Wish) error {
	others, err := j.Jobs.FindLive(ctx, j.ms, j.wanted.UID)
	if err != nil {
		j.Batches.Seen(w.UIDs()...)
		return err
	}
	for i := range others {
		other := &others[i]
		switch state := jobs.StateOf(other); {
		case state.Ended() && other.Name != w.Name():
			continue
		case state.Ended():
			if err := j.Jobs.Delete(ctx, other); err != nil {
				return err
			}
		}
		j.Batches.Seen(w.UIDs()...)
		return fault.NewWaiting(v1alpha1.ReasonProgressing, 2*time.Second, "Job %s/%s of an earlier try has to go first", other.Namespace, other.Name)
	}
	job, err := j.Jobs.Create(ctx, w)
	if err != nil {
		j.Batches.Seen(w.UIDs()...)
		return err
	}
	j.job = job
	return j.attend(ctx)
}

// attend looks after a Job that is at work.
func (j *jobRun) attend(ctx context.Context) error {
	j.Batches.Seen(j.wanted.UID)
	j.Permits.Hold(j.permission(false))
	j.tenant.Status.Digest = jobs.Target(j.job)
	words := fmt.Sprintf("Job %s/%s migrates schema %s to version %s", j.job.Namespace, j.job.Name, j.wanted.Schema, j.ms.Status.Version)
	switch {
	case jobs.Target(j.job) != j.digest && jobs.StateOf(j.job) == jobs.Preparing:
		if err := j.Jobs.Delete(ctx, j.job); err != nil {
			return err
		}
		return fault.NewWaiting(v1alpha1.ReasonProgressing, 2*time.Second, "Job %s/%s never began and has to go first", j.job.Namespace, j.job.Name)
	case jobs.Target(j.job) != j.digest:
		words = fmt.Sprintf("Job %s/%s still migrates schema %s to another version; version %s comes when it has ended", j.job.Namespace, j.job.Name, j.wanted.Schema, j.ms.Status.Version)
	case jobs.StateOf(j.job) == jobs.Preparing:
		if err := j.Jobs.Prepare(ctx, j.job, j.db, j.terms()); err != nil {
			return err
		}
		j.scope.digest = "" // as the registry has it now
	}
	if start := j.job.Status.StartTime; start != nil && time.Since(start.Time) > quiet {
		words += j.Jobs.Progress(ctx, j.job)
	}
	again := jobAgain
	if due := jobs.Due(j.job); !due.IsZero() { // It is given up then, of which no watch tells.
		again = min(again, max(time.Until(due), time.Second))
	}
	return fault.NewWaiting(v1alpha1.ReasonProgressing, again, "%s", words)
}

func (j *jobRun) terms() postgres.JobTerms {
	return postgres.JobTerms{
		MigrationSet: j.wanted.MigrationSet, SharedSchema: j.wanted.SharedSchema,
		LockTimeout:      time.Duration(j.ms.Spec.LockTimeoutMilliseconds) * time.Millisecond,
		StatementTimeout: time.Duration(j.ms.Spec.StatementTimeoutSeconds) * time.Second,
		Until:            time.Now().Add(time.Duration(j.ms.Spec.Job.ActiveDeadlineSeconds)*time.Second + jobs.Grace),
	}
}

func (j *jobRun) member(work string) jobs.Member {
	return jobs.Member{UID: j.wanted.UID, Namespace: j.tenant.Namespace, Name: j.tenant.Name, Schema: j.wanted.Schema, Work: work}
}

// work names what a try depends on; whatever a user changes of it asks for another one.
func (j *jobRun) work() string {
	job, err := json.Marshal(j.ms.Spec.Job)
	if err != nil {
		panic(err) // Strings and numbers can always be written.
	}
	sum := sha256.Sum256(fmt.Append(job, "/", j.ms.Annotations[v1alpha1.AnnotationRetry], "/", j.ms.Spec.LockTimeoutMilliseconds, "/",
		j.ms.Spec.StatementTimeoutSeconds, "/", j.tenant.Generation, "/", j.tenant.Annotations[v1alpha1.AnnotationReconcile]))
	return hex.EncodeToString(sum[:])[:32]
}

// permission is what the tenant asks for. New tenants count too: their Pods weigh on the cluster like any.
func (j *jobRun) permission(byPin bool) rollout.Ask {
	j.counts = !byPin
	ask := permission(j.scope, j.ms, goal{digest: j.digest, counts: j.counts})
	ask.Apart = false // A Job is a Pod, whoever it is for.
	ask.MaxInFlight = jobsInFlight * int(max(1, j.ms.Spec.Job.BatchSize))
	if ro := j.ms.Spec.Rollout; ro != nil && ro.MaxInFlight > 0 {
		ask.MaxInFlight = int(ro.MaxInFlight)
	}
	return ask
}

// judge says why a try failed.
func (j *jobRun) judge(ctx context.Context, ledger frameworks.Ledger) error {
	stays := "the schema stays at version " + either(j.version, "none")
	switch {
	case j.job == nil:
		return fault.NewInvalid(v1alpha1.ReasonJobFailed, "The Job that migrated schema %s was deleted before it had ended; %s", j.wanted.Schema, stays)
	case j.stuck():
		return fault.NewInvalid(v1alpha1.ReasonJobFailed, "%s; %s", j.Jobs.Stuck(ctx, j.job), stays)
	case jobs.StateOf(j.job) == jobs.Leaving:
		return fault.NewInvalid(v1alpha1.ReasonJobFailed, "Job %s/%s was deleted before it had ended; %s", j.job.Namespace, j.job.Name, stays)
	case jobs.StateOf(j.job) == jobs.Failed && len(jobs.Members(j.job)) == 1:
		return fault.NewInvalid(v1alpha1.ReasonJobFailed, "%s; %s", j.Jobs.Failure(ctx, j.job, true), stays)
	case jobs.StateOf(j.job) == jobs.Failed:
		return fault.NewInvalid(v1alpha1.ReasonJobFailed, "%s; it had %d tenants, and did not bring this one there; %s",
			j.Jobs.Failure(ctx, j.job, false), len(jobs.Members(j.job)), stays)
	}
	if broken := ledger.Broken(); broken != "" {
		return fault.NewInvalid(v1alpha1.ReasonJobIncomplete, "Job %s/%s ended well, but %s records that migration %s broke off; %s",
			j.job.Namespace, j.job.Name, j.ms.Spec.Job.Framework, broken, stays)
	}
	missing := ledger.Missing(j.ms.Spec.Job.Expect)
	return fault.NewInvalid(v1alpha1.ReasonJobIncomplete, "Job %s/%s ended well, but schema %s lacks %s of what spec.job.expect names; %s",
		j.job.Namespace, j.job.Name, j.wanted.Schema, few(missing), stays)
}

// few names some of a list.
func few(list []string) string {
	const most = 3
	text := strings.Join(list[:min(most, len(list))], ", ")
	if len(list) > most {
		text += fmt.Sprintf(" and %d more", len(list)-most)
	}
	return text
}

// leaveJobs ends what runs for a Tenant that goes. A batch runs on for the others: this one's login ends
// with its schema's others.
func (r *Reconciler) leaveJobs(ctx context.Context, s *scope) error {
	r.Permits.Gone(client.ObjectKeyFromObject(s.tenant).String(), time.Now())
	r.Batches.Leave(string(s.tenant.UID))
	found, err := r.Jobs.FindAll(ctx, string(s.tenant.UID))
	if err != nil {
		return err
	}
	for i := range found {
		job := &found[i]
		if jobs.StateOf(job).Ended() || slices.ContainsFunc(jobs.Members(job), func(uid string) bool { return uid != string(s.tenant.UID) }) {
			continue
		}
		if err := r.Jobs.Delete(ctx, job); err != nil {
			return err
		}
	}
	return nil
}
