package explain

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/routing"
)

// acme is a tenant of a class with everything that makes rules.
func acme() (*v1alpha1.Tenant, *v1alpha1.TenantClass) {
	tenant := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "acme", UID: "u-acme"}}
	tenant.Spec.ClassName = "standard"
	tenant.Status.PrimaryDomain = "acme.example.com"
	class := &v1alpha1.TenantClass{ObjectMeta: metav1.ObjectMeta{Name: "standard", UID: "u-class"}}
	class.Spec.Routing = &v1alpha1.Routing{
		Gateway: &v1alpha1.GatewayRouting{ParentRefs: []v1alpha1.GatewayReference{{
			NamespacedReference: v1alpha1.NamespacedReference{Namespace: "gateways", Name: "edge"},
		}}},
		Backend:      v1alpha1.ServiceBackend{Name: "web", Port: 80},
		Holding:      &v1alpha1.ServiceBackend{Name: "holding", Port: 80},
		TenantHeader: "X-Tenantry-Tenant",
		PublicPaths: []v1alpha1.PublicPath{
			{Path: "/healthz", Match: v1alpha1.PathExact, Backend: &v1alpha1.ServiceBackend{Name: "health", Port: 80}},
			{Path: "/public", Backend: &v1alpha1.ServiceBackend{Name: "site", Port: 80}},
		},
	}
	return tenant, class
}

// The rules are those that the operator writes, and the choice is the data plane's.
func TestChoiceOfTheRule(t *testing.T) {
	tenant, class := acme()
	byHeader := v1alpha1.SharedHost{Host: "api.example.com", Header: &v1alpha1.SharedHeader{Name: "X-Tenant"}}
	byPath := v1alpha1.SharedHost{Host: "app.example.com", PathPrefix: &v1alpha1.SharedPathPrefix{}}
	wish := routing.Wish{
		Tenant: tenant, Routing: class.Spec.Routing,
		Hosts:  []string{"acme.example.com", "www.acme.com", "*.acme.com"},
		Shared: []routing.SharedValue{routing.ValueOn(byHeader, tenant), routing.ValueOn(byPath, tenant)},
	}
	var rules []rule
	for _, r := range routing.HTTPRoutes(wish) {
		rules = append(rules, rulesOfHTTPRoute(&r)...)
	}
	longer := tenant.DeepCopy()
	longer.Name = "acme/eu" // No name of a Tenant, but a path below another's.
	longerWish := routing.Wish{Tenant: longer, Routing: class.Spec.Routing, Shared: []routing.SharedValue{routing.ValueOn(byPath, longer)}}
	longerWish.Routing = class.Spec.Routing.DeepCopy()
	longerWish.Routing.Backend.Name = "eu"
	for _, r := range routing.HTTPRoutes(longerWish) {
		rules = append(rules, rulesOfHTTPRoute(&r)...)
	}

	tests := map[string]struct {
		query Query
		want  string // the backend, or the location
		tells bool   // the backend about the tenant
	}{
		"primary":                {Query{Host: "acme.example.com", Path: "/"}, "web", true},
		"primary, below":         {Query{Host: "acme.example.com", Path: "/a/b"}, "web", true},
		"public, exact":          {Query{Host: "acme.example.com", Path: "/healthz"}, "health", false},
		"below public, exact":    {Query{Host: "acme.example.com", Path: "/healthz/x"}, "web", true},
		"public prefix":          {Query{Host: "acme.example.com", Path: "/public"}, "site", false},
		"below public prefix":    {Query{Host: "acme.example.com", Path: "/public/x"}, "site", false},
		"beside public prefix":   {Query{Host: "acme.example.com", Path: "/publicity"}, "web", true},
		"alias":                  {Query{Host: "www.acme.com", Path: "/public"}, "acme.example.com", false},
		"wildcard":               {Query{Host: "a.b.acme.com", Path: "/"}, "web", true},
		"wildcard's own base":    {Query{Host: "acme.com", Path: "/"}, "", false},
		"header":                 {Query{Host: "api.example.com", Path: "/", Headers: map[string]string{"x-tenant": "shop/acme"}}, "web", true},
		"header, other value":    {Query{Host: "api.example.com", Path: "/", Headers: map[string]string{"X-Tenant": "shop/acm"}}, "", false},
		"header missing":         {Query{Host: "api.example.com", Path: "/shop/acme"}, "", false},
		"path":                   {Query{Host: "app.example.com", Path: "/shop/acme/x"}, "web", true},
		"path itself":            {Query{Host: "app.example.com", Path: "/shop/acme"}, "web", true},
		"longest path":           {Query{Host: "app.example.com", Path: "/shop/acme/eu/x"}, "eu", true},
		"segment begins alike":   {Query{Host: "app.example.com", Path: "/shop/acmeeu"}, "", false},
		"path, other case":       {Query{Host: "app.example.com", Path: "/SHOP/acme"}, "", false},
		"host of nobody":         {Query{Host: "other.example.com", Path: "/"}, "", false},
		"host that ends in ours": {Query{Host: "xacme.com", Path: "/"}, "", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := rule{}
			if r := choose(rules, tt.query); r != nil {
				got = *r
			}
			if is := got.backend.Name + got.location; is != tt.want || got.setsHeaders != tt.tells {
				t.Errorf("leads to %q (tells the tenant: %v), want %q (%v)", is, got.setsHeaders, tt.want, tt.tells)
			}
		})
	}
}

func TestRulesOfIngress(t *testing.T) {
	tenant, class := acme()
	class.Spec.Routing.Gateway, class.Spec.Routing.Ingress = nil, &v1alpha1.IngressRouting{ClassName: "edge"}
	ingresses := routing.Ingresses(routing.Wish{Tenant: tenant, Routing: class.Spec.Routing, Hosts: []string{"acme.example.com"}})
	rules := rulesOfIngress(&ingresses[0])
	got := map[string]string{}
	for _, path := range []string{"/", "/healthz", "/healthz/x", "/public/x"} {
		got[path] = service(choose(rules, Query{Host: "acme.example.com", Path: path}).backend)
	}
	want := map[string]string{"/": "shop/web:80", "/healthz": "shop/health:80", "/healthz/x": "shop/web:80", "/public/x": "shop/site:80"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("backends (-want +got):\n%s", diff)
	}
	if rules[0].owner.UID != tenant.UID {
		t.Errorf("the rule is %s's", rules[0].owner.UID)
	}
}
