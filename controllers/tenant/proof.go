package tenant

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// A login that worked is believed to work, without another log-in, until its proof is due. Nothing in
// Kubernetes or in the catalogs tells that somebody set another password in the database, so that every
// login is tried again at some time between 10 and 12.5 minutes after it was tried last, each at its own, and
// while tenants are being made or migrated at the end of that time. A pass that comes sooner for whatever
// reason tries none.
const (
	proofAge    = recheck
	proofSpread = proofAge / 4
)

// due is when a tenant's login is to be tried again. A log-in costs as much as a migration of one column: those
// of a fleet that is being upgraded can wait as long as any may.
// Nor is a pass at one time of another mind than at another: what one part took for tried, the next one would
// believe to have been tried just now.
func (s *scope) due(p proof) time.Time {
	if s.busy {
		return p.at.Add(proofAge + proofSpread)
	}
	return p.at.Add(proofAge + share(s.tenant, proofSpread))
}

// recallProof takes over what the registry says was proved, if it was under the present circumstances. It
// falls due in the course of the next ten minutes, each tenant's at its own time.
func (r *Reconciler) recallProof(s *scope) (proof, bool) {
	if s.observed.Proof == "" || s.mode() != v1alpha1.LoginDedicated {
		return proof{}, false
	}
	for _, user := range []string{s.observed.Roles.App, s.observed.Roles.Second()} {
		p := proof{
			secretVersion: s.secretVersion, user: user, login: loginKey(s), version: s.observed.Version, digest: s.observed.Digest,
			asked: s.tenant.Annotations[v1alpha1.AnnotationReconcile],
		}
		p.at = time.Now().Add(share(s.tenant, proofAge) - proofAge - share(s.tenant, proofSpread))
		if s.canLogin(user) && s.text(p) == s.observed.Proof {
			r.checked.Store(s.tenant.UID, p)
			return p, true
		}
	}
	return proof{}, false
}

// newProof is what this pass proved. Who did not try the login, because an earlier proof holds, puts that off no
// further.
func (r *Reconciler) newProof(s *scope) *proof {
	p := &proof{
		secretVersion: s.secretVersion, user: s.user, login: loginKey(s), version: s.version, digest: s.digest,
		asked: s.tenant.Annotations[v1alpha1.AnnotationReconcile], at: time.Now(), excess: s.excess,
	}
	if r.proved(s) {
		before, _ := r.proofOf(s)
		p.at = before.at
	}
	return p
}

// keep remembers what was proved, and writes it into the registry together with the version to which the
// schema came. For an operator after this one a proof may be lost: it costs a log-in. What has a right too
// many is looked at by every pass, and so by the next operator.
func (r *Reconciler) keep(ctx context.Context, s *scope, p *proof) error {
	text := s.observed.Proof
	if p != nil {
		r.checked.Store(s.tenant.UID, *p)
		text = ""
		if len(p.excess) == 0 && s.mode() == v1alpha1.LoginDedicated {
			text = s.text(*p)
		}
	}
	r.leaveSoon(s, p)
	if !s.behind && text == s.observed.Proof {
		return nil
	}
	s.proof = text
	if s.begun && !s.tenant.Spec.Suspended && len(s.entries()) > 0 && len(s.observed.Domains) == 0 {
		s.unrecorded = true // It goes with the domains, which are the next that the registry is told.
		return nil
	}
	return r.recordProof(ctx, s)
}

// leaveSoon asks for the pass that leaves another login: at once behind a proof, and not over and over where there
// is none.
func (r *Reconciler) leaveSoon(s *scope, p *proof) {
	switch {
	case !s.leaves:
	case p != nil || r.proved(s):
		s.lookAgain(time.Second)
	default:
		s.lookAgain(time.Minute)
	}
}

// recordProof tells the registry the version and the proof.
func (r *Reconciler) recordProof(ctx context.Context, s *scope) error {
	s.unrecorded = false
	_, err := s.db.Record(ctx, s.wanted.UID, s.wanted.Schema, s.version, s.digest, s.proof)
	if err == nil {
		s.behind = false
		return nil
	}
	note(ctx, err, v1alpha1.ConditionVerified)
	if s.behind {
		_, err = s.db.SetVersion(ctx, s.wanted.UID, s.wanted.Schema, s.version, s.digest)
		return err
	}
	return nil
}

// asksAnew says whether the user wants the tenant looked at since it was last proved.
func (r *Reconciler) asksAnew(s *scope) bool {
	p, ok := r.proofOf(s)
	return ok && p.asked != s.tenant.Annotations[v1alpha1.AnnotationReconcile]
}

// again is when the next pass over a tenant that needs nothing should come: when its login is to be tried
// again, unless something is to be done before. A proof that is overdue could not be renewed, since the
// login could not be tried.
func (r *Reconciler) again(s *scope) time.Duration {
	after := s.next()
	p, ok := r.proofOf(s)
	if !ok || !s.started.Before(s.due(p)) {
		return after
	}
	// It may have fallen due during the pass, which believed it.
	if left := max(time.Until(s.due(p)), time.Second); s.again == 0 || left < after {
		return left
	}
	return after
}

// text is what the registry keeps of a proof. It also names the login by its number in the server, which
// another role of the same name does not have, and a server that was set up anew.
func (s *scope) text(p proof) string {
	oid := s.observed.AppOID
	if p.user == s.observed.Roles.Second() {
		oid = s.observed.SecondOID
	}
	server := ""
	if id := s.tdb.Status.Identity; id != nil {
		server = id.SystemIdentifier
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %d", []string{
		p.secretVersion, p.user, p.login, p.version, p.digest, server, string(s.tenant.UID),
	}, oid))
	return hex.EncodeToString(sum[:])
}

// share is a tenant's own part of a time, always the same, so that a fleet spreads over it.
func share(t *v1alpha1.Tenant, whole time.Duration) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(t.UID))
	return whole / 1000 * time.Duration(h.Sum32()%1000)
}
