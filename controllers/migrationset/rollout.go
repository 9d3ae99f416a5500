package migrationset

import (
	"context"
	"fmt"
	"strings"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/rollout"
)

// fleet returns the Tenants of the classes that name the set, from the cache. They are not copied:
// whoever has them only reads.
func (r *Reconciler) fleet(ctx context.Context, ms *v1alpha1.MigrationSet) ([]*v1alpha1.Tenant, error) {
	named, err := r.classesOf(ctx, ms)
	if err != nil {
		return nil, err
	}
	classes := map[string]bool{}
	for _, class := range named {
		classes[class.Name] = true
	}
	var list v1alpha1.TenantList
	if err := r.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list Tenants: %w", err)
	}
	var tenants []*v1alpha1.Tenant
	for i := range list.Items {
		if t := &list.Items[i]; classes[t.Spec.ClassName] && t.DeletionTimestamp.IsZero() {
			tenants = append(tenants, t)
		}
	}
	return tenants, nil
}

// decide puts the next decision into the status. It goes by the version that was published last, also
// while the files are in trouble.
func (r *Reconciler) decide(ms *v1alpha1.MigrationSet, tenants []*v1alpha1.Tenant, now time.Time) (rollout.Decision, error) {
	target := v1alpha1.MigrationSetVersion{Version: ms.Status.Version, Digest: ms.Status.Digest}
	in := rollout.Input{
		Spec: ms.Spec.Rollout, Target: target, Status: ms.Status.Rollout, Previous: ms.Status.Previous,
		Resume: ms.Annotations[v1alpha1.AnnotationResume], Now: now,
	}
	for _, t := range tenants {
		in.Tenants = append(in.Tenants, rollout.Observe(t, target))
	}
	d, err := rollout.Decide(in)
	if err != nil || target.Digest == "" {
		return d, err
	}
	ms.Status.Rollout, ms.Status.Previous = &d.Status, d.Previous
	var failed []string
	for _, f := range d.Failed {
		failed = append(failed, f.Key())
	}
	allowed, budgeted := rollout.Allowed(&d.Status)
	r.Permits.Counted(client.ObjectKeyFromObject(ms).String(), target.Digest, failed, budgeted, allowed, now)
	return d, nil
}

// count puts the counts into the status.
func count(ms *v1alpha1.MigrationSet, d rollout.Decision) {
	st := &ms.Status
	st.Tenants, st.UpdatedTenants, st.FailedTenants = d.Total.Tenants, d.Total.Updated, d.Total.Failed
	st.PendingTenants, st.PinnedTenants = d.Total.Pending, d.Total.Pinned
	st.Progress, st.Failures = "", failures(d)
	if d.Total.Tenants > 0 {
		st.Progress = d.Progress()
	}
}

// report says what the rollout is at. It is one of the files in hand: as long as these cannot be used, for the
// cause err, it is not done, whatever became of the version that was published before.
func report(ms *v1alpha1.MigrationSet, d rollout.Decision, err error) {
	if ms.Status.Digest == "" && (err == nil || conditions.Get(ms, v1alpha1.ConditionRolledOut) == nil) {
		return
	}
	if f := fault.Of(err, v1alpha1.ReasonRetrying); f != nil {
		conditions.False(ms, v1alpha1.ConditionRolledOut, f.Reason, f.Message)
		return
	}
	if reason, message, waits := proposal(ms); waits && d.Phase == rollout.Completed {
		conditions.False(ms, v1alpha1.ConditionRolledOut, reason, message) // What the files hold has not begun.
		return
	}
	reason, message := verdict(ms, d)
	if d.Phase == rollout.Completed {
		conditions.True(ms, v1alpha1.ConditionRolledOut, reason, message)
	} else {
		conditions.False(ms, v1alpha1.ConditionRolledOut, reason, message)
	}
}

