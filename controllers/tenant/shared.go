package tenant

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/logins"
	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/internal/routing"
)

// Where programs log in with a login of the class, the class's controller looks after that login and its
// Secret. The tenant's part is to let it act for the tenant (provision), to say in its own Secret which
// schema and role are the tenant's, and to prove that it works (verify). From one mode to another, the
// new way works before the old one is taken away: the tenant's own login stays until the grace is over
// and its last session has ended, and the class's login may act for the tenant until the grace is over.

// classMode is the one that the class wants.
func (s *scope) classMode() v1alpha1.LoginMode {
	if l := s.class.Spec.Logins; l != nil && l.Mode != "" && l.SecretRef != nil {
		return l.Mode
	}
	return v1alpha1.LoginDedicated
}

// mode is how programs log in for the tenant. A tenant that has a login of its own keeps it as long as
// the class's does not work yet.
func (s *scope) mode() v1alpha1.LoginMode {
	if s.classSecret == nil && s.hasOwnLogin() {
		return v1alpha1.LoginDedicated
	}
	return s.classMode()
}

func (s *scope) hasOwnLogin() bool { return s.observed.AppCanLogin || s.observed.SecondCanLogin }

// classLogin is the login of the class on the tenant's database, of one mode or the other.
func (s *scope) classLogin(mode v1alpha1.LoginMode) string {
	return postgres.ClassLoginRole(s.db.Config().Database(), s.class.Name, string(s.class.UID), mode == v1alpha1.LoginShared)
}

// findClassSecret looks for the Secret of the class's login on the tenant's database.
func (r *Reconciler) findClassSecret(ctx context.Context, s *scope) error {
	s.classSecret = nil
	if s.classMode() == v1alpha1.LoginDedicated {
		return nil
	}
	for _, key := range classSecretKeys(s) {
		m, err := r.Logins.Meta(ctx, key)
		switch {
		case fault.ReasonOf(err) == v1alpha1.ReasonNamespaceNotWatched:
			continue // The class says so. Who has a login of its own works on.
		case err != nil:
			return err
		case logins.IsShared(m, s.class, s.tdb):
			s.classSecret = m
			return nil
		}
	}
	return nil
}

// classSecretKeys are where the Secret is to be, and where programs have it from as long as the class says so: one
// that moves is not made before the other one is gone.
func classSecretKeys(s *scope) []client.ObjectKey {
	keys := []client.ObjectKey{logins.SharedKey(s.class, s.tdb)}
	for _, l := range s.class.Status.Logins {
		if l.Namespace != s.tdb.Namespace || l.Name != s.tdb.Name || l.SecretRef == nil {
			continue
		}
		if key := (client.ObjectKey{Namespace: l.SecretRef.Namespace, Name: l.SecretRef.Name}); key != keys[0] {
			keys = append(keys, key)
		}
	}
	return keys
}

func (r *Reconciler) sharedCredentials(ctx context.Context, s *scope) (outcome, error) {
	shared := s.classSecret
	if shared == nil {
		return outcome{}, fault.NewWaiting(v1alpha1.ReasonSharedLoginNotReady, time.Minute,
			"Class %s has no shared login on TenantDatabase %s/%s yet; see its condition Ready", s.class.Name, s.tdb.Namespace, s.tdb.Name)
	}
	if err := r.joinInUse(ctx, s); err != nil {
		return outcome{}, err
	}
	meta, err := r.Logins.Meta(ctx, client.ObjectKey{Namespace: s.tenant.Namespace, Name: secretName(s.tenant)})
	if err != nil {
		return outcome{}, err
	}
	own := metav1.Object(meta)
	if s.secretVersion = versions(meta, shared); r.proved(s) {
		own, err = r.leaveOwn(ctx, s, own)
	} else if own, err = r.ensureWithoutLogin(ctx, s); err == nil && s.hasOwnLogin() {
		left := time.Until(logins.Since(own).Add(s.grace()))
		s.lookAgain(left)
		s.leaves = left <= 0 // verify comes behind
	}
	if err != nil {
		return outcome{}, err
	}
	s.secretVersion, s.since = versions(own, shared), logins.Since(shared)
	if s.user == "" {
		if err := r.readLogin(ctx, s); err != nil {
			return outcome{}, err
		}
	}
	return s.sharedTurn(), nil
}

