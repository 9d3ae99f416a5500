package tenantclass

import (
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/certificates"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/late"
	"github.com/tenantry/tenantry/internal/listeners"
	"github.com/tenantry/tenantry/internal/routing"
)

// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=gateways,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=cert-manager.io,resources=certificates,verbs=get;list;watch

const (
	// gather is the time within which certificates that come make one change of a Gateway.
	gather = 250 * time.Millisecond
	// whileUsed is how soon a class is looked at again whose routes still use listeners that should go.
	whileUsed = time.Second
)

// bringListeners gives the tenants' custom domains their listeners, in shards, where the data plane knows no
// ListenerSets. It is the only one that writes shards. The error says what is wrong with the class's
// Gateways; with a Gateway that cannot be had, listeners that are needed stay as they are, and no other
// than those: the end of a tenant waits for the end of its listeners.
func (r *Reconciler) bringListeners(ctx context.Context, class *v1alpha1.TenantClass) (next time.Duration, err error) {
	place, wanted, err := r.planListeners(ctx, class)
	left := false
	switch {
	case err == nil:
		left, err = r.Listeners.Bring(ctx, class.Name, place, wanted)
	case fault.ReasonOf(err) != "":
		left, err = r.trimListeners(ctx, class, err)
	}
	if next = recheck; left {
		next = whileUsed
	}
	if err == nil && place != nil {
		err = r.addressed(ctx, class, *place)
	}
	return next, err
}

// trimListeners takes away what is not needed any more, and returns what is wrong, at least the given error.
func (r *Reconciler) trimListeners(ctx context.Context, class *v1alpha1.TenantClass, wrong error) (left bool, err error) {
	home := class.Spec.Routing.Gateway.ParentRefs[0].Namespace
	held, err := r.heldCertificates(ctx, class, home)
	if err != nil {
		return false, err
	}
	left, err = r.Listeners.Trim(ctx, class.Name, func(namespace string, l gatewayv1.Listener) bool {
		return namespace == home && slices.ContainsFunc(held, func(h heldCertificate) bool {
			return routing.HostListener{Host: h.Host(), Namespace: h.tenant, Secret: h.Name}.Carries(l)
		})
	})
	if err != nil {
		return left, err
	}
	return left, wrong
}

// planListeners returns where the listeners of a class belong, nil if it wants none, and which of them are to
// be in shards.
func (r *Reconciler) planListeners(ctx context.Context, class *v1alpha1.TenantClass) (*listeners.Place, []gatewayv1.Listener, error) {
	routed := class.Spec.Routing
	if !routing.OrdersCertificates(routed) || routed.Gateway == nil {
		return nil, nil, nil
	}
	place, err := r.Listeners.Of(ctx, class)
	if err != nil || place.Sets {
		return &place, nil, err
	}
	wanted, err := r.wantedListeners(ctx, class, place)
	return &place, wanted, err
}

// wantedListeners are those of the hosts whose certificate is held and has its Secret.
func (r *Reconciler) wantedListeners(ctx context.Context, class *v1alpha1.TenantClass, p listeners.Place) ([]gatewayv1.Listener, error) {
	held, err := r.heldCertificates(ctx, class, p.Gateway.Namespace)
	if err != nil {
		return nil, err
	}
	var wanted []gatewayv1.Listener
	for _, h := range held {
		issued, err := r.Certificates.Issued(ctx, h.Certificate)
		if err != nil {
			return nil, err
		}
		if issued {
			wanted = append(wanted, p.Template.Listener(routing.HostListener{Host: h.Host(), Namespace: h.tenant, Secret: h.Name}))
		}
	}
	return wanted, nil
}

// heldCertificate is one whose tenant, in a namespace, still holds the host.
type heldCertificate struct {
	*certificates.Certificate
	tenant string
}

// heldCertificates are those of the class's tenants: there is one for each custom domain whose tenant proved
// that it controls it.
func (r *Reconciler) heldCertificates(ctx context.Context, class *v1alpha1.TenantClass, namespace string) ([]heldCertificate, error) {
	certs, err := r.Certificates.OfClass(ctx, class.Name, namespace)
	if err != nil {
		return nil, err
	}
	var held []heldCertificate
	for i := range certs {
		c := &certs[i]
		if c.Released() || !c.DeletionTimestamp.IsZero() {
			continue
		}
		claim := &v1alpha1.DomainClaim{}
		err := r.Get(ctx, client.ObjectKey{Name: domains.ClaimName(c.Host())}, claim)
		if client.IgnoreNotFound(err) != nil {
			return nil, err
		}
		if err == nil && claim.Spec.Holder.UID == c.Labels[routing.LabelTenantUID] {
			held = append(held, heldCertificate{c, claim.Spec.Holder.Namespace})
		}
	}
	return held, nil
}

