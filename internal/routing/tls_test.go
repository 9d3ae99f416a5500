package routing_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/routing"
)

// secured is a wish of a class with TLS, whose plain HTTP is redirected.
func secured(hosts ...string) routing.Wish {
	w := wish(hosts...)
	w.Routing.Gateway.ParentRefs[0].SectionName = "https"
	w.Routing.TLS = &v1alpha1.RoutingTLS{
		Certificates: v1alpha1.CertificatesFromCertManager, IssuerRef: &v1alpha1.IssuerReference{Name: "ca"}, HTTPSectionName: "web",
	}
	return w
}

// own is a listener of one host.
func own(shard, host string) gatewayv1.ParentReference {
	return gatewayv1.ParentReference{
		Namespace: new(gatewayv1.Namespace("gw")), Name: gatewayv1.ObjectName(shard), SectionName: new(routing.ListenerName(host)),
	}
}

// outline tells of each route the hosts, the listeners, and where it redirects to.
func outline(routes []gatewayv1.HTTPRoute) map[string]string {
	lines := map[string]string{}
	for _, r := range routes {
		line := fmt.Sprint(r.Spec.Hostnames, " on")
		for _, p := range r.Spec.ParentRefs {
			line += fmt.Sprintf(" %s/%s", p.Name, *p.SectionName)
		}
		for _, f := range r.Spec.Rules[len(r.Spec.Rules)-1].Filters {
			if to := f.RequestRedirect; to != nil {
				line += " to "
				if to.Scheme != nil {
					line += *to.Scheme + "://"
				}
				if to.Hostname != nil {
					line += string(*to.Hostname)
				}
			}
		}
		lines[r.Name] = line
	}
	return lines
}

func TestHTTPRoutesAttachToWhereHostsAreServed(t *testing.T) {
	w := secured("acme.tasklane.example", "www.tasklane.example", "acme.com", "*.acme.com")
	w.Listeners = map[string]gatewayv1.ParentReference{
		"acme.com": own("std-tls-0", "acme.com"), "*.acme.com": own("std-tls-1", "*.acme.com"),
	}
	want := map[string]string{
		"acme":              "[acme.tasklane.example] on edge/https",
		"acme.alias":        "[www.tasklane.example] on edge/https to acme.tasklane.example",
		"acme.custom":       "[*.acme.com] on std-tls-1/xx--wildcard.acme.com",
		"acme.custom.alias": "[acme.com] on std-tls-0/acme.com to acme.tasklane.example",
		"acme.http":         "[acme.tasklane.example *.acme.com] on edge/web to https://",
		"acme.http.alias":   "[www.tasklane.example acme.com] on edge/web to https://acme.tasklane.example",
	}
	if diff := cmp.Diff(want, outline(routing.HTTPRoutes(w))); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
	w.Routing.TLS.HTTPSectionName = ""
	if got := len(routing.HTTPRoutes(w)); got != 4 {
		t.Errorf("%d routes without a listener for plain HTTP, want 4", got)
	}
	if at := w.At("acme.com"); len(at) != 1 || at[0].Name != "std-tls-0" {
		t.Errorf("acme.com is served at %v", at)
	}
}

// The further routes of hosts that do not fit into one cannot have another Tenant's name.
func TestFurtherRoutesAreNoTenants(t *testing.T) {
	w := wish()
	w.Held, w.Routing.Holding = true, &v1alpha1.ServiceBackend{Name: "holding", Port: 80}
	for i := range 40 {
		w.Hosts = append(w.Hosts, fmt.Sprintf("h%d.acme.com", i))
	}
	var got []string
	for _, r := range routing.HTTPRoutes(w) {
		got = append(got, r.Name)
	}
	if diff := cmp.Diff([]string{"acme", "acme.more-1", "acme.more-2"}, got); diff != "" {
		t.Errorf("names of the routes (-want +got):\n%s", diff)
	}
}

// A route names at most 16 hosts, and each of them has a listener of its own.
func TestManyCustomHostsAreSharded(t *testing.T) {
	w := secured()
	w.Listeners = map[string]gatewayv1.ParentReference{}
	for i := range 40 {
		host := fmt.Sprintf("h%d.acme.com", i)
		w.Hosts = append(w.Hosts, host)
		w.Listeners[host] = own("std-tls-0", host)
	}
	got := map[string]string{}
	for _, r := range routing.HTTPRoutes(w) {
		got[r.Name] = fmt.Sprint(len(r.Spec.Hostnames), " ", len(r.Spec.ParentRefs))
	}
	want := map[string]string{
		"acme.custom": "1 1", "acme.custom.alias": "16 16", "acme.custom.alias-1": "16 16", "acme.custom.alias-2": "7 7",
		"acme.http": "1 1", "acme.http.alias": "16 1", "acme.http.alias-1": "16 1", "acme.http.alias-2": "7 1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hosts and listeners of the routes (-want +got):\n%s", diff)
	}
}

// Two listeners of one Gateway are one for plain HTTP.
func TestClassRoutesRedirectPlainHTTP(t *testing.T) {
	class := &v1alpha1.TenantClass{}
	class.Name, class.Spec.Routing = "std", secured().Routing
	on := class.Spec.Routing.Gateway
	second := on.ParentRefs[0]
	second.SectionName = "https-internal"
	on.ParentRefs = append(on.ParentRefs, second)
	h := routing.ClassHost{Host: "www.tasklane.example", Role: v1alpha1.HostPublic, Backend: v1alpha1.ServiceBackend{Namespace: "site", Name: "web", Port: 80}}
	want := map[string]string{
		"std.www.tasklane.example":      "[www.tasklane.example] on edge/https edge/https-internal",
		"std.www.tasklane.example.http": "[www.tasklane.example] on edge/web to https://",
	}
	if diff := cmp.Diff(want, outline(routing.ClassHTTPRoutes(class, h))); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
}

func TestIngressTLS(t *testing.T) {
	for name, tt := range map[string]struct {
		tls     *v1alpha1.RoutingTLS
		secrets map[string]string
		want    []networkingv1.IngressTLS
	}{
		"not asked for": {},
		"external":      {tls: &v1alpha1.RoutingTLS{Certificates: v1alpha1.CertificatesExternal}},
		"shared": {
			tls:  &v1alpha1.RoutingTLS{Certificates: v1alpha1.CertificatesShared, SecretName: "wild"},
			want: []networkingv1.IngressTLS{{Hosts: []string{"a.tasklane.example", "acme.com"}, SecretName: "wild"}},
		},
		"the controller's default": {
			tls:  &v1alpha1.RoutingTLS{Certificates: v1alpha1.CertificatesShared},
			want: []networkingv1.IngressTLS{{Hosts: []string{"a.tasklane.example", "acme.com"}}},
		},
		"of its own": {
			tls:     &v1alpha1.RoutingTLS{Certificates: v1alpha1.CertificatesFromCertManager, SecretName: "wild"},
			secrets: map[string]string{"acme.com": "acme.com-1"},
			want: []networkingv1.IngressTLS{
				{Hosts: []string{"a.tasklane.example"}, SecretName: "wild"}, {Hosts: []string{"acme.com"}, SecretName: "acme.com-1"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := wish("a.tasklane.example", "acme.com")
			w.Routing.TLS, w.Secrets = tt.tls, tt.secrets
			if diff := cmp.Diff(tt.want, routing.Ingresses(w)[0].Spec.TLS); diff != "" {
				t.Errorf("tls (-want +got):\n%s", diff)
			}
		})
	}
}
