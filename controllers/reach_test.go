package controllers_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/test/operator"
)

func reachable(message ...string) operator.Want {
	return operator.Want{Condition: v1alpha1.ConditionReachable, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded, Message: message}
}

func unreachable(message ...string) operator.Want {
	return operator.Waiting(v1alpha1.ConditionReachable, v1alpha1.ReasonProbeFailed, message...)
}

// awaitPass passes over a Tenant until it is as wished: the prober needs its time between the passes.
func (b *bench) awaitPass(t *testing.T, tenant *v1alpha1.Tenant, wants ...operator.Want) {
	t.Helper()
	operator.Poll(t, operator.Eventually, func() error {
		b.pass(t, tenant)
		for _, w := range wants {
			if err := w.Check(tenant); err != nil {
				return err
			}
		}
		return nil
	})
}

// found wants what the pass before found out, or the next one does, where half a second did not suffice for a last answer.
func (b *bench) found(t *testing.T, tenant *v1alpha1.Tenant, wants ...operator.Want) {
	t.Helper()
	if c := conditions.Get(tenant, v1alpha1.ConditionReachable); c.Reason == v1alpha1.ReasonProgressing {
		b.pass(t, tenant)
	}
	b.Expect(t, tenant, wants...)
}

// A new tenant is Ready when its hosts answer, and not when the data plane has accepted its routes. An
// outage makes it unready, changes no route, and ends by itself.
func TestReachable(t *testing.T) {
	t.Parallel()
	b, e := newBench(t), newEdge(t)
	b.behind(t, e)
	b.settle(t)
	b.ask(t)
	host, alias, wildcard := b.Host("acme"), b.Host("www"), "*."+b.Host("acme")
	e.answer(host, http.StatusNotFound, http.StatusNotFound, http.StatusServiceUnavailable, http.StatusOK)
	e.redirect(alias, "http://"+host+"/healthz")
	acme := b.accepted(t, host, alias, wildcard)
	b.Expect(t, acme, operator.Want{Condition: v1alpha1.ConditionReachable, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonPending})
	if n := e.count(host); n != 0 {
		t.Errorf("a host whose route is not accepted was asked %d times", n)
	}
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready(), reachable(host+", "+alias+" as it should", "at most 10 s old"))

	before := b.routes(t)
	e.answer(host, http.StatusBadGateway)
	message := fmt.Sprintf("http://%s/healthz through Gateway %s/own: status 502, want status 200", host, b.Namespace)
	b.awaitPass(t, acme, unreachable(message), operator.Waiting(v1alpha1.ConditionReady, v1alpha1.ReasonProbeFailed, message),
		operator.Want{Condition: v1alpha1.ConditionRouted, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded})
	want := []v1alpha1.TenantDomainStatus{
		{Host: host, State: v1alpha1.DomainUnreachable, Claim: host, Message: message},
		{Host: alias, State: v1alpha1.DomainServing, Claim: alias},
		{Host: wildcard, State: v1alpha1.DomainServing, Claim: domains.ClaimName(wildcard)},
	}
	if diff := cmp.Diff(want, acme.Status.Domains); diff != "" {
		t.Errorf("domains in the outage (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, b.routes(t)); diff != "" {
		t.Errorf("routes in the outage (-before +after):\n%s", diff)
	}
	e.answer(host, http.StatusOK)
	b.awaitPass(t, acme, operator.Ready(), reachable())
	if diff := cmp.Diff(map[string]v1alpha1.DomainState{
		host: v1alpha1.DomainServing, alias: v1alpha1.DomainServing, wildcard: v1alpha1.DomainServing,
	}, states(acme)); diff != "" {
		t.Errorf("domains behind the outage (-want +got):\n%s", diff)
	}
}

