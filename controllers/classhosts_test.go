package controllers_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// ownHosts are hosts of a class, by whether they are shared, in the order of their names.
func (b *bench) ownHosts(c *v1alpha1.TenantClass, public, shared []string) {
	backend := v1alpha1.ServiceBackend{Namespace: b.Namespace, Name: "web", Port: 8080}
	c.Spec.Routing.PublicHosts, c.Spec.Routing.SharedHosts = nil, nil
	for _, h := range public {
		c.Spec.Routing.PublicHosts = append(c.Spec.Routing.PublicHosts, v1alpha1.PublicHost{Host: b.Host(h), Backend: backend})
	}
	for _, h := range shared {
		c.Spec.Routing.SharedHosts = append(c.Spec.Routing.SharedHosts, v1alpha1.SharedHost{
			Host: b.Host(h), PathPrefix: &v1alpha1.SharedPathPrefix{}, Fallback: backend,
		})
	}
}

// routedHosts are the hosts that the routes of the world's namespace serve.
func (b *bench) routedHosts(t *testing.T) []string {
	t.Helper()
	hosts := map[string]bool{}
	for _, route := range b.routes(t) {
		for _, h := range route.Spec.Hostnames {
			hosts[string(h)] = true
		}
	}
	return slices.Sorted(maps.Keys(hosts))
}

// claimOn is the claim on a host, as a pass over it takes it.
func claimOn(host string) *v1alpha1.DomainClaim {
	return &v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: host}}
}

// A class gives up one of its hosts, or the host's role, and keeps the others.
func TestClassGivesHostsUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Routing = gatewayRouting()
	b.ownHosts(b.Class, []string{"api", "www"}, nil)
	b.settleWithRoutes(t)
	want := func(when string, hosts ...string) {
		t.Helper()
		for i := range hosts {
			hosts[i] = b.Host(hosts[i])
		}
		if diff := cmp.Diff(hosts, b.routedHosts(t)); diff != "" {
			t.Errorf("%s, hosts of the routes (-want +got):\n%s", when, diff)
		}
	}
	want("two public hosts", "api", "www")

	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { b.ownHosts(c, []string{"www"}, nil) })
	// The claim is the first to hear of it: its route is still there.
	api := claimOn(b.Host("api"))
	b.pass(t, api)
	b.Expect(t, api, operator.Waiting("Ready", v1alpha1.ReasonHolderGone, "No TenantClass has "+b.Host("api")+" as a Public host"))
	b.pass(t, b.Class)
	b.pass(t, api)
	if !b.gone(t, api) {
		t.Error("the claim on a host that no class declares is kept")
	}
	want("one dropped", "www")
	rival := b.Tenant("rival", b.Host("api"))
	b.Create(t, rival)
	b.pass(t, rival)
	if got := states(rival)[b.Host("api")]; got != v1alpha1.DomainClaimed {
		t.Errorf("a tenant that wants the dropped host is told %s", got)
	}
	b.remove(t, rival)

	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { b.ownHosts(c, []string{"www"}, []string{"app"}) })
	b.pass(t, b.Class)
	want("one more, shared", "app", "www")
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { b.ownHosts(c, nil, []string{"app", "www"}) })
	b.pass(t, b.Class)
	b.pass(t, claimOn(b.Host("www")))
	b.pass(t, b.Class)
	want("one moved", "app", "www")
	claim := claimOn(b.Host("www"))
	b.Get(t, claim)
	if claim.Spec.Role != v1alpha1.HostShared {
		t.Errorf("the moved host is %s", claim.Spec.Role)
	}

	// A shared host is served by routes of tenants too.
	acme := b.Tenant("acme")
	b.Create(t, acme)
	b.pass(t, acme)
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { b.ownHosts(c, nil, []string{"www"}) })
	b.pass(t, b.Class)
	want("one shared dropped", "app", "www")
	app := claimOn(b.Host("app"))
	b.pass(t, app)
	b.Expect(t, app, operator.Waiting("Ready", v1alpha1.ReasonHolderGone, "No TenantClass has "+b.Host("app")+" as a Shared host", "1 routes"))
	b.pass(t, acme)
	b.pass(t, app)
	if !b.gone(t, app) {
		t.Error("the claim on a shared host that nobody serves is kept")
	}
	want("the tenant passed", "www")
}

// A host that two classes declare is free when neither serves it, whichever of them claimed it first.
func TestHostOfTwoClasses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Routing = gatewayRouting()
	b.ownHosts(b.Class, []string{"www"}, nil)
	b.settleWithRoutes(t)
	other := b.Class.DeepCopy()
	other.ObjectMeta = metav1.ObjectMeta{Name: b.Namespace + "-other"}
	b.Create(t, other)
	b.pass(t, other)
	drop := func(c *v1alpha1.TenantClass) { c.Spec.Routing.PublicHosts = nil }
	operator.Update(t, b.Servers, b.Class, drop)
	operator.Update(t, b.Servers, other, drop)
	b.pass(t, b.Class)
	www := claimOn(b.Host("www"))
	b.pass(t, www)
	if b.gone(t, www) {
		t.Error("the claim is released while a class still serves the host")
	}
	b.pass(t, other)
	b.pass(t, www)
	if !b.gone(t, www) {
		t.Error("the claim is kept")
	}
}

