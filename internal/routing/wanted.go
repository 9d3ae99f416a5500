// Package routing turns what a tenant and its class want into routes, as values: no client, no
// clock. Routes carry every field that the API server would default, so that a route read back equals
// the one wanted and an unchanged tenant writes nothing.
package routing

import (
	"cmp"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/domains"
)

// maxHostnames is how many hosts one HTTPRoute takes (Gateway API, HTTPRouteSpec).
const maxHostnames = 16

// Labels of what is made for others, so that it is found again whatever its name.
const (
	// LabelTenantUID marks what was made for a tenant.
	LabelTenantUID = "tenantry.dev/tenant-uid"
	// LabelClass marks what was made for a class.
	LabelClass = "tenantry.dev/class"
)

// AnnotationAnnotations on an Ingress lists the annotations that its class asks for, sorted, with commas.
const AnnotationAnnotations = "tenantry.dev/annotations"

// Wish is what a tenant's routes are made from.
type Wish struct {
	// Tenant whose domains are routed.
	Tenant *v1alpha1.Tenant
	// Routing of the tenant's class.
	Routing *v1alpha1.Routing
	// Schema of the tenant; unknown where it is not served.
	Schema string
	// Hosts that the tenant holds, in canonical form, wildcards among them. The first that is no
	// wildcard is the primary one.
	Hosts []string
	// Shared are the values that the tenant holds on shared hosts.
	Shared []SharedValue
	// Listeners are where hosts are served that have a listener of their own (Gateway API). All other
	// hosts are on the class's Gateways.
	Listeners map[string]gatewayv1.ParentReference
	// Secrets hold the certificates of hosts that have one of their own (Ingress).
	Secrets map[string]string
	// Held sends hosts to the class's holding backend, which must be there: the tenant is not
	// served.
	Held bool
}

// SharedValue is what names a tenant on a shared host.
type SharedValue struct {
	On v1alpha1.SharedHost
	// Value of the header, or the path prefix.
	Value string
}

// defaultValue names a tenant on a shared host whose class says nothing else.
const defaultValue = "{namespace}/{name}"

// ValueOn returns what names a tenant on a shared host.
func ValueOn(host v1alpha1.SharedHost, t *v1alpha1.Tenant) SharedValue {
	v := SharedValue{On: host}
	if host.Header != nil {
		v.Value = cmp.Or(host.Header.Value, defaultValue)
	} else {
		v.Value = cmp.Or(host.PathPrefix.Value, "/"+defaultValue)
	}
	v.Value = strings.NewReplacer("{namespace}", t.Namespace, "{name}", t.Name).Replace(v.Value)
	return v
}

// Entry is how the registry and messages write a value on a shared host: host/path, or
// host#header=value.
func (v SharedValue) Entry() string {
	if v.On.Header != nil {
		return v.On.Host + "#" + v.On.Header.Name + "=" + v.Value
	}
	return v.On.Host + v.Value
}

// TenantHeader is what the backend is told: which tenant a request is for.
func TenantHeader(t *v1alpha1.Tenant) string { return t.Namespace + "/" + t.Name }

// Primary returns the host to which the others redirect, or "" if the tenant holds wildcards only.
func (w Wish) Primary() string {
	for _, h := range w.Hosts {
		if !domains.IsWildcard(h) {
			return h
		}
	}
	return ""
}

// split parts the hosts that are served from those that redirect to the primary one. What a wildcard
// covers is served: nobody knows which of its hosts to redirect to what.
func (w Wish) split() (served, aliases []string) {
	primary := w.Primary()
	for _, h := range w.Hosts {
		if w.Held || h == primary || domains.IsWildcard(h) {
			served = append(served, h)
		} else {
			aliases = append(aliases, h)
		}
	}
	return served, aliases
}

// Backend is the Service that answers for the tenant.
func (w Wish) Backend() v1alpha1.ServiceBackend {
	switch {
	case w.Held:
		return *w.Routing.Holding
	case w.Tenant.Spec.Backend != nil:
		return *w.Tenant.Spec.Backend
	}
	return w.Routing.Backend
}

// BackendNamespace is where a backend's Service lives.
func (w Wish) BackendNamespace(b v1alpha1.ServiceBackend) string {
	if b.Namespace != "" {
		return b.Namespace
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

// Suffixes of the names of routes beside a tenant's first. The API refuses Tenants whose names end
// like that, with or without the number of a part behind it.
const (
	aliasSuffix  = ".alias"
	sharedSuffix = ".shared"
	customSuffix = ".custom"
	httpSuffix   = ".http"
	// moreSuffix is for the further parts of the first: acme-1 may be another Tenant.
	moreSuffix = ".more"
)

// shardName names the parts of what does not fit into one object.
func shardName(tenant, suffix string, i int) string {
	if i == 0 {
		return tenant + suffix
	}
	return tenant + cmp.Or(suffix, moreSuffix) + "-" + strconv.Itoa(i)
}
