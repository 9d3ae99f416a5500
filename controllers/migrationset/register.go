package migrationset

import (
	"context"
	"fmt"
	"slices"
	"strings"
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

// How long tenants that move are gathered into one decision, and one write. While they are made or migrated each goes
// through a whole fleet, to write how far it is. A ring that is done is noticed as soon as nobody is at work. The budget
// does not wait: rollout.Permits hear of failures when they happen.
const (
	countDelay     = 2 * time.Second
	busyCountDelay = 5 * time.Second
)

// Register adds the controller to a manager.
func (r *Reconciler) Register(mgr ctrl.Manager) error {
	changed := builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))
	moves := &lull.Gatherer{Soon: countDelay, AtMost: busyCountDelay, Busy: r.Busy}
	return ctrl.NewControllerManagedBy(mgr).
		Named("migrationset").
		For(&v1alpha1.MigrationSet{}, changed).
		WatchesMetadata(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.ofSource("ConfigMap")), builder.WithPredicates(predicate.ResourceVersionChangedPredicate{})).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.ofSource("Secret")), builder.WithPredicates(predicate.ResourceVersionChangedPredicate{})).
		Watches(&v1alpha1.Tenant{}, handler.Funcs{
			CreateFunc: func(ctx context.Context, e event.CreateEvent, q lull.Queue) { r.countLater(ctx, e.Object, moves, q) },
			DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q lull.Queue) { r.countLater(ctx, e.Object, moves, q) },
			UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q lull.Queue) {
				if progress(e.ObjectOld) != progress(e.ObjectNew) {
					r.countLater(ctx, e.ObjectNew, moves, q)
				}
			},
		}).
		Watches(&v1alpha1.TenantDatabase{}, handler.EnqueueRequestsFromMapFunc(r.ofDatabase), builder.WithPredicates(askableNow)).
		WithOptions(controller.Options{MaxConcurrentReconciles: 2 * dryRuns, RateLimiter: conditions.RateLimiter()}).
		Complete(r)
}

// askableNow lets through what may end a wait for a database that can be asked.
var askableNow = predicate.Funcs{
	CreateFunc: func(event.CreateEvent) bool { return false },
	DeleteFunc: func(event.DeleteEvent) bool { return false },
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, after := e.ObjectOld.(*v1alpha1.TenantDatabase), e.ObjectNew.(*v1alpha1.TenantDatabase)
		return slices.ContainsFunc([]string{v1alpha1.ConditionReachable, v1alpha1.ConditionBootstrapped, v1alpha1.ConditionSharedMigrated}, func(c string) bool {
			return !conditions.Current(before, c) && conditions.Current(after, c)
		})
	},
}

// ofDatabase are the sets that are run on a database.
func (r *Reconciler) ofDatabase(ctx context.Context, o client.Object) []reconcile.Request {
	var requests []reconcile.Request
	add := func(namespace, name string) {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKey{Namespace: namespace, Name: name}})
	}
	if tdb, ok := o.(*v1alpha1.TenantDatabase); ok && tdb.Spec.Shared != nil {
		add(tdb.Namespace, tdb.Spec.Shared.MigrationSetRef.Name)
	}
	var list v1alpha1.TenantClassList
	if err := r.List(ctx, &list); err != nil {
		log.FromContext(ctx).Error(err, "Cannot list TenantClasses")
		return requests
	}
	for i := range list.Items {
		spec := &list.Items[i].Spec
		if spec.MigrationSetRef != nil && slices.Contains(spec.Databases, v1alpha1.NamespacedReference{Namespace: o.GetNamespace(), Name: o.GetName()}) {
			add(spec.MigrationSetRef.Namespace, spec.MigrationSetRef.Name)
		}
	}
	return requests
}

// progress is what a decision goes by in a Tenant.
func progress(o client.Object) string {
	t, ok := o.(*v1alpha1.Tenant)
	if !ok {
		return ""
	}
	var text strings.Builder
	fmt.Fprint(&text, t.Spec.ClassName, t.Spec.Migrations != nil, t.DeletionTimestamp.IsZero(), t.Labels, t.Status.Version, t.Status.Digest)
	for _, c := range t.Status.Conditions {
		if c.Type != v1alpha1.ConditionReconciling && c.Type != v1alpha1.ConditionStalled {
			fmt.Fprintf(&text, "/%s%s", c.Status, c.Reason)
		}
	}
	return text.String()
}

func (r *Reconciler) countLater(ctx context.Context, o client.Object, moves *lull.Gatherer, q lull.Queue) {
	t, ok := o.(*v1alpha1.Tenant)
	if !ok {
		return
	}
	class := &v1alpha1.TenantClass{}
	if err := r.Get(ctx, client.ObjectKey{Name: t.Spec.ClassName}, class); err != nil {
		return // A Tenant whose class is not there counts nowhere.
	}
	if ref := class.Spec.MigrationSetRef; ref != nil {
		moves.Add(q, reconcile.Request{NamespacedName: client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}})
	}
}
