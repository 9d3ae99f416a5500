package routing

import (
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// maxHostnames is how many hosts one HTTPRoute takes (Gateway API, HTTPRouteSpec).
const maxHostnames = 16

// LabelTenantUID marks what was made for a tenant, so that it is found again whatever its name.
const LabelTenantUID = "tenantry.dev/tenant-uid"

// Wish is what routes are made from.
type Wish struct {
	// Tenant whose domains are routed.
	Tenant *v1alpha1.Tenant
	// Routing of the tenant's class.
	Routing *v1alpha1.Routing
	// Hosts that the tenant holds, in canonical form. The first is served, the others are
	// redirected to it.
	Hosts []string
}

// TenantHeader is what the backend is told: which tenant a request is for.
func TenantHeader(t *v1alpha1.Tenant) string { return t.Namespace + "/" + t.Name }

// BackendNamespace is where the backend's Service lives.
func (w Wish) BackendNamespace() string {
	if ns := w.Routing.Backend.Namespace; ns != "" {
		return ns
	}
	return w.Tenant.Namespace
}

// Labels of everything that is made for a tenant.
func Labels(t *v1alpha1.Tenant) map[string]string {
	return map[string]string{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy,
		v1alpha1.LabelTenant:    t.Name,
		LabelTenantUID:          string(t.UID),
	}
}

// Owner is the reference that lets garbage collection follow a tenant.
func Owner(t *v1alpha1.Tenant) metav1.OwnerReference {
	return *metav1.NewControllerRef(t, v1alpha1.GroupVersion.WithKind("Tenant"))
}

func (w Wish) objectMeta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace:       w.Tenant.Namespace,
		Name:            name,
		Labels:          Labels(w.Tenant),
		OwnerReferences: []metav1.OwnerReference{Owner(w.Tenant)},
	}
}

// shardName names the parts of what does not fit into one object.
func shardName(base string, i int) string {
	if i == 0 {
		return base
	}
	return base + "-" + strconv.Itoa(i)
}
