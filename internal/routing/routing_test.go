package routing_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/routing"
)

func wish(hosts ...string) routing.Wish {
	tenant := &v1alpha1.Tenant{}
	tenant.Namespace, tenant.Name, tenant.UID = "tasklane", "acme", "u-1"
	return routing.Wish{Tenant: tenant, Hosts: hosts, Routing: &v1alpha1.Routing{
		Gateway: &v1alpha1.GatewayRouting{ParentRefs: []v1alpha1.GatewayReference{{
			NamespacedReference: v1alpha1.NamespacedReference{Namespace: "gw", Name: "edge"}, SectionName: "web",
		}}},
		Ingress:      &v1alpha1.IngressRouting{ClassName: "traefik", Annotations: map[string]string{"a": "b"}},
		Backend:      v1alpha1.ServiceBackend{Name: "web", Port: 8080},
		TenantHeader: "X-Tenantry-Tenant",
	}}
}

func TestHTTPRoutesServeThePrimaryAndRedirectTheRest(t *testing.T) {
	var hosts []string
	for i := range 40 {
		hosts = append(hosts, fmt.Sprintf("h%d.example.com", i))
	}
	routes := routing.HTTPRoutes(wish(hosts...))
	var got []string
	for _, r := range routes {
		got = append(got, fmt.Sprintf("%s %d", r.Name, len(r.Spec.Hostnames)))
		if len(r.OwnerReferences) != 1 || r.OwnerReferences[0].UID != "u-1" {
			t.Errorf("%s has owners %v", r.Name, r.OwnerReferences)
		}
	}
	if diff := cmp.Diff([]string{"acme 1", "acme.alias 16", "acme.alias-1 16", "acme.alias-2 7"}, got); diff != "" {
		t.Error(diff)
	}
	set := routes[0].Spec.Rules[0].Filters[0].RequestHeaderModifier
	if len(set.Add) != 0 || len(set.Set) != 1 || set.Set[0] != (gatewayv1.HTTPHeader{Name: "X-Tenantry-Tenant", Value: "tasklane/acme"}) {
		t.Errorf("header filter %+v: must set, never add", set)
	}
	for _, r := range routes[1:] {
		rule := r.Spec.Rules[0]
		if len(rule.BackendRefs) != 0 || string(*rule.Filters[0].RequestRedirect.Hostname) != hosts[0] {
			t.Errorf("%s does not only redirect to %s: %+v", r.Name, hosts[0], rule)
		}
	}
}

func TestNoHostsNoRoutes(t *testing.T) {
	if n := len(routing.HTTPRoutes(wish())) + len(routing.Ingresses(wish())); n != 0 {
		t.Errorf("%d routes for no host: a route without hostnames catches every request", n)
	}
}

func TestIngressServesEveryHost(t *testing.T) {
	got := routing.Ingresses(wish("a.example.com", "b.example.com"))
	if len(got) != 1 || len(got[0].Spec.Rules) != 2 || got[0].Annotations["a"] != "b" {
		t.Fatalf("got %+v", got)
	}
	for _, rule := range got[0].Spec.Rules {
		if rule.Host == "" || rule.HTTP.Paths[0].Backend.Service.Name != "web" {
			t.Errorf("rule %+v", rule)
		}
	}
}
