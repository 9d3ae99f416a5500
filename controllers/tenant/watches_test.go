package tenant

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// A route that wakes no tenant takes a host from one unseen: only what controls it may keep it quiet, and only
// a Tenant of this API.
func TestWhoseRouteWakesTenants(t *testing.T) {
	owner := func(apiVersion, kind string, controls bool) *metav1.OwnerReference {
		return &metav1.OwnerReference{APIVersion: apiVersion, Kind: kind, Name: "acme", UID: "u-1", Controller: &controls}
	}
	for name, tt := range map[string]struct {
		owner *metav1.OwnerReference
		own   bool
	}{
		"a tenant's":               {owner("tenantry.dev/v1alpha1", "Tenant", true), true},
		"a tenant's, next version": {owner("tenantry.dev/v1", "Tenant", true), true},
		"a class's":                {owner("tenantry.dev/v1alpha1", "TenantClass", true), false},
		"a Tenant of others":       {owner("capsule.example.com/v1", "Tenant", true), false},
		"a Tenant of no group":     {owner("v1", "Tenant", true), false},
		"no controller":            {owner("tenantry.dev/v1alpha1", "Tenant", false), false},
		"no version at all":        {owner("a/b/c", "Tenant", true), false},
		"nobody's":                 {nil, false},
	} {
		route := &gatewayv1.HTTPRoute{}
		if tt.owner != nil {
			route.OwnerReferences = []metav1.OwnerReference{*tt.owner}
		}
		if got := isTenants(route); got != tt.own {
			t.Errorf("%s: taken for a tenant's own: %v", name, got)
		}
	}
}
