package tenant

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/logins"
	"github.com/tenantry/tenantry/internal/postgres"
)

// A tenant's reader is looked after behind the steps: that a report cannot be run keeps no customer from
// working, so it has a condition of its own and no part in Ready.

// readerSuffix follows the name of the tenant's Secret in that of its reader.
const readerSuffix = "-reader"

func readerSecretName(t *v1alpha1.Tenant) string { return secretName(t) + readerSuffix }

// wantedReader is what class and Tenant want of a reader; nil for none.
func wantedReader(s *scope) *postgres.Reader {
	if s.class.Spec.Logins == nil || s.class.Spec.Logins.Reader == nil {
		return nil
	}
	policy := s.class.Spec.Logins.Reader
	wish := s.tenant.Spec.Reader
	if wish == "" {
		wish = policy.Default
	}
	if wish == v1alpha1.SwitchDisabled {
		return nil
	}
	return &postgres.Reader{
		ConnectionLimit:  int(policy.Connections),
		StatementTimeout: time.Duration(policy.StatementTimeoutSeconds) * time.Second,
	}
}

// readerTurn brings the reader to what is wanted and says so in its condition. It returns what has to be
// tried again.
func (r *Reconciler) readerTurn(ctx context.Context, s *scope) error {
	if s.db == nil || !s.observed.Registered || s.observed.OwnerUID != s.wanted.UID {
		return nil // The steps did not come that far, and say why.
	}
	if s.wanted.Reader == nil {
		return r.withoutReader(ctx, s)
	}
	state, err := r.reader(ctx, s)
	if err != nil {
		f := fault.Of(err, v1alpha1.ReasonRetrying)
		conditions.False(s.tenant, v1alpha1.ConditionReaderReady, f.Reason, f.Message)
		s.lookAgain(max(f.After, 15*time.Second))
		if fault.KindOf(err) == fault.Transient {
			return err
		}
		return nil
	}
	s.lookAgain(state.Again)
	s.tenant.Status.Reader = &v1alpha1.ReaderStatus{
		Secret: readerSecretName(s.tenant), Login: state.User, Since: &state.Since, Previous: state.Previous,
	}
	conditions.True(s.tenant, v1alpha1.ConditionReaderReady, v1alpha1.ReasonSucceeded,
		fmt.Sprintf("Login %s can read; its credentials are in Secret %s", state.User, readerSecretName(s.tenant)))
	return nil
}

// withoutReader takes a reader away that is wanted no longer: the login first, then its Secret.
func (r *Reconciler) withoutReader(ctx context.Context, s *scope) error {
	if s.observed.ReaderExists {
		if err := s.db.DropReader(ctx, s.wanted.UID, s.wanted.Schema); err != nil {
			f := fault.Of(err, v1alpha1.ReasonRetrying)
			conditions.False(s.tenant, v1alpha1.ConditionReaderReady, f.Reason, f.Message)
			s.lookAgain(max(f.After, 15*time.Second))
			return nil
		}
	}
	if s.tenant.Status.Reader != nil || s.observed.ReaderExists {
		if err := r.Logins.Remove(ctx, client.ObjectKey{Namespace: s.tenant.Namespace, Name: readerSecretName(s.tenant)}, s.pair("", "", "").Owner); err != nil {
			return err
		}
	}
	s.tenant.Status.Reader = nil
	if s.tenant.Spec.Reader == v1alpha1.SwitchEnabled {
		conditions.False(s.tenant, v1alpha1.ConditionReaderReady, v1alpha1.ReasonReaderNotOffered,
			fmt.Sprintf("spec.reader: class %s offers no login that can only read (spec.logins.reader of the class)", s.class.Name))
		return nil
	}
	conditions.Remove(s.tenant, v1alpha1.ConditionReaderReady)
	return nil
}

func (r *Reconciler) reader(ctx context.Context, s *scope) (*logins.State, error) {
	p := s.readerPair()
	meta, err := r.Logins.Meta(ctx, p.Key)
	if err != nil {
		return nil, err
	}
	secret, state := client.Object(meta), &logins.State{}
	if user, ok := r.readerProved(s, meta.ResourceVersion); ok && s.canLogin(user) {
		state.User = user
	} else if secret, state, err = r.Logins.Ensure(ctx, p); err != nil {
		return nil, err
	} else if err := s.tryReader(ctx, state); err != nil {
		return nil, err
	}
	if err := r.Logins.TakeTurns(ctx, p, state, secret); err != nil {
		return nil, err
	}
	if state.Version != "" {
		r.readers.Store(s.tenant.UID, proof{
			secretVersion: state.Version, user: state.User, login: readerKey(s), version: s.version,
			asked: s.tenant.Annotations[v1alpha1.AnnotationReconcile], at: time.Now(),
		})
	}
	return state, nil
}

// readerProved says whether an earlier pass of this process tried just this login.
func (r *Reconciler) readerProved(s *scope, version string) (user string, ok bool) {
	v, ok := r.readers.Load(s.tenant.UID)
	if !ok {
		return "", false
	}
	p := v.(proof)
	return p.user, p.secretVersion == version && p.login == readerKey(s) && p.version == s.version &&
		p.asked == s.tenant.Annotations[v1alpha1.AnnotationReconcile] && time.Since(p.at) < proofAge
}

func readerKey(s *scope) string { return fmt.Sprint(loginKey(s), *s.wanted.Reader) }

func (s *scope) readerPair() *logins.Pair {
	p := s.pair(readerSecretName(s.tenant), s.observed.Roles.Reader(), s.observed.Roles.SecondReader())
	p.Server = &server{
		s: s,
		try: func(ctx context.Context, login postgres.Config) (postgres.ProbeResult, error) {
			return postgres.Probe(ctx, login, s.wanted.Schema)
		},
		wrong: readsTooLittle,
	}
	return p
}

// tryReader wants that the reader can read, and no more.
func (s *scope) tryReader(ctx context.Context, state *logins.State) error {
	within := bounds(s)
	within.Roles.App = s.observed.Roles.Reader()
	result, excess, err := postgres.Examine(ctx, *state.Login, within)
	if postgres.TooManyForRole(err) {
		return nil // It is at work.
	}
	if err != nil {
		return err
	}
	if wrong := readsTooLittle(result); wrong != "" {
		return fault.NewWaiting(v1alpha1.ReasonVerificationFailed, time.Minute, "The reader %s %s", state.User, wrong)
	}
	if len(excess) > 0 {
		return fault.NewWaiting(v1alpha1.ReasonIsolationBreached, time.Minute, "%s", told(excess))
	}
	return nil
}

// readsTooLittle, or writes. A table on which a migration took SELECT from it is no fault.
func readsTooLittle(p postgres.ProbeResult) string {
	switch {
	case !p.SchemaUsage:
		return "has no USAGE on the schema"
	case len(p.Writes) > 0:
		return "can change " + some("tables", p.Writes) + "; revoke that right"
	}
	return ""
}
