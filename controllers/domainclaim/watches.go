package domainclaim

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/internal/lull"
)

// byHost is the cache's index of Tenants by the hosts they want, and by the wildcards above these.
const byHost = "domainclaim.host"

// below stands in the index before a wildcard for the Tenants that want a host below it.
const below = ">"

func indexKeys(t *v1alpha1.Tenant) []string {
	keys := wantedBy(t)
	for _, host := range wantedBy(t) {
		for _, above := range domains.Above(host) {
			keys = append(keys, below+above)
		}
	}
	return keys
}

// wanting returns the Tenants that want a host, one that it covers, or one that covers it; the cache's
// own objects. Without the index it returns all.
func (r *Reconciler) wanting(ctx context.Context, host string) ([]v1alpha1.Tenant, error) {
	var list v1alpha1.TenantList
	if !r.indexed {
		return list.Items, r.List(ctx, &list)
	}
	var tenants []v1alpha1.Tenant
	for _, key := range append([]string{host, below + host}, domains.Above(host)...) {
		if err := r.List(ctx, &list, client.MatchingFields{byHost: key}, client.UnsafeDisableDeepCopy); err != nil {
			return nil, err
		}
		for i := range list.Items {
			if !contains(tenants, &list.Items[i]) {
				tenants = append(tenants, list.Items[i])
			}
		}
	}
	return tenants, nil
}

func contains(tenants []v1alpha1.Tenant, t *v1alpha1.Tenant) bool {
	for i := range tenants {
		if tenants[i].UID == t.UID {
			return true
		}
	}
	return false
}

// Register adds the controller to a manager.
func (r *Reconciler) Register(mgr ctrl.Manager) error {
	err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.Tenant{}, byHost, func(o client.Object) []string {
		return indexKeys(o.(*v1alpha1.Tenant))
	})
	if err != nil {
		return err
	}
	r.indexed = true
	return ctrl.NewControllerManagedBy(mgr).
		Named("domainclaim").
		For(&v1alpha1.DomainClaim{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.Tenant{}, r.showing(), builder.WithPredicates(showsOther)).
		Watches(&v1alpha1.Tenant{}, handler.EnqueueRequestsFromMapFunc(r.ofAsker), builder.WithPredicates(asks)).
		Watches(&v1alpha1.TenantClass{}, handler.EnqueueRequestsFromMapFunc(r.ofClass), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, RateLimiter: conditions.RateLimiter()}).
		Complete(r)
}

// showsOther lets Tenants through that are gone, and those of which their claims show something else.
var showsOther = predicate.Funcs{
	CreateFunc:  func(event.CreateEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*v1alpha1.Tenant)
		after, same := e.ObjectNew.(*v1alpha1.Tenant)
		return ok && same && shown(before) != shown(after)
	},
}

// asks lets Tenants through that are new, or changed in what they want, or want to be looked at.
var asks = predicate.Funcs{
	DeleteFunc:  func(event.DeleteEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*v1alpha1.Tenant)
		after, same := e.ObjectNew.(*v1alpha1.Tenant)
		return ok && same && wish(before) != wish(after)
	},
}

// showing queues a Tenant's claims. Those that only have another version to show while tenants are migrated come when
// that is over, as long as it can wait: their passes would but find that it can.
func (r *Reconciler) showing() handler.EventHandler {
	now := handler.EnqueueRequestsFromMapFunc(r.ofTenant)
	later := &lull.Gatherer{Soon: r.Patience, AtMost: longestWait, Busy: r.Busy}
	return handler.Funcs{
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q lull.Queue) {
			before, ok := e.ObjectOld.(*v1alpha1.Tenant)
			after, same := e.ObjectNew.(*v1alpha1.Tenant)
			if r.Patience == 0 || r.Busy == nil || !r.Busy() || !ok || !same || !onlyVersionMoved(before, after) {
				now.Update(ctx, e, q)
				return
			}
			for _, request := range r.ofTenant(ctx, after) {
				r.waiting.LoadOrStore(request.Name, r.now())
				later.Add(q, request)
			}
		},
		DeleteFunc: now.Delete,
	}
}

func (r *Reconciler) ofTenant(ctx context.Context, o client.Object) []reconcile.Request {
	held, err := r.Claims.Of(ctx, o.GetUID())
	if err != nil {
		log.FromContext(ctx).Error(err, "Cannot list DomainClaims")
		return nil
	}
	requests := make([]reconcile.Request, len(held))
	for i := range held {
		requests[i] = requestFor(held[i])
	}
	return requests
}

// ofAsker finds the claims that are not safe and keep a Tenant from a host it wants, its own included.
func (r *Reconciler) ofAsker(ctx context.Context, o client.Object) []reconcile.Request {
	t, ok := o.(*v1alpha1.Tenant)
	if !ok {
		return nil
	}
	var requests []reconcile.Request
	for _, host := range wantedBy(t) {
		if domains.IsWildcard(host) {
			requests = append(requests, r.which(ctx, func(c *v1alpha1.DomainClaim) bool { return domains.Covers(host, c.Spec.Host) && !safe(c) })...)
		}
		for _, h := range append([]string{host}, domains.Above(host)...) {
			c := &v1alpha1.DomainClaim{}
			if err := r.Get(ctx, client.ObjectKey{Name: domains.ClaimName(h)}, c); err == nil && !safe(c) {
				requests = append(requests, requestFor(c))
			}
		}
	}
	return requests
}

// ofClass finds all claims: the hosts of a class may be declared no longer, its policy may be another, and
// its platform domains are nobody's custom domains.
func (r *Reconciler) ofClass(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.which(ctx, func(*v1alpha1.DomainClaim) bool { return true })
}

func (r *Reconciler) which(ctx context.Context, which func(*v1alpha1.DomainClaim) bool) []reconcile.Request {
	var list v1alpha1.DomainClaimList
	if err := r.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "Cannot list DomainClaims")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if which(&list.Items[i]) {
			requests = append(requests, requestFor(&list.Items[i]))
		}
	}
	return requests
}

func requestFor(c *v1alpha1.DomainClaim) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKey{Name: c.Name}}
}
