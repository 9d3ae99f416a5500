package tenant

import (
	"context"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/logins"
	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/internal/routing"
)

// proof is what was seen to work, and what it depends on. Who asks for a reconcile wants to know, not
// to be told what was seen before: asked is the annotation's value at that time.
type proof struct {
	secretVersion, user, login, version, digest, asked string
	at                                                 time.Time
	// excess is what the login had beyond its bounds. While there is some, every pass looks anew.
	excess []postgres.Excess
}

// credentials makes the login work that programs use for the tenant: its own, or its class's.
func (r *Reconciler) credentials(ctx context.Context, s *scope) (outcome, error) {
	s.tenant.Status.Binding = &v1alpha1.LocalReference{Name: secretName(s.tenant)}
	if s.mode() != v1alpha1.LoginDedicated {
		return r.sharedCredentials(ctx, s)
	}
	out, err := r.ownCredentials(ctx, s)
	// A login that the class wants may act for the tenant already, before its Secret can be had: provision
	// lets it, and would again at each pass.
	if err != nil || s.classMode() != v1alpha1.LoginDedicated {
		return out, err
	}
	return out, r.leaveShared(ctx, s)
}

// ownCredentials writes the password to the Secret first, its verifier to the server next, and logs
// in last: a crash at any point leaves a Secret from which the rest follows.
func (r *Reconciler) ownCredentials(ctx context.Context, s *scope) (outcome, error) {
	p := r.ownPair(s)
	secret, state, err := r.workingLogin(ctx, s, p)
	if err != nil {
		return outcome{}, err
	}
	if err := r.Logins.TakeTurns(ctx, p, state, secret); err != nil {
		return outcome{}, err
	}
	s.use(state)
	return s.own(state), nil
}

// workingLogin returns the Secret, and the login in it, which was seen to work.
func (r *Reconciler) workingLogin(ctx context.Context, s *scope, p *logins.Pair) (metav1.Object, *logins.State, error) {
	if s.begun && s.firstSecret != nil {
		state, err := p.Try(ctx, s.firstSecret)
		return s.firstSecret, state, err
	}
	meta, err := r.Logins.Meta(ctx, p.Key)
	if err != nil {
		return nil, nil, err
	}
	p.Unmade = s.begun && meta.UID == ""
	if s.secretVersion = meta.ResourceVersion; r.proved(s) {
		return meta, &logins.State{User: s.user, Version: s.secretVersion}, nil
	}
	return r.Logins.Ensure(ctx, p)
}

// firstSecret makes the Secret of a tenant that is about to be made, so that its login is made with the
// password. What keeps the Secret from being made keeps nothing else: credentials meets it again, and tells. The
// place is in the status then.
func (r *Reconciler) firstSecret(ctx context.Context, s *scope, roles postgres.RoleNames) (verifier string, err error) {
	s.observed = postgres.Observation{Roles: roles}
	secret, verifier, err := r.Logins.Make(ctx, r.ownPair(s))
	if err != nil {
		return "", r.recordPlace(ctx, s, s.tdb)
	}
	s.firstSecret = secret
	return verifier, nil
}

// dropFirstSecret takes the Secret back if the server said that nothing was made for it: it would have a login
// that is not there, and say of the tenant that it was begun.
func (r *Reconciler) dropFirstSecret(ctx context.Context, s *scope) error {
	secret := s.firstSecret
	if secret == nil {
		return nil
	}
	s.firstSecret = nil
	if err := r.Delete(ctx, secret, client.Preconditions{UID: &secret.UID}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete Secret %s: %w", secret.Name, err)
	}
	return nil
}

// use makes a login the one that verify tries.
func (s *scope) use(state *logins.State) {
	s.user, s.secretVersion, s.since = state.User, state.Version, state.Since
	if state.Login != nil {
		s.login = state.Login
	}
	s.lookAgain(state.Again)
}

// own says in the status which of the tenant's own logins is in its Secret.
func (s *scope) own(state *logins.State) outcome {
	s.tenant.Status.Credentials = &v1alpha1.TenantCredentials{
		Mode: v1alpha1.LoginDedicated, Role: s.observed.Roles.App, Login: state.User, Since: &state.Since, Previous: state.Previous,
	}
	message := fmt.Sprintf("Login %s works; its credentials are in Secret %s", state.User, secretName(s.tenant))
	if state.Previous != "" {
		message += fmt.Sprintf("; login %s works until its grace is over and its last session has ended", state.Previous)
	}
	return done(message)
}

// lookAgain asks for a pass after a while, if none comes before.
func (s *scope) lookAgain(after time.Duration) {
	if after > 0 && (s.again == 0 || after < s.again) {
		s.again = after
	}
}

// ownPair are the tenant's own two logins, with its Secret.
func (r *Reconciler) ownPair(s *scope) *logins.Pair {
	p := s.pair(secretName(s.tenant), s.observed.Roles.App, s.observed.Roles.Second())
	p.Stale = []string{"role"}
	p.Marks = map[string]string{v1alpha1.AnnotationLoginMode: string(v1alpha1.LoginDedicated)}
	p.Server = &server{s: s, try: func(ctx context.Context, login postgres.Config) (postgres.ProbeResult, error) {
		return postgres.Probe(ctx, login, s.wanted.Schema)
	}, excuse: func(ctx context.Context, result *postgres.ProbeResult) error { return r.excuse(ctx, s, result) }}
	return p
}

