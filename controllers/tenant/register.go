package tenant

import (
	"context"
	"errors"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
)

// gatewayPoll is how often a cluster without Gateway API is asked whether it has one now.
const gatewayPoll = 30 * time.Second

// Register adds the controller to a manager. Watches do the work: whatever a Tenant depends on
// queues the Tenants that depend on it.
func (r *Reconciler) Register(mgr ctrl.Manager, workers int) error {
	if err := index(mgr); err != nil {
		return err
	}
	changed := builder.WithPredicates(predicate.Or(
		predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}, predicate.LabelChangedPredicate{}, deleted))
	c, err := ctrl.NewControllerManagedBy(mgr).
		Named("tenant").
		For(&v1alpha1.Tenant{}, changed).
		Owns(&corev1.Secret{}, builder.OnlyMetadata, builder.WithPredicates(predicate.ResourceVersionChangedPredicate{}, notMade)).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(ofForeignSecret), builder.WithPredicates(ended)).
		Owns(&networkingv1.Ingress{}).
		Watches(&networkingv1.Ingress{}, handler.EnqueueRequestsFromMapFunc(r.ofIngress), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.TenantClass{}, handler.EnqueueRequestsFromMapFunc(r.ofClass), builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, loginsChanged))).
		Watches(&v1alpha1.TenantDatabase{}, handler.EnqueueRequestsFromMapFunc(r.ofDatabase), builder.WithPredicates(verdictChanged)).
		Watches(&v1alpha1.MigrationSet{}, r.onMigrationSet()).
		Watches(&batchv1.Job{}, handler.EnqueueRequestsFromMapFunc(ofJob), builder.WithPredicates(jobMoved)).
		WatchesRawSource(source.Func(r.wake)).
		Watches(&v1alpha1.DomainClaim{}, handler.EnqueueRequestsFromMapFunc(r.ofClaim), builder.WithPredicates(claimChanged)).
		WatchesMetadata(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.ofNamespace), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WatchesMetadata(&corev1.Service{}, handler.EnqueueRequestsFromMapFunc(r.ofService), builder.WithPredicates(cameOrWent)).
		WatchesRawSource(source.Func(r.onVerdict)).
		WatchesRawSource(source.Func(r.onSize)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, RateLimiter: conditions.RateLimiter()}).
		Build(r)
	if err != nil {
		return err
	}
	if err := errors.Join(mgr.Add(r.Prober), mgr.Add(r.Quotas), r.watchTLS(mgr, c)); err != nil {
		return err
	}
	return mgr.Add(&gatewayWatch{manager: mgr, controller: c, others: r.ofHTTPRoute, gateways: r.ofGateway})
}

// gatewayWatch adds the watch on HTTPRoutes as soon as the cluster knows the kind: an operator may
// be installed before Gateway API is.
type gatewayWatch struct {
	manager    manager.Manager
	controller controller.Controller
	// others finds the Tenants to which somebody else's route matters.
	others handler.TypedMapFunc[*gatewayv1.HTTPRoute, reconcile.Request]
	// gateways finds the Tenants whose routes attach to a Gateway.
	gateways handler.TypedMapFunc[*gatewayv1.Gateway, reconcile.Request]
}

// Start polls until the watch is there.
func (w *gatewayWatch) Start(ctx context.Context) error {
	ticker := time.NewTicker(gatewayPoll)
	defer ticker.Stop()
	for {
		err := w.add()
		if err == nil {
			return nil
		}
		if !meta.IsNoMatchError(err) {
			log.FromContext(ctx).Error(err, "Cannot watch HTTPRoutes yet")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// NeedLeaderElection keeps the watch with the controller it belongs to.
func (w *gatewayWatch) NeedLeaderElection() bool { return true }

// awaited says that a route has another word of the data plane, for a Tenant that is not Ready. Whoever else touches
// routes, over and over, must not keep others from being made.
func (w *gatewayWatch) awaited(ctx context.Context, before, after *gatewayv1.HTTPRoute) bool {
	owner := metav1.GetControllerOf(after)
	if owner == nil || equality.Semantic.DeepEqual(before.Status.Parents, after.Status.Parents) {
		return false
	}
	t := &v1alpha1.Tenant{}
	err := w.manager.GetClient().Get(ctx, client.ObjectKey{Namespace: after.Namespace, Name: owner.Name}, t)
	return err == nil && !conditions.IsTrue(t, v1alpha1.ConditionReady)
}

func (w *gatewayWatch) add() error {
	mapper := w.manager.GetRESTMapper()
	gk := schema.GroupKind{Group: gatewayv1.GroupName, Kind: "HTTPRoute"}
	if _, err := mapper.RESTMapping(gk, gatewayv1.GroupVersion.Version); err != nil {
		return err
	}
	owner := handler.TypedEnqueueRequestForOwner[*gatewayv1.HTTPRoute](
		w.manager.GetScheme(), mapper, &v1alpha1.Tenant{}, handler.OnlyControllerOwner())
	if err := w.controller.Watch(source.Kind(w.manager.GetCache(), &gatewayv1.HTTPRoute{}, urgent[*gatewayv1.HTTPRoute]{owner, w.awaited},
		predicate.TypedResourceVersionChangedPredicate[*gatewayv1.HTTPRoute]{}, answered)); err != nil {
		return err
	}
	if err := w.controller.Watch(source.Kind(w.manager.GetCache(), &gatewayv1.HTTPRoute{},
		handler.TypedEnqueueRequestsFromMapFunc(w.others), predicate.TypedGenerationChangedPredicate[*gatewayv1.HTTPRoute]{})); err != nil {
		return err
	}
	return w.controller.Watch(source.Kind(w.manager.GetCache(), &gatewayv1.Gateway{},
		handler.TypedEnqueueRequestsFromMapFunc(w.gateways), entranceChanged))
}
