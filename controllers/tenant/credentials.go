package tenant

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/internal/routing"
)

// secretType is the Service Binding specification's for a PostgreSQL binding
// (servicebinding.io/spec/core/1.1.0, "Well-known Secret Entries").
const secretType = corev1.SecretType("servicebinding.io/postgresql")

// minPassword is the shortest password, in bytes, that the operator takes over from a Secret that
// was edited by hand.
const minPassword = 16

// proofAge is how long a login that worked is believed to work without another log-in.
const proofAge = 10 * time.Minute

// proof is what was seen to work, and what it depends on. Who asks for a reconcile wants to know, not
// to be told what was seen before: asked is the annotation's value at that time.
type proof struct {
	secretVersion, user, login, version, digest, asked string
	at                                                 time.Time
	// excess is what the login had beyond its bounds. While there is some, every pass looks anew.
	excess []postgres.Excess
}

// credentials writes the password to the Secret first, its verifier to the server next, and logs
// in last: a crash at any point leaves a Secret from which the rest follows.
func (r *Reconciler) credentials(ctx context.Context, s *scope) (outcome, error) {
	s.tenant.Status.Binding = &v1alpha1.LocalReference{Name: secretName(s.tenant)}
	meta, err := r.secretMeta(ctx, s, secretName(s.tenant))
	if err != nil {
		return outcome{}, err
	}
	if s.secretVersion = meta.ResourceVersion; !r.proved(s) {
		secret, isNew, err := r.ensureSecret(ctx, s)
		if err != nil {
			return outcome{}, err
		}
		s.use(secret)
		if err := r.login(ctx, s, isNew); err != nil {
			return outcome{}, err
		}
		meta.ObjectMeta = secret.ObjectMeta
	}
	return r.takeTurns(ctx, s, meta.ObjectMeta)
}

// use makes the login of a Secret the tenant's.
func (s *scope) use(secret *corev1.Secret) {
	s.user, s.secretVersion = userOf(s, secret), secret.ResourceVersion
	s.login = new(s.db.Config().WithLogin(s.user, string(secret.Data["password"])))
}

// userOf returns which of the tenant's two logins a Secret has. One that has neither gets the login
// that works.
func userOf(s *scope, secret *corev1.Secret) string {
	roles := s.observed.Roles
	switch user := string(secret.Data["username"]); {
	case user == roles.App, user == roles.Second():
		return user
	case s.observed.SecondCanLogin && !s.observed.AppCanLogin:
		return roles.Second()
	}
	return roles.App
}

// login logs in with the Secret's password. A password that is new, or that the server does not
// take, is set first.
func (r *Reconciler) login(ctx context.Context, s *scope, isNew bool) error {
	if !isNew {
		err := postgres.Login(ctx, *s.login)
		if isFull(err) {
			return nil // The server counts sessions after it has taken the password.
		}
		if fault.ReasonOf(err) != v1alpha1.ReasonAuthenticationFailed {
			return err
		}
	}
	verifier, err := postgres.SCRAMVerifier(s.login.Password())
	if err != nil {
		return err
	}
	if err := s.db.SetLogin(ctx, s.wanted.UID, s.wanted.Schema, s.user, verifier); err != nil {
		return err
	}
	err = postgres.Login(ctx, *s.login)
	if fault.ReasonOf(err) == v1alpha1.ReasonAuthenticationFailed {
		return fault.NewWaiting(v1alpha1.ReasonLoginFailed, time.Minute,
			"Login %s is refused although its password was just set; look at pg_hba.conf of the server", s.user).Because(err)
	}
	return err
}

// ensureSecret returns the tenant's Secret as it should be, and whether its password is new. A
// password that is there is kept; one that is missing or unusable is replaced. Keys of others are
// left alone.
func (r *Reconciler) ensureSecret(ctx context.Context, s *scope) (*corev1.Secret, bool, error) {
	secret := &corev1.Secret{}
	err := r.Live.Get(ctx, client.ObjectKey{Namespace: s.tenant.Namespace, Name: secretName(s.tenant)}, secret)
	if apierrors.IsNotFound(err) {
		secret, err = r.createSecret(ctx, s)
		return secret, true, err
	}
	if err != nil {
		return nil, false, fmt.Errorf("read the tenant's Secret: %w", err)
	}
	if !metav1.IsControlledBy(secret, s.tenant) {
		return nil, false, fault.NewWaiting(v1alpha1.ReasonSecretNameTaken, recheck,
			"Secret %q exists and is not this tenant's; delete or rename it", secret.Name)
	}
	before, password := secret.DeepCopy(), string(secret.Data["password"])
	isNew := !usable(password)
	if isNew {
		password = postgres.NewPassword()
	}
	fillSecret(secret, s, userOf(s, secret), password)
	if maps.EqualFunc(before.Data, secret.Data, equalBytes) && maps.Equal(before.Labels, secret.Labels) {
		return secret, false, nil
	}
	if err := r.Update(ctx, secret); err != nil {
		return nil, false, fmt.Errorf("write the tenant's Secret: %w", err)
	}
	return secret, isNew, nil
}

