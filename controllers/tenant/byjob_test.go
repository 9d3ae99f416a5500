package tenant

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/frameworks"
	"github.com/tenantry/tenantry/internal/jobs"
	"github.com/tenantry/tenantry/internal/rollout"
)

// Each Job that fails is a failure, behind which the pause is longer, whether it is the first one of its work or not;
// and none is one twice.
func TestEveryJobThatFailsCounts(t *testing.T) {
	const digest, work = "digest", "work"
	tenant := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{UID: "uid"}}
	r, s := &Reconciler{Permits: rollout.NewPermits()}, &scope{tenant: tenant, base: tenant}
	s.wanted.UID = "uid"
	try := func(uid types.UID) error { // by a Job that somebody deleted
		job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
			UID: uid, DeletionTimestamp: &metav1.Time{Time: time.Now()},
			Labels: map[string]string{"tenant.tenantry.dev/uid": work}, Annotations: map[string]string{jobs.AnnotationDigest: digest},
		}}
		j := &jobRun{Reconciler: r, scope: s, ms: &v1alpha1.MigrationSet{}, digest: digest, job: job}
		return j.failed(t.Context(), frameworks.Ledger{}, work, rollout.Ask{Set: "app", Digest: digest})
	}
	due := func() { // as if the pause were over
		last, _, _ := r.attempts.failed.Last(tenant.UID, work)
		r.attempts.failed.Forget(tenant.UID)
		r.attempts.failed.Failed(tenant.UID, work, last, time.Now().Add(-time.Hour))
	}
	if err := try("first"); fault.ReasonOf(err) != v1alpha1.ReasonJobFailed {
		t.Fatalf("the first failure: %v", err)
	}
	if err := try("first"); fault.ReasonOf(err) != v1alpha1.ReasonJobFailed {
		t.Errorf("in the pause behind it: %v, want the same", err)
	}
	due()
	if err := try("first"); err != nil {
		t.Errorf("the same Job once more, when another try is due: %v", err)
	}
	if err := try("second"); fault.ReasonOf(err) != v1alpha1.ReasonJobFailed {
		t.Errorf("the second failure: %v", err)
	}
	if after := fault.Of(r.attempts.last(tenant.UID, work, time.Now()), "").After; after < 3*time.Minute || after > 5*time.Minute {
		t.Errorf("the pause behind the second failure is %s, want about 4 minutes", after)
	}
	r.attempts.forget(tenant.UID)
	if r.attempts.knows(tenant.UID, work, "second") {
		t.Error("something is kept of a Tenant that is gone")
	}
}
