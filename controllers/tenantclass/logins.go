package tenantclass

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/consent"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/logins"
	"github.com/tenantry/tenantry/internal/postgres"
)

// Shared logins are the class's: one on each database, with a Secret in the namespace that the class
// names. Tenants let it act for them in their own passes. A class that changes its mode gets another
// login; it comes into the Secret when every tenant that the old one can act for has let it in, and the
// old one goes when its grace is over and its last session has ended. With mode Dedicated, the login
// goes when the last tenant has left it.

// loginsLimit bounds the work on shared logins in one pass.
const loginsLimit = time.Minute

// loginPoll is how often tenants that have to come or go are counted.
const loginPoll = 15 * time.Second

// bringLogins looks after the shared logins of a class on all databases and says so in its status. The
// verdict is the first thing that is wrong with one.
func (r *Reconciler) bringLogins(ctx context.Context, class *v1alpha1.TenantClass) (next time.Duration, verdict error) {
	if mode(class) == v1alpha1.LoginDedicated && len(class.Status.Logins) == 0 {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, loginsLimit)
	defer cancel()
	var all []v1alpha1.SharedLoginStatus
	for _, ref := range loginHomes(class) {
		before := loginOn(class, ref)
		entry, again, err := r.bringLogin(ctx, class, ref, before)
		if err != nil && verdict == nil {
			verdict = onDatabase(ref, err)
		}
		if err != nil && entry == nil {
			entry = before
		}
		if entry != nil {
			all = append(all, *entry)
		}
		if again > 0 && (next == 0 || again < next) {
			next = again
		}
	}
	class.Status.Logins = all
	return next, verdict
}

// onDatabase says where something is wrong.
func onDatabase(ref v1alpha1.NamespacedReference, err error) error {
	f := fault.Of(err, "")
	if f.Reason == "" {
		return fmt.Errorf("shared login on TenantDatabase %s/%s: %w", ref.Namespace, ref.Name, err)
	}
	said := *f
	said.Message = fmt.Sprintf("spec.logins: on TenantDatabase %s/%s: %s", ref.Namespace, ref.Name, f.Message)
	return &said
}

func mode(class *v1alpha1.TenantClass) v1alpha1.LoginMode {
	if l := class.Spec.Logins; l != nil && l.Mode != "" && l.SecretRef != nil {
		return l.Mode
	}
	return v1alpha1.LoginDedicated
}

// loginHomes are the databases of the class, and those on which it still has a login.
func loginHomes(class *v1alpha1.TenantClass) []v1alpha1.NamespacedReference {
	refs := slices.Clone(class.Spec.Databases)
	for _, l := range class.Status.Logins {
		if ref := (v1alpha1.NamespacedReference{Namespace: l.Namespace, Name: l.Name}); !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	return refs
}

func loginOn(class *v1alpha1.TenantClass, ref v1alpha1.NamespacedReference) *v1alpha1.SharedLoginStatus {
	for i, l := range class.Status.Logins {
		if l.Namespace == ref.Namespace && l.Name == ref.Name {
			return class.Status.Logins[i].DeepCopy()
		}
	}
	return nil
}

// bringLogin looks after one. It returns what there is, nil for nothing, and when to look again.
func (r *Reconciler) bringLogin(ctx context.Context, class *v1alpha1.TenantClass, ref v1alpha1.NamespacedReference, before *v1alpha1.SharedLoginStatus) (*v1alpha1.SharedLoginStatus, time.Duration, error) {
	tdb := &v1alpha1.TenantDatabase{}
	if err := r.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, tdb); err != nil {
		return nil, 0, client.IgnoreNotFound(err) // The class says elsewhere that it is missing.
	}
	if !conditions.IsTrue(tdb, v1alpha1.ConditionBootstrapped) || !conditions.IsTrue(tdb, v1alpha1.ConditionReachable) {
		return nil, loginPoll, fault.NewWaiting(v1alpha1.ReasonSharedLoginNotReady, time.Minute, "the database is not Ready")
	}
	db, err := r.Pools.Get(ctx, tdb)
	if err != nil {
		return nil, 0, err
	}
	l := &login{r: r, class: class, tdb: tdb, db: db, before: before}
	switch gone, err := l.isLeft(ctx, ref); {
	case err != nil:
		return nil, 0, err
	case gone:
		return l.leave(ctx)
	}
	if err := r.checkWatched(class); err != nil {
		return nil, 0, err
	}
	allowed, err := consent.Allows(ctx, r, tdb.Spec.AllowedNamespaces, tdb.Namespace, class.Spec.Logins.SecretRef.Namespace)
	if err == nil && !allowed {
		err = fault.NewInvalid(v1alpha1.ReasonNamespaceNotAllowed,
			"spec.allowedNamespaces of the TenantDatabase does not allow namespace %q, where the shared login's Secret would be", class.Spec.Logins.SecretRef.Namespace)
	}
	if err != nil {
		return nil, 0, err
	}
	return l.bring(ctx)
}