// addressed says whether customers' DNS, which points at the class's Gateway, reaches the shards too.
func (r *Reconciler) addressed(ctx context.Context, class *v1alpha1.TenantClass, p listeners.Place) error {
	shard, err := r.Listeners.Elsewhere(ctx, class.Name, p)
	if err != nil || shard == nil {
		return err
	}
	return fault.NewWaiting(v1alpha1.ReasonAddressDiffers, time.Minute,
		"Gateway %s/%s, which serves custom domains, has another address (%s) than Gateway %s: customers' DNS points there. "+
			"Let the data plane serve all Gateways of its class at one address, or use one that knows ListenerSets",
		shard.Namespace, shard.Name, shard.Status.Addresses[0].Value, p.Gateway.Name)
}

// checkListeners says whether the Gateways of a class with TLS have the listeners that it names.
func (r *Reconciler) checkListeners(ctx context.Context, class *v1alpha1.TenantClass) error {
	routed := class.Spec.Routing
	if routed == nil || routed.TLS == nil || routed.Gateway == nil {
		return nil
	}
	return r.Listeners.Check(ctx, routed)
}

// watchLate watches Gateways, Certificates and the routes of a class's own hosts as soon as the cluster has
// their kinds. Of a route everything counts: that it goes, and what the data plane says of it.
func (r *Reconciler) watchLate(mgr ctrl.Manager, c controller.Controller) error {
	cache := mgr.GetCache()
	owner := handler.TypedEnqueueRequestForOwner[*gatewayv1.HTTPRoute](
		mgr.GetScheme(), mgr.GetRESTMapper(), &v1alpha1.TenantClass{}, handler.OnlyControllerOwner())
	for kind, watch := range map[schema.GroupVersionKind]func() error{
		{Group: gatewayv1.GroupName, Version: gatewayv1.GroupVersion.Version, Kind: "Gateway"}: func() error {
			return c.Watch(source.Kind(cache, &gatewayv1.Gateway{}, soonAfter(r.ofGateway), listenersChanged))
		},
		{Group: gatewayv1.GroupName, Version: gatewayv1.GroupVersion.Version, Kind: "HTTPRoute"}: func() error {
			return c.Watch(source.Kind(cache, &gatewayv1.HTTPRoute{}, owner, predicate.TypedResourceVersionChangedPredicate[*gatewayv1.HTTPRoute]{}))
		},
		certificates.GroupVersion.WithKind("Certificate"): func() error {
			return c.Watch(source.Kind(cache, &certificates.Certificate{}, soonAfter(ofCertificate)))
		},
	} {
		if err := mgr.Add(&late.Watch{Kind: kind, Mapper: mgr.GetRESTMapper(), Begin: watch}); err != nil {
			return err
		}
	}
	return nil
}

// soonAfter queues the classes that something matters to, after the time in which more of it comes.
func soonAfter[T client.Object](of func(context.Context, T) []reconcile.Request) handler.TypedEventHandler[T, reconcile.Request] {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	add := func(ctx context.Context, o T, q queue) {
		for _, request := range of(ctx, o) {
			q.AddAfter(request, gather)
		}
	}
	return handler.TypedFuncs[T, reconcile.Request]{
		CreateFunc: func(ctx context.Context, e event.TypedCreateEvent[T], q queue) { add(ctx, e.Object, q) },
		UpdateFunc: func(ctx context.Context, e event.TypedUpdateEvent[T], q queue) { add(ctx, e.ObjectNew, q) },
		DeleteFunc: func(ctx context.Context, e event.TypedDeleteEvent[T], q queue) { add(ctx, e.Object, q) },
	}
}

// listenersChanged lets through what a class goes by in a Gateway; counts of routes are nothing to it.
var listenersChanged = predicate.TypedFuncs[*gatewayv1.Gateway]{UpdateFunc: func(e event.TypedUpdateEvent[*gatewayv1.Gateway]) bool {
	return e.ObjectOld.Generation != e.ObjectNew.Generation ||
		!equality.Semantic.DeepEqual(e.ObjectOld.Status.Addresses, e.ObjectNew.Status.Addresses)
}}

func ofCertificate(_ context.Context, c *certificates.Certificate) []reconcile.Request {
	if class := c.Labels[routing.LabelClass]; class != "" {
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: class}}}
	}
	return nil
}

// ofGateway finds the class of a shard, and the classes with TLS that name a Gateway.
func (r *Reconciler) ofGateway(ctx context.Context, gateway *gatewayv1.Gateway) []reconcile.Request {
	return r.which(ctx, func(c *v1alpha1.TenantClass) bool {
		if c.Spec.Routing == nil || c.Spec.Routing.Gateway == nil || c.Spec.Routing.TLS == nil {
			return gateway.Labels[routing.LabelClass] == c.Name
		}
		for _, p := range c.Spec.Routing.Gateway.ParentRefs {
			if p.Namespace == gateway.Namespace && p.Name == gateway.Name {
				return true
			}
		}
		return gateway.Labels[routing.LabelClass] == c.Name
	})
}
