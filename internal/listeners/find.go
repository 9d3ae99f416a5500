package listeners

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/routing"
)

// Found are the listeners that a tenant's hosts may have in a namespace.
type Found struct {
	set    *gatewayv1.ListenerSet
	shards []gatewayv1.Gateway
}

// Find reads them: the tenant's ListenerSet and the shards of its class.
func (k *Keeper) Find(ctx context.Context, class, namespace string, tenant *v1alpha1.Tenant) (Found, error) {
	var f Found
	var err error
	if f.set, err = k.set(ctx, namespace, tenant); err != nil && fault.ReasonOf(err) == "" {
		return f, err
	}
	f.shards, err = k.ShardsOf(ctx, k.Client, class, client.InNamespace(namespace))
	return f, err
}

// Carrying returns the listener that carries a host, as a route names it; false if there is none.
func (f Found) Carrying(h routing.HostListener) (gatewayv1.ParentReference, bool) {
	if f.set != nil && f.set.DeletionTimestamp.IsZero() {
		for _, l := range f.set.Spec.Listeners {
			if h.Carries(gatewayv1.Listener(l)) {
				return reference("ListenerSet", f.set, l.Name), true
			}
		}
	}
	for i := range f.shards {
		if !f.shards[i].DeletionTimestamp.IsZero() {
			continue
		}
		for _, l := range f.shards[i].Spec.Listeners {
			if h.Carries(l) {
				return reference("Gateway", &f.shards[i], l.Name), true
			}
		}
	}
	return gatewayv1.ParentReference{}, false
}

// Names says whether any listener still names a Secret.
func (f Found) Names(secret string) bool {
	names := func(tls *gatewayv1.ListenerTLSConfig) bool {
		return tls != nil && slices.ContainsFunc(tls.CertificateRefs, func(ref gatewayv1.SecretObjectReference) bool { return string(ref.Name) == secret })
	}
	if f.set != nil && slices.ContainsFunc(f.set.Spec.Listeners, func(l gatewayv1.ListenerEntry) bool { return names(l.TLS) }) {
		return true
	}
	return slices.ContainsFunc(f.shards, func(g gatewayv1.Gateway) bool {
		return slices.ContainsFunc(g.Spec.Listeners, func(l gatewayv1.Listener) bool { return names(l.TLS) })
	})
}

func reference(kind gatewayv1.Kind, of client.Object, section gatewayv1.SectionName) gatewayv1.ParentReference {
	return gatewayv1.ParentReference{
		Group: new(gatewayv1.Group(gatewayv1.GroupName)), Kind: &kind, Namespace: new(gatewayv1.Namespace(of.GetNamespace())),
		Name: gatewayv1.ObjectName(of.GetName()), SectionName: &section,
	}
}

// ShardsOf lists a class's shards, in the order of their numbers.
func (k *Keeper) ShardsOf(ctx context.Context, by client.Reader, class string, where ...client.ListOption) ([]gatewayv1.Gateway, error) {
	var list gatewayv1.GatewayList
	mine := client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, routing.LabelClass: class}
	err := by.List(ctx, &list, append(where, mine)...)
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list Gateways: %w", err)
	}
	slices.SortFunc(list.Items, func(a, b gatewayv1.Gateway) int {
		return cmpNames(a.Name, b.Name)
	})
	return list.Items, nil
}

// cmpNames orders names that differ by a number at their end.
func cmpNames(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	if a < b {
		return -1
	}
	return 1
}
