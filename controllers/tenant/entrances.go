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
	parents   map[parentKey]*parent
}

// parentKey is a Gateway or a ListenerSet to which routes attach.
type parentKey struct {
	kind gatewayv1.Kind
	client.ObjectKey
}

func (k parentKey) String() string { return string(k.kind) + " " + k.ObjectKey.String() }

// parent is what one has.
type parent struct {
	listeners []gatewayv1.Listener
	addresses []gatewayv1.GatewayStatusAddress
}

func (r *Reconciler) newFinder(s *scope) *finder {
	f := &finder{Reader: r.Client, routing: s.class.Spec.Routing, parents: map[parentKey]*parent{}}
	// route has just seen that these are deployed.
	f.routes, f.ingresses = wantedRoutes(s.wish())
	return f
}

// entrances returns the ways by which a host's route can be reached.
func (f *finder) entrances(ctx context.Context, host string) ([]entrance, error) {
	for i := range f.routes {
		// Where a host has several routes, the first one serves it.
		if slices.Contains(f.routes[i].Spec.Hostnames, gatewayv1.Hostname(host)) {
			return f.byGateways(ctx, f.routes[i].Spec.ParentRefs, host)
		}
	}
	for i := range f.ingresses {
		if slices.ContainsFunc(f.ingresses[i].Spec.Rules, func(r networkingv1.IngressRule) bool { return r.Host == host }) {
			e, err := f.byIngress(ctx, client.ObjectKeyFromObject(&f.ingresses[i]))
			return []entrance{e}, err
		}
	}
	return nil, nil
}

func unanswerable(format string, args ...any) error {
	return fault.NewWaiting(v1alpha1.ReasonProbeFailed, time.Minute, format, args...)
}

// byGateways leaves out listeners that are for others of the route's hosts.
func (f *finder) byGateways(ctx context.Context, refs []gatewayv1.ParentReference, host string) ([]entrance, error) {
	var found []entrance
	for _, ref := range refs {
		key := keyOf(ref)
		p, err := f.parent(ctx, key)
		if err != nil {
			return nil, err
		}
		listener := listenerFor(p.listeners, ref.SectionName, host)
		if listener == nil {
			continue
		}
		e := entrance{via: key.String(), tls: listener.Protocol == gatewayv1.HTTPSProtocolType}
		if ref.SectionName != nil {
			e.via = "listener " + string(*ref.SectionName) + " of " + e.via
		}
		if e.addresses = addresses(p, listener.Port); len(e.addresses) == 0 {
			return nil, unanswerable("%s: %s has no address in its status, so that nobody can ask for the host; does its controller run, and publish one?", host, key)
		}
		found = append(found, e)
	}
	if len(found) == 0 {
		return nil, unanswerable("%s: no listener for HTTP or HTTPS to which its route attaches fits the host", host)
	}
	return found, nil
}

func keyOf(ref gatewayv1.ParentReference) parentKey {
	key := parentKey{"Gateway", client.ObjectKey{Namespace: string(*ref.Namespace), Name: string(ref.Name)}}
	if ref.Kind != nil {
		key.kind = *ref.Kind
	}
	return key
}

func (f *finder) parent(ctx context.Context, key parentKey) (*parent, error) {
	if p := f.parents[key]; p != nil {
		return p, nil
	}
	p, err := f.read(ctx, key)
	if err == nil {
		f.parents[key] = p
	}
	return p, err
}

// read : a ListenerSet has listeners of its own, and its Gateway's addresses.
func (f *finder) read(ctx context.Context, key parentKey) (*parent, error) {
	if key.kind != "ListenerSet" {
		gateway := &gatewayv1.Gateway{}
		err := f.Get(ctx, key.ObjectKey, gateway)
		return &parent{gateway.Spec.Listeners, gateway.Status.Addresses}, err
	}
	set := &gatewayv1.ListenerSet{}
	if err := f.Get(ctx, key.ObjectKey, set); err != nil {
		return nil, err
	}
	of := client.ObjectKey{Namespace: set.Namespace, Name: string(set.Spec.ParentRef.Name)}
	if set.Spec.ParentRef.Namespace != nil {
		of.Namespace = string(*set.Spec.ParentRef.Namespace)
	}
	gateway, err := f.parent(ctx, parentKey{"Gateway", of})
	if err != nil {
		return nil, err
	}
	p := &parent{addresses: gateway.addresses}
	for _, l := range set.Spec.Listeners {
		p.listeners = append(p.listeners, gatewayv1.Listener{Name: l.Name, Hostname: l.Hostname, Port: l.Port, Protocol: l.Protocol})
	}
	return p, nil
}

func addresses(p *parent, port gatewayv1.PortNumber) (list []string) {
	for _, a := range p.addresses {
		known := a.Type == nil || *a.Type == gatewayv1.IPAddressType || *a.Type == gatewayv1.HostnameAddressType
		if known && a.Value != "" && !domains.IsWildcard(a.Value) {
			list = append(list, net.JoinHostPort(a.Value, strconv.Itoa(int(port))))
		}
	}
	return list
}

// listenerFor returns the listener to which a route for a host attaches. Of several, it is the one that
// needs no certificate.
func listenerFor(listeners []gatewayv1.Listener, section *gatewayv1.SectionName, host string) *gatewayv1.Listener {
	for _, protocol := range []gatewayv1.ProtocolType{gatewayv1.HTTPProtocolType, gatewayv1.HTTPSProtocolType} {
		for i := range listeners {
			l := &listeners[i]
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
