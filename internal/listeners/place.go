// Package listeners looks after the listeners that custom domains need for themselves, each with its own
// certificate: in a ListenerSet for each tenant where the data plane knows those, in Gateways of the
// operator's own ("shards") where it does not. It finds the listener that carries a host by reading
// what is there, and says whether a listener of a class's own Gateways is for a host.
package listeners

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/pkg/features"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/routing"
)

// Keeper reads and writes listeners.
type Keeper struct {
	// Client reads from the cache and writes.
	client.Client
	// Live reads from the API server itself.
	Live client.Reader
}

// Place is where the listeners of a class's custom domains belong.
type Place struct {
	// Gateway is the first one that the class names; the listeners are in its namespace.
	Gateway *gatewayv1.Gateway
	// Template is made from the Gateway's listener for HTTPS.
	Template routing.ListenerTemplate
	// Sets says that the data plane knows ListenerSets.
	Sets bool
}

// Of returns the place of a class that routes by Gateway API. The error is a fault where the Gateway, its
// class or its listener for HTTPS does not exist, or takes no ListenerSets although the data plane
// knows them: more Gateways would cost a load balancer each there.
func (k *Keeper) Of(ctx context.Context, class *v1alpha1.TenantClass) (Place, error) {
	ref := class.Spec.Routing.Gateway.ParentRefs[0]
	gateway, err := k.gateway(ctx, ref)
	if err != nil {
		return Place{}, err
	}
	https := slices.IndexFunc(gateway.Spec.Listeners, func(l gatewayv1.Listener) bool {
		return l.Protocol == gatewayv1.HTTPSProtocolType && l.TLS != nil && (ref.SectionName == "" || string(l.Name) == ref.SectionName)
	})
	if https < 0 {
		return Place{}, notFound(ref, "for HTTPS")
	}
	l := gateway.Spec.Listeners[https]
	p := Place{Gateway: gateway, Template: routing.ListenerTemplate{Port: l.Port, Options: l.TLS.Options}}
	if p.Sets, err = k.knowsSets(ctx, gateway); err != nil {
		return Place{}, err
	}
	if p.Sets && !takesSets(gateway) {
		return Place{}, fault.NewWaiting(v1alpha1.ReasonListenerNotAllowed, time.Minute,
			"Gateway %s/%s takes no ListenerSets, which custom domains need: set its spec.allowedListeners.namespaces.from to Same", ref.Namespace, ref.Name)
	}
	return p, nil
}

func (k *Keeper) gateway(ctx context.Context, ref v1alpha1.GatewayReference) (*gatewayv1.Gateway, error) {
	gateway := &gatewayv1.Gateway{}
	err := k.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, gateway)
	if absent(err) {
		return nil, fault.NewWaiting(v1alpha1.ReasonRouteNotAccepted, 30*time.Second,
			"Gateway %s/%s, which the class names, does not exist", ref.Namespace, ref.Name)
	}
	return gateway, err
}

func notFound(ref v1alpha1.GatewayReference, what string) error {
	return fault.NewWaiting(v1alpha1.ReasonListenerNotFound, time.Minute,
		"Gateway %s/%s has no listener %q %s; see spec.routing of the class", ref.Namespace, ref.Name, ref.SectionName, what)
}

func (k *Keeper) knowsSets(ctx context.Context, gateway *gatewayv1.Gateway) (bool, error) {
	class := &gatewayv1.GatewayClass{}
	name := string(gateway.Spec.GatewayClassName)
	if err := k.Get(ctx, client.ObjectKey{Name: name}, class); apierrors.IsNotFound(err) {
		return false, fault.NewWaiting(v1alpha1.ReasonRouteNotAccepted, 30*time.Second,
			"GatewayClass %q of Gateway %s/%s does not exist", name, gateway.Namespace, gateway.Name)
	} else if err != nil {
		return false, err
	}
	return slices.ContainsFunc(class.Status.SupportedFeatures, func(f gatewayv1.SupportedFeature) bool {
		return string(f.Name) == string(features.SupportListenerSet)
	}), nil
}

// takesSets trusts a selector: whether it matches, the data plane says of the ListenerSet.
func takesSets(gateway *gatewayv1.Gateway) bool {
	allowed := gateway.Spec.AllowedListeners
	return allowed != nil && allowed.Namespaces != nil && allowed.Namespaces.From != nil &&
		*allowed.Namespaces.From != gatewayv1.NamespacesFromNone
}

