package tenant

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// verify asks the server what the login that programs use can do in the tenant's schema, and, for isolate,
// what beyond it. It stands before route: no domain is published on a schema that does not work.
func (r *Reconciler) verify(ctx context.Context, s *scope) (outcome, error) {
	out, p, err := r.tryRights(ctx, s)
	if kept := r.keep(ctx, s, p); err == nil {
		err = kept
	}
	return out, err
}

// tryRights returns a proof where it asked and all was well.
func (r *Reconciler) tryRights(ctx context.Context, s *scope) (outcome, *proof, error) {
	ok := done("The tenant's own login can use its schema")
	switch s.mode() {
	case v1alpha1.LoginSetRole:
		ok = done("The class's shared login can use the tenant's schema after SET ROLE, and no schema before")
	case v1alpha1.LoginShared:
		ok = done("The class's shared login can use the tenant's schema, as it can those of all tenants of the class")
	}
	if r.proofHolds(s) {
		s.examined = true
		return ok, nil, nil
	}
	if s.keepsProof && r.proved(s) {
		s.examined = true
		return ok, r.newProof(s), nil
	}
	result, excess, err := r.examine(ctx, s)
	if brokenOff(err) {
		// Somebody ended the probe's own session. That says nothing about the customer's.
		result, excess, err = r.examine(ctx, s)
	}
	if isFull(err) && (s.served() || r.sameVersion(s)) {
		return done("The login was verified before; all its connections are in use now"), nil, nil
	}
	if err != nil {
		return outcome{}, nil, err
	}
	if err := r.excuse(ctx, s, &result); err != nil {
		return outcome{}, nil, err
	}
	if wrong := unusable(result); wrong != "" {
		return outcome{}, nil, fault.NewWaiting(v1alpha1.ReasonVerificationFailed, time.Minute,
			"The tenant's login %s %s", s.user, wrong)
	}
	s.examined, s.excess = true, excess
	return ok, r.newProof(s), nil
}

// allOld is how old the look at what all tenants' logins have may be. Tenants of a fleet that is upgraded
// share it.
const allOld = 5 * time.Second

// examine asks in the operator's own session, which costs the server little. That the login works was seen
// by credentials, or by an earlier pass whose proof holds; that of a class is tried here. Where the catalogs
// say that it cannot begin a session, it is tried too, and the server says why. A login that has no connection
// left is asked about like one that was seen to work: the server counts when it has taken the password.
func (r *Reconciler) examine(ctx context.Context, s *scope) (postgres.ProbeResult, []postgres.Excess, error) {
	if s.mode() == v1alpha1.LoginDedicated || r.proved(s) {
		rights, err := r.rights(ctx, s)
		if err != nil || rights.Opens {
			return rights.ProbeResult, rights.Excess, err
		}
	}
	if err := r.readLogin(ctx, s); err != nil {
		return postgres.ProbeResult{}, nil, err
	}
	if s.mode() == v1alpha1.LoginDedicated {
		return postgres.Examine(ctx, *s.login, bounds(s))
	}
	mode := s.inUse()
	result, excess, err := postgres.ExamineShared(ctx, *s.login, bounds(s), s.classLogin(mode), mode == v1alpha1.LoginShared)
	if !isFull(err) {
		return result, excess, err
	}
	rights, err := r.rights(ctx, s)
	if err == nil && !rights.Opens {
		err = fault.NewWaiting(v1alpha1.ReasonVerificationFailed, time.Minute,
			"The class's shared login %s has no connection left, and may not act as the tenant's role %s", s.user, s.observed.Roles.App)
	}
	return rights.ProbeResult, rights.Excess, err
}

func (r *Reconciler) rights(ctx context.Context, s *scope) (postgres.Rights, error) {
	old := allOld
	if r.asksAnew(s) {
		old = 0
	}
	if s.mode() == v1alpha1.LoginDedicated {
		if s.answer != nil {
			return s.db.Answered(ctx, s.user, bounds(s), s.answer, old)
		}
		return s.db.Examine(ctx, s.user, bounds(s), old)
	}
	mode := s.inUse()
	return s.db.ExamineShared(ctx, s.user, bounds(s), s.classLogin(mode), mode == v1alpha1.LoginShared, old)
}

// proofHolds says that it was proved that the login can use the schema as it is, and can do nothing beyond it.
func (r *Reconciler) proofHolds(s *scope) bool {
	p, _ := r.proofOf(s)
	return r.proved(s) && r.sameVersion(s) && len(p.excess) == 0
}

func (r *Reconciler) sameVersion(s *scope) bool {
	p, ok := r.proofOf(s)
	return ok && p.version == s.version && p.digest == s.digest
}

// isFull : a customer whose pool holds every connection that the class allows is at work, and must not
// be told to be broken because the operator finds no room to look.
func isFull(err error) bool { return postgres.TooManyForRole(err) }

func brokenOff(err error) bool {
	reason := fault.ReasonOf(err)
	return reason == v1alpha1.ReasonServerShuttingDown || reason == v1alpha1.ReasonConnectionLost
}

// readLogin reads the Secret again where credentials had no need to.
func (r *Reconciler) readLogin(ctx context.Context, s *scope) error {
	if s.login != nil {
		return nil
	}
	if s.mode() != v1alpha1.LoginDedicated {
		return r.readShared(ctx, s)
	}
	p := r.ownPair(s)
	secret, err := r.Logins.Read(ctx, p.Key)
	if err != nil {
		return err
	}
	login := s.db.Config().WithLogin(p.UserOf(secret), data(secret, "password"))
	s.user, s.secretVersion, s.login = login.User(), secret.ResourceVersion, &login
	return nil
}

// maxNames bounds the names in a message.
const maxNames = 5

// unusable says what the login lacks, or "".
func unusable(p postgres.ProbeResult) string {
	switch {
	case !p.SchemaUsage:
		return "has no USAGE on its schema"
	case len(p.LackingTables)+len(p.LackingInsert) > 0:
		return "lacks SELECT, INSERT, UPDATE or DELETE on " + some("tables", slices.Concat(p.LackingTables, p.LackingInsert)) + "; were they made by another role than the schema's owner?"
	case len(p.LackingSequences) > 0:
		return "lacks USAGE on " + some("sequences", p.LackingSequences)
	case len(p.LackingFunctions) > 0:
		return "lacks EXECUTE on " + some("functions", p.LackingFunctions)
	}
	return ""
}

func some(what string, names []string) string {
	if len(names) <= maxNames {
		return what + " " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("%d %s, among them %s", len(names), what, strings.Join(names[:maxNames], ", "))
}
