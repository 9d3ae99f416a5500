// Package logins keeps the Secret of a login that has a second one to take turns with. The next one is
// prepared with a password that is stored in a Secret of its own before the server hears of it; only when
// it was seen to work does it come into the Secret that programs read, in one write. The previous one
// works on until its grace is over and its last session has ended. Whatever a crash leaves, the Secret
// has a login that works, and the next pass goes on from there. It serves tenants' logins, their readers
// and the shared logins of classes; what differs between them is in a Pair.
package logins

import (
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// SecretType is the Service Binding specification's for a PostgreSQL binding
// (servicebinding.io/spec/core/1.1.0, "Well-known Secret Entries").
const SecretType = corev1.SecretType("servicebinding.io/postgresql")

// minPassword is the shortest password, in bytes, that the operator takes over from a Secret that
// was edited by hand.
const minPassword = 16

// nameAgain is when to look again for a Secret's name that somebody else has.
const nameAgain = 10 * time.Minute

// Server is what a pair of logins is on the server. Each method is fenced by the registry.
type Server interface {
	// CanLogin says whether one of the two can log in, by what was last seen.
	CanLogin(login string) bool
	// Set gives one a password, as a SCRAM verifier, and lets it log in.
	Set(ctx context.Context, login, verifier string) error
	// Prepare gives a login that was only just made its rights and settings, tries all that is
	// wanted of it, and looks again at who can log in.
	Prepare(ctx context.Context, login postgres.Config) error
	// Retire takes LOGIN and password from one, and looks again.
	Retire(ctx context.Context, login string) error
	// Sessions counts the open sessions of each.
	Sessions(ctx context.Context, logins ...string) (map[string]int, error)
}

// Pair is a login, the one that takes turns with it, and the Secret with the one in use.
type Pair struct {
	// Owner controls the Secrets.
	Owner metav1.OwnerReference
	// Key of the Secret. One whose name is longer by "-next" holds the login to come.
	Key client.ObjectKey
	// Labels of the Secrets.
	Labels map[string]string
	// First and Second are the logins' roles.
	First, Second string
	// Config is the server's own address, with another login.
	Config postgres.Config
	// Fill returns the Secret's keys for a login.
	Fill func(user, password string) (map[string][]byte, error)
	// Extra are the keys among them that come from templates.
	Extra []v1alpha1.SecretKey
	// Stale are keys that are the operator's own and are removed unless Fill has them.
	Stale []string
	// Marks are annotations that the Secret gets whenever its login is new.
	Marks map[string]string
	// Asked is the value of the annotation by which a user wants another login.
	Asked string
	// MaxAge is the age at which a login is replaced; 0 for never. Grace is how long the one before
	// it works at least.
	MaxAge, Grace time.Duration

	// Unmade : most likely there is no Secret yet, so that it is created without a look.
	Unmade bool

	Server Server
}

// State is what a pair came to.
type State struct {
	// User is the login in the Secret, Since when it came there.
	User  string
	Since metav1.Time
	// Previous is the other login, as long as it works.
	Previous string
	// Login are User's settings, if the Secret's content was read.
	Login *postgres.Config
	// Version is the Secret's resource version.
	Version string
	// Again is when something is to be done; 0 for never.
	Again time.Duration
}

// lookAgain asks for a pass after a while, if none comes before.
func (s *State) lookAgain(after time.Duration) {
	if after > 0 && (s.Again == 0 || after < s.Again) {
		s.Again = after
	}
}

// Keeper reads and writes the Secrets.
type Keeper struct {
	client.Client

	// Live reads contents from the API server itself: no cache holds any.
	Live client.Reader
}

// Ensure makes the Secret what it should be, and its login work.
func (k *Keeper) Ensure(ctx context.Context, p *Pair) (*corev1.Secret, *State, error) {
	secret, isNew, err := k.ensureSecret(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	s := p.state(secret)
	return secret, s, p.login(ctx, s, isNew)
}

// Make creates the Secret of a pair of which there is none, and returns the verifier of its password, with
// which the login can be made: Try comes next. Where there is a Secret already, it is an error.
func (k *Keeper) Make(ctx context.Context, p *Pair) (secret *corev1.Secret, verifier string, err error) {
	if secret, err = k.createSecret(ctx, p); err != nil {
		return nil, "", err
	}
	verifier, err = postgres.SCRAMVerifier(string(secret.Data["password"]))
	return secret, verifier, err
}

// Try logs in with a Secret whose password the server was given just now.
func (p *Pair) Try(ctx context.Context, secret *corev1.Secret) (*State, error) {
	s := p.state(secret)
	return s, s.tryNew(ctx)
}

// Read returns the Secret as it is. The error is the API server's own where there is none.
func (k *Keeper) Read(ctx context.Context, key client.ObjectKey) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	if err := k.Live.Get(ctx, key, secret); err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", key.Name, err)
	}
	return secret, nil
}

func (p *Pair) state(secret *corev1.Secret) *State {
	user := p.UserOf(secret)
	login := p.Config.WithLogin(user, string(secret.Data["password"]))
	return &State{User: user, Login: &login, Version: secret.ResourceVersion}
}

// UserOf returns which of the two logins a Secret has. One that has neither gets the login that works.
func (p *Pair) UserOf(secret *corev1.Secret) string {
	switch user := string(secret.Data["username"]); {
	case user == p.First, user == p.Second:
		return user
	case p.Server.CanLogin(p.Second) && !p.Server.CanLogin(p.First):
		return p.Second
	}
	return p.First
}

