package routing

import (
	"maps"

	networkingv1 "k8s.io/api/networking/v1"
)

// Ingresses returns the routes of a tenant for the Ingress API. It knows no redirects and no
// headers, so that every host is served and the backend must go by the host. None without hosts.
func Ingresses(w Wish) []networkingv1.Ingress {
	if len(w.Hosts) == 0 {
		return nil
	}
	ing := networkingv1.Ingress{ObjectMeta: w.objectMeta(w.Tenant.Name)}
	ing.Annotations = maps.Clone(w.Routing.Ingress.Annotations)
	ing.Spec.IngressClassName = new(w.Routing.Ingress.ClassName)
	for _, host := range w.Hosts {
		ing.Spec.Rules = append(ing.Spec.Rules, networkingv1.IngressRule{
			Host: host,
			IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
				Paths: []networkingv1.HTTPIngressPath{{
					Path:     "/",
					PathType: new(networkingv1.PathTypePrefix),
					Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
						Name: w.Routing.Backend.Name,
						Port: networkingv1.ServiceBackendPort{Number: w.Routing.Backend.Port},
					}},
				}},
			}},
		})
	}
	return []networkingv1.Ingress{ing}
}