// A host whose route cannot be made is named, and takes neither the class's other hosts nor its shared login
// with it.
func TestHostWithoutItsNamespace(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sharedLogin(v1alpha1.LoginShared)
	b.Class.Spec.Routing = gatewayRouting()
	b.ownHosts(b.Class, []string{"first", "www"}, []string{"app"})
	nowhere := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.Namespace + "-nowhere"}}
	b.Class.Spec.Routing.PublicHosts[0].Backend.Namespace = nowhere.Name
	b.settleWithRoutes(t)
	b.Expect(t, b.Class, operator.Waiting("Ready", v1alpha1.ReasonBackendNotFound, "spec.routing", b.Host("first"), nowhere.Name))
	if diff := cmp.Diff([]string{b.Host("app"), b.Host("www")}, b.routedHosts(t)); diff != "" {
		t.Errorf("hosts of the other routes (-want +got):\n%s", diff)
	}
	if user := keys(b.sharedSecret(t))["username"]; user == "" || len(b.Class.Status.Logins) != 1 {
		t.Errorf("the shared login is %q, status.logins %+v", user, b.Class.Status.Logins)
	}

	b.Create(t, nowhere)
	b.pass(t, b.Class)
	route := &gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: nowhere.Name, Name: b.Class.Name + "." + b.Host("first")}}
	b.Get(t, route)
	b.Expect(t, b.Class, operator.Waiting("Ready", v1alpha1.ReasonRouteNotAccepted, "has not looked at the route yet"))

	// The namespace goes, and with it the route.
	b.Delete(t, route, nowhere)
	result := b.pass(t, b.Class)
	b.Expect(t, b.Class, operator.Waiting("Ready", v1alpha1.ReasonBackendNotFound, b.Host("first"), nowhere.Name))
	if result.RequeueAfter == 0 || result.RequeueAfter > time.Minute {
		t.Errorf("comes back in %s", result.RequeueAfter)
	}
}

// A site that needs no tenant needs no database either.
func TestPublicHostsNeedNoDatabase(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Routing = gatewayRouting()
	b.ownHosts(b.Class, []string{"www"}, nil)
	b.Create(t, b.backend())
	b.Make(t)
	for range 2 {
		b.pass(t, b.Class)
		b.Expect(t, b.Class, operator.Waiting("Ready", v1alpha1.ReasonDatabaseNotReady))
		if diff := cmp.Diff([]string{b.Host("www")}, b.routedHosts(t)); diff != "" {
			t.Fatalf("hosts of the routes (-want +got):\n%s", diff)
		}
		for _, route := range b.routes(t) {
			b.Delete(t, &route)
		}
	}
}

// A route that admission denies is an error that nobody foresaw: it is in the status, and tried again.
func TestHostThatAdmissionDenies(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Routing = gatewayRouting()
	b.ownHosts(b.Class, []string{"www"}, nil)
	b.deny(t, b.Host("www"))
	b.Create(t, b.backend())
	b.Make(t)
	b.pass(t, b.Set)
	b.pass(t, b.Database)
	if _, err := b.by.Reconcile(t.Context(), b.Class); err == nil {
		t.Error("a denied route is not tried again")
	}
	b.Expect(t, b.Class, operator.Waiting("Ready", v1alpha1.ReasonRetrying, "spec.routing", b.Host("www"), "not on a Sunday"))
}

// deny installs a policy that lets nobody make a route for a host, and waits until it is in force.
func (b *bench) deny(t *testing.T, host string) {
	t.Helper()
	policy := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: b.Namespace}, Spec: admissionv1.ValidatingAdmissionPolicySpec{
		FailurePolicy: new(admissionv1.Fail),
		MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
			RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule:       admissionv1.Rule{APIGroups: []string{gatewayv1.GroupName}, APIVersions: []string{"*"}, Resources: []string{"httproutes"}},
			},
		}}},
		Validations: []admissionv1.Validation{{Expression: fmt.Sprintf("!has(object.spec.hostnames) || !(%q in object.spec.hostnames)", host), Message: "not on a Sunday"}},
	}}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: b.Namespace}, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
		PolicyName: b.Namespace, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
	}}
	b.Create(t, policy, binding)
	t.Cleanup(func() { b.Delete(t, binding, policy) })
	operator.Poll(t, operator.Soon, func() error {
		try := &gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: "try"}, Spec: gatewayv1.HTTPRouteSpec{Hostnames: []gatewayv1.Hostname{gatewayv1.Hostname(host)}}}
		if said := fmt.Sprint(b.Admin.Create(t.Context(), try, client.DryRunAll)); !strings.Contains(said, "not on a Sunday") {
			return fmt.Errorf("the policy is not in force yet: %s", said)
		}
		return nil
	})
}
