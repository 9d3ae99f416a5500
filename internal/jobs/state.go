package jobs

import (
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// State is what a Job is at.
type State string

const (
	// Preparing : it is suspended; its logins are not there yet.
	Preparing State = "Preparing"
	// Running : its program runs, or will.
	Running State = "Running"
	// Succeeded : its program ended with 0.
	Succeeded State = "Succeeded"
	// Failed : its program will not be started again.
	Failed State = "Failed"
	// Leaving : somebody deleted it, and its Pods have not ended yet.
	Leaving State = "Leaving"
)

// StateOf reads a Job's conditions. Complete and Failed come when all its Pods have ended (Kubernetes
// 1.31, JobManagedBy and JobPodReplacementPolicy).
func StateOf(job *batchv1.Job) State {
	switch {
	case is(job, batchv1.JobComplete):
		return Succeeded
	case is(job, batchv1.JobFailed):
		return Failed
	case !job.DeletionTimestamp.IsZero():
		return Leaving
	case job.Spec.Suspend != nil && *job.Spec.Suspend:
		return Preparing
	}
	return Running
}

func is(job *batchv1.Job, t batchv1.JobConditionType) bool {
	return slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Type == t && c.Status == corev1.ConditionTrue
	})
}

// Ended says whether nothing of the Job runs any more.
func (s State) Ended() bool { return s == Succeeded || s == Failed }

// Grace is how long the passwords of a Job's logins outlive its own deadline.
const Grace = 10 * time.Minute

// Due is when a Job is given up that has not ended by then. The Job controller says that it failed only when its Pods
// have ended, which nobody hears of those on a node that is gone. It is zero for a Job that has not begun, and for one
// that was suspended: as soon as the Job controller sees that it may run again, its time begins anew.
func Due(job *batchv1.Job) time.Time {
	start, limit := job.Status.StartTime, job.Spec.ActiveDeadlineSeconds
	if start == nil || limit == nil || is(job, batchv1.JobSuspended) {
		return time.Time{}
	}
	return start.Add(time.Duration(*limit)*time.Second + Grace)
}

// Overdue says whether a Job is given up: it has not ended, and should have.
func Overdue(job *batchv1.Job, now time.Time) bool {
	state, due := StateOf(job), Due(job)
	return !state.Ended() && state != Preparing && !due.IsZero() && !now.Before(due)
}

// AtWork says whether a Job's program runs, or will.
func AtWork(job *batchv1.Job, now time.Time) bool {
	state := StateOf(job)
	return !state.Ended() && state != Leaving && !Overdue(job, now)
}

// why is the reason by which the Job controller says that a Job failed.
func why(job *batchv1.Job) string {
	for _, c := range job.Status.Conditions {
		if c.Type == batchv1.JobFailed && c.Status == corev1.ConditionTrue {
			return c.Reason
		}
	}
	return ""
}

// Members returns the UIDs of the tenants that a Job is for, by its labels.
func Members(job metav1.Object) (uids []string) {
	for label := range job.GetLabels() {
		if uid, ok := strings.CutPrefix(label, tenantPrefix); ok {
			uids = append(uids, uid)
		}
	}
	slices.Sort(uids)
	return uids
}

// Work is what a Job was made for, for one of its tenants.
func Work(job metav1.Object, uid string) string { return job.GetLabels()[tenantPrefix+uid] }

// Target is the digest to which a Job takes its tenants.
func Target(job metav1.Object) string { return job.GetAnnotations()[AnnotationDigest] }

// Latest picks of a tenant's Jobs the one that is at work, or else the one that was made last; nil of none.
func Latest(jobs []batchv1.Job) *batchv1.Job {
	var latest *batchv1.Job
	for i := range jobs {
		job := &jobs[i]
		switch {
		case latest == nil, StateOf(latest).Ended() && !StateOf(job).Ended():
			latest = job
		case StateOf(latest).Ended() == StateOf(job).Ended() && latest.CreationTimestamp.Before(&job.CreationTimestamp):
			latest = job
		}
	}
	return latest
}
