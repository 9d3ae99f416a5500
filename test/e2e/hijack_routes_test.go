package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/routing"
	"github.com/tenantry/tenantry/test/operator"
	"github.com/tenantry/tenantry/test/platform"
)

// routeAttempts are made by who may write routes and classes. config/policy is installed; where an
// attempt goes round it, that is to see what the operator says of it without.
var routeAttempts = map[string]attempt{
	"an HTTPRoute on the host": func(t *testing.T, a *arena) (string, string) {
		victim := a.victim(t, "httproute")
		return a.byStranger(t, victim, a.evilRoute("httproute", victim.Spec.Domains[0]))
	},
	"an HTTPRoute for one more path": func(t *testing.T, a *arena) (string, string) {
		victim := a.victim(t, "onepath")
		return a.byStranger(t, victim, a.evilRoute("onepath", victim.Spec.Domains[0], "/whoami"))
	},
	"an Ingress on the host": func(t *testing.T, a *arena) (string, string) {
		victim := a.victim(t, "ingress")
		return a.byStranger(t, victim, a.evilIngress("ingress", victim.Spec.Domains[0], "/whoami"))
	},
	"an HTTPRoute below a wildcard": func(t *testing.T, a *arena) (string, string) {
		victim := a.Tenant("v-below", a.Host("below"), "*."+a.Host("below"))
		a.serve(t, victim)
		victim.Spec.Domains = []string{a.Host("x.below")}
		return a.byStranger(t, victim, a.evilRoute("below", a.Host("x.below")))
	},
	"a wildcard HTTPRoute over the host": func(t *testing.T, a *arena) (string, string) {
		victim := a.Tenant("v-over", a.Host("x.over"))
		a.serve(t, victim)
		return a.denied(t, victim, a.evilRoute("over", "*."+a.Host("over"), "/whoami"))
	},
	"an HTTPRoute without a host": func(t *testing.T, a *arena) (string, string) {
		return a.denied(t, a.victim(t, "hostless"), a.evilRoute("hostless", "", "/whoami"))
	},
	"an Ingress without a host": func(t *testing.T, a *arena) (string, string) {
		victim := a.Tenant("v-noingress", a.Host("v-noingress"))
		victim.Spec.ClassName = a.byIngress.Name
		a.serve(t, victim)
		return a.denied(t, victim, a.evilIngress("noingress", "", "/whoami"))
	},
	"the operator's own route, changed": func(t *testing.T, a *arena) (string, string) {
		victim := a.victim(t, "changed")
		proof := undisturbed(t, full(victim), a.whoami(victim.Spec.Domains[0]), func() {
			route := &gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: a.Namespace, Name: victim.Name}}
			a.Get(t, route)
			route.Spec.Rules[0].BackendRefs[0].Name = "mirror"
			forbidden(t, a.Admin.Update(t.Context(), route))
		})
		return full(victim), "denied; " + proof
	},
	"labels and owner of a tenant's route": func(t *testing.T, a *arena) (string, string) {
		victim := a.victim(t, "forged")
		forged := a.evilRoute("forged", victim.Spec.Domains[0], "/whoami")
		forged.Namespace = a.Namespace
		forged.Labels = routing.Labels(victim)
		forged.OwnerReferences = []metav1.OwnerReference{routing.Owner(victim)}
		proof := undisturbed(t, full(victim), a.whoami(victim.Spec.Domains[0]), func() {
			forbidden(t, a.Admin.Create(t.Context(), forged.DeepCopy()))
		})
		// Without the guard it is taken for the tenant's own, of which there is one too many.
		a.CreateUnguarded(t, forged)
		a.AwaitGone(t, operator.Eventually, forged)
		a.AwaitReady(t, victim)
		awaitWho(t, full(victim), a.whoami(victim.Spec.Domains[0]))
		return full(victim), "denied; " + proof + "; deleted where there is no guard"
	},
	"a class that declares the host public": func(t *testing.T, a *arena) (string, string) {
		return a.declared(t, "public", func(r *v1alpha1.Routing, host string, to v1alpha1.ServiceBackend) {
			r.PublicHosts = []v1alpha1.PublicHost{{Host: host, Backend: to}}
		})
	},
	"a class that declares the host shared": func(t *testing.T, a *arena) (string, string) {
		return a.declared(t, "shared", func(r *v1alpha1.Routing, host string, to v1alpha1.ServiceBackend) {
			r.SharedHosts = []v1alpha1.SharedHost{{Host: host, Header: &v1alpha1.SharedHeader{Name: "X-Org"}, Fallback: to}}
		})
	},
	"a claim by hand": func(t *testing.T, a *arena) (string, string) {
		victim := a.victim(t, "claim")
		proof := undisturbed(t, full(victim), a.whoami(victim.Spec.Domains[0]), func() {
			claim := &v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: victim.Spec.Domains[0]}}
			forbidden(t, a.Admin.Delete(t.Context(), claim))
			claim.Name = a.Host("by-hand")
			claim.Spec = v1alpha1.DomainClaimSpec{Host: claim.Name, Holder: v1alpha1.ClaimHolder{Namespace: a.Namespace, Name: "x", UID: "x"}}
			forbidden(t, a.Admin.Create(t.Context(), claim))
		})
		return full(victim), "denied; " + proof
	},
	"owners taken off by orphaning": func(t *testing.T, a *arena) (string, string) {
		host := a.Host("orphan")
		first, second := a.Tenant("v-orphan", host), a.stranger("t-orphan", host)
		a.serve(t, first)
		a.Create(t, second)
		a.loses(t, second, host, first)
		stop := census(t, a.whoami(host))
		if err := a.Admin.Delete(t.Context(), first, client.PropagationPolicy(metav1.DeletePropagationOrphan)); err != nil {
			t.Fatal(err)
		}
		a.AwaitGone(t, operator.Eventually, first)
		a.AwaitReady(t, second)
		awaitWho(t, full(second), a.whoami(host))
		if _, found := a.route(t, first); found {
			t.Error("the route of the Tenant that is gone is left")
		}
		return full(second), inOrder(t, stop(), full(first), full(second))
	},
}

