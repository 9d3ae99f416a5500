package tenant

import (
	"context"
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/domains"
)

// Indexes of the cache, by which watches find the Tenants that something matters to.
const (
	byClass    = "tenant.className"
	byDatabase = "tenant.database"
	byHost     = "tenant.host"
	byAbove    = "tenant.wildcard" // the wildcards that cover its hosts
)

func index(mgr ctrl.Manager) error {
	ctx, indexer := context.Background(), mgr.GetFieldIndexer()
	for name, keys := range map[string]func(*v1alpha1.Tenant) []string{
		byClass: func(t *v1alpha1.Tenant) []string { return []string{t.Spec.ClassName} },
		byDatabase: func(t *v1alpha1.Tenant) []string {
			if t.Status.Database == nil {
				return nil
			}
			return []string{t.Status.Database.Namespace + "/" + t.Status.Database.Name}
		},
		byHost: hostsOf,
		byAbove: func(t *v1alpha1.Tenant) (above []string) {
			for _, host := range hostsOf(t) {
				above = union(above, domains.Above(host))
			}
			return above
		},
	} {
		if err := indexer.IndexField(ctx, &v1alpha1.Tenant{}, name, func(o client.Object) []string { return keys(o.(*v1alpha1.Tenant)) }); err != nil {
			return err
		}
	}
	return nil
}

func hostsOf(t *v1alpha1.Tenant) (hosts []string) {
	for _, d := range t.Spec.Domains {
		if host, err := domains.Canonical(d); err == nil {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// deleted lets the start of a deletion through, which changes the generation only for objects
// with a deletion grace period.
var deleted = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	return e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero()
}}

// verdictChanged lets through what tenants go by in a TenantDatabase: its spec, its conditions, its
// version. A count in its status is nothing to them.
var verdictChanged = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	return e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() || verdict(e.ObjectOld) != verdict(e.ObjectNew)
}}

func verdict(o client.Object) string {
	var text strings.Builder
	if kind, ok := o.(conditions.Object); ok {
		for _, c := range *kind.GetConditions() {
			if c.Type != v1alpha1.ConditionReconciling && c.Type != v1alpha1.ConditionStalled {
				fmt.Fprintf(&text, "%s=%s/%s;", c.Type, c.Status, c.Reason)
			}
		}
	}
	if tdb, ok := o.(*v1alpha1.TenantDatabase); ok {
		text.WriteString(tdb.Status.SharedVersion + tdb.Status.Endpoint + tdb.Status.Transport)
	}
	return text.String()
}

// notMade keeps from a Tenant what it has just made itself. What somebody else makes in its name is found in its way
// by the pass that wants to make it.
var notMade = predicate.Funcs{CreateFunc: func(event.CreateEvent) bool { return false }}

// answered is the same for routes, whose first event may bring the data plane's word already.
var answered = predicate.TypedFuncs[*gatewayv1.HTTPRoute]{
	CreateFunc: func(e event.TypedCreateEvent[*gatewayv1.HTTPRoute]) bool { return len(e.Object.Status.Parents) > 0 },
}

// ended lets only the end of an object through: then others may have its host or its name.
var ended = predicate.Funcs{
	CreateFunc:  func(event.CreateEvent) bool { return false },
	UpdateFunc:  func(event.UpdateEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
}

// claimChanged lets through what tenants wait for: that a claim ends, that its holder proved its right, or
// lost it, and that another has proved it.
var claimChanged = predicate.Funcs{
	CreateFunc:  func(event.CreateEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
	UpdateFunc: func(e event.UpdateEvent) bool {
		return verified(e.ObjectOld) != verified(e.ObjectNew) || passesTo(e.ObjectOld) != passesTo(e.ObjectNew)
	},
}

func verified(o client.Object) bool {
	claim, ok := o.(*v1alpha1.DomainClaim)
	return ok && conditions.IsTrue(claim, v1alpha1.ConditionVerified)
}

func passesTo(o client.Object) string {
	if claim, ok := o.(*v1alpha1.DomainClaim); ok && claim.Status.PassesTo != nil {
		return claim.Status.PassesTo.UID
	}
	return ""
}

// loginsChanged lets through that a class's shared logins came, changed or went.
var loginsChanged = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	before, ok := e.ObjectOld.(*v1alpha1.TenantClass)
	after, also := e.ObjectNew.(*v1alpha1.TenantClass)
	return ok && also && !equality.Semantic.DeepEqual(before.Status.Logins, after.Status.Logins)
}}

