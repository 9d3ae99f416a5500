package routing_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/routing"
)

func TestCanonicalGivesOneSpelling(t *testing.T) {
	tests := map[string]string{
		"acme.example.com":       "acme.example.com",
		"ACME.Example.COM":       "acme.example.com",
		"acme.example.com.":      "acme.example.com",
		"bücher.example":         "xn--bcher-kva.example",
		"BÜCHER.example":         "xn--bcher-kva.example",
		"xn--bcher-kva.example":  "xn--bcher-kva.example",
		"XN--BCHER-KVA.example":  "xn--bcher-kva.example",
		"bu\u0308cher.example":   "xn--bcher-kva.example",
		"acme。example。com":       "acme.example.com",
		"\uff41cme.example.com":  "acme.example.com",
		"a\u00adcme.example.com": "acme.example.com",
		"straße.example":         "xn--strae-oqa.example",
		" acme.example.com ":     "acme.example.com",
		"1.acme.example.com":     "1.acme.example.com",
		"xn--strae-oqa.example.": "xn--strae-oqa.example",
		"acme.xn--p1ai":          "acme.xn--p1ai",
		"\u212a.example.com":     "k.example.com",
	}
	for in, want := range tests {
		t.Run(in, func(t *testing.T) {
			got, err := routing.Canonical(in)
			if err != nil || got != want {
				t.Fatalf("Canonical() = %q, %v, want %q", got, err, want)
			}
			if again, err := routing.Canonical(got); err != nil || again != got {
				t.Errorf("Canonical is not stable: %q, %v", again, err)
			}
		})
	}
}

func TestCanonicalRefuses(t *testing.T) {
	for _, in := range []string{
		"", ".", "acme", "localhost", "*.acme.com", "https://acme.com", "acme.com/path", "acme.com:80",
		"10.0.0.1", "127.1", "[::1]", "::1", "1.2.3.256", "a..b.com", "-acme.com", "acme-.com",
		"ac me.com", "acme_.com", "user@acme.com", "acme.com?x", "ab--cd.com", "xn--.com", "acme.com\x00",
		strings.Repeat("a", 64) + ".com", strings.Repeat("a.", 130) + "com",
	} {
		t.Run(in, func(t *testing.T) {
			got, err := routing.Canonical(in)
			if err == nil {
				t.Fatalf("Canonical() = %q, want an error", got)
			}
			if f := fault.Of(err, ""); f.Kind != fault.Invalid || f.Reason != v1alpha1.ReasonInvalidDomain {
				t.Errorf("fault = %+v", f)
			}
		})
	}
}

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
	if diff := cmp.Diff([]string{"acme 1", "acme-alias 16", "acme-alias-1 16", "acme-alias-2 7"}, got); diff != "" {
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