// victim serves a tenant.
func (a *arena) victim(t testing.TB, id string) *v1alpha1.Tenant {
	t.Helper()
	victim := a.Tenant("v-"+id, a.Host("v-"+id))
	a.serve(t, victim)
	return victim
}

// route returns the route of a tenant.
func (a *arena) route(t testing.TB, tenant *v1alpha1.Tenant) (*gatewayv1.HTTPRoute, bool) {
	t.Helper()
	route := &gatewayv1.HTTPRoute{}
	err := a.Admin.Get(t.Context(), client.ObjectKeyFromObject(tenant), route)
	if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	return route, err == nil
}

// evilRoute leads to the stand of the strangers; without a path, it asks for all.
func (a *arena) evilRoute(id, host string, paths ...string) *gatewayv1.HTTPRoute {
	route := &gatewayv1.HTTPRoute{
		ObjectMeta: metav1.ObjectMeta{Namespace: a.strangers, Name: "evil-" + id},
		Spec: gatewayv1.HTTPRouteSpec{CommonRouteSpec: gatewayv1.CommonRouteSpec{ParentRefs: []gatewayv1.ParentReference{{
			Namespace: new(gatewayv1.Namespace(gatewayNamespace)), Name: gatewayName,
		}}}},
	}
	if host != "" {
		route.Spec.Hostnames = []gatewayv1.Hostname{gatewayv1.Hostname(host)}
	}
	rule := gatewayv1.HTTPRouteRule{BackendRefs: []gatewayv1.HTTPBackendRef{{BackendRef: gatewayv1.BackendRef{
		BackendObjectReference: gatewayv1.BackendObjectReference{
			Namespace: new(gatewayv1.Namespace(a.strangers)), Name: "evil", Port: new(gatewayv1.PortNumber(8080)),
		},
	}}}}
	for _, p := range paths {
		rule.Matches = append(rule.Matches, gatewayv1.HTTPRouteMatch{Path: &gatewayv1.HTTPPathMatch{Type: new(gatewayv1.PathMatchPathPrefix), Value: new(p)}})
	}
	route.Spec.Rules = []gatewayv1.HTTPRouteRule{rule}
	return route
}