func (p *Pair) other(user string) string {
	if user == p.First {
		return p.Second
	}
	return p.First
}

// login logs in with the Secret's password. A password that is new, or that the server does not
// take, is set first.
func (p *Pair) login(ctx context.Context, s *State, isNew bool) error {
	if !isNew {
		err := postgres.Login(ctx, *s.Login)
		if postgres.TooManyForRole(err) {
			return nil // The server counts sessions after it has taken the password.
		}
		if fault.ReasonOf(err) != v1alpha1.ReasonAuthenticationFailed {
			return err
		}
	}
	verifier, err := postgres.SCRAMVerifier(s.Login.Password())
	if err != nil {
		return err
	}
	if err := p.Server.Set(ctx, s.User, verifier); err != nil {
		return err
	}
	return s.tryNew(ctx)
}

func (s *State) tryNew(ctx context.Context) error {
	err := postgres.Login(ctx, *s.Login)
	if fault.ReasonOf(err) == v1alpha1.ReasonAuthenticationFailed {
		return fault.NewWaiting(v1alpha1.ReasonLoginFailed, time.Minute,
			"Login %s is refused although its password was just set; look at pg_hba.conf of the server", s.User).Because(err)
	}
	return err
}

// ensureSecret returns the Secret as it should be, and whether its password is new. A password that is
// there is kept; one that is missing or unusable is replaced. Keys of others are left alone.
func (k *Keeper) ensureSecret(ctx context.Context, p *Pair) (*corev1.Secret, bool, error) {
	if p.Unmade {
		if secret, err := k.createSecret(ctx, p); !apierrors.IsAlreadyExists(err) {
			return secret, true, err
		}
	}
	secret := &corev1.Secret{}
	err := k.Live.Get(ctx, p.Key, secret)
	if apierrors.IsNotFound(err) {
		secret, err = k.createSecret(ctx, p)
		return secret, true, err
	}
	if err != nil {
		return nil, false, fmt.Errorf("read Secret %s: %w", p.Key.Name, err)
	}
	if !OwnedBy(secret, p.Owner) {
		return nil, false, fault.NewWaiting(v1alpha1.ReasonSecretNameTaken, nameAgain,
			"Secret %q of namespace %q exists and was not made by Tenantry for this; delete or rename it", secret.Name, secret.Namespace)
	}
	before, password := secret.DeepCopy(), string(secret.Data["password"])
	isNew := !usable(password)
	if isNew {
		password = postgres.NewPassword()
	}
	if err := p.fill(secret, p.UserOf(secret), password); err != nil {
		return nil, false, err
	}
	if p.marksDiffer(secret) {
		p.stamp(secret)
	}
	if maps.EqualFunc(before.Data, secret.Data, equalBytes) && maps.Equal(before.Labels, secret.Labels) && maps.Equal(before.Annotations, secret.Annotations) {
		return secret, false, nil
	}
	if err := k.Update(ctx, secret); err != nil {
		return nil, false, fmt.Errorf("write Secret %s: %w", p.Key.Name, err)
	}
	return secret, isNew, nil
}

func (k *Keeper) createSecret(ctx context.Context, p *Pair) (*corev1.Secret, error) {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.Key.Namespace, Name: p.Key.Name, OwnerReferences: []metav1.OwnerReference{p.Owner}},
		Type:       SecretType,
	}
	p.stamp(secret)
	if err := p.fill(secret, p.UserOf(secret), postgres.NewPassword()); err != nil {
		return nil, err
	}
	if err := k.Create(ctx, secret); err != nil {
		return nil, fmt.Errorf("write Secret %s: %w", p.Key.Name, err)
	}
	return secret, nil
}

func (p *Pair) fill(secret *corev1.Secret, user, password string) error {
	data, err := p.Fill(user, password)
	if err != nil {
		return err
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	for _, key := range p.Stale {
		if _, wanted := data[key]; !wanted {
			delete(secret.Data, key)
		}
	}
	Put(secret, data, p.Extra)
	if secret.Labels == nil {
		secret.Labels = map[string]string{}
	}
	maps.Copy(secret.Labels, p.Labels)
	return nil
}

// marksDiffer says whether the Secret was last written for something else. One that does not say what for
// was written before there was a choice.
func (p *Pair) marksDiffer(secret *corev1.Secret) bool {
	for key, value := range p.Marks {
		if was, ok := secret.Annotations[key]; ok && was != value {
			return true
		}
	}
	return false
}

// stamp notes that the login of a Secret is new.
func (p *Pair) stamp(secret *corev1.Secret) {
	if secret.Annotations == nil {
		secret.Annotations = map[string]string{}
	}
	secret.Annotations[v1alpha1.AnnotationLoginSince] = time.Now().UTC().Format(time.RFC3339)
	maps.Copy(secret.Annotations, p.Marks)
	if p.Asked != "" {
		secret.Annotations[v1alpha1.AnnotationRotated] = p.Asked
	}
}

// OwnedBy says whether an object is controlled by the owner that a reference names.
func OwnedBy(o metav1.Object, owner metav1.OwnerReference) bool {
	c := metav1.GetControllerOf(o)
	return c != nil && c.UID == owner.UID
}

// Since is when the login of a Secret came into it.
func Since(secret metav1.Object) metav1.Time {
	if t, err := time.Parse(time.RFC3339, secret.GetAnnotations()[v1alpha1.AnnotationLoginSince]); err == nil {
		return metav1.NewTime(t)
	}
	return secret.GetCreationTimestamp()
}

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