// conclude sums up. Ready says whether new tenants can start, which no rollout changes; for kstatus a set
// is at work until its version is rolled out or while one waits for an approval, and failed when the rollout was stopped. What is wrong
// with the files comes first.
func conclude(ms *v1alpha1.MigrationSet, err error, text string, d rollout.Decision) (ctrl.Result, error) {
	held, why, waits := proposal(ms)
	if err != nil || d.Phase == rollout.Completed && !waits {
		return conditions.Conclude(ms, err, text)
	}
	conditions.True(ms, v1alpha1.ConditionReady, v1alpha1.ReasonReady, text)
	is, isNot := v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled
	if d.Phase == rollout.Stopped {
		is, isNot = isNot, is
	}
	reason, message := verdict(ms, d)
	if d.Phase == rollout.Completed {
		reason, message = held, why
	}
	conditions.True(ms, is, reason, message)
	conditions.Remove(ms, isNot)
	return ctrl.Result{}, nil
}

// verdict says in words what the rollout is at, and what a user can do about it.
func verdict(ms *v1alpha1.MigrationSet, d rollout.Decision) (reason, message string) {
	version, ring := ms.Status.Version, fmt.Sprintf("ring %s (%d of %d)", d.Ring, d.Place+1, d.Many)
	switch d.Phase {
	case rollout.Completed:
		return completed(version, d)
	case rollout.Waiting:
		return v1alpha1.ReasonTenantsNotReady, fmt.Sprintf("Version %s: %s waits for tenants that are not well: %s. "+
			"Each counts as failed after spec.rollout.progressDeadlineSeconds", version, ring, names(d.Holding))
	case rollout.Soaking:
		return v1alpha1.ReasonSoaking, fmt.Sprintf("Version %s: %s has it and soaks", version, ring)
	case rollout.Paused:
		return v1alpha1.ReasonRolloutPaused, fmt.Sprintf("Version %s: spec.rollout.paused is set, in %s; no tenant begins, those at work finish", version, ring)
	case rollout.Stopped:
		return v1alpha1.ReasonFailureBudgetSpent, stopped(ms, d, ring)
	default:
		return v1alpha1.ReasonProgressing, fmt.Sprintf("Version %s goes to %s", version, ring)
	}
}

func completed(version string, d rollout.Decision) (reason, message string) {
	switch {
	case d.Total.Tenants == 0:
		return v1alpha1.ReasonSucceeded, "No tenant is migrated by this set"
	case d.Total.Failed > 0:
		return v1alpha1.ReasonTenantsFailed, fmt.Sprintf("Version %s reached all tenants but those in status.failures, which stay where they were", version)
	}
	return v1alpha1.ReasonSucceeded, fmt.Sprintf("Version %s reached every tenant that is not pinned", version)
}

func stopped(ms *v1alpha1.MigrationSet, d rollout.Decision, ring string) string {
	annotate := fmt.Sprintf("kubectl annotate --overwrite migrationset %s -n %s ", ms.Name, ms.Namespace)
	return fmt.Sprintf("Version %s stopped in %s: more tenants failed than spec.rollout.failureBudget (%s) allows. "+
		"They serve at the versions they had (status.failures); no other tenant begins. "+
		"To try them again: %s%s=\"$(date)\". To go on and forgive them, raise the budget or: %s%s=%s. Or ship a new version",
		ms.Status.Version, ring, d.Status.Stopped.FailureBudget,
		annotate, v1alpha1.AnnotationRetry, annotate, v1alpha1.AnnotationResume, d.Status.Stopped.Resume)
}

// maxNames bounds the tenants that a message names.
const maxNames = 5

func names(tenants []rollout.FailedTenant) string {
	var list []string
	for _, t := range tenants[:min(maxNames, len(tenants))] {
		list = append(list, fmt.Sprintf("%s (%s)", t.Key(), t.Why.Reason))
	}
	if len(tenants) > maxNames {
		list = append(list, "and others")
	}
	return strings.Join(list, ", ")
}

// Bounds of status.failures, by the API's schema.
const (
	maxFailures = 20
	maxMessage  = 256
)

func failures(d rollout.Decision) []v1alpha1.FailedTenant {
	var list []v1alpha1.FailedTenant
	for _, f := range d.Failed[:min(maxFailures, len(d.Failed))] {
		list = append(list, v1alpha1.FailedTenant{
			Namespace: f.Namespace, Name: f.Name, Ring: f.Ring, Version: f.Version, Reason: f.Why.Reason, Message: conditions.ClipTo(f.Why.Message, maxMessage),
		})
	}
	return list
}
