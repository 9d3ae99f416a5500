package tenant

import (
	"context"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/jobs"
)

// endStrayJob takes back what a Job was given whose set has files by now, cannot be used, is gone, or is not the
// tenant's any more; ms is nil where the set is not at hand. One of the same set that has not ended is let run: nothing
// else may work on the schema meanwhile, and what becomes of it has to show. One that never began goes where the set
// has no Jobs any more, and one that is given up loses its login like one that has ended.
func (r *Reconciler) endStrayJob(ctx context.Context, s *scope, ms *v1alpha1.MigrationSet) error {
	who := client.ObjectKeyFromObject(s.tenant).String()
	if r.Batches.Leave(s.wanted.UID) { // Its Job was not made yet.
		r.Permits.Gone(who, time.Now())
	}
	if !s.observed.JobLogin {
		return r.restIdle(ctx, s)
	}
	if ms == nil {
		var err error
		if ms, err = r.namedSet(ctx, s); err != nil {
			return err
		}
	}
	if ms != nil {
		// The API server itself, as what is not there loses its login.
		found, err := r.Jobs.FindLive(ctx, ms, s.wanted.UID)
		if err != nil {
			return err
		}
		switch job := jobs.Latest(found); {
		case job == nil || jobs.StateOf(job).Ended() || jobs.Overdue(job, time.Now()):
		case ms.Spec.Job == nil && jobs.StateOf(job) == jobs.Preparing:
			if err := r.Jobs.Delete(ctx, job); err != nil {
				return err
			}
			return fault.NewWaiting(v1alpha1.ReasonProgressing, 2*time.Second, "Job %s/%s never began and has to go first", job.Namespace, job.Name)
		default:
			return fault.NewWaiting(v1alpha1.ReasonProgressing, jobAgain, "Job %s/%s still works on schema %s", job.Namespace, job.Name, s.wanted.Schema)
		}
	}
	r.Permits.Gone(who, time.Now())
	return s.db.FinishJobLogin(ctx, s.wanted.UID, s.wanted.Schema)
}

// namedSet is the set that the class names, whatever state it is in; nil if there is none.
func (r *Reconciler) namedSet(ctx context.Context, s *scope) (*v1alpha1.MigrationSet, error) {
	ref := s.class.Spec.MigrationSetRef
	if ref == nil {
		return nil, nil
	}
	ms := &v1alpha1.MigrationSet{}
	if err := r.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, ms); err != nil {
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("read MigrationSet %s/%s: %w", ref.Namespace, ref.Name, err)
		}
		return nil, nil
	}
	return ms, nil
}

// restBefore gives back the place in a rollout of a tenant whose pass ended before migrate, unless its Job is at work:
// nobody knows when what keeps it will be mended, and others wait.
func (r *Reconciler) restBefore(ctx context.Context, s *scope) error {
	if s.migrates {
		return nil
	}
	return r.restIdle(ctx, s)
}

// restIdle gives back the place of a tenant that has no Job at work; one that never began waits for a pass over it. After
// a restart a Job's tenants hold one, also those that its set does not migrate any more.
func (r *Reconciler) restIdle(ctx context.Context, s *scope) error {
	who := client.ObjectKeyFromObject(s.tenant).String()
	if !r.Permits.AtWork(who) {
		return nil
	}
	found, err := r.Jobs.FindAll(ctx, string(s.tenant.UID))
	now := time.Now()
	busy := func(job batchv1.Job) bool {
		state := jobs.StateOf(&job)
		return !state.Ended() && state != jobs.Preparing && !jobs.Overdue(&job, now)
	}
	if err != nil || slices.ContainsFunc(found, busy) {
		return err
	}
	r.Batches.Leave(string(s.tenant.UID))
	r.Permits.Rest(who, now)
	return nil
}
