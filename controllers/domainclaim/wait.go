package domainclaim

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/domains"
)

// longestWait bounds how far a claim's status lags behind a Tenant's.
const longestWait = 2 * time.Minute

// waits says whether what a claim has to tell can wait: nobody goes by it, and a fleet that is being made or
// upgraded would wait for the writes. That is so of the first status of a claim that needs no proof, as
// long as its Tenant is in the making, and of a new version of the schema that the host leads to. It also says
// how long it has waited.
func (r *Reconciler) waits(ctx context.Context, claim *v1alpha1.DomainClaim, holder *v1alpha1.Tenant) (time.Duration, bool) {
	if r.Patience == 0 || holder == nil || !holder.DeletionTimestamp.IsZero() {
		return 0, false
	}
	now := r.now()
	since, _ := r.waiting.LoadOrStore(claim.Name, now)
	waited := now.Sub(since.(time.Time))
	busy := r.Busy != nil && r.Busy() && waited < longestWait
	made := conditions.IsTrue(holder, v1alpha1.ConditionReady)
	switch {
	case len(claim.Status.Conditions) > 0:
		busy = busy && onlyVersionDiffers(claim, holder)
	case !made && waited < r.Patience || busy:
		busy = r.needsNoProof(ctx, claim, holder)
	}
	if !busy {
		r.waiting.Delete(claim.Name)
	}
	return waited, busy
}

func (r *Reconciler) needsNoProof(ctx context.Context, claim *v1alpha1.DomainClaim, holder *v1alpha1.Tenant) bool {
	_, verdict, _, err := r.judge(ctx, holder, claim.Spec.Host)
	return err == nil && (verdict.Standing == domains.Platform || verdict.Standing == domains.Trusted)
}

func onlyVersionDiffers(claim *v1alpha1.DomainClaim, holder *v1alpha1.Tenant) bool {
	was, is := claim.Status.Serving, serving(claim, holder)
	if was == nil || is == nil || was.Version == is.Version {
		return false
	}
	is.Version = was.Version
	return equality.Semantic.DeepEqual(was, is)
}