// What an operator that was restarted finds in the status stands until it has asked: no blip flips it,
// and what is still as it was is not written again.
func TestReachableAfterARestart(t *testing.T) {
	b, e := newBench(t), newEdge(t)
	b.behind(t, e)
	b.settle(t)
	stop := b.ask(t)
	e.answer(b.Host("acme"), http.StatusOK)
	acme := b.accepted(t, b.Host("acme"))
	b.pass(t, acme)
	for _, tt := range []struct {
		name    string
		answers []int
		first   operator.Want
		writes  bool
		last    operator.Want
	}{
		{"still good", []int{200}, operator.Ready(), false, operator.Ready()},
		{"blip", []int{502, 200}, operator.Ready(), false, operator.Ready()},
		{"outage", []int{502}, operator.Ready(), false, unreachable("status 502")},
		{"still bad", []int{502}, unreachable("status 502"), false, unreachable("status 502")},
		{"bad in another way", []int{503}, unreachable("status 503"), true, unreachable("status 503")},
		{"good by now", []int{200}, operator.Ready(), true, operator.Ready()},
	} {
		b.quiet(t, tt.name+": passes before", acme)
		stop()
		b.restart(t)
		e.answer(b.Host("acme"), tt.answers...)
		stop = b.ask(t)
		writes := b.Writes(t)
		b.pass(t, acme)
		if err := tt.first.Check(acme); err != nil {
			t.Errorf("%s: first pass: %v", tt.name, err)
		}
		if got := withoutEvents(writes.API(t)); len(got) > 0 != tt.writes {
			t.Errorf("%s: the first pass writes %q", tt.name, got)
		}
		b.awaitPass(t, acme, tt.last)
	}
	b.quiet(t, "passes behind", acme)
}

// quiet passes over a Tenant several times and wants no write. Events of earlier passes may still be on
// their way.
func (b *bench) quiet(t *testing.T, what string, tenant *v1alpha1.Tenant) {
	t.Helper()
	writes := b.Writes(t)
	for range 4 {
		b.pass(t, tenant)
	}
	if got := withoutEvents(writes.API(t)); len(got) > 0 {
		t.Errorf("%s write to the API: %q", what, got)
	}
	if n, statements := writes.SQL(t); n > 0 {
		t.Errorf("%d transactions of %s write; the server logged %q", n, what, statements)
	}
}

func withoutEvents(writes []string) []string {
	return slices.DeleteFunc(writes, func(w string) bool { return strings.Contains(w, " events/") })
}

// A pass whose operator does not get to asking says so, and does not call it a failure.
func TestReachableIsNotKnownYet(t *testing.T) {
	t.Parallel()
	b, e := newBench(t), newEdge(t)
	b.behind(t, e)
	b.settle(t)
	acme := b.accepted(t, b.Host("acme"))
	result := b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting(v1alpha1.ConditionReachable, v1alpha1.ReasonProgressing, "first answer of "+b.Host("acme")))
	if result.RequeueAfter > 10*time.Second {
		t.Errorf("comes back after %v", result.RequeueAfter)
	}
	if got := states(acme)[b.Host("acme")]; got != v1alpha1.DomainClaimed {
		t.Errorf("state %s, want Claimed", got)
	}
}

// Where nothing can be asked, nothing is: the condition says why.
func TestReachableNotRequested(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change  func(*bench)
		domains []string
		want    string
	}{
		"no routing": {func(b *bench) { b.Class.Spec.Routing = nil }, []string{"acme"}, "asks for no probe"},
		"no probe":   {func(b *bench) { b.Class.Spec.Routing.Probe = nil }, []string{"acme"}, "asks for no probe"},
		"no hosts":   {nil, nil, "no host that could be asked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, e := newBench(t), newEdge(t)
			b.behind(t, e)
			if tt.change != nil {
				tt.change(b)
			}
			b.settle(t)
			var hosts []string
			for _, d := range tt.domains {
				hosts = append(hosts, b.Host(d))
			}
			acme := b.accepted(t, hosts...)
			b.pass(t, acme)
			b.Expect(t, acme, operator.Ready(), operator.Want{
				Condition: v1alpha1.ConditionReachable, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonNotRequested, Message: []string{tt.want},
			})
		})
	}
}

