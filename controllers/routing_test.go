package controllers_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// What the data plane says of a route is what the Tenant says. The tests write what it would; real
// ones answer in the end-to-end tests.
func TestRouteStates(t *testing.T) {
	t.Parallel()
	const yes, no = metav1.ConditionTrue, metav1.ConditionFalse
	say := func(accepted metav1.ConditionStatus, why string, resolved metav1.ConditionStatus, whyResolved string) func(*testing.T, *bench, *v1alpha1.Tenant) {
		return func(t *testing.T, b *bench, _ *v1alpha1.Tenant) {
			for _, route := range b.routes(t) {
				b.sayOfRoute(t, &route, accepted, why, resolved, whyResolved)
			}
		}
	}
	for name, tt := range map[string]struct {
		do   func(*testing.T, *bench, *v1alpha1.Tenant)
		want operator.Want
		mend func(*testing.T, *bench, *v1alpha1.Tenant)
	}{
		"not looked at": {
			want: operator.Waiting("Routed", v1alpha1.ReasonRouteNotAccepted, "HTTPRoute acme", "Gateway gateways/edge has not looked at the route yet"),
		},
		"refused": {
			do:   say(no, "NotAllowedByListeners", yes, "ResolvedRefs"),
			want: operator.Waiting("Routed", v1alpha1.ReasonRouteNotAccepted, "HTTPRoute acme", "gateways/edge", "NotAllowedByListeners"),
		},
		"backend not permitted": {
			do:   say(yes, "Accepted", no, "RefNotPermitted"),
			want: operator.Waiting("Routed", v1alpha1.ReasonReferenceNotPermitted, "HTTPRoute acme"),
		},
		"backend not found, by the data plane": {
			do:   say(yes, "Accepted", no, "BackendNotFound"),
			want: operator.Waiting("Routed", v1alpha1.ReasonBackendNotFound, "HTTPRoute acme"),
		},
		"backend not found": {
			do: func(t *testing.T, b *bench, acme *v1alpha1.Tenant) {
				b.acceptRoutes(t, acme)
				b.Delete(t, b.backend())
			},
			want: operator.Waiting("Routed", v1alpha1.ReasonBackendNotFound, "Service", "web", "does not exist"),
			mend: func(t *testing.T, b *bench, _ *v1alpha1.Tenant) { b.Create(t, b.backend()) },
		},
		"accepted for an older generation": {
			do: func(t *testing.T, b *bench, acme *v1alpha1.Tenant) {
				b.acceptRoutes(t, acme)
				operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { c.Spec.Routing.TenantHeader = "X-Other" })
				b.pass(t, acme)
			},
			want: operator.Waiting("Routed", v1alpha1.ReasonRouteNotAccepted, "has not looked at this version of the route yet"),
		},
		"edited by hand": {
			do: func(t *testing.T, b *bench, acme *v1alpha1.Tenant) {
				b.acceptRoutes(t, acme)
				for _, route := range b.routes(t) {
					b.UpdateUnguarded(t, &route, func(r client.Object) {
						r.(*gatewayv1.HTTPRoute).Spec.Hostnames = []gatewayv1.Hostname{"stolen.example"}
					})
				}
			},
			want: operator.Waiting("Routed", v1alpha1.ReasonRouteNotAccepted),
		},
		"deleted by hand": {
			do: func(t *testing.T, b *bench, acme *v1alpha1.Tenant) {
				b.acceptRoutes(t, acme)
				for _, route := range b.routes(t) {
					b.Delete(t, &route)
				}
			},
			want: operator.Waiting("Routed", v1alpha1.ReasonRouteNotAccepted),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.Class.Spec.Routing = gatewayRouting()
			b.Create(t, b.backend())
			b.settle(t)
			acme := b.Tenant("acme", b.Host("acme"))
			b.Create(t, acme)
			b.pass(t, acme)
			if tt.do != nil {
				tt.do(t, b, acme)
				b.pass(t, acme)
			}
			b.Expect(t, acme, tt.want, operator.Want{Condition: "Ready", Reason: tt.want.Reason}, operator.Want{Condition: "Verified", Status: "True", Reason: v1alpha1.ReasonSucceeded})
			if got, want := acme.Status.Domains[0].State, v1alpha1.DomainClaimed; got != want {
				t.Errorf("state of the domain is %s, want %s", got, want)
			}
			if tt.mend != nil {
				tt.mend(t, b, acme)
			}
			b.acceptRoutes(t, acme)
			b.pass(t, acme)
			b.Expect(t, acme, operator.Ready())
			if got, want := acme.Status.Domains[0].State, v1alpha1.DomainServing; got != want {
				t.Errorf("state of the domain is %s, want %s", got, want)
			}
			if route := b.routes(t)[0]; route.Spec.Hostnames[0] != gatewayv1.Hostname(b.Host("acme")) {
				t.Errorf("the route is for %s", route.Spec.Hostnames)
			}
		})
	}
}

