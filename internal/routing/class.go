package routing

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// ClassHost is a host that a class declares for itself: public, or shared by its tenants.
type ClassHost struct {
	Host string
	Role v1alpha1.HostRole
	// Backend answers what is no tenant's. Its namespace is set.
	Backend v1alpha1.ServiceBackend
}

// ClassHosts lists the hosts that a class declares.
func ClassHosts(class *v1alpha1.TenantClass) []ClassHost {
	routing := class.Spec.Routing
	if routing == nil {
		return nil
	}
	var hosts []ClassHost
	for _, h := range routing.PublicHosts {
		hosts = append(hosts, ClassHost{Host: h.Host, Role: v1alpha1.HostPublic, Backend: h.Backend})
	}
	for _, h := range routing.SharedHosts {
		hosts = append(hosts, ClassHost{Host: h.Host, Role: v1alpha1.HostShared, Backend: h.Fallback})
	}
	return hosts
}

// ClassLabels of what is made for a class.
func ClassLabels(class *v1alpha1.TenantClass) map[string]string {
	return map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, LabelClass: class.Name}
}

func classMeta(class *v1alpha1.TenantClass, h ClassHost) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: h.Backend.Namespace, Name: class.Name + "." + h.Host, Labels: ClassLabels(class),
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(class, v1alpha1.GroupVersion.WithKind("TenantClass"))},
	}
}

// ClassHTTPRoutes are the routes of a class's own host: the one that serves it, and the one that
// redirects plain HTTP. On a shared host, the routes of tenants match more exactly and come before it.
func ClassHTTPRoutes(class *v1alpha1.TenantClass, h ClassHost) []gatewayv1.HTTPRoute {
	routing, hosts := class.Spec.Routing, []string{h.Host}
	rule := matching(toService(h.Backend, h.Backend.Namespace, withoutTenant(routing)), pathMatch("/", v1alpha1.PathPrefix))
	routes := []gatewayv1.HTTPRoute{{
		ObjectMeta: classMeta(class, h), Spec: httpRouteSpec(hosts, gateways(routing), []gatewayv1.HTTPRouteRule{rule}),
	}}
	if on := plainListeners(routing); len(on) > 0 {
		plain := gatewayv1.HTTPRoute{ObjectMeta: classMeta(class, h), Spec: httpRouteSpec(hosts, on, toHTTPS(""))}
		plain.Name += httpSuffix
		routes = append(routes, plain)
	}
	return routes
}

// ClassIngress is ClassHTTPRoutes for the Ingress API, which can take no headers off.
func ClassIngress(class *v1alpha1.TenantClass, h ClassHost) networkingv1.Ingress {
	ing := networkingv1.Ingress{ObjectMeta: classMeta(class, h)}
	ing.Annotations = annotations(class.Spec.Routing.Ingress)
	ing.Spec.IngressClassName = new(class.Spec.Routing.Ingress.ClassName)
	ing.Spec.TLS = sharedTLS(class.Spec.Routing, []string{h.Host})
	ing.Spec.Rules = []networkingv1.IngressRule{
		ingressRule(h.Host, []networkingv1.HTTPIngressPath{everyPath(h.Backend)}),
	}
	return ing
}
