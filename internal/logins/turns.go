package logins

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
)

// nextSuffix follows the name of a Secret in that of the Secret with the login to come.
const nextSuffix = "-next"

// sessionPoll is how often the sessions of a login that is to be retired are counted.
const sessionPoll = time.Minute

// Meta looks a Secret up without its content. There may be none.
func (k *Keeper) Meta(ctx context.Context, key client.ObjectKey) (*metav1.PartialObjectMetadata, error) {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := k.Get(ctx, key, m)
	return m, client.IgnoreNotFound(err)
}

// TakeTurns begins, goes on with, or ends a rotation. The state is that of Ensure, or of an earlier pass
// that saw the same Secret; it is brought up to date.
func (k *Keeper) TakeTurns(ctx context.Context, p *Pair, s *State, secret metav1.Object) error {
	next, err := k.Meta(ctx, p.next())
	if err != nil {
		return err
	}
	previous := p.other(s.User)
	if p.isDue(s, secret) {
		if !p.Server.CanLogin(previous) || next.UID != "" {
			return k.Rotate(ctx, p, s)
		}
	} else if next.UID != "" {
		if err := k.Discard(ctx, p); err != nil {
			return err
		}
	}
	if p.Server.CanLogin(previous) {
		if err := p.retire(ctx, s, secret, previous); err != nil {
			return err
		}
	}
	p.turn(s, secret)
	return nil
}

// turn says which login is in the Secret, and which one works beside it.
func (p *Pair) turn(s *State, secret metav1.Object) {
	s.Since, s.Previous = Since(secret), ""
	if previous := p.other(s.User); p.Server.CanLogin(previous) {
		s.Previous = previous
	}
}

// isDue says whether somebody asked for another login, or the present one is too old; and when to look
// again.
func (p *Pair) isDue(s *State, secret metav1.Object) bool {
	if p.Asked != "" && p.Asked != secret.GetAnnotations()[v1alpha1.AnnotationRotated] {
		return true
	}
	if p.MaxAge == 0 {
		return false
	}
	left := time.Until(Since(secret).Add(p.MaxAge))
	s.lookAgain(left)
	return left <= 0
}

// Rotate makes the other login work and puts it into the Secret. A login that is neither of the two gives
// way to the first.
func (k *Keeper) Rotate(ctx context.Context, p *Pair, s *State) error {
	next, err := k.nextSecret(ctx, p, s)
	if err != nil {
		return err
	}
	user, password := string(next.Data["username"]), string(next.Data["password"])
	verifier, err := postgres.SCRAMVerifier(password)
	if err != nil {
		return err
	}
	if err := p.Server.Set(ctx, user, verifier); err != nil {
		return err
	}
	if err := p.Server.Prepare(ctx, p.Config.WithLogin(user, password)); err != nil {
		return err
	}
	secret, err := k.Read(ctx, p.Key)
	if err != nil {
		return err
	}
	if err := p.fill(secret, user, password); err != nil {
		return err
	}
	p.stamp(secret)
	if err := k.Update(ctx, secret); err != nil {
		return fmt.Errorf("write Secret %s: %w", p.Key.Name, err)
	}
	*s = *p.state(secret)
	s.lookAgain(p.Grace)
	p.turn(s, secret)
	return k.Discard(ctx, p)
}

func (p *Pair) next() client.ObjectKey {
	return client.ObjectKey{Namespace: p.Key.Namespace, Name: p.Key.Name + nextSuffix}
}

// nextSecret stores the password of the login to come, unless an earlier pass did.
func (k *Keeper) nextSecret(ctx context.Context, p *Pair, s *State) (*corev1.Secret, error) {
	next, key := &corev1.Secret{}, p.next()
	err := k.Live.Get(ctx, key, next)
	switch {
	case err == nil && !OwnedBy(next, p.Owner):
		return nil, fault.NewWaiting(v1alpha1.ReasonSecretNameTaken, nameAgain,
			"Secret %q exists and was not made by Tenantry for this; delete or rename it, or the login cannot be rotated", key.Name)
	case err == nil && string(next.Data["username"]) == p.other(s.User) && usable(string(next.Data["password"])):
		return next, nil
	case err == nil:
		if err := k.Delete(ctx, next); err != nil {
			return nil, err
		}
	case !apierrors.IsNotFound(err):
		return nil, fmt.Errorf("read Secret %s: %w", key.Name, err)
	}
	next = &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, Labels: p.Labels, OwnerReferences: []metav1.OwnerReference{p.Owner}},
		Data:       map[string][]byte{"username": []byte(p.other(s.User)), "password": []byte(postgres.NewPassword())},
	}
	if err := k.Create(ctx, next); err != nil {
		return nil, fmt.Errorf("write Secret %s: %w", key.Name, err)
	}
	return next, nil
}

// Discard removes the Secret of a login that has come into the other one, or is wanted no longer.
func (k *Keeper) Discard(ctx context.Context, p *Pair) error {
	next, err := k.Meta(ctx, p.next())
	if err != nil {
		return err
	}
	return k.remove(ctx, next, p.Owner)
}

// Remove deletes both Secrets, if they are the owner's. It asks the API server itself: the cache may not
// know yet what was only just made.
func (k *Keeper) Remove(ctx context.Context, key client.ObjectKey, owner metav1.OwnerReference) error {
	for _, key := range []client.ObjectKey{key, {Namespace: key.Namespace, Name: key.Name + nextSuffix}} {
		m := &metav1.PartialObjectMetadata{}
		m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
		if err := client.IgnoreNotFound(k.Live.Get(ctx, key, m)); err != nil {
			return fmt.Errorf("look for Secret %s: %w", key.Name, err)
		}
		if err := k.remove(ctx, m, owner); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keeper) remove(ctx context.Context, m *metav1.PartialObjectMetadata, owner metav1.OwnerReference) error {
	if m.UID == "" || !OwnedBy(m, owner) {
		return nil
	}
	return client.IgnoreNotFound(k.Delete(ctx, m, client.Preconditions{UID: &m.UID}))
}

// retire takes the previous login away when nobody uses it any more.
func (p *Pair) retire(ctx context.Context, s *State, secret metav1.Object, previous string) error {
	if left := time.Until(Since(secret).Add(p.Grace)); left > 0 {
		s.lookAgain(left)
		return nil
	}
	gone, err := Retire(ctx, p.Server, previous)
	if !gone {
		s.lookAgain(sessionPoll)
	}
	return err
}

// Retire takes logins away that have no session any more, and says whether that is all of them.
func Retire(ctx context.Context, server Server, logins ...string) (gone bool, err error) {
	sessions, err := server.Sessions(ctx, logins...)
	if err != nil {
		return false, err
	}
	gone = true
	for _, login := range logins {
		switch {
		case !server.CanLogin(login):
		case sessions[login] > 0:
			gone = false
		default:
			if err := server.Retire(ctx, login); err != nil {
				return false, err
			}
		}
	}
	return gone, nil
}