var cameOrWent = predicate.Funcs{UpdateFunc: func(event.UpdateEvent) bool { return false }}

func (r *Reconciler) ofClass(ctx context.Context, o client.Object) []reconcile.Request {
	return r.tenants(ctx, client.MatchingFields{byClass: o.GetName()})
}

// ofDatabase finds who lives on a database, and who waits for a place on it.
func (r *Reconciler) ofDatabase(ctx context.Context, o client.Object) []reconcile.Request {
	requests := r.tenants(ctx, client.MatchingFields{byDatabase: o.GetNamespace() + "/" + o.GetName()})
	return append(requests, r.ofClasses(ctx, unplaced, func(c *v1alpha1.TenantClass) bool {
		for _, ref := range c.Spec.Databases {
			if ref.Namespace == o.GetNamespace() && ref.Name == o.GetName() {
				return true
			}
		}
		return false
	})...)
}

// ofService finds the tenants of the classes whose backend it is. Without a namespace in the class,
// it is the backend of the tenants beside it alone.
func (r *Reconciler) ofService(ctx context.Context, o client.Object) []reconcile.Request {
	backend := func(namespace string) func(*v1alpha1.TenantClass) bool {
		return func(c *v1alpha1.TenantClass) bool {
			return c.Spec.Routing != nil && slices.ContainsFunc(backends(c.Spec.Routing), func(b v1alpha1.ServiceBackend) bool {
				return b.Name == o.GetName() && b.Namespace == namespace
			})
		}
	}
	beside := func(t *v1alpha1.Tenant) bool { return t.Namespace == o.GetNamespace() }
	own := func(t *v1alpha1.Tenant) bool { return t.Spec.Backend != nil && t.Spec.Backend.Name == o.GetName() }
	requests := append(r.ofClasses(ctx, everyone, backend(o.GetNamespace())), r.ofClasses(ctx, beside, backend(""))...)
	return append(requests, r.which(ctx, own, client.InNamespace(o.GetNamespace()))...)
}

// backends are the Services to which a class may send a tenant's requests.
func backends(routing *v1alpha1.Routing) []v1alpha1.ServiceBackend {
	list := []v1alpha1.ServiceBackend{routing.Backend}
	if routing.Holding != nil {
		list = append(list, *routing.Holding)
	}
	for _, p := range routing.PublicPaths {
		if p.Backend != nil {
			list = append(list, *p.Backend)
		}
	}
	return list
}

// ofClaim finds who wants a host, or one that a wildcard excludes, or the other way round; for a host
// of a class, the class's tenants.
func (r *Reconciler) ofClaim(ctx context.Context, o client.Object) []reconcile.Request {
	claim, ok := o.(*v1alpha1.DomainClaim)
	if !ok {
		return nil
	}
	requests := r.ofHost(ctx, claim.Spec.Host)
	if claim.Spec.Role != v1alpha1.HostTenant {
		requests = append(requests, r.tenants(ctx, client.MatchingFields{byClass: claim.Spec.Holder.Name})...)
	}
	return requests
}

func (r *Reconciler) ofHost(ctx context.Context, host string) []reconcile.Request {
	requests := r.tenants(ctx, client.MatchingFields{byHost: host})
	if domains.IsWildcard(host) {
		requests = append(requests, r.tenants(ctx, client.MatchingFields{byAbove: host})...)
	}
	for _, above := range domains.Above(host) {
		requests = append(requests, r.tenants(ctx, client.MatchingFields{byHost: above})...)
	}
	return requests
}

// isTenants says whether a route is a tenant's own, in whatever version of the API its owner is named. Others
// have kinds of the same name.
func isTenants(route client.Object) bool {
	owner := metav1.GetControllerOf(route)
	if owner == nil || owner.Kind != "Tenant" {
		return false
	}
	version, err := schema.ParseGroupVersion(owner.APIVersion)
	return err == nil && version.Group == v1alpha1.GroupVersion.Group
}

