package migrationset

import (
	"fmt"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/jobs"
)

// publishJob publishes the version of a set whose product migrates by a program. There are no files: nothing
// to compare with what was applied, to lint or to approve.
func publishJob(ms *v1alpha1.MigrationSet) {
	job := ms.Spec.Job
	ms.Status.Version, ms.Status.Digest = job.Version, jobs.Digest(job)
	ms.Status.Format, ms.Status.Migrations = string(job.Framework), 0
	ms.Status.Lint, ms.Status.Proposed, ms.Status.Approval = nil, nil, nil
	ms.Status.Source, ms.Status.DryRun, ms.Status.Checkpoints = nil, nil, nil
	conditions.Remove(ms, v1alpha1.ConditionSourceCurrent)
	conditions.Remove(ms, v1alpha1.ConditionCheckpointsVerified)
	conditions.Remove(ms, v1alpha1.ConditionApproved)
}

func summaryOfJob(job *v1alpha1.MigrationJob) string {
	return fmt.Sprintf("Jobs (%s) take tenants to version %s; lint, approval, dry run and checkpoints, which are about files, do not apply",
		job.Framework, job.Version)
}