// joinInUse lets the login act for the tenant that is in the class's Secret. While a class changes its mode that is not
// the one that provision lets in: a tenant that comes meanwhile works like all others.
func (r *Reconciler) joinInUse(ctx context.Context, s *scope) error {
	mode := v1alpha1.LoginMode(s.classSecret.Annotations[v1alpha1.AnnotationLoginMode])
	if mode == s.classMode() || mode != v1alpha1.LoginSetRole && mode != v1alpha1.LoginShared ||
		slices.Contains(s.observed.ClassLogins, s.classLogin(mode)) {
		return nil
	}
	l := postgres.ClassLogin{UID: string(s.class.UID), Class: s.class.Name, All: mode == v1alpha1.LoginShared}
	if err := s.db.JoinClassLogin(ctx, s.wanted.UID, s.wanted.Schema, l); err != nil {
		return err
	}
	return (&server{s: s}).look(ctx)
}

func versions(own, shared metav1.Object) string {
	return own.GetResourceVersion() + "/" + shared.GetResourceVersion()
}

// readShared reads the class's login as programs do.
func (r *Reconciler) readShared(ctx context.Context, s *scope) error {
	secret, err := r.Logins.Read(ctx, client.ObjectKeyFromObject(s.classSecret))
	if err != nil {
		return err
	}
	s.user = data(secret, "username")
	if s.inUse() == "" {
		return fault.NewWaiting(v1alpha1.ReasonSharedLoginNotReady, time.Minute,
			"Secret %s/%s names a login that is not class %s's; see the class", secret.Namespace, secret.Name, s.class.Name)
	}
	login := s.db.Config().WithLogin(s.user, data(secret, "password"))
	s.login = &login
	return nil
}

// inUse is the mode of the class's login that is in its Secret: while a class changes its mode, that is
// still the old one.
func (s *scope) inUse() v1alpha1.LoginMode {
	for _, mode := range []v1alpha1.LoginMode{v1alpha1.LoginSetRole, v1alpha1.LoginShared} {
		if login := s.classLogin(mode); s.user == login || s.user == postgres.SecondClassLogin(login) {
			return mode
		}
	}
	return ""
}

// sharedTurn says in the status as whom programs log in.
func (s *scope) sharedTurn() outcome {
	key := client.ObjectKeyFromObject(s.classSecret)
	c := &v1alpha1.TenantCredentials{
		Mode: s.inUse(), Role: s.observed.Roles.App, Login: s.user, Since: &s.since,
		SharedSecretRef: &v1alpha1.NamespacedReference{Namespace: key.Namespace, Name: key.Name},
	}
	message := fmt.Sprintf("Login %s of class %s acts for the tenant; its credentials are in Secret %s/%s", s.user, s.class.Name, key.Namespace, key.Name)
	var still []string
	for _, login := range []string{s.observed.Roles.App, s.observed.Roles.Second()} {
		if s.canLogin(login) {
			c.Previous = login
			still = append(still, login)
		}
	}
	if len(still) > 0 {
		message += fmt.Sprintf("; the tenant's own login %s works until its grace is over and its last session has ended", strings.Join(still, " and "))
	}
	s.tenant.Status.Credentials = c
	return done(message)
}

// loginKeys are those that a Secret without a login lacks.
var loginKeys = []string{"username", "password", "uri"}