// login is a class's shared login on one database, for one pass.
type login struct {
	r      *Reconciler
	class  *v1alpha1.TenantClass
	tdb    *v1alpha1.TenantDatabase
	db     *postgres.DB
	before *v1alpha1.SharedLoginStatus

	wanted postgres.ClassLogin
	seen   postgres.ClassLoginState
	// old are logins of the class that are not wanted any more.
	old []postgres.ClassLoginState
}

// look reads what there is, and mends it.
func (l *login) look(ctx context.Context) (err error) {
	if l.seen, err = l.db.EnsureClassLogin(ctx, l.wanted); err != nil {
		return err
	}
	all, err := l.db.ClassLogins(ctx, l.wanted.UID)
	l.old = slices.DeleteFunc(all, func(s postgres.ClassLoginState) bool { return s.First == l.seen.First })
	return err
}

func (l *login) bring(ctx context.Context) (*v1alpha1.SharedLoginStatus, time.Duration, error) {
	meta, err := l.r.Logins.Meta(ctx, logins.SharedKey(l.class, l.tdb))
	if err == nil {
		err = l.taken(meta)
	}
	if err == nil {
		err = l.moved(ctx)
	}
	if err != nil {
		return nil, 0, err
	}
	l.wanted = wantedLogin(l.class, l.tdb)
	if err := l.look(ctx); err != nil {
		return nil, 0, err
	}
	p := l.pair()
	if waiting, again, err := l.switchOver(ctx, p, meta); waiting != nil || err != nil {
		return waiting, again, err
	}
	secret, state := client.Object(meta), &logins.State{}
	if user, ok := l.r.loginProved(l, meta.ResourceVersion); ok && l.CanLogin(user) {
		state.User = user
	} else {
		if secret, state, err = l.r.ensureLogin(ctx, p); err != nil {
			return nil, 0, err
		}
	}
	if err := l.r.Logins.TakeTurns(ctx, p, state, secret); err != nil {
		return nil, 0, err
	}
	if state.Version != "" {
		l.r.proofs.Store(l.key(), loginProof{version: state.Version, user: state.User, from: l.from(), at: time.Now()})
	}
	entry := l.entry(state)
	again, err := l.retireOld(ctx, state.Since, entry)
	if state.Again > 0 && (again == 0 || state.Again < again) {
		again = state.Again
	}
	return entry, again, err
}

// taken refuses a Secret that has the login of another database of the class: of one that has the same name, since
// the Secret is called after it, or of one that the class left and that still has tenants.
func (l *login) taken(meta *metav1.PartialObjectMetadata) error {
	other := meta.Annotations[v1alpha1.AnnotationDatabase]
	if other == "" || other == logins.DatabaseName(l.tdb) || !logins.OwnedBy(meta, logins.ClassOwner(l.class)) ||
		!slices.ContainsFunc(loginHomes(l.class), func(ref v1alpha1.NamespacedReference) bool { return ref.Namespace+"/"+ref.Name == other }) {
		return nil
	}
	return fault.NewWaiting(v1alpha1.ReasonSecretNameTaken, loginPoll,
		"Secret %q of namespace %q has the login of TenantDatabase %s; two databases of a class with shared logins cannot have one name", meta.Name, meta.Namespace, other)
}

// moved refuses another Secret as long as the one before is there: with another password there, programs that read this
// one would be shut out, and nobody would take it away.
func (l *login) moved(ctx context.Context) error {
	key := logins.SharedKey(l.class, l.tdb)
	if l.before == nil || l.before.SecretRef == nil {
		return nil
	}
	old := client.ObjectKey{Namespace: l.before.SecretRef.Namespace, Name: l.before.SecretRef.Name}
	if old == key {
		return nil
	}
	meta, err := l.r.Logins.Meta(ctx, old)
	if err != nil || !logins.IsShared(meta, l.class, l.tdb) {
		return err
	}
	return fault.NewWaiting(v1alpha1.ReasonSharedLoginNotReady, loginPoll,
		"Secret %s/%s still has the login that Secret %s/%s is to have, and programs work with it. Set spec.logins.mode to Dedicated until status.logins "+
			"names it no more, and then secretRef; or delete that Secret, and it moves at once", old.Namespace, old.Name, key.Namespace, key.Name)
}

