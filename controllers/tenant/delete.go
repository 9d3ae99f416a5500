package tenant

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/internal/routing"
)

// deletion is the life of a Tenant in reverse: nothing is taken from under a customer that is still
// served, and a host is free for others only when nothing of this tenant answers on it.
var deletion = []func(*Reconciler, context.Context, *scope) error{
	(*Reconciler).closeRoutes,
	(*Reconciler).leaveJobs,
	(*Reconciler).leaveDatabase,
	(*Reconciler).removeSecrets,
	(*Reconciler).removeRoutes,
	(*Reconciler).removeClaims,
	(*Reconciler).removeCertificates,
}

// deletionLimit bounds one pass, not the deletion: a large schema is dropped in parts.
const deletionLimit = 5 * time.Minute

func (r *Reconciler) reconcileDelete(ctx context.Context, t *v1alpha1.Tenant) (ctrl.Result, error) {
	r.Prober.Forget(client.ObjectKeyFromObject(t))
	r.Permits.Pardon(client.ObjectKeyFromObject(t).String())
	base := t.DeepCopy()
	s := &scope{tenant: t, base: base, started: time.Now()}
	ctx, cancel := context.WithTimeout(ctx, deletionLimit)
	defer cancel()
	for _, undo := range deletion {
		if err := undo(r, ctx, s); err != nil {
			note(ctx, err, "deletion")
			result, err := conditions.Conclude(t, err, "")
			return r.Status.Finish(ctx, s.base, t, result, err, recheck)
		}
	}
	r.Placement.Release(t.UID)
	r.met.Delete(t.UID)
	r.checked.Delete(t.UID)
	r.readers.Delete(t.UID)
	r.inserts.Delete(t.UID)
	r.attempts.forget(t.UID)
	err := conditions.RemoveFinalizer(ctx, r.Client, t)
	if err == nil {
		r.left.Delete(t.UID)
	}
	return conditions.Written(err)
}

// closeRoutes takes the tenant's hosts off its backend before anything else is taken away. Where the
// class has a holding backend, that one answers until the tenant is gone.
func (r *Reconciler) closeRoutes(ctx context.Context, s *scope) error {
	if _, left := r.left.Load(s.tenant.UID); left {
		return nil // The holding routes go now: what makes them again would never end.
	}
	class := &v1alpha1.TenantClass{}
	err := r.Get(ctx, client.ObjectKey{Name: s.tenant.Spec.ClassName}, class)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	if err != nil || class.Spec.Routing == nil || class.Spec.Routing.Holding == nil {
		return r.removeRoutes(ctx, s)
	}
	s.class = class
	if s.hosts, err = r.heldHosts(ctx, s.tenant); err != nil {
		return err
	}
	if err := r.recallListeners(ctx, s); err != nil {
		return err
	}
	if _, err = r.applyRoutes(ctx, s.away()); err != nil {
		// A namespace that is being deleted takes no new routes.
		note(ctx, err, "holding routes")
		return r.removeRoutes(ctx, s)
	}
	return nil
}

// heldHosts lists what a tenant that is being deleted is still served on: the hosts of its claims that
// were its own to use.
func (r *Reconciler) heldHosts(ctx context.Context, t *v1alpha1.Tenant) ([]string, error) {
	var hosts []string
	for _, d := range t.Status.Domains {
		claim := &v1alpha1.DomainClaim{}
		err := r.Get(ctx, client.ObjectKey{Name: domains.ClaimName(d.Host)}, claim)
		if client.IgnoreNotFound(err) != nil {
			return nil, err
		}
		if err == nil && claim.Spec.Holder.UID == string(t.UID) && d.State != v1alpha1.DomainUnverified {
			hosts = append(hosts, d.Host)
		}
	}
	return hosts, nil
}

// removeRoutes returns nil only when the API server has no route of the tenant any more. Routes are
// known by their owner; the cache finds those whose labels somebody took off, and the API server
// itself those that the cache does not know yet.
func (r *Reconciler) removeRoutes(ctx context.Context, s *scope) error {
	left := map[client.ObjectKey]bool{}
	home := client.InNamespace(s.tenant.Namespace)
	label := client.MatchingLabels{routing.LabelTenantUID: string(s.tenant.UID)}
	for _, list := range []client.ObjectList{&gatewayv1.HTTPRouteList{}, &networkingv1.IngressList{}} {
		for _, read := range []func() error{
			func() error { return r.List(ctx, list, home) },
			func() error { return r.Live.List(ctx, list, home, label) },
		} {
			if err := read(); meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
				continue
			} else if err != nil {
				return fmt.Errorf("list routes: %w", err)
			}
			if err := r.deleteOwned(ctx, s.tenant, list, left); err != nil {
				return fmt.Errorf("delete routes: %w", err)
			}
		}
	}
	if len(left) > 0 {
		return fault.NewWaiting(v1alpha1.ReasonDeleting, time.Second, "Taking the tenant's routes away")
	}
	return nil
}

