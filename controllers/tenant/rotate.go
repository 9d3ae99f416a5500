package tenant

import (
	"context"
	"fmt"
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

// A tenant has two logins that take turns. The next one is prepared with a password that is stored in a
// Secret of its own before the server hears of it; only when it was seen to work does it come into the
// tenant's Secret, in one write. The previous one works on until its grace is over and its last session
// has ended. Whatever a crash leaves, the tenant's Secret has a login that works.

// nextSuffix follows the name of the tenant's Secret in that of the Secret with the login to come.
const nextSuffix = "-next"

// sessionPoll is how often the sessions of a login that is to be retired are counted.
const sessionPoll = time.Minute

// takeTurns begins, goes on with, or ends a rotation, and says which login is in the Secret.
func (r *Reconciler) takeTurns(ctx context.Context, s *scope, secret metav1.ObjectMeta) (outcome, error) {
	next, err := r.secretMeta(ctx, s, secretName(s.tenant)+nextSuffix)
	if err != nil {
		return outcome{}, err
	}
	previous := s.other(s.user)
	if isDue(s, secret) {
		if !s.canLogin(previous) || next.UID != "" {
			return r.rotate(ctx, s)
		}
	} else if next.UID != "" {
		if err := r.discard(ctx, s); err != nil {
			return outcome{}, err
		}
	}
	if s.canLogin(previous) {
		if err := r.retire(ctx, s, secret, previous); err != nil {
			return outcome{}, err
		}
	}
	return s.turn(secret), nil
}

// turn says in the status which login is in the Secret.
func (s *scope) turn(secret metav1.ObjectMeta) outcome {
	since := since(secret)
	c := &v1alpha1.TenantCredentials{Login: s.user, Since: &since}
	message := fmt.Sprintf("Login %s works; its credentials are in Secret %s", s.user, secret.Name)
	if previous := s.other(s.user); s.canLogin(previous) {
		c.Previous = previous
		message += fmt.Sprintf("; login %s works until its grace is over and its last session has ended", previous)
	}
	s.tenant.Status.Credentials = c
	return done(message)
}

func (s *scope) other(user string) string {
	if user == s.observed.Roles.App {
		return s.observed.Roles.Second()
	}
	return s.observed.Roles.App
}

// since is when the login came into the Secret.
func since(secret metav1.ObjectMeta) metav1.Time {
	if t, err := time.Parse(time.RFC3339, secret.Annotations[v1alpha1.AnnotationLoginSince]); err == nil {
		return metav1.NewTime(t)
	}
	return secret.CreationTimestamp
}

// stamp notes that the login of a Secret is new.
func stamp(secret *corev1.Secret, t *v1alpha1.Tenant) {
	if secret.Annotations == nil {
		secret.Annotations = map[string]string{}
	}
	secret.Annotations[v1alpha1.AnnotationLoginSince] = time.Now().UTC().Format(time.RFC3339)
	if asked := t.Annotations[v1alpha1.AnnotationRotate]; asked != "" {
		secret.Annotations[v1alpha1.AnnotationRotated] = asked
	}
}

// isDue says whether somebody asked for another login, or the present one is too old; and when to look
// again.
func isDue(s *scope, secret metav1.ObjectMeta) bool {
	asked := s.tenant.Annotations[v1alpha1.AnnotationRotate]
	if asked != "" && asked != secret.Annotations[v1alpha1.AnnotationRotated] {
		return true
	}
	policy := s.class.Spec.Credentials
	if policy == nil || policy.RotateAfterDays == 0 {
		return false
	}
	left := time.Until(since(secret).AddDate(0, 0, int(policy.RotateAfterDays)))
	s.lookAgain(left)
	return left <= 0
}

// lookAgain asks for a pass after a while, if none comes before.
func (s *scope) lookAgain(after time.Duration) {
	if after > 0 && (s.again == 0 || after < s.again) {
		s.again = after
	}
}

// rotate makes the other login work and puts it into the tenant's Secret.
func (r *Reconciler) rotate(ctx context.Context, s *scope) (outcome, error) {
	next, err := r.nextSecret(ctx, s)
	if err != nil {
		return outcome{}, err
	}
	user, password := string(next.Data["username"]), string(next.Data["password"])
	verifier, err := postgres.SCRAMVerifier(password)
	if err != nil {
		return outcome{}, err
	}
	if err := s.db.SetLogin(ctx, s.wanted.UID, s.wanted.Schema, user, verifier); err != nil {
		return outcome{}, err
	}
	// A login that was only just made lacks the tenant's rights and settings.
	if _, err := s.db.Provision(ctx, s.wanted); err != nil {
		return outcome{}, err
	}
	if err := r.tryLogin(ctx, s, user, password); err != nil {
		return outcome{}, err
	}
	secret := &corev1.Secret{}
	if err := r.Live.Get(ctx, client.ObjectKey{Namespace: s.tenant.Namespace, Name: secretName(s.tenant)}, secret); err != nil {
		return outcome{}, fmt.Errorf("read the tenant's Secret: %w", err)
	}
	fillSecret(secret, s, user, password)
	stamp(secret, s.tenant)
	if err := r.Update(ctx, secret); err != nil {
		return outcome{}, fmt.Errorf("write the tenant's Secret: %w", err)
	}
	if s.observed, err = s.db.Observe(ctx, s.wanted); err != nil {
		return outcome{}, err
	}
	s.use(secret)
	s.lookAgain(grace(s))
	return s.turn(secret.ObjectMeta), r.discard(ctx, s)
}

// tryLogin wants of a login all that verify wants, before anybody uses it.
func (r *Reconciler) tryLogin(ctx context.Context, s *scope, user, password string) error {
	result, err := postgres.Probe(ctx, s.db.Config().WithLogin(user, password), s.wanted.Schema)
	if err != nil {
		return err
	}
	if wrong := unusable(result); wrong != "" {
		return fault.NewWaiting(v1alpha1.ReasonVerificationFailed, time.Minute, "The next login %s %s; the present one stays", user, wrong)
	}
	return nil
}

// nextSecret stores the password of the login to come, unless an earlier pass did.
func (r *Reconciler) nextSecret(ctx context.Context, s *scope) (*corev1.Secret, error) {
	next := &corev1.Secret{}
	key := client.ObjectKey{Namespace: s.tenant.Namespace, Name: secretName(s.tenant) + nextSuffix}
	err := r.Live.Get(ctx, key, next)
	switch {
	case err == nil && !metav1.IsControlledBy(next, s.tenant):
		return nil, fault.NewWaiting(v1alpha1.ReasonSecretNameTaken, recheck,
			"Secret %q exists and is not this tenant's; delete or rename it, or the login cannot be rotated", key.Name)
	case err == nil && string(next.Data["username"]) == s.other(s.user) && usable(string(next.Data["password"])):
		return next, nil
	case err == nil:
		if err := r.Delete(ctx, next); err != nil {
			return nil, err
		}
	case !apierrors.IsNotFound(err):
		return nil, fmt.Errorf("read Secret %s: %w", key.Name, err)
	}
	next = &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace, Name: key.Name, Labels: routing.Labels(s.tenant),
			OwnerReferences: []metav1.OwnerReference{routing.Owner(s.tenant)},
		},
		Data: map[string][]byte{"username": []byte(s.other(s.user)), "password": []byte(postgres.NewPassword())},
	}
	if err := r.Create(ctx, next); err != nil {
		return nil, fmt.Errorf("write Secret %s: %w", key.Name, err)
	}
	return next, nil
}

