package publish

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/routing"
)

// Where the primary host goes, all that sends clients to it goes; where an alias goes, nothing else does.
func TestCutRoutes(t *testing.T) {
	tenant := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "acme", UID: "u-acme"}}
	wish := routing.Wish{
		Tenant: tenant, Hosts: []string{"acme.com", "www.acme.com", "acme.org", "*.acme.net"},
		Routing: &v1alpha1.Routing{
			Gateway: &v1alpha1.GatewayRouting{ParentRefs: []v1alpha1.GatewayReference{{
				NamespacedReference: v1alpha1.NamespacedReference{Namespace: "gw", Name: "edge"}, SectionName: "https",
			}}},
			TLS:     &v1alpha1.RoutingTLS{HTTPSectionName: "http"},
			Backend: v1alpha1.ServiceBackend{Name: "web", Port: 80},
		},
	}
	for lost, want := range map[string]map[string][]string{
		"acme.com": {"acme": {"*.acme.net"}, "acme.http": {"*.acme.net"}, "acme.alias": nil, "acme.http.alias": nil},
		"acme.org": {
			"acme": {"acme.com", "*.acme.net"}, "acme.http": {"acme.com", "*.acme.net"},
			"acme.alias": {"www.acme.com"}, "acme.http.alias": {"www.acme.com"},
		},
	} {
		got := map[string][]string{}
		for _, route := range routing.HTTPRoutes(wish) {
			cutRoute(&route, func(host string) bool { return host == lost })
			got[route.Name] = hostsOf(&route)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("hosts without %s, by route (-want +got):\n%s", lost, diff)
		}
	}
}