// The hosts of a tenant that is suspended, or deleted, and of a class that asks no more, are left alone.
func TestNobodyAsksWhoIsAway(t *testing.T) {
	t.Parallel()
	b, e := newBench(t), newEdge(t)
	b.behind(t, e)
	b.settle(t)
	b.ask(t)
	host := b.Host("acme")
	e.answer(host, http.StatusOK)
	acme := b.accepted(t, host)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	quiet := func(what string) {
		t.Helper()
		// Longer than two intervals of five seconds: who is still asked is asked twice.
		n, end := e.count(host), time.After(12*time.Second)
		<-end
		if got := e.count(host); got > n+1 { // One may have been under way.
			t.Errorf("%s: asked %d times", what, got-n)
		}
	}
	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.Suspended = true })
	b.pass(t, acme)
	b.Expect(t, acme, operator.Want{Condition: v1alpha1.ConditionReachable, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonPending})
	quiet("suspended")
	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.Suspended = false })
	b.pass(t, acme)
	b.acceptRoutes(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready(), reachable())
	b.Delete(t, acme)
	b.finish(t, acme)
	quiet("deleted")
}

// What is asked is read from the Gateway and its listeners, and what comes back is said in words.
func TestReachableByGateway(t *testing.T) {
	t.Parallel()
	listeners := func(more ...gatewayv1.Listener) func(*gatewayv1.Gateway) {
		return func(g *gatewayv1.Gateway) { g.Spec.Listeners = append(more, g.Spec.Listeners...) }
	}
	elsewhere := gatewayv1.Listener{Name: "a", Protocol: gatewayv1.HTTPProtocolType, Port: 1, Hostname: new(gatewayv1.Hostname("*.elsewhere.example"))}
	secure := gatewayv1.Listener{Name: "b", Protocol: gatewayv1.HTTPSProtocolType, Port: 2}
	at := func(addresses ...gatewayv1.GatewayStatusAddress) func(*gatewayv1.Gateway) {
		return func(g *gatewayv1.Gateway) { g.Status.Addresses = addresses }
	}
	for name, tt := range map[string]struct {
		gateway func(*gatewayv1.Gateway)
		section string
		edge    func(e *edge, host, alias string)
		want    []string // of the message; none if all is well
		ready   string   // the reason of Ready, if it is another one
	}{
		"first listener that fits": {gateway: listeners(elsewhere, secure)},
		"the listener of the class": {
			gateway: listeners(gatewayv1.Listener{Name: "a", Protocol: gatewayv1.HTTPProtocolType, Port: 1}), section: "web",
		},
		"host name": {gateway: at(gatewayv1.GatewayStatusAddress{Type: new(gatewayv1.HostnameAddressType), Value: "localhost"})},
		"several addresses, the first one dead": {gateway: at(
			gatewayv1.GatewayStatusAddress{Type: new(gatewayv1.IPAddressType), Value: "127.1.2.3"}, gatewayv1.GatewayStatusAddress{Value: "127.0.0.1"},
		)},
		"nobody listens": {
			gateway: at(gatewayv1.GatewayStatusAddress{Value: "127.1.2.3"}),
			want:    []string{"no connection to 127.1.2.3:", "connection refused", "want status 200"},
		},
		"no address": {gateway: at(), want: []string{"has no address in its status"}},
		"kinds of addresses that nobody knows": {
			gateway: at(gatewayv1.GatewayStatusAddress{Type: new(gatewayv1.AddressType("example.com/vpc")), Value: "x"}),
			want:    []string{"has no address in its status"},
		},
		"no such listener": {section: "nosuch", want: []string{"no listener", "fits the host"}, ready: v1alpha1.ReasonListenerNotFound},
		"plain HTTP at a listener for HTTPS": {
			gateway: func(g *gatewayv1.Gateway) { g.Spec.Listeners[0].Protocol = gatewayv1.HTTPSProtocolType },
			want:    []string{"https://", "no HTTP answer"},
		},
		"alias is served": {
			edge: func(e *edge, _, alias string) { e.answer(alias, http.StatusOK) },
			want: []string{"www.", "status 200, want a redirect to acme."},
		},
		"alias leads elsewhere": {
			edge: func(e *edge, _, alias string) { e.redirect(alias, "https://thief.example/") },
			want: []string{`a redirect to "thief.example", want a redirect to acme.`},
		},
		"both fail": {
			edge: func(e *edge, host, alias string) {
				e.answer(host, http.StatusForbidden)
				e.answer(alias, http.StatusNotFound)
			},
			want: []string{"http://acme.", "status 403", "; http://www.", "status 404"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, e := newBench(t), newEdge(t)
			if tt.ready == "" {
				tt.ready = v1alpha1.ReasonProbeFailed
			}
			if tt.gateway == nil {
				tt.gateway = func(*gatewayv1.Gateway) {}
			}
			b.behind(t, e, tt.gateway)
			b.Class.Spec.Routing.Gateway.ParentRefs[0].SectionName = tt.section
			b.settle(t)
			b.ask(t)
			host, alias := b.Host("acme"), b.Host("www")
			e.answer(host, http.StatusOK)
			e.redirect(alias, "http://"+host+"/healthz")
			if tt.edge != nil {
				tt.edge(e, host, alias)
			}
			acme := b.accepted(t, host, alias)
			b.pass(t, acme)
			if len(tt.want) == 0 {
				b.Expect(t, acme, operator.Ready(), reachable(host, alias))
			} else {
				b.found(t, acme, unreachable(tt.want...), operator.Waiting(v1alpha1.ConditionReady, tt.ready))
			}
		})
	}
}

