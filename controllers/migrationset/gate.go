package migrationset

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/migrations"
)

// gate stands between files that can be run and the version that tenants are taken to. What passes is
// published. What can do harm may have to wait until somebody approved it: then the set goes on with
// the version that it has, and says which one waits. What does not run on a scratch schema no tenant gets. Its error says why nothing can be published of a set
// that has no version yet.
func (r *Reconciler) gate(ctx context.Context, base, ms *v1alpha1.MigrationSet, set *migrations.Set, had history, now time.Time) (look time.Duration, err error) {
	if set.Digest != ms.Status.Digest {
		ms.Status.Lint = findings(ms, set, had)
		if lint := ms.Status.Lint; lint != nil && lint.Blocking > 0 {
			approved, look, err := r.approved(ctx, ms, set, now)
			if err != nil || !approved {
				return look, err
			}
		}
	}
	if err := r.dryRun(ctx, base, ms, set); err != nil {
		withdraw(ms)
		return 0, err
	}
	pass(ms, set)
	return 0, nil
}

// approved says whether somebody approved just these files, by an annotation that can be trusted. If not,
// the status says what to do.
func (r *Reconciler) approved(ctx context.Context, ms *v1alpha1.MigrationSet, set *migrations.Set, now time.Time) (ok bool, look time.Duration, err error) {
	if before := ms.Status.Approval; before != nil && before.Digest == set.Digest {
		return true, 0, nil
	}
	version := v1alpha1.MigrationSetVersion{Version: string(set.Latest()), Digest: set.Digest}
	ms.Status.Proposed = &v1alpha1.ProposedVersion{MigrationSetVersion: version}
	guard, err := r.Approvals.Guard(ctx, now)
	if err != nil {
		if fault.ReasonOf(err) == "" {
			return false, 0, err
		}
		f := fault.Of(err, "")
		return false, f.After, wait(ms, f.Reason, unguarded(ms, f.Message), f.After)
	}
	code, by := guard.Value(ms.UID, set.Digest), ms.Annotations[v1alpha1.AnnotationApprovedBy]
	if ms.Annotations[v1alpha1.AnnotationApprove] != code || by == "" {
		ms.Status.Proposed.Approve = code
		return false, 0, wait(ms, v1alpha1.ReasonApprovalRequired, required(ms), recheck)
	}
	ms.Status.Approval = &v1alpha1.ApprovalStatus{
		MigrationSetVersion: version, ApprovedBy: conditions.ClipTo(by, maxUser), ApprovedAt: metav1.NewTime(now.Truncate(time.Second)),
	}
	return true, 0, nil
}

// maxUser bounds status.approval.approvedBy, by the API's schema.
const maxUser = 512

// pass publishes a version, and says what it rests on where the set asks for approvals.
func pass(ms *v1alpha1.MigrationSet, set *migrations.Set) {
	publish(ms, set)
	ms.Status.Proposed = nil
	if !asksForFindings(ms) {
		ms.Status.Lint = nil
	}
	approval := ms.Status.Approval
	switch {
	case !asksForApproval(ms):
		conditions.Remove(ms, v1alpha1.ConditionApproved)
	case approval != nil && approval.Digest == ms.Status.Digest:
		conditions.True(ms, v1alpha1.ConditionApproved, v1alpha1.ReasonApproved,
			fmt.Sprintf("Version %s was approved by %s", ms.Status.Version, approval.ApprovedBy))
	default:
		conditions.True(ms, v1alpha1.ConditionApproved, v1alpha1.ReasonNotRequested, fmt.Sprintf("Version %s needed no approval", ms.Status.Version))
	}
}

// withdraw forgets what waited when the files are no longer such that it could be approved.
func withdraw(ms *v1alpha1.MigrationSet) {
	if ms.Status.Proposed == nil {
		return
	}
	ms.Status.Proposed = nil
	conditions.Remove(ms, v1alpha1.ConditionApproved)
}

// wait says what a version waits for. It is an error only for a set without a version at which new tenants
// could start.
func wait(ms *v1alpha1.MigrationSet, reason, message string, look time.Duration) error {
	conditions.False(ms, v1alpha1.ConditionApproved, reason, message)
	if ms.Status.Digest == "" {
		return fault.NewWaiting(reason, look, "%s", message)
	}
	return nil
}

// held says what is kept from tenants, and why.
func held(ms *v1alpha1.MigrationSet) string {
	lint := ms.Status.Lint
	first := lint.Findings[0]
	about := first.Rule
	if first.Object != "" {
		about += " of " + first.Object
	}
	text := fmt.Sprintf("Version %s waits: %d of its statements need an approval, the first in %s line %d (%s)",
		lint.Version, lint.Blocking, first.File, first.Line, about)
	if ms.Status.Digest != "" {
		text += fmt.Sprintf("; all tenants work at version %s meanwhile", ms.Status.Version)
	}
	return text
}

// required says how an approval is given.
func required(ms *v1alpha1.MigrationSet) string {
	return fmt.Sprintf("%s. Read status.lint, then: kubectl tenant approve migrationset %s -n %s --digest %s. "+
		"Without the plugin: kubectl annotate --overwrite migrationset %s -n %s %s=%s %s=<your user name>. Or change the files",
		held(ms), ms.Name, ms.Namespace, ms.Status.Proposed.Digest,
		ms.Name, ms.Namespace, v1alpha1.AnnotationApprove, ms.Status.Proposed.Approve, v1alpha1.AnnotationApprovedBy)
}

// unguarded says why none would count.
func unguarded(ms *v1alpha1.MigrationSet, why string) string {
	return fmt.Sprintf("%s. No approval counts yet: %s. Apply config/policy of the operator's release, or let spec.lint.policy be Warn", held(ms), why)
}

// proposal returns what a version waits for; nothing waits without it.
func proposal(ms *v1alpha1.MigrationSet) (reason, message string, waits bool) {
	c := conditions.Get(ms, v1alpha1.ConditionApproved)
	if ms.Status.Proposed == nil || c == nil {
		return "", "", false
	}
	return c.Reason, c.Message, true
}
