// Package tenantclass reconciles TenantClasses: it says whether what a class names is there, counts
// its tenants, and keeps a class until the last of them is gone, because their deletion policy is
// in it.
package tenantclass

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/certificates"
	"github.com/tenantry/tenantry/internal/claims"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/databases"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/listeners"
	"github.com/tenantry/tenantry/internal/logins"
	"github.com/tenantry/tenantry/internal/namespaces"
	"github.com/tenantry/tenantry/internal/publish"
)

// +kubebuilder:rbac:groups=tenantry.dev,resources=tenantclasses,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=tenantry.dev,resources=tenantclasses/status,verbs=patch
// +kubebuilder:rbac:groups=tenantry.dev,resources=tenants;tenantdatabases;migrationsets,verbs=get;list;watch
// +kubebuilder:rbac:groups=tenantry.dev,resources=domainclaims,verbs=get;list;watch;create;delete
// +kubebuilder:rbac:groups=tenantry.dev,resources=tenantclasses/finalizers,verbs=update
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;update;delete

// recheck is how often a class is looked at without cause.
const recheck = 10 * time.Minute

// afterError is when a class is looked at again that has an error besides the one in its status.
const afterError = 30 * time.Second

// countDelay gathers the tenants that come and go within it into one count.
const countDelay = 3 * time.Second

// Reconciler reconciles TenantClasses.
type Reconciler struct {
	client.Client
	Status    *conditions.Writer
	Claims    *claims.Keeper
	Publisher *publish.Publisher
	// Certificates and Listeners are those of custom domains.
	Certificates *certificates.Keeper
	Listeners    *listeners.Keeper
	// Pools and Logins are those of shared logins.
	Pools  *databases.Pools
	Logins *logins.Keeper
	// Namespaces are those into which the operator looks.
	Namespaces namespaces.Set

	// proofs remember which shared logins were seen to work, so that a steady class costs no log-in.
	proofs sync.Map // loginKey -> loginProof
}

// Reconcile reports on one TenantClass.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	class := &v1alpha1.TenantClass{}
	if err := r.Get(ctx, req.NamespacedName, class); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	tenants, err := r.count(ctx, class.Name)
	if err != nil {
		return ctrl.Result{}, err
	}
	if class.DeletionTimestamp.IsZero() {
		if _, err := conditions.AddFinalizer(ctx, r.Client, class); err != nil {
			return conditions.Written(err)
		}
	} else if tenants == 0 {
		if err := r.drop(ctx, class); err != nil {
			return r.conclude(ctx, class.DeepCopy(), class, recheck, err)
		}
		return conditions.Written(conditions.RemoveFinalizer(ctx, r.Client, class))
	}
	base := class.DeepCopy()
	next, unlistened := r.bringListeners(ctx, class)
	class.Status.Tenants = int32(min(tenants, 1<<30)) //nolint:gosec // bounded by min
	if !class.DeletionTimestamp.IsZero() {
		inUse := fault.NewWaiting(v1alpha1.ReasonInUse, recheck, "%d Tenants name this class; it goes when they are deleted", tenants)
		return r.conclude(ctx, base, class, next, inUse, unlistened)
	}
	wrong := r.check(ctx, class)
	again, unshared := r.bringLogins(ctx, class)
	return r.conclude(ctx, base, class, sooner(next, again), append(wrong, unshared, unlistened)...)
}

// conclude sums up what is wrong with a class by the first error. The others count as well: what nobody
// foresaw is tried again soon, whatever the status says.
func (r *Reconciler) conclude(ctx context.Context, base, class *v1alpha1.TenantClass, next time.Duration, errs ...error) (ctrl.Result, error) {
	var verdict error
	for _, err := range errs {
		switch {
		case err == nil:
			continue
		case conditions.IsConflict(err):
			next = sooner(next, time.Second)
		case fault.KindOf(err) == fault.Transient:
			next = sooner(next, afterError)
		}
		if verdict == nil {
			verdict = err
		}
	}
	if conditions.IsConflict(verdict) {
		return conditions.Written(verdict)
	}
	result, err := conditions.Conclude(class, verdict, fmt.Sprintf("Tenants can be placed on %d databases", len(class.Spec.Databases))+leaving(class))
	if result.RequeueAfter > 0 {
		result.RequeueAfter = sooner(result.RequeueAfter, next)
	}
	return r.Status.Finish(ctx, base, class, result, err, next)
}

// sooner returns the shorter of two delays, where zero is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// drop takes away what a class has that is deleted and has no tenants any more.
func (r *Reconciler) drop(ctx context.Context, class *v1alpha1.TenantClass) error {
	if err := r.closeHosts(ctx, class); err != nil {
		return err
	}
	return r.dropLogins(ctx, class)
}

func (r *Reconciler) count(ctx context.Context, class string) (int, error) {
	var list v1alpha1.TenantList
	if err := r.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return 0, fmt.Errorf("list Tenants: %w", err)
	}
	n := 0
	for i := range list.Items {
		if list.Items[i].Spec.ClassName == class {
			n++
		}
	}
	return n, nil
}

