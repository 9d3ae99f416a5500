package controllers_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// states returns the state of each domain of a Tenant.
func states(tenant *v1alpha1.Tenant) map[string]v1alpha1.DomainState {
	all := map[string]v1alpha1.DomainState{}
	for _, d := range tenant.Status.Domains {
		all[d.Host] = d.State
	}
	return all
}

// A wildcard and a host below it exclude each other, whoever comes first; a tenant's own do not.
func TestWildcardsExcludeWhatTheyCover(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	under := func(name string) string { return name + "." + b.Host("acme") }
	first := b.Tenant("first", b.Host("first"), "*."+b.Host("acme"), under("own"))
	child := b.Tenant("child", b.Host("child"), under("a"))
	deep := b.Tenant("deep", b.Host("deep"), under("b.c"))
	narrower := b.Tenant("narrower", b.Host("narrower"), "*."+under("d"))
	beside := b.Tenant("beside", b.Host("acme"))
	b.Create(t, first, child, deep, narrower, beside)
	for _, tenant := range []*v1alpha1.Tenant{first, child, deep, narrower, beside} {
		b.pass(t, tenant)
	}
	b.Expect(t, first, operator.Ready())
	b.Expect(t, beside, operator.Ready())
	for _, loser := range []*v1alpha1.Tenant{child, deep, narrower} {
		b.Expect(t, loser, operator.Stalled(v1alpha1.ConditionReady, v1alpha1.ReasonDomainTaken, "*."+b.Host("acme"), "another tenant holds"))
	}

	wide := b.Tenant("wide", b.Host("wide"), "*."+b.Namespace+".example")
	b.Create(t, wide)
	b.pass(t, wide)
	b.Expect(t, wide, operator.Stalled(v1alpha1.ConditionReady, v1alpha1.ReasonDomainTaken, "covers"))
	if diff := cmp.Diff(map[string]v1alpha1.DomainState{
		b.Host("wide"): v1alpha1.DomainStateTaken, "*." + b.Namespace + ".example": v1alpha1.DomainStateTaken,
	}, states(wide)); diff == "" {
		t.Error("a host of its own is taken too")
	}

	// The holder gives the wildcard up, and whoever waits has what it wanted.
	operator.Update(t, b.Servers, first, func(tn *v1alpha1.Tenant) { tn.Spec.Domains = tn.Spec.Domains[:1] })
	b.pass(t, first)
	for _, tenant := range []*v1alpha1.Tenant{child, deep, narrower} {
		b.pass(t, tenant)
		b.Expect(t, tenant, operator.Ready())
	}
}

// Platform domains are for those whom the class offers them; nobody gets a host below one as a custom
// domain, and no wildcard over one.
func TestPlatformDomains(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	suffix := b.Namespace + ".platform.example"
	b.Class.Spec.Domains = &v1alpha1.DomainPolicy{Platform: []v1alpha1.PlatformDomain{
		{DomainSuffix: suffix, AllowedHosts: []string{"{name}", "{name}-*", "www.{name}"}},
		{DomainSuffix: "vip." + suffix, AllowedNamespaces: &v1alpha1.AllowedNamespaces{
			From: v1alpha1.NamespacesSelector, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"vip": "yes"}},
		}},
	}}
	b.settle(t)
	for host, want := range map[string]string{
		"acme." + suffix:        "",
		"acme-eu." + suffix:     "",
		"www.acme." + suffix:    "",
		"globex." + suffix:      "does not offer this host",
		"a.acme." + suffix:      "does not offer this host",
		"acme.vip." + suffix:    "does not offer this host",
		"acme.customer.example": "platform domains only",
		suffix:                  "belongs to a domain of the platform",
	} {
		t.Run(host, func(t *testing.T) {
			acme := b.Tenant("acme", host)
			acme.Spec.DeletionPolicy = v1alpha1.DeletionDelete
			b.Create(t, acme)
			b.pass(t, acme)
			if want == "" {
				b.Expect(t, acme, operator.Ready())
			} else {
				b.Expect(t, acme, operator.Stalled(v1alpha1.ConditionReady, v1alpha1.ReasonDomainNotAllowed, host, want))
				if acme.Status.Schema == "" {
					t.Error("a host that cannot be had keeps the schema from being made")
				}
			}
			b.Delete(t, acme)
			b.pass(t, acme)
			b.pass(t, acme)
		})
	}

	// Another class trusts everybody, but with hosts that are nobody's.
	other := b.Class.DeepCopy()
	other.ObjectMeta = metav1.ObjectMeta{Name: b.Namespace + "-trusting"}
	other.Spec.Domains = &v1alpha1.DomainPolicy{Custom: &v1alpha1.CustomDomains{Verification: v1alpha1.VerifyNothing}}
	b.Create(t, other)
	thief := b.Tenant("thief", "thief.customer.example", "new."+suffix, "*."+b.Namespace+".platform.example", suffix)
	thief.Spec.ClassName = other.Name
	b.Create(t, thief)
	b.pass(t, thief)
	if diff := cmp.Diff(map[string]v1alpha1.DomainState{
		"thief.customer.example": v1alpha1.DomainClaimed, "new." + suffix: v1alpha1.DomainNotAllowed,
		"*." + suffix: v1alpha1.DomainNotAllowed, suffix: v1alpha1.DomainNotAllowed,
	}, states(thief)); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
}