func (r *Reconciler) deleteOwned(ctx context.Context, t *v1alpha1.Tenant, list client.ObjectList, seen map[client.ObjectKey]bool) error {
	return meta.EachListItem(list, func(o runtime.Object) error {
		obj, ok := o.(client.Object)
		if !ok || !metav1.IsControlledBy(obj, t) && !orphaned(obj, t) || seen[client.ObjectKeyFromObject(obj)] {
			return nil
		}
		seen[client.ObjectKeyFromObject(obj)] = true
		uid := obj.GetUID()
		err := r.Delete(ctx, obj, client.Preconditions{UID: &uid})
		if apierrors.IsConflict(err) {
			return nil // It is another object by now.
		}
		return client.IgnoreNotFound(err)
	})
}

// orphaned says whether garbage collection took the owner off a route that was made for the tenant, as it
// does where somebody deletes a Tenant with --cascade=orphan. Such a route would answer on a host that
// somebody else may have by then. A label alone says nothing: the name must be one of ours as well.
func orphaned(obj client.Object, t *v1alpha1.Tenant) bool {
	name := obj.GetName()
	return metav1.GetControllerOf(obj) == nil && obj.GetLabels()[routing.LabelTenantUID] == string(t.UID) &&
		(name == t.Name || strings.HasPrefix(name, t.Name+".") || strings.HasPrefix(name, t.Name+"-"))
}

// leaveDatabase keeps or drops the tenant's data, as the policy says. What belongs to another UID
// by the registry's word is not the tenant's and is left alone.
func (r *Reconciler) leaveDatabase(ctx context.Context, s *scope) error {
	if _, done := r.left.Load(s.tenant.UID); done {
		return nil
	}
	if err := r.retainOrDrop(ctx, s); err != nil {
		return err
	}
	r.left.Store(s.tenant.UID, true)
	return nil
}

func (r *Reconciler) retainOrDrop(ctx context.Context, s *scope) error {
	tdb, schema, err := r.home(ctx, s)
	if err != nil || tdb == nil {
		return err
	}
	db, err := r.Pools.Get(ctx, tdb)
	if err != nil {
		return r.giveUpIfHopeless(ctx, s, tdb, err)
	}
	policy, err := r.deletionPolicy(ctx, s.tenant)
	if err != nil {
		return err
	}
	uid := string(s.tenant.UID)
	if policy == v1alpha1.DeletionDelete {
		err = db.Drop(ctx, uid, schema)
	} else {
		err = db.Retain(ctx, uid, schema)
	}
	if fault.ReasonOf(err) == postgres.ReasonNotOwner || fault.ReasonOf(err) == postgres.ReasonNotProvisioned {
		return nil
	}
	if err != nil {
		return r.giveUpIfHopeless(ctx, s, tdb, err)
	}
	return nil
}

// home returns the database on which the tenant lives and its schema there, both by the registry's
// word: a status may be lost, or forged. It is nil if the tenant never came to one.
func (r *Reconciler) home(ctx context.Context, s *scope) (*v1alpha1.TenantDatabase, string, error) {
	refs, err := r.mayLiveOn(ctx, s.tenant)
	if err != nil {
		return nil, "", err
	}
	for _, ref := range refs {
		tdb, err := r.database(ctx, ref)
		if fault.ReasonOf(err) == v1alpha1.ReasonNamespaceNotWatched && !livesOn(s.tenant, ref) {
			continue // This operator cannot have placed anybody there.
		}
		if err != nil {
			return nil, "", err
		}
		if tdb == nil || tdb.Status.Identity == nil && !livesOn(s.tenant, ref) {
			continue
		}
		schema, found, err := r.registered(ctx, tdb, s.tenant)
		if err == nil && found {
			return tdb, schema, nil
		}
		if err = r.giveUpIfHopeless(ctx, s, tdb, err); err != nil {
			return nil, "", err
		}
	}
	return nil, "", r.warnOfLoss(ctx, s)
}

// livesOn says whether the status names a database. It is asked only where nothing else can be.
func livesOn(t *v1alpha1.Tenant, ref v1alpha1.NamespacedReference) bool {
	return t.Status.Database != nil && *t.Status.Database == ref
}

// mayLiveOn lists the database of the status and those of the class.
func (r *Reconciler) mayLiveOn(ctx context.Context, t *v1alpha1.Tenant) ([]v1alpha1.NamespacedReference, error) {
	var refs []v1alpha1.NamespacedReference
	if t.Status.Database != nil {
		refs = append(refs, *t.Status.Database)
	}
	class := &v1alpha1.TenantClass{}
	if err := r.Get(ctx, client.ObjectKey{Name: t.Spec.ClassName}, class); err != nil {
		return refs, client.IgnoreNotFound(err)
	}
	return union(refs, class.Spec.Databases), nil
}

