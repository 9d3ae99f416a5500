package controllers_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// edge is a web server in the place of a data plane. It answers each host by a row of statuses, one for
// each request, and by the last one for ever; a host without a row is not found. What a real data
// plane does with the routes is seen in the end-to-end tests.
type edge struct {
	*httptest.Server

	mu    sync.Mutex
	rows  map[string][]int
	to    map[string]string // Location by host
	asked map[string]int
}

func newEdge(t *testing.T) *edge {
	t.Helper()
	e := &edge{rows: map[string][]int{}, to: map[string]string{}, asked: map[string]int{}}
	e.Server = httptest.NewServer(e)
	t.Cleanup(e.Close)
	return e
}

func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked[r.Host]++
	status := http.StatusNotFound
	if row := e.rows[r.Host]; len(row) > 0 {
		if status = row[0]; len(row) > 1 {
			e.rows[r.Host] = row[1:]
		}
	}
	if to := e.to[r.Host]; to != "" {
		w.Header().Set("Location", to)
	}
	w.WriteHeader(status)
}

func (e *edge) answer(host string, statuses ...int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rows[host] = statuses
}

func (e *edge) redirect(host, to string) {
	e.answer(host, http.StatusMovedPermanently)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.to[host] = to
}

func (e *edge) count(host string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.asked[host]
}

func (e *edge) port(t *testing.T) int32 {
	t.Helper()
	_, text, err := net.SplitHostPort(e.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return int32(port)
}

// behind makes a Gateway of the world's own before an edge, whose class asks every five seconds, which
// is as often as a class can.
func (b *bench) behind(t *testing.T, e *edge, change ...func(*gatewayv1.Gateway)) {
	t.Helper()
	g := &gatewayv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: "own"},
		Spec: gatewayv1.GatewaySpec{GatewayClassName: "edge", Listeners: []gatewayv1.Listener{{
			Name: "web", Protocol: gatewayv1.HTTPProtocolType, Port: e.port(t),
		}}},
		Status: gatewayv1.GatewayStatus{Addresses: []gatewayv1.GatewayStatusAddress{{Value: "127.0.0.1"}}},
	}
	for _, f := range change {
		f(g)
	}
	addresses := g.Status.Addresses
	b.Create(t, g, b.backend())
	b.addresses(t, g, addresses...)
	b.Class.Spec.Routing = gatewayRouting()
	b.Class.Spec.Routing.Gateway.ParentRefs[0].NamespacedReference = v1alpha1.NamespacedReference{Namespace: g.Namespace, Name: g.Name}
	b.Class.Spec.Routing.Probe = &v1alpha1.ReachabilityProbe{Path: "/healthz", IntervalSeconds: 5, TimeoutSeconds: 2}
}

func (b *bench) addresses(t *testing.T, g *gatewayv1.Gateway, addresses ...gatewayv1.GatewayStatusAddress) {
	t.Helper()
	before := g.DeepCopy()
	if g.Status.Addresses = addresses; len(addresses) == 0 {
		g.Status.Addresses = nil
	}
	if err := b.Admin.Status().Patch(t.Context(), g, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// ask lets the operator's prober work, as its manager does, until the test ends or the returned function
// is called. It is the one thing that happens between passes.
func (b *bench) ask(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done, prober := make(chan error, 1), b.by.Tenant.Prober
	go func() { done <- prober.Start(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// accepted creates a Tenant and has its routes accepted. The next pass asks its hosts.
func (b *bench) accepted(t *testing.T, hosts ...string) *v1alpha1.Tenant {
	t.Helper()
	acme := b.Tenant("acme", hosts...)
	b.Create(t, acme)
	b.pass(t, acme)
	b.acceptRoutes(t, acme)
	return acme
}

// address gives a tenant's Ingress an address, as its controller does.
func (b *bench) address(t *testing.T, tenant *v1alpha1.Tenant, address networkingv1.IngressLoadBalancerIngress) {
	t.Helper()
	ingress := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: tenant.Namespace, Name: tenant.Name}}
	b.Get(t, ingress)
	before := ingress.DeepCopy()
	ingress.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{address}
	if err := b.Admin.Status().Patch(t.Context(), ingress, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}
