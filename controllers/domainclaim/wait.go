package domainclaim

import (
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
)

// longestWait bounds how far a claim's status lags behind a Tenant's: whoever may not read Tenants goes by it.
const longestWait = 2 * time.Minute

// waits says whether what a claim has to tell, beyond what it told before, can wait: nobody goes by it, and a
// fleet that is being made or upgraded would wait for the writes. That is so of the first status of a claim
// that needs no proof, as long as its Tenant is in the making, and of a new version of the schema that the
// host leads to. It also says how long it has waited.
func (r *Reconciler) waits(before, claim *v1alpha1.DomainClaim, holder *v1alpha1.Tenant) (time.Duration, bool) {
	if r.Patience == 0 || holder == nil || !holder.DeletionTimestamp.IsZero() {
		return 0, false
	}
	now := r.now()
	since, _ := r.waiting.LoadOrStore(claim.Name, now)
	waited := now.Sub(since.(time.Time))
	waits := r.Busy != nil && r.Busy() && waited < longestWait
	if len(before.Status.Conditions) > 0 {
		waits = waits && onlyVersionDiffers(before, claim)
	} else {
		made := conditions.IsTrue(holder, v1alpha1.ConditionReady)
		waits = (waits || !made && waited < r.Patience) && needsNoProof(claim)
	}
	if !waits {
		r.waiting.Delete(claim.Name)
	}
	return waited, waits
}

// lookAgain is when a claim is looked at again that has waited for a while: soon, since a single tenant is made by
// then, and rarely from then on, in time for its end, and when DNS is to be asked.
func (r *Reconciler) lookAgain(waited, dns time.Duration) time.Duration {
	after := r.Patience
	if waited >= r.Patience {
		after = 6 * r.Patience
	}
	after = min(after, max(longestWait-waited, time.Second))
	if dns > 0 {
		after = min(after, dns)
	}
	return after
}

// needsNoProof says that the class's word is enough: the Tenant does not wait for the claim's.
func needsNoProof(claim *v1alpha1.DomainClaim) bool {
	v := claim.Status.Verification
	return v != nil && (v.Method == v1alpha1.VerifiedPlatform || v.Method == v1alpha1.VerifiedTrusted) && v.MissingSince == nil
}

func onlyVersionDiffers(before, claim *v1alpha1.DomainClaim) bool {
	was, is := before.Status.Serving, claim.Status.Serving
	if was == nil || is == nil || was.Version == is.Version {
		return false
	}
	same := claim.Status.DeepCopy()
	same.Serving.Version = was.Version
	return equality.Semantic.DeepEqual(&before.Status, same)
}