func (r *Reconciler) registered(ctx context.Context, tdb *v1alpha1.TenantDatabase, t *v1alpha1.Tenant) (schema string, found bool, err error) {
	db, err := r.Pools.Get(ctx, tdb)
	if err != nil {
		return "", false, err
	}
	return db.FindTenant(ctx, string(t.UID))
}

// warnOfLoss tells that the object by which the tenant could have been reached is gone.
func (r *Reconciler) warnOfLoss(ctx context.Context, s *scope) error {
	ref := s.tenant.Status.Database
	if ref == nil {
		return nil
	}
	tdb, err := r.database(ctx, *ref)
	if err == nil && tdb == nil {
		r.tellOfLoss(ctx, s, v1alpha1.ReasonDatabaseNotFound, fmt.Sprintf(
			"TenantDatabase %s/%s is gone: the tenant's schema and logins, if they still exist, are left as they are", ref.Namespace, ref.Name))
	}
	return err
}

// tellOfLoss says what is left behind. A namespace that is being deleted takes no events: the log has it as well.
func (r *Reconciler) tellOfLoss(ctx context.Context, s *scope, reason, what string) {
	log.FromContext(ctx).Info("A deleted Tenant leaves its data", "reason", reason, "what", what, "uid", s.tenant.UID)
	r.Status.Recorder.Eventf(s.tenant, nil, corev1.EventTypeWarning, reason, "Delete", "%s", what)
}

// noWay are the reasons for which there is no way to a tenant's registry. What a server says that can be reached, as
// that somebody holds a lock, ends some time.
var noWay = []string{
	v1alpha1.ReasonSecretNotFound, v1alpha1.ReasonInvalidConnection, v1alpha1.ReasonDatabaseNotReady,
	v1alpha1.ReasonUnreachable, v1alpha1.ReasonAuthenticationFailed, v1alpha1.ReasonTLSFailed,
	v1alpha1.ReasonDatabaseNotFound, v1alpha1.ReasonNotBootstrapped,
}

// giveUpIfHopeless lets a Tenant go whose database is being deleted itself and cannot be reached:
// when a namespace is deleted, its Secrets go first, and nobody can put them back. What is left
// behind is said in an event and in the log. In every other case the error stands and says what blocks; while
// connections from before the Secret went still work, the deletion goes on with them.
func (r *Reconciler) giveUpIfHopeless(ctx context.Context, s *scope, tdb *v1alpha1.TenantDatabase, err error) error {
	if err == nil || tdb.DeletionTimestamp.IsZero() || !slices.Contains(noWay, fault.ReasonOf(err)) {
		return err
	}
	why := ""
	if c := conditions.Get(tdb, v1alpha1.ConditionBootstrapped); c != nil && c.Status == metav1.ConditionFalse &&
		(c.Reason == v1alpha1.ReasonIdentityChanged || c.Reason == v1alpha1.ReasonIdentityMismatch) {
		why = "its server is not the one that held the tenant"
	}
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: tdb.Namespace, Name: tdb.Spec.ConnectionSecretRef.Name}
	if getErr := r.Live.Get(ctx, key, secret); apierrors.IsNotFound(getErr) {
		why = "its Secret is gone"
	} else if getErr != nil {
		return getErr
	}
	if why == "" {
		return err
	}
	r.tellOfLoss(ctx, s, fault.ReasonOf(err), fmt.Sprintf(
		"TenantDatabase %s/%s is being deleted and %s: schema and logins are left as they are", tdb.Namespace, tdb.Name, why))
	return nil
}

// deletionPolicy is the Tenant's, or its class's. Data is kept where nobody says otherwise.
func (r *Reconciler) deletionPolicy(ctx context.Context, t *v1alpha1.Tenant) (v1alpha1.DeletionPolicy, error) {
	if t.Spec.DeletionPolicy != "" {
		return t.Spec.DeletionPolicy, nil
	}
	class := &v1alpha1.TenantClass{}
	if err := r.Get(ctx, client.ObjectKey{Name: t.Spec.ClassName}, class); err != nil {
		return v1alpha1.DeletionRetain, client.IgnoreNotFound(err)
	}
	return class.Spec.DeletionPolicy, nil
}

func (r *Reconciler) removeSecrets(ctx context.Context, s *scope) error {
	for _, name := range []string{secretName(s.tenant), readerSecretName(s.tenant)} {
		if err := r.Logins.Remove(ctx, client.ObjectKey{Namespace: s.tenant.Namespace, Name: name}, routing.Owner(s.tenant)); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reconciler) removeClaims(ctx context.Context, s *scope) error {
	held, err := r.heldBefore(ctx, s.tenant, time.Now())
	if err != nil || len(held) == 0 {
		return err
	}
	for _, c := range held { // removeRoutes has just seen that no route is left.
		if err := r.Claims.Release(ctx, c.DeepCopy()); err != nil {
			return err
		}
	}
	return fault.NewWaiting(v1alpha1.ReasonDeleting, time.Second, "Releasing the tenant's domains")
}
