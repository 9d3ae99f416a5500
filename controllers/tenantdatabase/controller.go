// Package tenantdatabase reconciles TenantDatabases: it logs in, asks what the login may do, knows
// the server again by its identity, makes the registry, and takes the shared schema to its version
// before any tenant. A server that is away, wrong or short of rights is looked at again until it is
// mended: nothing in Kubernetes tells that a DBA has been there.
package tenantdatabase

import (
	"context"
	"fmt"
	"sync"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/databases"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/sources"
)

// +kubebuilder:rbac:groups=tenantry.dev,resources=tenantdatabases,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=tenantry.dev,resources=tenantdatabases/status,verbs=patch
// +kubebuilder:rbac:groups=tenantry.dev,resources=tenants;migrationsets,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets;configmaps,verbs=get;list;watch

// recheck is how often a database is looked at without cause. It bounds how long an outage stays
// unseen.
const recheck = time.Minute

// Reconciler reconciles TenantDatabases.
type Reconciler struct {
	client.Client
	Status  *conditions.Writer
	Pools   *databases.Pools
	Sources *sources.Loader
	// Busy says that Tenants are being made or migrated just now. Nil stands for never.
	Busy func() bool

	// recorded remembers which files of shared schemas the registries know.
	recorded sync.Map // recordKey -> true
}

// Reconcile brings one TenantDatabase to what its spec says and reports how far it came.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	tdb := &v1alpha1.TenantDatabase{}
	if err := r.Get(ctx, req.NamespacedName, tdb); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !tdb.DeletionTimestamp.IsZero() {
		return r.reconcileDelete(ctx, tdb)
	}
	if _, err := conditions.AddFinalizer(ctx, r.Client, tdb); err != nil {
		return conditions.Written(err)
	}
	s := &scope{tdb: tdb, base: tdb.DeepCopy()}
	err := r.runSteps(ctx, s)
	result, err := conditions.Conclude(tdb, err, summary(s))
	return r.Status.Finish(ctx, s.base, tdb, result, err, recheck)
}

// reconcileDelete keeps the object, and with it the way to the database, until the last tenant
// on it is gone. Until then it is looked after as before: its tenants work, and their deletions need
// the login that the Secret has by now. The database itself is never touched.
func (r *Reconciler) reconcileDelete(ctx context.Context, tdb *v1alpha1.TenantDatabase) (ctrl.Result, error) {
	users, err := r.users(ctx, tdb)
	if err != nil {
		return ctrl.Result{}, err
	}
	if users > 0 {
		s := &scope{tdb: tdb, base: tdb.DeepCopy()}
		text := fmt.Sprintf("%d Tenants live on this database; it goes when they are deleted", users)
		if err := r.runSteps(ctx, s); err != nil {
			text += ". Their deletion may wait for this: " + fault.Of(err, "").Message
		}
		result, err := conditions.Conclude(tdb, fault.NewWaiting(v1alpha1.ReasonInUse, recheck, "%s", text), "")
		return r.Status.Finish(ctx, s.base, tdb, result, err, recheck)
	}
	r.Pools.Forget(tdb.UID)
	return conditions.Written(conditions.RemoveFinalizer(ctx, r.Client, tdb))
}

// users counts the Tenants that were placed here, those being deleted included.
func (r *Reconciler) users(ctx context.Context, tdb *v1alpha1.TenantDatabase) (int, error) {
	var list v1alpha1.TenantList
	if err := r.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return 0, fmt.Errorf("list Tenants: %w", err)
	}
	users := 0
	for i := range list.Items {
		if db := list.Items[i].Status.Database; db != nil && db.Namespace == tdb.Namespace && db.Name == tdb.Name {
			users++
		}
	}
	return users, nil
}

func summary(s *scope) string {
	text := fmt.Sprintf("PostgreSQL %s holds %d tenants", s.tdb.Status.ServerVersion, s.tdb.Status.Tenants)
	if limit := s.tdb.Spec.MaxTenants; limit != nil {
		text += fmt.Sprintf(" of at most %d", *limit)
	}
	return text
}