// A custom domain of a class that asks for proof is not served before there is any, and says what to do.
func TestUnprovedDomainIsNotServed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Domains = nil
	b.Class.Spec.Routing = gatewayRouting()
	b.Create(t, b.backend())
	b.settle(t)
	acme := b.Tenant("acme", b.Host("acme"))
	b.Create(t, acme)
	b.pass(t, acme)
	record := acme.Status.Domains[0].Record
	if record == nil || record.Name != "_tenantry-challenge."+b.Host("acme") {
		t.Fatalf("the record to create is %+v", record)
	}
	b.Expect(t, acme, operator.Waiting(v1alpha1.ConditionReady, v1alpha1.ReasonDomainUnverified, record.Name, record.Value))
	if routes := b.routes(t); len(routes) != 0 {
		t.Errorf("%d routes for a host that nobody proved", len(routes))
	}
	if got := b.registered(t); len(got) != 0 {
		t.Errorf("the registry has %v", got)
	}
}

// registered returns the hosts of the world's registry.
func (b *bench) registered(t *testing.T) []string {
	t.Helper()
	return operator.Query[[]string](t, b.AdminDSN, `SELECT coalesce(array_agg(host ORDER BY host COLLATE "C"), '{}') FROM tenantry.domain`)
}

func sharedRouting() *v1alpha1.Routing {
	r := gatewayRouting()
	fallback := v1alpha1.ServiceBackend{Namespace: "gateways", Name: "fallback", Port: 80}
	r.Holding = &v1alpha1.ServiceBackend{Namespace: "gateways", Name: "holding", Port: 80}
	r.SharedHosts = []v1alpha1.SharedHost{
		{Header: &v1alpha1.SharedHeader{Name: "X-Tenant", Value: "{name}"}, Fallback: fallback},
		{PathPrefix: &v1alpha1.SharedPathPrefix{}, Fallback: fallback},
	}
	r.PublicHosts = []v1alpha1.PublicHost{{Backend: fallback}}
	return r
}

// A host has one role in the cluster, and a value on a shared host one tenant.
func TestSharedAndPublicHosts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Routing = sharedRouting()
	r := b.Class.Spec.Routing
	r.SharedHosts[0].Host, r.SharedHosts[1].Host, r.PublicHosts[0].Host = b.Host("api"), b.Host("app"), b.Host("www")
	b.Create(t, b.backend())
	b.Make(t)
	b.pass(t, b.Set)
	b.pass(t, b.Database)
	b.pass(t, b.Class)

	acme := b.Tenant("acme", b.Host("acme"), b.Host("api"), b.Host("www"))
	b.Create(t, acme)
	b.pass(t, acme)
	if diff := cmp.Diff(map[string]v1alpha1.DomainState{
		b.Host("acme"): v1alpha1.DomainClaimed, b.Host("api"): v1alpha1.DomainStateTaken, b.Host("www"): v1alpha1.DomainStateTaken,
	}, states(acme)); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	b.Expect(t, acme, operator.Want{
		Condition: v1alpha1.ConditionDomainsClaimed, Reason: v1alpha1.ReasonDomainTaken, Message: []string{"one role in the cluster"},
	})
	want := []string{b.Host("acme"), b.Host("api") + "#X-Tenant=acme", b.Host("app") + "/" + b.Namespace + "/acme"}
	if diff := cmp.Diff(want, b.registered(t)); diff != "" {
		t.Errorf("registry (-want +got):\n%s", diff)
	}

	// Another class with the same shared host: a tenant of the same name elsewhere cannot have the value.
	other := newBench(t)
	other.Class.Spec.Routing = b.Class.Spec.Routing.DeepCopy()
	other.Class.Spec.Routing.PublicHosts = nil
	other.settleWithRoutes(t)
	rival := other.Tenant("acme")
	other.Create(t, rival)
	other.pass(t, rival)
	other.Expect(t, rival, operator.Want{
		Condition: v1alpha1.ConditionDomainsClaimed, Reason: v1alpha1.ReasonDomainTaken, Message: []string{`"acme" on the shared host`},
	})
	if got := other.registered(t); !slices.Equal(got, []string{b.Host("app") + "/" + other.Namespace + "/acme"}) {
		t.Errorf("the rival's registry has %v", got)
	}

	// A class cannot declare what a tenant holds.
	operator.Update(t, b.Servers, other.Class, func(c *v1alpha1.TenantClass) {
		c.Spec.Routing.PublicHosts = []v1alpha1.PublicHost{{Host: b.Host("acme"), Backend: v1alpha1.ServiceBackend{Namespace: "gateways", Name: "x", Port: 80}}}
	})
	other.pass(t, other.Class)
	other.Expect(t, other.Class, operator.Waiting(v1alpha1.ConditionReady, v1alpha1.ReasonDomainTaken, b.Host("acme")))
}

