package routing_test

import (
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/routing"
)

// What the API lets through as a template of a header and as a name.
var (
	templateForm = regexp.MustCompile(`^([-A-Za-z0-9_./:=]|\{namespace\}|\{name\}|\{uid\}|\{schema\})+$`)
	nameForm     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	schemaForm   = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	headerForm   = regexp.MustCompile(`^[-A-Za-z0-9_./:=]+$`)
)

// FuzzHeaders: a header that a class sets for its tenants says of a tenant what the template says, in
// characters that end no header, and is set, never added to; the tenant's own is set beside it.
func FuzzHeaders(f *testing.F) {
	f.Add("{namespace}/{name}", "shop", "acme", "7e2c1a52", "shop__acme")
	f.Add("{uid}:{schema}", "a", "b", "c", "d")
	f.Add("{name}{name}", "name", "namespace", "u", "s")
	f.Add("x\r\nHost: evil", "a", "b", "c", "d")
	f.Add("{name", "a", "b", "c", "d")
	f.Fuzz(func(t *testing.T, template, namespace, name, uid, schema string) {
		if !templateForm.MatchString(template) || !nameForm.MatchString(namespace) || !nameForm.MatchString(name) || !nameForm.MatchString(uid) || !schemaForm.MatchString(schema) {
			return
		}
		w := wish("acme.example.com")
		w.Tenant.Namespace, w.Tenant.Name, w.Tenant.UID, w.Schema = namespace, name, types.UID(uid), schema
		w.Routing.Headers = []v1alpha1.TenantRequestHeader{{Name: "X-Extra", Value: template}}
		set := headersSet(t, routing.HTTPRoutes(w))
		want := strings.NewReplacer("{namespace}", namespace, "{name}", name, "{uid}", uid, "{schema}", schema).Replace(template)
		if set["X-Extra"] != want || !headerForm.MatchString(set["X-Extra"]) || set["X-Tenantry-Tenant"] != namespace+"/"+name {
			t.Errorf("headers %q, want %q", set, want)
		}
	})
}

// headersSet are the request headers that routes set; none may be added to.
func headersSet(t *testing.T, routes []gatewayv1.HTTPRoute) map[gatewayv1.HTTPHeaderName]string {
	t.Helper()
	set := map[gatewayv1.HTTPHeaderName]string{}
	for _, route := range routes {
		for _, rule := range route.Spec.Rules {
			for _, filter := range rule.Filters {
				if filter.RequestHeaderModifier == nil {
					continue
				}
				if len(filter.RequestHeaderModifier.Add) > 0 {
					t.Errorf("headers are added to: %+v", filter.RequestHeaderModifier.Add)
				}
				for _, h := range filter.RequestHeaderModifier.Set {
					set[h.Name] = h.Value
				}
			}
		}
	}
	return set
}
