package domainclaim

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/domains"
)

// grace is how long a host stays its tenant's after the record that had proved it was first missed:
// longer than a weekend's mistake in a zone, and than a change of the DNS provider.
const grace = 72 * time.Hour

// finding is what a look at a claim found out beside its conditions.
type finding struct {
	// next is the time until DNS is asked again; zero where it is not asked.
	next time.Duration
	// winner is who proved that the host is his, where the holder has not; or nil.
	winner *party
}

// verify says in the condition Verified whether the holder may have the host.
func (r *Reconciler) verify(ctx context.Context, claim *v1alpha1.DomainClaim, t *v1alpha1.Tenant) (finding, error) {
	switch {
	case t == nil:
		grant(claim, v1alpha1.VerifiedTrusted, "A class declares the host")
		return finding{}, nil
	case claim.Spec.Value != "":
		grant(claim, v1alpha1.VerifiedTrusted, "The class lets its tenants have values on the shared host")
		return finding{}, nil
	case !t.DeletionTimestamp.IsZero():
		return finding{}, nil
	}
	holder, verdict, known, err := r.judge(ctx, t, claim.Spec.Host)
	switch {
	case err != nil:
		return finding{}, err
	case verdict.Standing == domains.Proof:
		return r.prove(ctx, claim, holder)
	case verdict.Standing == domains.Platform:
		grant(claim, v1alpha1.VerifiedPlatform, "The class offers the host to this tenant")
	case verdict.Standing == domains.Trusted:
		grant(claim, v1alpha1.VerifiedTrusted, "The class asks for no proof")
	case !known && conditions.IsTrue(claim, v1alpha1.ConditionVerified): // A class that is away takes nothing away.
	default:
		deny(claim, v1alpha1.ReasonDomainNotAllowed, verdict.Why)
		return r.prove(ctx, claim, holder) // Somebody else may.
	}
	r.known.Delete(claim.Name)
	claim.Status.PassesTo = nil
	return finding{}, nil
}

// prove goes by what DNS says, and asks it if it is time to.
func (r *Reconciler) prove(ctx context.Context, claim *v1alpha1.DomainClaim, holder *party) (finding, error) {
	now := r.now()
	var rivals []rival
	if !conditions.IsTrue(claim, v1alpha1.ConditionVerified) {
		var err error
		if rivals, err = r.rivals(ctx, claim); err != nil {
			return finding{}, err
		}
	}
	m := r.recall(claim, now)
	m.heed(holder, rivals, safe(claim), now)
	var winner *party
	if !now.Before(m.due) && !(holder.barred && len(rivals) == 0) {
		if !r.asking.take() {
			return finding{next: noSlot}, nil
		}
		a, err := r.ask(ctx, claim, holder, rivals, m)
		r.asking.give()
		if err != nil {
			return finding{}, err
		}
		m.answer, m.asked, winner = &a, now, a.winner
	}
	if m.answer == nil {
		return finding{next: max(m.due.Sub(now), 0)}, nil
	}
	if !holder.barred {
		conclude(claim, holder, *m.answer, m.asked)
	}
	claim.Status.PassesTo = nil
	if w := m.answer.winner; w != nil {
		claim.Status.PassesTo = new(w.claim().Holder)
	}
	m.due = m.asked.Add(pause(claim, m))
	return finding{next: max(m.due.Sub(now), time.Millisecond), winner: winner}, nil
}

// safe says whether nothing threatens a claim: then nobody can make us ask DNS out of turn.
func safe(claim *v1alpha1.DomainClaim) bool {
	c := conditions.Get(claim, v1alpha1.ConditionVerified)
	return c != nil && c.Status == metav1.ConditionTrue && c.Reason == v1alpha1.ReasonSucceeded
}

// conclude turns an answer of DNS into the condition. It says the same however often it is called with
// one answer. asked is the time of the answer.
func conclude(claim *v1alpha1.DomainClaim, holder *party, a answer, asked time.Time) {
	verified := conditions.IsTrue(claim, v1alpha1.ConditionVerified)
	switch {
	case a.method == v1alpha1.VerifiedTXT:
		grant(claim, a.method, fmt.Sprintf("The TXT record %s has the tenant's value", holder.record.Name))
	case a.method == v1alpha1.VerifiedCNAME:
		grant(claim, a.method, "The host is an alias (CNAME) of "+holder.target)
	case a.unanswered != "":
		doubt(claim, verified, a.unanswered, asked)
	case verified:
		miss(claim, holder, asked)
	case reasonOf(claim) == v1alpha1.ReasonRecordMissing: // It was lost, and stays so.
	case a.disputed:
		deny(claim, v1alpha1.ReasonDomainUnverified, fmt.Sprintf(
			"The host is an alias (CNAME) of %s, and another tenant wants it by the same alias, so it proves nobody's control: %s", holder.target, holder.create()))
	default:
		deny(claim, v1alpha1.ReasonDomainUnverified, "DNS holds no record that proves the tenant's control: "+holder.create())
	}
}

func grant(claim *v1alpha1.DomainClaim, method v1alpha1.VerificationMethod, message string) {
	conditions.True(claim, v1alpha1.ConditionVerified, v1alpha1.ReasonSucceeded, message)
	claim.Status.Verification = &v1alpha1.ClaimVerification{Method: method}
}

func deny(claim *v1alpha1.DomainClaim, reason, message string) {
	conditions.False(claim, v1alpha1.ConditionVerified, reason, message)
	claim.Status.Verification = nil
}

// doubt leaves what was known as it is, and says once that nobody knows whether it still holds.
func doubt(claim *v1alpha1.DomainClaim, verified bool, why string, asked time.Time) {
	reason := reasonOf(claim)
	switch {
	case reason == v1alpha1.ReasonDNSUnanswered, reason == v1alpha1.ReasonRecordMissing:
	case verified:
		conditions.True(claim, v1alpha1.ConditionVerified, v1alpha1.ReasonDNSUnanswered,
			fmt.Sprintf("The tenant keeps the host. Since %s no DNS server tells whether it controls it: %s", stamp(asked), why))
	default:
		deny(claim, v1alpha1.ReasonDNSUnanswered, "No DNS server tells whether the tenant controls the host: "+why)
	}
}

// miss begins the grace of a claim that was verified, or ends it. Only a server that says for sure that
// there is no record ends it.
func miss(claim *v1alpha1.DomainClaim, holder *party, asked time.Time) {
	v := claim.Status.Verification
	if v == nil {
		v = &v1alpha1.ClaimVerification{Method: v1alpha1.VerifiedTrusted}
		claim.Status.Verification = v
	}
	if v.MissingSince == nil {
		v.MissingSince = &metav1.Time{Time: asked.Truncate(time.Second)}
	}
	end := v.MissingSince.Add(grace)
	if asked.Before(end) {
		conditions.True(claim, v1alpha1.ConditionVerified, v1alpha1.ReasonRecordMissing, fmt.Sprintf(
			"Since %s DNS holds no record that proves the tenant's control. The host is taken off at %s unless it does: %s",
			stamp(v.MissingSince.Time), stamp(end), holder.create()))
		return
	}
	deny(claim, v1alpha1.ReasonRecordMissing, fmt.Sprintf(
		"From %s on DNS held no record that proves the tenant's control, for three days: %s", stamp(v.MissingSince.Time), holder.create()))
}

func reasonOf(claim *v1alpha1.DomainClaim) string {
	if c := conditions.Get(claim, v1alpha1.ConditionVerified); c != nil {
		return c.Reason
	}
	return ""
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
