package migrationset

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
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
	"github.com/tenantry/tenantry/internal/conditions"
)

// countDelay gathers the tenants that move within it into one decision, and one write.
const countDelay = 2 * time.Second

// Register adds the controller to a manager.
func (r *Reconciler) Register(mgr ctrl.Manager) error {
	changed := builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))
	return ctrl.NewControllerManagedBy(mgr).
		Named("migrationset").
		For(&v1alpha1.MigrationSet{}, changed).
		WatchesMetadata(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.ofSource("ConfigMap")), builder.WithPredicates(predicate.ResourceVersionChangedPredicate{})).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.ofSource("Secret")), builder.WithPredicates(predicate.ResourceVersionChangedPredicate{})).
		Watches(&v1alpha1.Tenant{}, handler.Funcs{
			CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { r.countLater(ctx, e.Object, q) },
			DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { r.countLater(ctx, e.Object, q) },
			UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
				if progress(e.ObjectOld) != progress(e.ObjectNew) {
					r.countLater(ctx, e.ObjectNew, q)
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

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

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

func (r *Reconciler) countLater(ctx context.Context, o client.Object, q queue) {
	t, ok := o.(*v1alpha1.Tenant)
	if !ok {
		return
	}
	class := &v1alpha1.TenantClass{}
	if err := r.Get(ctx, client.ObjectKey{Name: t.Spec.ClassName}, class); err != nil {
		return // A Tenant whose class is not there counts nowhere.
	}
	if ref := class.Spec.MigrationSetRef; ref != nil {
		q.AddAfter(reconcile.Request{NamespacedName: client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}}, countDelay)
	}
}
