package domainclaim

import (
	"context"
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/routing"
)

// holder asks the cache for the holder, and the API server itself where the cache does not know it. A
// host of a class lives as long as any class declares it; then there is no Tenant.
func (r *Reconciler) holder(ctx context.Context, claim *v1alpha1.DomainClaim) (t *v1alpha1.Tenant, alive bool, err error) {
	if claim.Spec.Role != v1alpha1.HostTenant {
		alive, err = r.declared(ctx, claim)
		return nil, alive, err
	}
	key := client.ObjectKey{Namespace: claim.Spec.Holder.Namespace, Name: claim.Spec.Holder.Name}
	for _, reader := range []client.Reader{r.Client, r.Live} {
		t := &v1alpha1.Tenant{}
		err := reader.Get(ctx, key, t)
		if err == nil && string(t.UID) == claim.Spec.Holder.UID {
			return t, true, nil
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, false, fmt.Errorf("read Tenant %s: %w", key, err)
		}
	}
	return nil, false, nil
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

// yields says whether a claim, as the API server has it, can be taken from its holder: it is known that
// nobody proved it, and no route of the holder serves its host any more.
func (r *Reconciler) yields(ctx context.Context, claim *v1alpha1.DomainClaim) (bool, error) {
	verified := conditions.Get(claim, v1alpha1.ConditionVerified)
	if claim.Spec.Role != v1alpha1.HostTenant || claim.Spec.Value != "" || verified == nil || verified.Status != metav1.ConditionFalse {
		return false, nil
	}
	left, err := r.routes(ctx, claim, func(owner *metav1.OwnerReference, hosts []string) bool {
		return holds(claim, owner) && slices.Contains(hosts, claim.Spec.Host)
	})
	return left == 0, err
}

// holds : routes are known by their owner. A label alone, which anybody in that namespace may set or take
// off, neither holds a claim nor frees one.
func holds(claim *v1alpha1.DomainClaim, owner *metav1.OwnerReference) bool {
	return string(owner.UID) == claim.Spec.Holder.UID
}

// lastRoutes counts the routes that keep a claim from being released. Of a Tenant that is gone all count:
// garbage collection takes them. A class goes on with its other hosts, and any class that declared this
// one may be the last to serve it; on a shared host its tenants have routes of their own.
func (r *Reconciler) lastRoutes(ctx context.Context, claim *v1alpha1.DomainClaim) (int, error) {
	return r.routes(ctx, claim, func(owner *metav1.OwnerReference, hosts []string) bool {
		if claim.Spec.Role == v1alpha1.HostTenant {
			return holds(claim, owner)
		}
		served := owner.Kind == "TenantClass" || owner.Kind == "Tenant" && claim.Spec.Role == v1alpha1.HostShared
		return served && owner.APIVersion == v1alpha1.GroupVersion.String() && slices.Contains(hosts, claim.Spec.Host)
	})
}

// routes counts the routes with a wanted owner and wanted hosts where the holder of a claim can have any.
func (r *Reconciler) routes(ctx context.Context, claim *v1alpha1.DomainClaim, wanted func(owner *metav1.OwnerReference, hosts []string) bool) (int, error) {
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
			if owner := metav1.GetControllerOf(obj); owner != nil && wanted(owner, hostsOf(obj)) {
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

// hostsOf returns the hosts that a route serves.
func hostsOf(route client.Object) (hosts []string) {
	switch route := route.(type) {
	case *gatewayv1.HTTPRoute:
		for _, h := range route.Spec.Hostnames {
			hosts = append(hosts, string(h))
		}
	case *networkingv1.Ingress:
		for _, rule := range route.Spec.Rules {
			hosts = append(hosts, rule.Host)
		}
	}
	return hosts
}