func (b *bench) settleWithRoutes(t *testing.T) {
	t.Helper()
	b.Create(t, b.backend())
	b.Make(t)
	b.pass(t, b.Set)
	b.pass(t, b.Database)
	b.pass(t, b.Class)
}

// backendsOf returns the Services to which the routes of a namespace lead.
func (b *bench) backendsOf(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, route := range b.routes(t) {
		for _, rule := range route.Spec.Rules {
			for _, ref := range rule.BackendRefs {
				names = append(names, string(ref.Name))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// quietHere passes over a Tenant beside other tests, and wants no write in the world's namespace.
func (b *bench) quietHere(t *testing.T, what string, tenant *v1alpha1.Tenant) {
	t.Helper()
	writes := b.Writes(t)
	for range 3 {
		b.pass(t, tenant)
	}
	here := slices.DeleteFunc(withoutEvents(writes.API(t)), func(w string) bool { return !strings.Contains(w, " "+b.Namespace+"/") })
	if len(here) > 0 {
		t.Errorf("%s write to the API: %q", what, here)
	}
}

// A tenant that is not served is answered by the holding backend: in the making, suspended, deleted. What
// is served stays, whatever fails.
func TestHoldingBackend(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Routing = gatewayRouting()
	b.Class.Spec.Routing.Holding = &v1alpha1.ServiceBackend{Name: "holding", Port: 80}
	holding := b.backend()
	holding.Name = "holding"
	b.Create(t, b.backend(), holding)
	b.Make(t)
	b.pass(t, b.Set)
	acme := b.Tenant("acme", b.Host("acme"), b.Host("www"))
	b.Create(t, acme)
	b.pass(t, acme) // There is no database yet.
	b.Expect(t, acme, operator.Waiting(v1alpha1.ConditionReady, v1alpha1.ReasonDatabaseNotReady))
	wantBackends := func(when string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, b.backendsOf(t)); diff != "" {
			t.Errorf("%s, backends (-want +got):\n%s", when, diff)
		}
	}
	wantBackends("in the making", "holding")
	b.acceptRoutes(t, acme)
	b.pass(t, acme)
	if got := states(acme)[b.Host("acme")]; got != v1alpha1.DomainHolding {
		t.Errorf("state %s, want Holding", got)
	}

	b.pass(t, b.Database)
	b.pass(t, b.Class)
	b.pass(t, acme)
	b.acceptRoutes(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	wantBackends("Ready", "web")

	// The database goes away: customers may still be at work.
	operator.Update(t, b.Servers, b.Secret, func(s *corev1.Secret) { s.Data["uri"] = []byte("postgres://nobody@127.0.0.1:1/x") })
	b.restart(t)
	b.pass(t, b.Database)
	b.pass(t, acme)
	wantBackends("without a database", "web")
	// But an order to take it off is no failure.
	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.Suspended = true })
	b.pass(t, acme)
	wantBackends("suspended without a database", "holding")
	b.Expect(t, acme, operator.Waiting(v1alpha1.ConditionReady, v1alpha1.ReasonDatabaseNotReady),
		operator.Waiting(v1alpha1.ConditionRouted, v1alpha1.ReasonSuspended, "spec.suspended"))
	b.acceptRoutes(t, acme)
	b.pass(t, acme)
	if got := states(acme)[b.Host("acme")]; got != v1alpha1.DomainHolding {
		t.Errorf("suspended without a database: state %s, want Holding", got)
	}
	b.quietHere(t, "passes over a suspended tenant without a database", acme)
	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.Suspended = false })
	operator.Update(t, b.Servers, b.Secret, func(s *corev1.Secret) { s.Data["uri"] = []byte(b.DSN) })
	b.restart(t)
	b.pass(t, b.Database)

	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.Suspended = true })
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting(v1alpha1.ConditionReady, v1alpha1.ReasonSuspended))
	wantBackends("suspended", "holding")
	if got := b.registered(t); len(got) != 0 {
		t.Errorf("the registry serves a suspended tenant on %v", got)
	}
	b.pass(t, acme)
	writes := b.Writes(t)
	b.pass(t, acme)
	others := func(write string) bool { return !strings.Contains(write, b.Namespace+"/") }
	if got := slices.DeleteFunc(writes.API(t), others); len(got) > 0 {
		t.Errorf("a suspended tenant's pass writes %q", got)
	}
	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.Suspended = false })
	b.pass(t, acme)
	b.acceptRoutes(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	wantBackends("back", "web")

	operator.Update(t, b.Servers, b.Secret, func(s *corev1.Secret) { s.Data["uri"] = []byte("postgres://nobody@127.0.0.1:1/x") })
	b.restart(t)
	b.pass(t, b.Database)
	b.Delete(t, acme)
	_, _ = b.by.Reconcile(t.Context(), acme)
	wantBackends("being deleted", "holding")
	operator.Update(t, b.Servers, b.Secret, func(s *corev1.Secret) { s.Data["uri"] = []byte(b.DSN) })
	b.restart(t)
	b.pass(t, b.Database)
	b.finish(t, acme)
	if left := b.backendsOf(t); len(left) != 0 {
		t.Errorf("the tenant is gone, and routes to %q are left", left)
	}
}