// For says whether one of the class's own Gateways has a listener for a host, and what is wrong with it.
// The data plane accepts a route if any of its hosts fits a listener, so that its word is not enough.
func (k *Keeper) For(ctx context.Context, refs []v1alpha1.GatewayReference, host string) (v1alpha1.CertificateStatus, error) {
	best := v1alpha1.CertificateStatus{}
	for _, ref := range refs {
		report, err := k.forHost(ctx, ref, host)
		if err != nil {
			return best, err
		}
		if best.State == "" || rank(report.State) > rank(best.State) {
			best = report
		}
	}
	return best, nil
}

func rank(s v1alpha1.CertificateState) int {
	return slices.Index([]v1alpha1.CertificateState{v1alpha1.CertificateFailed, v1alpha1.CertificatePending, v1alpha1.CertificateReady}, s)
}

func (k *Keeper) forHost(ctx context.Context, ref v1alpha1.GatewayReference, host string) (v1alpha1.CertificateStatus, error) {
	failed := func(message string) v1alpha1.CertificateStatus {
		return v1alpha1.CertificateStatus{State: v1alpha1.CertificateFailed, Message: clip(message)}
	}
	gateway, err := k.gateway(ctx, ref)
	if fault.ReasonOf(err) != "" {
		return failed(fault.Of(err, "").Message), nil
	}
	if err != nil {
		return v1alpha1.CertificateStatus{}, err
	}
	best := failed(fmt.Sprintf("Gateway %s/%s has no listener for HTTPS %s that is for this host", ref.Namespace, ref.Name, ref.SectionName))
	for _, l := range gateway.Spec.Listeners {
		if l.Protocol != gatewayv1.HTTPSProtocolType || ref.SectionName != "" && string(l.Name) != ref.SectionName || !fits(l, host) {
			continue
		}
		if report := state(gateway, l.Name); rank(report.State) >= rank(best.State) {
			best = report
		}
	}
	return best, nil
}

func fits(l gatewayv1.Listener, host string) bool {
	return l.Hostname == nil || *l.Hostname == "" || string(*l.Hostname) == host || domains.Covers(string(*l.Hostname), host)
}

// Unfit returns those of the hosts that no listener is for on which the class's Gateways take HTTPRoutes. Of a Gateway
// that cannot be had it says nothing: who puts routes on it does.
func (k *Keeper) Unfit(ctx context.Context, refs []v1alpha1.GatewayReference, hosts []string) (unfit []string) {
	var open []gatewayv1.Listener
	for _, ref := range refs {
		gateway, err := k.gateway(ctx, ref)
		if err != nil {
			return nil
		}
		open = append(open, slices.DeleteFunc(gateway.Spec.Listeners, func(l gatewayv1.Listener) bool {
			return !takesHTTP(l) || ref.SectionName != "" && string(l.Name) != ref.SectionName
		})...)
	}
	for _, host := range hosts {
		if !slices.ContainsFunc(open, func(l gatewayv1.Listener) bool { return fits(l, host) }) {
			unfit = append(unfit, host)
		}
	}
	return unfit
}

// takesHTTP : a protocol of a data plane's own may take HTTPRoutes, too.
func takesHTTP(l gatewayv1.Listener) bool {
	return l.Protocol != gatewayv1.TLSProtocolType && l.Protocol != gatewayv1.TCPProtocolType && l.Protocol != gatewayv1.UDPProtocolType
}

// Check says whether the Gateways of a class have the listeners that it names, of the right kinds.
func (k *Keeper) Check(ctx context.Context, routed *v1alpha1.Routing) error {
	for _, ref := range routed.Gateway.ParentRefs {
		gateway, err := k.gateway(ctx, ref)
		if err != nil {
			return err
		}
		has := func(section string, protocol gatewayv1.ProtocolType) bool {
			return slices.ContainsFunc(gateway.Spec.Listeners, func(l gatewayv1.Listener) bool {
				return l.Protocol == protocol && (section == "" || string(l.Name) == section)
			})
		}
		if !has(ref.SectionName, gatewayv1.HTTPSProtocolType) {
			return notFound(ref, "for HTTPS")
		}
		ref.SectionName = routed.TLS.HTTPSectionName
		if ref.SectionName != "" && !has(ref.SectionName, gatewayv1.HTTPProtocolType) {
			return notFound(ref, "for plain HTTP")
		}
	}
	return nil
}