// ensureWithoutLogin makes the tenant's Secret say where its data are, without a login. One that the
// tenant had before stays in it as long as it works.
func (r *Reconciler) ensureWithoutLogin(ctx context.Context, s *scope) (metav1.Object, error) {
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: s.tenant.Namespace, Name: secretName(s.tenant)}
	err := r.Live.Get(ctx, key, secret)
	isNew := apierrors.IsNotFound(err)
	switch {
	case isNew:
		secret = &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, OwnerReferences: []metav1.OwnerReference{routing.Owner(s.tenant)}},
			Type:       logins.SecretType,
		}
	case err != nil:
		return nil, fmt.Errorf("read the tenant's Secret: %w", err)
	case !metav1.IsControlledBy(secret, s.tenant):
		return nil, fault.NewWaiting(v1alpha1.ReasonSecretNameTaken, recheck, "Secret %q exists and is not this tenant's; delete or rename it", key.Name)
	}
	before := secret.DeepCopy()
	if err := s.fillWithoutLogin(secret); err != nil {
		return nil, err
	}
	switch {
	case isNew:
		err = r.Create(ctx, secret)
	case !maps.EqualFunc(before.Data, secret.Data, func(a, b []byte) bool { return string(a) == string(b) }) ||
		!maps.Equal(before.Labels, secret.Labels) || !maps.Equal(before.Annotations, secret.Annotations):
		err = r.Update(ctx, secret)
	}
	if err != nil {
		return nil, fmt.Errorf("write the tenant's Secret: %w", err)
	}
	return secret, nil
}

func (s *scope) fillWithoutLogin(secret *corev1.Secret) error {
	user, password := "", ""
	if s.hasOwnLogin() && data(secret, "password") != "" { // keys by template have it in them
		user, password = data(secret, "username"), data(secret, "password")
	}
	keys, err := s.keys(user, password)
	if err != nil {
		return err
	}
	logins.Put(secret, keys, s.extraKeys())
	if !s.hasOwnLogin() {
		for _, key := range loginKeys {
			delete(secret.Data, key)
		}
	}
	if secret.Labels == nil {
		secret.Labels = map[string]string{}
	}
	maps.Copy(secret.Labels, routing.Labels(s.tenant))
	if secret.Annotations[v1alpha1.AnnotationLoginMode] != string(s.mode()) {
		if secret.Annotations == nil {
			secret.Annotations = map[string]string{}
		}
		secret.Annotations[v1alpha1.AnnotationLoginMode] = string(s.mode())
		secret.Annotations[v1alpha1.AnnotationLoginSince] = time.Now().UTC().Format(time.RFC3339)
	}
	return nil
}

// leaveOwn takes the tenant's own logins away, and then out of its Secret, when nobody needs them any
// more. That the class's login works is known: an earlier pass has verified it.
func (r *Reconciler) leaveOwn(ctx context.Context, s *scope, own metav1.Object) (metav1.Object, error) {
	if !s.hasOwnLogin() {
		return own, nil
	}
	if left := time.Until(logins.Since(own).Add(s.grace())); left > 0 {
		s.lookAgain(left)
		return own, nil
	}
	roles := s.observed.Roles
	gone, err := logins.Retire(ctx, &server{s: s}, roles.App, roles.Second())
	if err != nil {
		return nil, err
	}
	if !gone {
		s.lookAgain(time.Minute)
		return own, nil
	}
	if err := r.Logins.Discard(ctx, r.ownPair(s)); err != nil {
		return nil, err
	}
	return r.ensureWithoutLogin(ctx, s)
}

// leaveShared takes the tenant from logins of its class that programs no longer use, when the grace of
// its own login is over.
func (r *Reconciler) leaveShared(ctx context.Context, s *scope) error {
	if len(s.observed.ClassLogins) == 0 {
		return nil
	}
	if left := time.Until(s.since.Add(s.grace())); left > 0 {
		s.lookAgain(left)
		return nil
	}
	if s.leaves = !r.proved(s); s.leaves { // verify comes behind
		return nil
	}
	if err := s.db.LeaveClassLogins(ctx, s.wanted.UID, s.wanted.Schema); err != nil {
		return err
	}
	return (&server{s: s}).look(ctx)
}