// check brings the class's own hosts, and returns all that is wrong with what the class names, the worst first:
// hosts without a tenant are served whatever becomes of databases. Where a name leads to where the
// operator does not look, nothing is made.
func (r *Reconciler) check(ctx context.Context, class *v1alpha1.TenantClass) (wrong []error) {
	if err := r.checkWatched(class); err != nil {
		return []error{err}
	}
	for _, check := range []func(context.Context, *v1alpha1.TenantClass) error{
		r.checkDatabases, checkKeys, r.hosts, r.checkListeners, r.checkMigrations,
	} {
		wrong = append(wrong, check(ctx, class))
	}
	return wrong
}

func checkKeys(_ context.Context, class *v1alpha1.TenantClass) error {
	_, err := logins.Extra(extraKeys(class), logins.Fields{})
	return err
}

// checkDatabases : a class works as long as one database can take tenants.
func (r *Reconciler) checkDatabases(ctx context.Context, class *v1alpha1.TenantClass) error {
	var wrong []string
	for _, ref := range class.Spec.Databases {
		tdb := &v1alpha1.TenantDatabase{}
		err := r.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, tdb)
		switch {
		case client.IgnoreNotFound(err) != nil:
			return err
		case err != nil:
			wrong = append(wrong, fmt.Sprintf("TenantDatabase %s/%s does not exist", ref.Namespace, ref.Name))
		case !conditions.IsTrue(tdb, v1alpha1.ConditionReady):
			wrong = append(wrong, fmt.Sprintf("TenantDatabase %s/%s is not Ready", ref.Namespace, ref.Name))
		}
	}
	if len(wrong) == len(class.Spec.Databases) {
		return fault.NewWaiting(v1alpha1.ReasonDatabaseNotReady, time.Minute, "spec.databases: %s", strings.Join(wrong, "; "))
	}
	return nil
}

func (r *Reconciler) checkMigrations(ctx context.Context, class *v1alpha1.TenantClass) error {
	ref := class.Spec.MigrationSetRef
	if ref == nil {
		return nil
	}
	ms := &v1alpha1.MigrationSet{}
	err := r.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, ms)
	switch {
	case client.IgnoreNotFound(err) != nil:
		return err
	case err != nil:
		return fault.NewWaiting(v1alpha1.ReasonMigrationSetNotFound, time.Minute,
			"spec.migrationSetRef: MigrationSet %s/%s does not exist", ref.Namespace, ref.Name)
	case !conditions.IsTrue(ms, v1alpha1.ConditionReady):
		return fault.NewWaiting(v1alpha1.ReasonMigrationSetNotReady, time.Minute,
			"spec.migrationSetRef: MigrationSet %s/%s is not Ready; new tenants wait", ref.Namespace, ref.Name)
	}
	return nil
}

// Register adds the controller to a manager.
func (r *Reconciler) Register(mgr ctrl.Manager) error {
	changed := builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))
	c, err := ctrl.NewControllerManagedBy(mgr).
		Named("tenantclass").
		For(&v1alpha1.TenantClass{}, changed).
		Watches(&v1alpha1.TenantDatabase{}, handler.EnqueueRequestsFromMapFunc(r.ofDatabase), builder.WithPredicates(databaseChanged)).
		Watches(&v1alpha1.MigrationSet{}, handler.EnqueueRequestsFromMapFunc(r.ofMigrationSet), builder.WithPredicates(setChanged)).
		Watches(&v1alpha1.Tenant{}, countLater).
		Watches(&v1alpha1.DomainClaim{}, handler.EnqueueRequestsFromMapFunc(r.ofClaim), builder.WithPredicates(gone)).
		Owns(&networkingv1.Ingress{}).
		Owns(&corev1.Secret{}, builder.OnlyMetadata, builder.WithPredicates(predicate.ResourceVersionChangedPredicate{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4, RateLimiter: conditions.RateLimiter()}).
		Build(r)
	if err != nil {
		return err
	}
	return r.watchLate(mgr, c)
}

func (r *Reconciler) ofDatabase(ctx context.Context, o client.Object) []reconcile.Request {
	return r.which(ctx, func(c *v1alpha1.TenantClass) bool {
		for _, ref := range c.Spec.Databases {
			if ref.Namespace == o.GetNamespace() && ref.Name == o.GetName() {
				return true
			}
		}
		return false
	})
}

func (r *Reconciler) ofMigrationSet(ctx context.Context, o client.Object) []reconcile.Request {
	return r.which(ctx, func(c *v1alpha1.TenantClass) bool {
		ref := c.Spec.MigrationSetRef
		return ref != nil && ref.Namespace == o.GetNamespace() && ref.Name == o.GetName()
	})
}

func (r *Reconciler) which(ctx context.Context, match func(*v1alpha1.TenantClass) bool) []reconcile.Request {
	var list v1alpha1.TenantClassList
	if err := r.List(ctx, &list); err != nil {
		log.FromContext(ctx).Error(err, "Cannot list TenantClasses")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if match(&list.Items[i]) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKey{Name: list.Items[i].Name}})
		}
	}
	return requests
}

// countLater queues a tenant's class when the tenant appeared or is gone.
var countLater = handler.Funcs{
	CreateFunc: func(_ context.Context, e event.CreateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		later(e.Object, q)
	},
	DeleteFunc: func(_ context.Context, e event.DeleteEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		later(e.Object, q)
	},
}

func later(o client.Object, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	if t, ok := o.(*v1alpha1.Tenant); ok {
		q.AddAfter(reconcile.Request{NamespacedName: client.ObjectKey{Name: t.Spec.ClassName}}, countDelay)
	}
}
