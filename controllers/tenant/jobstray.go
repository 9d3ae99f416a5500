package tenant

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/jobs"
)

// endStrayJob takes back what a Job was given whose set has files by now, is gone, or is not the tenant's any
// more; ms is nil for these two. One of the same set that still runs is let run: nothing else may work on
// the schema meanwhile.
func (r *Reconciler) endStrayJob(ctx context.Context, s *scope, ms *v1alpha1.MigrationSet) error {
	who := client.ObjectKeyFromObject(s.tenant).String()
	if r.Batches.Leave(s.wanted.UID) { // Its Job was not made yet.
		r.Permits.Gone(who, time.Now())
	}
	if !s.observed.JobLogin {
		return nil
	}
	if ms != nil {
		found, err := r.Jobs.Find(ctx, ms, s.wanted.UID)
		if err != nil {
			return err
		}
		if job := jobs.Latest(found); job != nil && (jobs.StateOf(job) == jobs.Running || jobs.StateOf(job) == jobs.Leaving) {
			return fault.NewWaiting(v1alpha1.ReasonProgressing, jobAgain, "Job %s/%s still works on schema %s", job.Namespace, job.Name, s.wanted.Schema)
		}
	}
	r.Permits.Gone(who, time.Now())
	return s.db.FinishJobLogin(ctx, s.wanted.UID, s.wanted.Schema)
}
