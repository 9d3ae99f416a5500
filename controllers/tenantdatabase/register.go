package tenantdatabase

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
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
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/lull"
)

// Register adds the controller to a manager.
func (r *Reconciler) Register(mgr ctrl.Manager) error {
	changed := builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))
	return ctrl.NewControllerManagedBy(mgr).
		Named("tenantdatabase").
		For(&v1alpha1.TenantDatabase{}, changed).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.ofSecret), builder.WithPredicates(predicate.ResourceVersionChangedPredicate{})).
		Watches(&v1alpha1.MigrationSet{}, handler.EnqueueRequestsFromMapFunc(r.ofMigrationSet), builder.WithPredicates(vetted)).
		Watches(&v1alpha1.Tenant{}, countLater(&lull.Gatherer{Soon: countDelay, AtMost: busyCountDelay, Busy: r.Busy})).
		WithOptions(controller.Options{MaxConcurrentReconciles: 8, RateLimiter: conditions.RateLimiter()}).
		Complete(r)
}

// vetted lets through what the shared schema goes by.
var vetted = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	before, after := e.ObjectOld.(*v1alpha1.MigrationSet), e.ObjectNew.(*v1alpha1.MigrationSet)
	return before.Generation != after.Generation || before.Status.Digest != after.Status.Digest ||
		before.Status.ObservedGeneration != after.Status.ObservedGeneration || ready(before) != ready(after)
}}

func ready(ms *v1alpha1.MigrationSet) string {
	for _, c := range ms.Status.Conditions {
		if c.Type == v1alpha1.ConditionReady {
			return string(c.Status)
		}
	}
	return ""
}

func (r *Reconciler) ofSecret(ctx context.Context, o client.Object) []reconcile.Request {
	return r.which(ctx, o.GetNamespace(), func(tdb *v1alpha1.TenantDatabase) bool {
		return tdb.Spec.ConnectionSecretRef.Name == o.GetName()
	})
}

func (r *Reconciler) ofMigrationSet(ctx context.Context, o client.Object) []reconcile.Request {
	return r.which(ctx, o.GetNamespace(), func(tdb *v1alpha1.TenantDatabase) bool {
		return tdb.Spec.Shared != nil && tdb.Spec.Shared.MigrationSetRef.Name == o.GetName()
	})
}

func (r *Reconciler) which(ctx context.Context, namespace string, match func(*v1alpha1.TenantDatabase) bool) []reconcile.Request {
	var list v1alpha1.TenantDatabaseList
	if err := r.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		log.FromContext(ctx).Error(err, "Cannot list TenantDatabases")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if match(&list.Items[i]) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return requests
}

// How long tenants that come are gathered into one count: hundreds that arrive at once are not hundreds of
// writes. While they are made or migrated, a count takes from them what a look at the database costs, and placement
// remembers whom it sent where for longer than that.
const (
	countDelay     = 3 * time.Second
	busyCountDelay = 20 * time.Second
)

// countLater queues a tenant's database when the tenant came to it or is gone from it. One that is gone is counted
// soon, however busy the operator is: its data may be kept, and should the server go away, only the status tells a
// Tenant that comes back under its name (see namesake) where they are.
func countLater(arrivals *lull.Gatherer) handler.Funcs {
	return handler.Funcs{
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q lull.Queue) {
			before, after := e.ObjectOld.(*v1alpha1.Tenant), e.ObjectNew.(*v1alpha1.Tenant)
			if before.Status.Database == nil && after.Status.Database != nil {
				arrivals.Add(q, databaseOf(after))
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q lull.Queue) {
			if t, ok := e.Object.(*v1alpha1.Tenant); ok && t.Status.Database != nil {
				q.AddAfter(databaseOf(t), countDelay)
			}
		},
	}
}

func databaseOf(t *v1alpha1.Tenant) reconcile.Request {
	db := t.Status.Database
	return reconcile.Request{NamespacedName: client.ObjectKey{Namespace: db.Namespace, Name: db.Name}}
}