// pair is what all pairs of a tenant share.
func (s *scope) pair(secret, first, second string) *logins.Pair {
	p := &logins.Pair{
		Owner: routing.Owner(s.tenant), Labels: routing.Labels(s.tenant),
		Key:   client.ObjectKey{Namespace: s.tenant.Namespace, Name: secret},
		First: first, Second: second,
		Fill: s.keys, Extra: s.extraKeys(),
		Config: s.db.Config(), Asked: s.tenant.Annotations[v1alpha1.AnnotationRotate], Grace: s.grace(),
	}
	if policy := s.class.Spec.Credentials; policy != nil {
		p.MaxAge = time.Duration(policy.RotateAfterDays) * 24 * time.Hour
	}
	return p
}

// grace of a class that names none is that of the API's default.
func (s *scope) grace() time.Duration {
	if policy := s.class.Spec.Credentials; policy != nil && policy.GraceSeconds > 0 {
		return time.Duration(policy.GraceSeconds) * time.Second
	}
	return time.Hour
}

// keys are those of the Service Binding specification, schema beside them, and what the class asks for.
// Without a user there is no login in them.
func (s *scope) keys(user, password string) (map[string][]byte, error) {
	config := s.endpoint(s.db.Config().WithLogin(user, password))
	f := logins.Fields{
		Host: config.Host(), Port: strconv.Itoa(int(config.Port())), Database: config.Database(), SSLMode: config.SSLMode(),
		Username: user, Password: password, Schema: s.wanted.Schema, SharedSchema: s.wanted.SharedSchema,
		SearchPath: postgres.SearchPath(s.path()...), Role: s.observed.Roles.App, Namespace: s.tenant.Namespace, Name: s.tenant.Name,
	}
	text := map[string]string{"type": "postgresql", "provider": "tenantry", "host": f.Host, "port": f.Port, "database": f.Database, "schema": f.Schema}
	if user != "" {
		f.URI = s.uri(config)
		text["username"], text["password"], text["uri"] = user, password, f.URI
	}
	if s.mode() != v1alpha1.LoginDedicated || len(s.observed.ClassLogins) > 0 {
		text["role"] = f.Role
	}
	if ca := config.CA(); ca != "" {
		text["ca.crt"] = ca
	}
	data, err := logins.Extra(s.extraKeys(), f)
	if err != nil {
		return nil, err
	}
	for key, value := range text {
		data[key] = []byte(value)
	}
	return data, nil
}

// uri pins the search_path, but at a pooler: those refuse options that they do not know, and the login's
// own default is the same.
func (s *scope) uri(config postgres.Config) string {
	if s.tdb.Spec.Endpoint != nil {
		return config.URI()
	}
	return config.URI(s.path()...)
}

func (s *scope) endpoint(config postgres.Config) postgres.Config {
	if e := s.tdb.Spec.Endpoint; e != nil {
		return config.WithEndpoint(e.Host, uint16(e.Port)) //nolint:gosec // bounded to 65535 by the API
	}
	return config
}

func (s *scope) path() []string {
	if s.wanted.SharedSchema != "" {
		return []string{s.wanted.Schema, s.wanted.SharedSchema}
	}
	return []string{s.wanted.Schema}
}

func (s *scope) extraKeys() []v1alpha1.SecretKey {
	if policy := s.class.Spec.Credentials; policy != nil {
		return policy.ExtraKeys
	}
	return nil
}

// proved says whether an earlier pass, also one of an operator before this one, logged in with just this
// Secret, and nothing that the Secret's content depends on has changed since.
func (r *Reconciler) proved(s *scope) bool {
	p, ok := r.proofOf(s)
	if !ok {
		p, ok = r.recallProof(s)
	}
	if !ok || s.secretVersion == "" || p.secretVersion != s.secretVersion || p.login != loginKey(s) ||
		p.asked != s.tenant.Annotations[v1alpha1.AnnotationReconcile] || !s.started.Before(s.due(p)) || !s.canUse(p.user) {
		return false
	}
	s.user = p.user
	return true
}

// canUse says whether a login can be the one in use, by the server's word. That of a class's login is the
// class's to know.
func (s *scope) canUse(user string) bool {
	return s.mode() != v1alpha1.LoginDedicated || s.canLogin(user)
}

// canLogin says whether one of the tenant's logins can log in, by the server's word.
func (s *scope) canLogin(user string) bool {
	roles := s.observed.Roles
	switch user {
	case roles.App:
		return s.observed.AppCanLogin
	case roles.Second():
		return s.observed.SecondCanLogin
	case roles.Reader():
		return s.observed.ReaderCanLogin
	case roles.SecondReader():
		return s.observed.SecondReaderCanLogin
	}
	return false
}

func (r *Reconciler) proofOf(s *scope) (proof, bool) {
	p, ok := r.checked.Load(s.tenant.UID)
	if !ok {
		return proof{}, false
	}
	return p.(proof), true
}

// loginKey names what the Secret is made from, besides the password.
func loginKey(s *scope) string {
	return fmt.Sprint(s.db.Config(), s.tdb.Spec.Endpoint, s.wanted.Schema, s.wanted.SharedSchema, s.observed.Roles.App, s.db.Config().Transport(),
		s.mode(), len(s.observed.ClassLogins), s.extraKeys())
}

// secretSuffix follows the Tenant's name in the name of its Secret.
const secretSuffix = "-db"

func secretName(t *v1alpha1.Tenant) string { return t.Name + secretSuffix }

// data is a Secret's content where there may be none.
func data(secret *corev1.Secret, key string) string { return string(secret.Data[key]) }