// A route of somebody else under the tenant's name is neither changed nor taken for its own.
func TestRouteNameTaken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Routing = gatewayRouting()
	foreign := &gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: "acme"}}
	b.Create(t, b.backend(), foreign)
	b.settle(t)
	acme := b.Tenant("acme", b.Host("acme"))
	b.Create(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Routed", v1alpha1.ReasonRouteNameTaken, `named "acme"`, "belongs to somebody else"))
	before := foreign.ResourceVersion
	b.Get(t, foreign)
	if foreign.ResourceVersion != before {
		t.Error("the foreign route was changed")
	}
	b.Delete(t, foreign)
	b.pass(t, acme)
	b.acceptRoutes(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
}

// The customer of a database that is away, or of an upgrade that fails, keeps the route.
func TestRouteStaysInTrouble(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acme := b.served(t, "")
	before := b.routes(t)
	for name, trouble := range map[string]func(){
		"database": func() {
			b.connection(t, map[string]string{"name": "x"})
			b.pass(t, b.Database)
		},
		"class": func() { b.Delete(t, b.Set) },
		"migration": func() {
			operator.Update(t, b.Servers, b.Files, func(cm *corev1.ConfigMap) { cm.Data["0004_bad.sql"] = "SELECT 1 FROM nowhere;" })
			b.pass(t, b.Set)
		},
		"bad source": func() {
			operator.Update(t, b.Servers, b.Files, func(cm *corev1.ConfigMap) { cm.Data["0001_note.sql"] = "SELECT 'open;" })
			b.pass(t, b.Set)
		},
		"wrong class": func() {
			operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) {
				c.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: "Selector", Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"never": "true"}}}
			})
		},
	} {
		trouble()
		b.pass(t, acme)
		if diff := cmp.Diff(before, b.routes(t)); diff != "" {
			t.Errorf("routes after trouble with the %s (-before +after):\n%s", name, diff)
		}
	}
}

// Every other domain is redirected, in routes of at most sixteen hosts; a class that changes its mind
// takes the old kind of routes away.
func TestManyDomainsAndAnotherAPI(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Routing = gatewayRouting()
	b.Create(t, b.backend())
	b.settle(t)
	acme := b.Tenant("acme")
	for i := range 40 {
		acme.Spec.Domains = append(acme.Spec.Domains, b.Host(fmt.Sprintf("d%02d", i)))
	}
	b.Create(t, acme)
	b.pass(t, acme)
	b.acceptRoutes(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	hosts := map[string]int{}
	for _, r := range b.routes(t) {
		hosts[r.Name] = len(r.Spec.Hostnames)
	}
	if diff := cmp.Diff(map[string]int{"acme": 1, "acme.alias": 16, "acme.alias-1": 16, "acme.alias-2": 7}, hosts); diff != "" {
		t.Errorf("hosts by route (-want +got):\n%s", diff)
	}
	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.Domains = tn.Spec.Domains[:2] })
	b.pass(t, acme)
	if got := len(b.routes(t)); got != 2 {
		t.Errorf("%d routes for two domains, want 2", got)
	}
	if got := len(b.traces(t, "acme").Claims); got != 2 {
		t.Errorf("%d claims for two domains, want 2", got)
	}
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) {
		c.Spec.Routing.Gateway, c.Spec.Routing.Ingress = nil, &v1alpha1.IngressRouting{ClassName: "edge", Annotations: map[string]string{"team": "blue"}}
	})
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Routed", v1alpha1.ReasonRouteNotAccepted, "Ingress acme has no address yet", `IngressClass "edge"`))
	if got := len(b.routes(t)); got != 0 {
		t.Errorf("%d HTTPRoutes are left, want none", got)
	}
	ingress := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: "acme"}}
	b.Get(t, ingress)
	var rules []string
	for _, r := range ingress.Spec.Rules {
		rules = append(rules, r.Host)
	}
	if diff := cmp.Diff([]string{b.Host("d00"), b.Host("d01")}, rules); diff != "" {
		t.Errorf("hosts of the Ingress (-want +got):\n%s", diff)
	}
	b.acceptIngress(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { c.Spec.Routing = nil })
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready(), operator.Want{Condition: "Routed", Status: "True", Reason: v1alpha1.ReasonNotRequested})
	if err := b.Admin.Get(t.Context(), client.ObjectKeyFromObject(ingress), ingress); err == nil {
		t.Error("the Ingress is left")
	}
}

// An Ingress reaches Services of its own namespace only.
func TestIngressAcrossNamespaces(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Routing = &v1alpha1.Routing{
		Ingress: &v1alpha1.IngressRouting{ClassName: "edge"}, Backend: v1alpha1.ServiceBackend{Name: "web", Namespace: "elsewhere", Port: 8080},
	}
	b.settle(t)
	acme := b.Tenant("acme", b.Host("acme"))
	b.Create(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Stalled("Routed", v1alpha1.ReasonReferenceNotPermitted, "spec.routing of class", `"elsewhere"`))
}