func (a *arena) evilIngress(id, host, path string) *networkingv1.Ingress {
	return &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: a.strangers, Name: "evil-" + id,
			Annotations: map[string]string{"traefik.ingress.kubernetes.io/router.priority": "100000"},
		},
		Spec: networkingv1.IngressSpec{
			IngressClassName: new(platform.TraefikClass),
			Rules: []networkingv1.IngressRule{{
				Host: host,
				IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{
					Path: path, PathType: new(networkingv1.PathTypePrefix),
					Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
						Name: "evil", Port: networkingv1.ServiceBackendPort{Number: 8080},
					}},
				}}}},
			}},
		},
	}
}

// denied checks that the guard lets a route not come to be.
func (a *arena) denied(t *testing.T, victim *v1alpha1.Tenant, route client.Object) (winner, proof string) {
	t.Helper()
	proof = undisturbed(t, full(victim), a.whoami(victim.Spec.Domains[0]), func() {
		forbidden(t, a.Admin.Create(t.Context(), route))
	})
	return full(victim), "denied; " + proof
}

// byStranger makes a route on a victim's host, which the guard denies. Without the guard the data plane may
// serve either, and the Tenant says so until the route goes.
func (a *arena) byStranger(t *testing.T, victim *v1alpha1.Tenant, route client.Object) (winner, proof string) {
	t.Helper()
	host := victim.Spec.Domains[0]
	winner, proof = a.denied(t, victim, route.DeepCopyObject().(client.Object))
	stop := census(t, a.whoami(host))
	a.CreateUnguarded(t, route)
	a.AwaitWant(t, operator.Eventually, victim, operator.Waiting(v1alpha1.ConditionRouted, v1alpha1.ReasonHostShadowed, host))
	a.Delete(t, route)
	a.AwaitReady(t, victim)
	awaitWho(t, full(victim), a.whoami(host))
	seen := stop()
	seen.only(t, full(victim), "evil")
	return winner, fmt.Sprintf("%s; without the guard HostShadowed, %s", proof, seen)
}

// declared makes a class that declares a tenant's host for itself.
func (a *arena) declared(t *testing.T, id string, declare func(r *v1alpha1.Routing, host string, to v1alpha1.ServiceBackend)) (winner, proof string) {
	t.Helper()
	victim := a.victim(t, "declared-"+id)
	host := victim.Spec.Domains[0]
	class := &v1alpha1.TenantClass{ObjectMeta: metav1.ObjectMeta{Name: a.Namespace + "-" + id}, Spec: *a.Class.Spec.DeepCopy()}
	r := class.Spec.Routing
	r.PublicHosts, r.SharedHosts = nil, nil
	declare(r, host, v1alpha1.ServiceBackend{Name: "evil", Namespace: a.strangers, Port: 8080})
	proof = undisturbed(t, full(victim), a.whoami(host), func() {
		a.Create(t, class)
		a.AwaitWant(t, operator.Eventually, class, operator.Want{Condition: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonDomainTaken, Message: []string{host}})
	})
	var routes gatewayv1.HTTPRouteList
	if err := a.Admin.List(t.Context(), &routes, client.InNamespace(a.strangers)); err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(routes.Items, func(r gatewayv1.HTTPRoute) bool { return strings.HasPrefix(r.Name, class.Name) }) {
		t.Errorf("the class has a route on %s", host)
	}
	return full(victim), proof
}

// forbidden checks that the guard refused.
func forbidden(t testing.TB, err error) {
	t.Helper()
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "ValidatingAdmissionPolicy 'tenantry-") {
		t.Errorf("answered %v, want a refusal by config/policy", err)
	}
}