// What is wrong with one host says nothing about the others, and hides nothing of them.
func TestReachableBesideARouteThatFails(t *testing.T) {
	t.Parallel()
	b, e := newBench(t), newEdge(t)
	b.behind(t, e)
	b.settle(t)
	b.ask(t)
	host, alias := b.Host("acme"), b.Host("www")
	e.answer(host, http.StatusOK)
	e.redirect(alias, "http://"+host+"/healthz")
	acme := b.accepted(t, host, alias)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())

	for _, route := range b.routes(t) {
		if slices.Contains(route.Spec.Hostnames, gatewayv1.Hostname(alias)) {
			b.sayOfRoute(t, &route, metav1.ConditionFalse, "NoMatchingListenerHostname", metav1.ConditionTrue, "ResolvedRefs")
		}
	}
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting(v1alpha1.ConditionRouted, v1alpha1.ReasonRouteNotAccepted, "NoMatchingListenerHostname"))
	refused := map[string]v1alpha1.DomainState{host: v1alpha1.DomainServing, alias: v1alpha1.DomainClaimed}
	if diff := cmp.Diff(refused, states(acme)); diff != "" {
		t.Errorf("domains, one refused (-want +got):\n%s", diff)
	}
	e.answer(host, http.StatusBadGateway)
	b.awaitPass(t, acme, unreachable("http://"+host, "status 502"), operator.Waiting(v1alpha1.ConditionReady, v1alpha1.ReasonRouteNotAccepted))
	refused[host] = v1alpha1.DomainUnreachable
	if diff := cmp.Diff(refused, states(acme)); diff != "" {
		t.Errorf("domains, one refused and one down (-want +got):\n%s", diff)
	}
	b.quietHere(t, "passes over a tenant with two troubles", acme)

	b.acceptRoutes(t, acme)
	e.answer(host, http.StatusOK)
	b.awaitPass(t, acme, operator.Ready(), reachable(host))
	if diff := cmp.Diff(map[string]v1alpha1.DomainState{host: v1alpha1.DomainServing, alias: v1alpha1.DomainServing}, states(acme)); diff != "" {
		t.Errorf("domains, all well (-want +got):\n%s", diff)
	}
}