// discard removes the Secret of a login that has come into the tenant's own, or is wanted no longer.
func (r *Reconciler) discard(ctx context.Context, s *scope) error {
	next, err := r.secretMeta(ctx, s, secretName(s.tenant)+nextSuffix)
	if err != nil || next.UID == "" || !metav1.IsControlledBy(next, s.tenant) {
		return err
	}
	return client.IgnoreNotFound(r.Delete(ctx, next, client.Preconditions{UID: &next.UID}))
}

// retire takes the previous login away when nobody uses it any more.
func (r *Reconciler) retire(ctx context.Context, s *scope, secret metav1.ObjectMeta, previous string) error {
	if left := time.Until(since(secret).Add(grace(s))); left > 0 {
		s.lookAgain(left)
		return nil
	}
	sessions, err := s.db.Sessions(ctx, previous)
	if err != nil {
		return err
	}
	if sessions[previous] > 0 {
		s.lookAgain(sessionPoll)
		return nil
	}
	if err := s.db.RetireLogin(ctx, s.wanted.UID, s.wanted.Schema, previous); err != nil {
		return err
	}
	s.observed, err = s.db.Observe(ctx, s.wanted)
	return err
}

// grace of a class that names none is that of the API's default.
func grace(s *scope) time.Duration {
	if policy := s.class.Spec.Credentials; policy != nil && policy.GraceSeconds > 0 {
		return time.Duration(policy.GraceSeconds) * time.Second
	}
	return time.Hour
}