// switchOver puts the wanted login into a Secret that has the one of another mode, when it can act for
// every tenant that the other one can. Until then it returns what is.
func (l *login) switchOver(ctx context.Context, p *logins.Pair, meta *metav1.PartialObjectMetadata) (*v1alpha1.SharedLoginStatus, time.Duration, error) {
	was := v1alpha1.LoginMode(meta.Annotations[v1alpha1.AnnotationLoginMode])
	if meta.UID == "" || was == mode(l.class) || len(l.old) == 0 || !logins.OwnedBy(meta, p.Owner) {
		return nil, 0, nil
	}
	secret, err := l.r.Logins.Read(ctx, p.Key)
	if err != nil {
		return nil, 0, err
	}
	state := &logins.State{User: string(secret.Data["username"]), Since: logins.Since(secret)}
	only, err := l.db.OnlyIn(ctx, l.old[0].First, l.seen.First)
	if err != nil {
		return nil, 0, err
	}
	missing, err := l.r.living(ctx, l.class, only)
	if err != nil {
		return nil, 0, err
	}
	if missing > 0 {
		entry := l.entry(state)
		entry.Mode, entry.Next = was, l.seen.First
		return entry, loginPoll, fault.NewWaiting(v1alpha1.ReasonSharedLoginNotReady, loginPoll,
			"login %s takes over when %d more Tenants have let it in; until then %s works", l.seen.First, missing, state.User)
	}
	return nil, 0, l.r.Logins.Rotate(ctx, p, state)
}

func (l *login) entry(state *logins.State) *v1alpha1.SharedLoginStatus {
	key := logins.SharedKey(l.class, l.tdb)
	e := &v1alpha1.SharedLoginStatus{
		Namespace: l.tdb.Namespace, Name: l.tdb.Name, Mode: mode(l.class), Login: state.User, Since: &state.Since,
		SecretRef: &v1alpha1.NamespacedReference{Namespace: key.Namespace, Name: key.Name},
	}
	if state.Previous != "" {
		e.Previous = []string{state.Previous}
	}
	return e
}

// retireOld drops logins of another mode that nobody uses any more.
func (l *login) retireOld(ctx context.Context, since metav1.Time, entry *v1alpha1.SharedLoginStatus) (again time.Duration, err error) {
	for _, old := range l.old {
		left := time.Until(since.Add(grace(l.class)))
		sessions := map[string]int{}
		if left <= 0 {
			if sessions, err = l.db.Sessions(ctx, old.First, old.Second); err != nil {
				return 0, err
			}
		}
		if left <= 0 && len(sessions) == 0 {
			if err := l.db.DropClassLogin(ctx, l.wanted.UID, old.First); err != nil {
				return 0, err
			}
			continue
		}
		entry.Previous = append(entry.Previous, old.First)
		again = max(left, loginPoll)
	}
	return again, nil
}

// leave drops the class's logins on a database when no tenant is in them any more.
func (l *login) leave(ctx context.Context) (*v1alpha1.SharedLoginStatus, time.Duration, error) {
	all, err := l.db.ClassLogins(ctx, string(l.class.UID))
	if err != nil {
		return nil, 0, err
	}
	if n, err := l.tenantsOf(ctx, all); err != nil || n > 0 {
		return l.before, loginPoll, err
	}
	for _, s := range all {
		if err := l.db.DropClassLogin(ctx, string(l.class.UID), s.First); err != nil {
			return nil, 0, err
		}
	}
	if l.before != nil && l.before.SecretRef != nil {
		key := client.ObjectKey{Namespace: l.before.SecretRef.Namespace, Name: l.before.SecretRef.Name}
		if err := l.remove(ctx, key); err != nil {
			return nil, 0, err
		}
	}
	l.r.proofs.Delete(l.key())
	return nil, 0, nil
}

// remove deletes the login's Secret, unless it has the login of another database by now.
func (l *login) remove(ctx context.Context, key client.ObjectKey) error {
	meta, err := l.r.Logins.Meta(ctx, key)
	if err != nil {
		return err
	}
	if other := meta.Annotations[v1alpha1.AnnotationDatabase]; other != "" && other != logins.DatabaseName(l.tdb) {
		return nil
	}
	return l.r.Logins.Remove(ctx, key, logins.ClassOwner(l.class))
}