// With Ingress, the status of the Ingress has the address and the class the port, unless the status has
// ports too; every host is served.
func TestReachableByIngress(t *testing.T) {
	t.Parallel()
	const tcp = "TCP"
	for name, tt := range map[string]struct {
		port    int32 // of the class; 0 for the edge's
		address networkingv1.IngressLoadBalancerIngress
		ports   func(edge int32) []networkingv1.IngressPortStatus
		want    []string
	}{
		"address":      {address: networkingv1.IngressLoadBalancerIngress{IP: "127.0.0.1"}},
		"host name":    {address: networkingv1.IngressLoadBalancerIngress{Hostname: "localhost"}},
		"another port": {port: 1, address: networkingv1.IngressLoadBalancerIngress{IP: "127.0.0.1"}, want: []string{"Ingress acme", "no connection to 127.0.0.1:1 "}},
		"ports in the status": {
			port: 1, address: networkingv1.IngressLoadBalancerIngress{IP: "127.0.0.1"},
			ports: func(edge int32) []networkingv1.IngressPortStatus {
				return []networkingv1.IngressPortStatus{{Port: 3, Protocol: "UDP"}, {Port: edge, Protocol: tcp}, {Port: 2, Protocol: tcp}}
			},
		},
		"the class's port among them": {
			address: networkingv1.IngressLoadBalancerIngress{IP: "127.0.0.1"},
			ports: func(edge int32) []networkingv1.IngressPortStatus {
				return []networkingv1.IngressPortStatus{{Port: 2, Protocol: tcp}, {Port: edge, Protocol: tcp}}
			},
		},
		"no address": {address: networkingv1.IngressLoadBalancerIngress{}, want: []string{"neither an IP address nor a host name"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, e := newBench(t), newEdge(t)
			b.behind(t, e)
			b.Class.Spec.Routing.Gateway = nil
			b.Class.Spec.Routing.Ingress = &v1alpha1.IngressRouting{ClassName: "edge", Port: tt.port}
			if tt.port == 0 {
				b.Class.Spec.Routing.Ingress.Port = e.port(t)
			}
			b.settle(t)
			b.ask(t)
			acme := b.Tenant("acme", b.Host("acme"), b.Host("www"))
			e.answer(b.Host("acme"), http.StatusOK)
			e.answer(b.Host("www"), http.StatusOK)
			b.Create(t, acme)
			b.pass(t, acme)
			if tt.ports != nil {
				tt.address.Ports = tt.ports(e.port(t))
			}
			b.address(t, acme, tt.address)
			b.pass(t, acme)
			if len(tt.want) == 0 {
				b.Expect(t, acme, operator.Ready(), reachable(b.Host("acme"), b.Host("www")))
			} else {
				b.found(t, acme, unreachable(tt.want...))
			}
		})
	}
}

// A domain that joins a Ready tenant, and one that becomes another's alias, is asked before the tenant
// says that it is reachable; the others' verdicts stand.
func TestReachableAfterAnEdit(t *testing.T) {
	t.Parallel()
	b, e := newBench(t), newEdge(t)
	b.behind(t, e)
	b.settle(t)
	b.ask(t)
	one, two := b.Host("one"), b.Host("two")
	e.answer(one, http.StatusOK)
	acme := b.accepted(t, one)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.Domains = []string{one, two} })
	b.pass(t, acme)
	b.acceptRoutes(t, acme)
	b.pass(t, acme)
	b.found(t, acme, unreachable(two, "status 404, want a redirect to "+one))
	if diff := cmp.Diff(map[string]v1alpha1.DomainState{one: v1alpha1.DomainServing, two: v1alpha1.DomainUnreachable}, states(acme)); diff != "" {
		t.Errorf("domains (-want +got):\n%s", diff)
	}
	e.answer(two, http.StatusOK)
	e.redirect(one, "//"+two+"/")
	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.Domains = []string{two, one} })
	b.pass(t, acme)
	b.acceptRoutes(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready(), reachable())
	// The Gateway moves: what is known of its old address counts for nothing.
	gone, g := newEdge(t), &gatewayv1.Gateway{}
	if err := b.Admin.Get(t.Context(), client.ObjectKey{Namespace: b.Namespace, Name: "own"}, g); err != nil {
		t.Fatal(err)
	}
	operator.Update(t, b.Servers, g, func(g *gatewayv1.Gateway) { g.Spec.Listeners[0].Port = gone.port(t) })
	b.pass(t, acme)
	b.found(t, acme, unreachable(two, one, "status 404"))
}