func (r *Reconciler) createSecret(ctx context.Context, s *scope) (*corev1.Secret, error) {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       s.tenant.Namespace,
			Name:            secretName(s.tenant),
			OwnerReferences: []metav1.OwnerReference{routing.Owner(s.tenant)},
		},
		Type: secretType,
	}
	stamp(secret, s.tenant)
	fillSecret(secret, s, userOf(s, secret), postgres.NewPassword())
	if err := r.Create(ctx, secret); err != nil {
		return nil, fmt.Errorf("write the tenant's Secret: %w", err)
	}
	return secret, nil
}

// fillSecret sets the keys of the Service Binding specification, and schema beside them.
func fillSecret(secret *corev1.Secret, s *scope, user, password string) {
	config := s.db.Config().WithLogin(user, password)
	if e := s.tdb.Spec.Endpoint; e != nil {
		config = config.WithEndpoint(e.Host, uint16(e.Port)) //nolint:gosec // bounded to 65535 by the API
	}
	path := []string{s.wanted.Schema}
	if s.wanted.SharedSchema != "" {
		path = append(path, s.wanted.SharedSchema)
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	for key, value := range map[string]string{
		"type":     "postgresql",
		"provider": "tenantry",
		"host":     config.Host(),
		"port":     strconv.Itoa(int(config.Port())),
		"database": config.Database(),
		"username": config.User(),
		"password": password,
		"schema":   s.wanted.Schema,
		"uri":      config.URI(path...),
	} {
		secret.Data[key] = []byte(value)
	}
	if ca := config.CA(); ca != "" {
		secret.Data["ca.crt"] = []byte(ca)
	}
	if secret.Labels == nil {
		secret.Labels = map[string]string{}
	}
	maps.Copy(secret.Labels, routing.Labels(s.tenant))
}

// secretMeta looks a Secret up without its content. There may be none.
func (r *Reconciler) secretMeta(ctx context.Context, s *scope, name string) (*metav1.PartialObjectMetadata, error) {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := r.Get(ctx, client.ObjectKey{Namespace: s.tenant.Namespace, Name: name}, m)
	return m, client.IgnoreNotFound(err)
}

// proved says whether an earlier pass of this process logged in with just this Secret, and nothing
// that the Secret's content depends on has changed since.
func (r *Reconciler) proved(s *scope) bool {
	p, ok := r.proofOf(s)
	if !ok || s.secretVersion == "" || p.secretVersion != s.secretVersion || p.login != loginKey(s) ||
		p.asked != s.tenant.Annotations[v1alpha1.AnnotationReconcile] || time.Since(p.at) >= proofAge || !s.canLogin(p.user) {
		return false
	}
	s.user = p.user
	return true
}

// canLogin says whether one of the tenant's logins can log in, by the server's word.
func (s *scope) canLogin(user string) bool {
	if user == s.observed.Roles.App {
		return s.observed.AppCanLogin
	}
	return user == s.observed.Roles.Second() && s.observed.SecondCanLogin
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
	return fmt.Sprint(s.db.Config(), s.tdb.Spec.Endpoint, s.wanted.Schema, s.wanted.SharedSchema, s.observed.Roles.App, s.db.Config().CA())
}

// secretSuffix follows the Tenant's name in the name of its Secret.
const secretSuffix = "-db"

func secretName(t *v1alpha1.Tenant) string { return t.Name + secretSuffix }

// usable refuses what nobody should have written into a Secret by hand.
func usable(password string) bool {
	for _, c := range []byte(password) {
		if c < 0x21 || c > 0x7e {
			return false
		}
	}
	return len(password) >= minPassword
}

func equalBytes(a, b []byte) bool { return string(a) == string(b) }
