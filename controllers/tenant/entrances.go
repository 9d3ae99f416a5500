package tenant

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/internal/fault"
)

// entrance is a way into the data plane, as the objects that are deployed tell.
type entrance struct {
	// via names it.
	via string
	// addresses are where it listens, as host:port: several names of one thing.
	addresses []string
	tls       bool
}

// finder finds entrances for one pass, and reads each object once.
type finder struct {
	client.Reader
	routing   *v1alpha1.Routing
	routes    []gatewayv1.HTTPRoute
	ingresses []networkingv1.Ingress
	gateways  map[client.ObjectKey]*gatewayv1.Gateway
}

func (r *Reconciler) newFinder(s *scope) *finder {
	f := &finder{Reader: r.Client, routing: s.class.Spec.Routing, gateways: map[client.ObjectKey]*gatewayv1.Gateway{}}
	// route has just seen that these are deployed.
	f.routes, f.ingresses = wantedRoutes(s.wish())
	return f
}

// entrances returns the ways by which a host's route can be reached.
func (f *finder) entrances(ctx context.Context, host string) ([]entrance, error) {
	var found []entrance
	for i := range f.routes {
		if !slices.Contains(f.routes[i].Spec.Hostnames, gatewayv1.Hostname(host)) {
			continue
		}
		for _, parent := range f.routes[i].Spec.ParentRefs {
			e, err := f.byGateway(ctx, parent, host)
			if err != nil {
				return nil, err
			}
			found = append(found, e)
		}
		return found, nil // Where a host has several routes, the first one serves it.
	}
	for i := range f.ingresses {
		if slices.ContainsFunc(f.ingresses[i].Spec.Rules, func(r networkingv1.IngressRule) bool { return r.Host == host }) {
			e, err := f.byIngress(ctx, client.ObjectKeyFromObject(&f.ingresses[i]))
			return append(found, e), err
		}
	}
	return found, nil
}

func unanswerable(format string, args ...any) error {
	return fault.NewWaiting(v1alpha1.ReasonProbeFailed, time.Minute, format, args...)
}

func (f *finder) byGateway(ctx context.Context, parent gatewayv1.ParentReference, host string) (entrance, error) {
	key := types.NamespacedName{Namespace: string(*parent.Namespace), Name: string(parent.Name)}
	gateway := f.gateways[key]
	if gateway == nil {
		gateway = &gatewayv1.Gateway{}
		if err := f.Get(ctx, key, gateway); err != nil {
			return entrance{}, err
		}
		f.gateways[key] = gateway
	}
	e := entrance{via: "Gateway " + key.String()}
	if parent.SectionName != nil {
		e.via = "listener " + string(*parent.SectionName) + " of " + e.via
	}
	listener := listenerFor(gateway, parent.SectionName, host)
	if listener == nil {
		return e, unanswerable("%s: %s has no listener for HTTP or HTTPS that fits the host", host, e.via)
	}
	e.tls = listener.Protocol == gatewayv1.HTTPSProtocolType
	for _, a := range gateway.Status.Addresses {
		known := a.Type == nil || *a.Type == gatewayv1.IPAddressType || *a.Type == gatewayv1.HostnameAddressType
		if known && a.Value != "" && !domains.IsWildcard(a.Value) {
			e.addresses = append(e.addresses, net.JoinHostPort(a.Value, strconv.Itoa(int(listener.Port))))
		}
	}
	if len(e.addresses) == 0 {
		return e, unanswerable("%s: Gateway %s has no address in its status, so that nobody can ask for the host; does its controller run, and publish one?", host, key)
	}
	return e, nil
}

// listenerFor returns the listener to which a route for a host attaches. Of several, it is the one that
// needs no certificate.
func listenerFor(gateway *gatewayv1.Gateway, section *gatewayv1.SectionName, host string) *gatewayv1.Listener {
	for _, protocol := range []gatewayv1.ProtocolType{gatewayv1.HTTPProtocolType, gatewayv1.HTTPSProtocolType} {
		for i := range gateway.Spec.Listeners {
			l := &gateway.Spec.Listeners[i]
			if l.Protocol == protocol && (section == nil || l.Name == *section) && fits(l.Hostname, host) {
				return l
			}
		}
	}
	return nil
}

func fits(listener *gatewayv1.Hostname, host string) bool {
	return listener == nil || *listener == "" || strings.EqualFold(string(*listener), host) ||
		domains.Covers(strings.ToLower(string(*listener)), host)
}

// byIngress goes by the status of the Ingress. It tells ports only where a cloud does; the class has
// one for all others.
func (f *finder) byIngress(ctx context.Context, key client.ObjectKey) (entrance, error) {
	ingress := &networkingv1.Ingress{}
	if err := f.Get(ctx, key, ingress); err != nil {
		return entrance{}, err
	}
	e := entrance{via: "Ingress " + key.Name}
	for _, lb := range ingress.Status.LoadBalancer.Ingress {
		if address := cmp.Or(lb.IP, lb.Hostname); address != "" {
			e.addresses = append(e.addresses, net.JoinHostPort(address, strconv.Itoa(int(portOf(lb, f.routing.Ingress.Port)))))
		}
	}
	if len(e.addresses) == 0 {
		return e, unanswerable("Ingress %s has neither an IP address nor a host name in its status, so that nobody can ask for its hosts", key.Name)
	}
	return e, nil
}

func portOf(lb networkingv1.IngressLoadBalancerIngress, port int32) int32 {
	open := slices.DeleteFunc(slices.Clone(lb.Ports), func(p networkingv1.IngressPortStatus) bool {
		return p.Protocol != corev1.ProtocolTCP || p.Error != nil
	})
	if len(open) == 0 || slices.ContainsFunc(open, func(p networkingv1.IngressPortStatus) bool { return p.Port == port }) {
		return port
	}
	return open[0].Port
}
