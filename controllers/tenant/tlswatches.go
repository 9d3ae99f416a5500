package tenant

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/internal/certificates"
	"github.com/tenantry/tenantry/internal/late"
	"github.com/tenantry/tenantry/internal/routing"
)

// watchTLS adds the watches on what certificates and listeners are made of.
func (r *Reconciler) watchTLS(mgr ctrl.Manager, c controller.Controller) error {
	cache, mapper := mgr.GetCache(), mgr.GetRESTMapper()
	for _, w := range []*late.Watch{
		{Kind: certificates.GroupVersion.WithKind("Certificate"), Mapper: mapper, Begin: func() error {
			return c.Watch(source.Kind(cache, &certificates.Certificate{}, handler.TypedEnqueueRequestsFromMapFunc(r.ofCertificate),
				predicate.TypedResourceVersionChangedPredicate[*certificates.Certificate]{}))
		}},
		{Kind: schema.GroupVersionKind{Group: gatewayv1.GroupName, Version: gatewayv1.GroupVersion.Version, Kind: "Gateway"}, Mapper: mapper, Begin: func() error {
			return c.Watch(source.Kind(cache, &gatewayv1.Gateway{}, r.onListeners()))
		}},
		{Kind: schema.GroupVersionKind{Group: gatewayv1.GroupName, Version: gatewayv1.GroupVersion.Version, Kind: "ListenerSet"}, Mapper: mapper, Begin: func() error {
			return c.Watch(source.Kind(cache, &gatewayv1.ListenerSet{}, handler.TypedEnqueueRequestsFromMapFunc(r.ofListenerSet),
				predicate.TypedGenerationChangedPredicate[*gatewayv1.ListenerSet]{}))
		}},
	} {
		if err := mgr.Add(w); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reconciler) ofCertificate(ctx context.Context, c *certificates.Certificate) []reconcile.Request {
	return r.ofHost(ctx, c.Host())
}

func (r *Reconciler) ofListenerSet(ctx context.Context, set *gatewayv1.ListenerSet) (requests []reconcile.Request) {
	for _, l := range set.Spec.Listeners {
		if l.Hostname != nil {
			requests = append(requests, r.ofHost(ctx, string(*l.Hostname))...)
		}
	}
	return requests
}

// ofBareRoute finds the tenants of a route's namespace on whose own listeners it is, though it names no host.
func (r *Reconciler) ofBareRoute(ctx context.Context, route *gatewayv1.HTTPRoute) (requests []reconcile.Request) {
	find := &finder{Reader: r.Client, parents: map[parentKey]*parent{}}
	for _, ref := range route.Spec.ParentRefs {
		if ref.Namespace == nil {
			ref.Namespace = new(gatewayv1.Namespace(route.Namespace))
		}
		key := keyOf(ref)
		if key.kind != "Gateway" && key.kind != "ListenerSet" {
			continue
		}
		p, err := find.parent(ctx, key)
		if err != nil {
			continue // Nothing is on what is not there.
		}
		for _, l := range p.listeners {
			if l.Hostname != nil && l.Name == routing.ListenerName(string(*l.Hostname)) && (ref.SectionName == nil || *ref.SectionName == l.Name) {
				requests = append(requests, r.ofHost(ctx, string(*l.Hostname))...)
			}
		}
	}
	return slices.DeleteFunc(requests, func(q reconcile.Request) bool { return q.Namespace != route.Namespace })
}

// onListeners queues the tenants whose listener came, went or changed; for a class's own Gateway all
// tenants that it serves, when one of its listeners changed. Counts of routes are nothing to them.
func (r *Reconciler) onListeners() handler.TypedEventHandler[*gatewayv1.Gateway, reconcile.Request] {
	queue := func(ctx context.Context, gateway *gatewayv1.Gateway, changed []gatewayv1.Listener, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		if len(changed) == 0 {
			return
		}
		requests := r.ofGateway(ctx, gateway)
		for _, l := range changed {
			if l.Hostname != nil {
				requests = append(requests, r.ofHost(ctx, string(*l.Hostname))...)
			}
		}
		for _, request := range requests {
			q.Add(request)
		}
	}
	return handler.TypedFuncs[*gatewayv1.Gateway, reconcile.Request]{
		CreateFunc: func(ctx context.Context, e event.TypedCreateEvent[*gatewayv1.Gateway], q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			queue(ctx, e.Object, e.Object.Spec.Listeners, q)
		},
		UpdateFunc: func(ctx context.Context, e event.TypedUpdateEvent[*gatewayv1.Gateway], q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			queue(ctx, e.ObjectNew, append(listenersThat(e.ObjectNew, e.ObjectOld), listenersThat(e.ObjectOld, e.ObjectNew)...), q)
		},
		DeleteFunc: func(ctx context.Context, e event.TypedDeleteEvent[*gatewayv1.Gateway], q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			queue(ctx, e.Object, e.Object.Spec.Listeners, q)
		},
	}
}

// listenersThat returns the listeners of a that b has not, or has otherwise.
func listenersThat(a, b *gatewayv1.Gateway) (differ []gatewayv1.Listener) {
	for _, l := range a.Spec.Listeners {
		at := slices.IndexFunc(b.Spec.Listeners, func(o gatewayv1.Listener) bool { return o.Name == l.Name })
		if at < 0 || !equality.Semantic.DeepEqual(l, b.Spec.Listeners[at]) || verdictOn(a, l.Name) != verdictOn(b, l.Name) {
			differ = append(differ, l)
		}
	}
	return differ
}

// verdictOn is what the data plane says of a listener.
func verdictOn(gateway *gatewayv1.Gateway, name gatewayv1.SectionName) (text string) {
	for _, l := range gateway.Status.Listeners {
		if l.Name == name {
			for _, c := range l.Conditions {
				text += c.Type + "=" + string(c.Status) + "/" + c.Reason + ";"
			}
		}
	}
	return text
}
