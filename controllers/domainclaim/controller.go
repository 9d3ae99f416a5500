// Package domainclaim reconciles DomainClaims: it says whether a living Tenant holds the host, and
// releases claims whose Tenant went without releasing them, once no route of that Tenant is left.
package domainclaim

import (
	"context"
	"fmt"
	"slices"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/routing"
)

// +kubebuilder:rbac:groups=tenantry.dev,resources=domainclaims,verbs=get;list;watch;delete
// +kubebuilder:rbac:groups=tenantry.dev,resources=domainclaims/status,verbs=patch
// +kubebuilder:rbac:groups=tenantry.dev,resources=tenants,verbs=get;list;watch
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=httproutes,verbs=list
// +kubebuilder:rbac:groups=networking.k8s.io,resources=ingresses,verbs=list

// recheck is how often a claim is looked at without cause.
const recheck = 30 * time.Minute

// Reconciler reconciles DomainClaims.
type Reconciler struct {
	client.Client
	// Live reads from the API server itself: a claim is not released on a cache's word.
	Live   client.Reader
	Status *conditions.Writer
}

// Reconcile reports on one DomainClaim, or releases it.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	claim := &v1alpha1.DomainClaim{}
	if err := r.Get(ctx, req.NamespacedName, claim); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !claim.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	alive, err := r.holderLives(ctx, claim)
	if err != nil {
		return ctrl.Result{}, err
	}
	base := claim.DeepCopy()
	if alive {
		result, err := conditions.Conclude(claim, nil, "Held by a living "+claim.Spec.Holder.Kind)
		return r.Status.Finish(ctx, base, claim, result, err, recheck)
	}
	left, err := r.routes(ctx, claim)
	if err != nil {
		return ctrl.Result{}, err
	}
	if left > 0 {
		result, err := conditions.Conclude(claim, fault.NewWaiting(v1alpha1.ReasonHolderGone, 2*time.Second,
			"The %s is gone; the claim is released when its %d routes are", claim.Spec.Holder.Kind, left), "")
		return r.Status.Finish(ctx, base, claim, result, err, recheck)
	}
	uid := claim.UID
	return ctrl.Result{}, client.IgnoreNotFound(r.Delete(ctx, claim, client.Preconditions{UID: &uid}))
}

// holderLives asks the cache, and the API server itself where the cache does not know the holder. A
// host of a class lives as long as any class declares it.
func (r *Reconciler) holderLives(ctx context.Context, claim *v1alpha1.DomainClaim) (bool, error) {
	if claim.Spec.Role != v1alpha1.HostTenant {
		return r.declared(ctx, claim)
	}
	key := client.ObjectKey{Namespace: claim.Spec.Holder.Namespace, Name: claim.Spec.Holder.Name}
	for _, reader := range []client.Reader{r.Client, r.Live} {
		t := &v1alpha1.Tenant{}
		err := reader.Get(ctx, key, t)
		if err == nil && string(t.UID) == claim.Spec.Holder.UID {
			return true, nil
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return false, fmt.Errorf("read Tenant %s: %w", key, err)
		}
	}
	return false, nil
}

func (r *Reconciler) declared(ctx context.Context, claim *v1alpha1.DomainClaim) (bool, error) {
	for _, reader := range []client.Reader{r.Client, r.Live} {
		var classes v1alpha1.TenantClassList
		if err := reader.List(ctx, &classes); err != nil {
			return false, fmt.Errorf("list TenantClasses: %w", err)
		}
		for i := range classes.Items {
			if slices.ContainsFunc(routing.ClassHosts(&classes.Items[i]), func(h routing.ClassHost) bool {
				return h.Host == claim.Spec.Host && h.Role == claim.Spec.Role
			}) {
				return true, nil
			}
		}
	}
	return false, nil
}

// routes counts what is left of the routes of the Tenant that is gone; garbage collection takes them.
// They are known by their owner: a label alone, which anybody in that namespace may set or take off,
// neither holds a claim nor frees one.
func (r *Reconciler) routes(ctx context.Context, claim *v1alpha1.DomainClaim) (int, error) {
	left := 0
	for _, list := range []client.ObjectList{&gatewayv1.HTTPRouteList{}, &networkingv1.IngressList{}} {
		err := r.Live.List(ctx, list, client.InNamespace(claim.Spec.Holder.Namespace))
		if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("list routes: %w", err)
		}
		err = meta.EachListItem(list, func(o runtime.Object) error {
			obj, ok := o.(client.Object)
			if !ok {
				return nil
			}
			if owner := metav1.GetControllerOf(obj); owner != nil && string(owner.UID) == claim.Spec.Holder.UID {
				left++
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return left, nil
}

// Register adds the controller to a manager.
func (r *Reconciler) Register(mgr ctrl.Manager) error {
	gone := predicate.Funcs{
		CreateFunc:  func(event.CreateEvent) bool { return false },
		UpdateFunc:  func(event.UpdateEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("domainclaim").
		For(&v1alpha1.DomainClaim{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.Tenant{}, handler.EnqueueRequestsFromMapFunc(r.ofTenant), builder.WithPredicates(gone)).
		Watches(&v1alpha1.TenantClass{}, handler.EnqueueRequestsFromMapFunc(r.ofClass), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4, RateLimiter: conditions.RateLimiter()}).
		Complete(r)
}

// ofClass finds the claims on hosts of classes: one of them may be declared no longer.
func (r *Reconciler) ofClass(ctx context.Context, _ client.Object) []reconcile.Request {
	var list v1alpha1.DomainClaimList
	if err := r.List(ctx, &list, client.HasLabels{routing.LabelClass}); err != nil {
		log.FromContext(ctx).Error(err, "Cannot list DomainClaims")
		return nil
	}
	return requests(&list)
}

func (r *Reconciler) ofTenant(ctx context.Context, o client.Object) []reconcile.Request {
	var claims v1alpha1.DomainClaimList
	if err := r.List(ctx, &claims, client.MatchingLabels{routing.LabelTenantUID: string(o.GetUID())}); err != nil {
		log.FromContext(ctx).Error(err, "Cannot list DomainClaims")
		return nil
	}
	return requests(&claims)
}

func requests(list *v1alpha1.DomainClaimList) []reconcile.Request {
	var requests []reconcile.Request
	for i := range list.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKey{Name: list.Items[i].Name}})
	}
	return requests
}
