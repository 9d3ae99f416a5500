package listeners

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/routing"
)

// AddToSet makes sure that the tenant's ListenerSet has listeners for hosts. Those of other hosts stay:
// routes may still be attached to them.
func (k *Keeper) AddToSet(ctx context.Context, p Place, tenant *v1alpha1.Tenant, hosts []routing.HostListener) error {
	set, err := k.set(ctx, p.Gateway.Namespace, tenant)
	if err != nil {
		return err
	}
	wanted := map[gatewayv1.SectionName]gatewayv1.ListenerEntry{}
	if set != nil {
		for _, l := range set.Spec.Listeners {
			wanted[l.Name] = l
		}
	}
	for _, h := range hosts {
		wanted[routing.ListenerName(h.Host)] = p.Template.Entry(h)
	}
	if len(wanted) == 0 {
		return nil
	}
	spec := gatewayv1.ListenerSetSpec{
		ParentRef: gatewayv1.ParentGatewayReference{
			Group: new(gatewayv1.Group(gatewayv1.GroupName)), Kind: new(gatewayv1.Kind("Gateway")),
			Namespace: new(gatewayv1.Namespace(p.Gateway.Namespace)), Name: gatewayv1.ObjectName(p.Gateway.Name),
		},
		Listeners: slices.SortedFunc(maps.Values(wanted), byName),
	}
	if set != nil {
		return k.updateSet(ctx, set, spec)
	}
	set = &gatewayv1.ListenerSet{ObjectMeta: metav1.ObjectMeta{
		Namespace: p.Gateway.Namespace, Name: routing.SetName(tenant), Labels: routing.Labels(tenant),
	}, Spec: spec}
	if err := k.Create(ctx, set); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create ListenerSet %s/%s: %w", set.Namespace, set.Name, err)
	}
	return nil // If it exists, the cache was behind: the next pass sees whose it is.
}

func byName(a, b gatewayv1.ListenerEntry) int { return strings.Compare(string(a.Name), string(b.Name)) }

func (k *Keeper) updateSet(ctx context.Context, set *gatewayv1.ListenerSet, spec gatewayv1.ListenerSetSpec) error {
	if equality.Semantic.DeepEqual(set.Spec, spec) {
		return nil
	}
	set.Spec = spec
	return k.Update(ctx, set)
}

// TrimSet keeps those listeners of the tenant's ListenerSet whose certificate's Secret is to be kept, and
// takes the set away when none is left.
func (k *Keeper) TrimSet(ctx context.Context, namespace string, tenant *v1alpha1.Tenant, keep func(secret string) bool) error {
	set, err := k.set(ctx, namespace, tenant)
	if set == nil || err != nil {
		if fault.ReasonOf(err) != "" {
			return nil // Somebody else's.
		}
		return err
	}
	spec := *set.Spec.DeepCopy()
	spec.Listeners = slices.DeleteFunc(spec.Listeners, func(l gatewayv1.ListenerEntry) bool {
		return l.TLS == nil || len(l.TLS.CertificateRefs) == 0 || !keep(string(l.TLS.CertificateRefs[0].Name))
	})
	if len(spec.Listeners) > 0 {
		return k.updateSet(ctx, set, spec)
	}
	uid := set.UID
	return client.IgnoreNotFound(k.Delete(ctx, set, client.Preconditions{UID: &uid}))
}

// set returns the tenant's ListenerSet, or nil. The error is a fault if it is somebody else's.
func (k *Keeper) set(ctx context.Context, namespace string, tenant *v1alpha1.Tenant) (*gatewayv1.ListenerSet, error) {
	set := &gatewayv1.ListenerSet{}
	err := k.Get(ctx, client.ObjectKey{Namespace: namespace, Name: routing.SetName(tenant)}, set)
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read ListenerSet: %w", err)
	}
	if set.Labels[v1alpha1.LabelManagedBy] != v1alpha1.ManagedBy || set.Labels[routing.LabelTenantUID] != string(tenant.UID) {
		return nil, fault.NewWaiting(v1alpha1.ReasonListenerNameTaken, time.Minute,
			"A ListenerSet named %q exists in namespace %q and belongs to somebody else; delete or rename it", set.Name, set.Namespace)
	}
	return set, nil
}