// ofHTTPRoute finds the tenants whose hosts somebody else's route asks for.
func (r *Reconciler) ofHTTPRoute(ctx context.Context, route *gatewayv1.HTTPRoute) []reconcile.Request {
	var requests []reconcile.Request
	if !isTenants(route) {
		for _, host := range route.Spec.Hostnames {
			requests = append(requests, r.ofHost(ctx, string(host))...)
		}
		if len(route.Spec.Hostnames) == 0 {
			requests = r.ofBareRoute(ctx, route)
		}
	}
	return requests
}

// entranceChanged lets through what tells where the data plane listens, and whether it is there at all.
// The counts of routes in a Gateway's status are nothing to tenants.
var entranceChanged = predicate.TypedFuncs[*gatewayv1.Gateway]{UpdateFunc: func(e event.TypedUpdateEvent[*gatewayv1.Gateway]) bool {
	return e.ObjectOld.Generation != e.ObjectNew.Generation ||
		!equality.Semantic.DeepEqual(e.ObjectOld.Status.Addresses, e.ObjectNew.Status.Addresses)
}}

// ofGateway finds the tenants of the classes that name a Gateway.
func (r *Reconciler) ofGateway(ctx context.Context, gateway *gatewayv1.Gateway) []reconcile.Request {
	return r.ofClasses(ctx, everyone, func(c *v1alpha1.TenantClass) bool {
		return c.Spec.Routing != nil && c.Spec.Routing.Gateway != nil &&
			slices.ContainsFunc(c.Spec.Routing.Gateway.ParentRefs, func(p v1alpha1.GatewayReference) bool {
				return p.Namespace == gateway.Namespace && p.Name == gateway.Name
			})
	})
}

// ofIngress is ofHTTPRoute for Ingresses.
func (r *Reconciler) ofIngress(ctx context.Context, o client.Object) []reconcile.Request {
	ingress, ok := o.(*networkingv1.Ingress)
	if !ok || isTenants(o) {
		return nil
	}
	var requests []reconcile.Request
	for _, rule := range ingress.Spec.Rules {
		requests = append(requests, r.ofHost(ctx, rule.Host)...)
	}
	return requests
}

// ofForeignSecret finds the Tenant that waits for a Secret's name: somebody else's Secret has no
// owner that would tell.
func ofForeignSecret(_ context.Context, o client.Object) []reconcile.Request {
	name, ok := strings.CutSuffix(o.GetName(), secretSuffix)
	if !ok || metav1.GetControllerOf(o) != nil {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: name}}}
}

func (r *Reconciler) ofNamespace(ctx context.Context, o client.Object) []reconcile.Request {
	return r.tenants(ctx, client.InNamespace(o.GetName()))
}

func everyone(*v1alpha1.Tenant) bool   { return true }
func unplaced(t *v1alpha1.Tenant) bool { return t.Status.Database == nil }

// ofClasses finds the tenants of all classes that match.
func (r *Reconciler) ofClasses(ctx context.Context, who func(*v1alpha1.Tenant) bool, match func(*v1alpha1.TenantClass) bool) []reconcile.Request {
	var classes v1alpha1.TenantClassList
	if err := r.List(ctx, &classes); err != nil {
		log.FromContext(ctx).Error(err, "Cannot list classes")
		return nil
	}
	var requests []reconcile.Request
	for i := range classes.Items {
		if match(&classes.Items[i]) {
			requests = append(requests, r.which(ctx, who, client.MatchingFields{byClass: classes.Items[i].Name})...)
		}
	}
	return requests
}

func (r *Reconciler) tenants(ctx context.Context, by client.ListOption) []reconcile.Request {
	return r.which(ctx, everyone, by)
}

func (r *Reconciler) which(ctx context.Context, who func(*v1alpha1.Tenant) bool, by client.ListOption) []reconcile.Request {
	var list v1alpha1.TenantList
	if err := r.List(ctx, &list, by, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "Cannot list tenants")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if t := &list.Items[i]; who(t) {
			requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: t.Namespace, Name: t.Name}})
		}
	}
	return requests
}
