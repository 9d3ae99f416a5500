package controllers_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/controllers"
	"github.com/tenantry/tenantry/internal/certificates"
	"github.com/tenantry/tenantry/internal/routing"
	"github.com/tenantry/tenantry/test/operator"
)

// kindOnce installs cert-manager's kind for all tests but the one that begins without it, which does not
// run in parallel and so comes first.
var kindOnce = sync.OnceValue(func() error { return servers.Plane.InstallCertificateKind(context.Background()) })

// tlsBench is a bench whose class has a Gateway with listeners for HTTP and HTTPS in a namespace of its own,
// and orders certificates for custom domains.
type tlsBench struct {
	*bench
	gateway *gatewayv1.Gateway
	class   *gatewayv1.GatewayClass
}

func newTLSBench(t *testing.T, change ...func(*v1alpha1.TenantClass)) *tlsBench {
	t.Helper()
	b := &tlsBench{bench: newBench(t)}
	b.class = &gatewayv1.GatewayClass{ObjectMeta: metav1.ObjectMeta{Name: b.Namespace}, Spec: gatewayv1.GatewayClassSpec{ControllerName: "example.com/edge"}}
	edge := b.Namespace + "-edge"
	all := &gatewayv1.AllowedRoutes{Namespaces: &gatewayv1.RouteNamespaces{From: new(gatewayv1.NamespacesFromAll)}}
	b.gateway = &gatewayv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: edge, Name: "edge"},
		Spec: gatewayv1.GatewaySpec{GatewayClassName: gatewayv1.ObjectName(b.class.Name), Listeners: []gatewayv1.Listener{
			{Name: "web", Port: 80, Protocol: gatewayv1.HTTPProtocolType, AllowedRoutes: all},
			{
				Name: "https", Port: 8443, Protocol: gatewayv1.HTTPSProtocolType, AllowedRoutes: all,
				Hostname: new(gatewayv1.Hostname("*." + b.Namespace + ".example")),
				TLS:      &gatewayv1.ListenerTLSConfig{CertificateRefs: []gatewayv1.SecretObjectReference{{Name: "wild"}}},
			},
		}},
	}
	b.Class.Spec.Domains = &v1alpha1.DomainPolicy{
		Platform: []v1alpha1.PlatformDomain{{DomainSuffix: b.Namespace + ".example"}},
		Custom:   &v1alpha1.CustomDomains{Verification: v1alpha1.VerifyNothing},
	}
	b.Class.Spec.Routing = gatewayRouting()
	b.Class.Spec.Routing.Gateway.ParentRefs = []v1alpha1.GatewayReference{{
		NamespacedReference: v1alpha1.NamespacedReference{Namespace: edge, Name: "edge"}, SectionName: "https",
	}}
	b.Class.Spec.Routing.TLS = &v1alpha1.RoutingTLS{
		Certificates: v1alpha1.CertificatesFromCertManager, IssuerRef: &v1alpha1.IssuerReference{Name: "ca"}, HTTPSectionName: "web",
	}
	for _, f := range change {
		f(b.Class)
	}
	b.Create(t, b.backend(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: edge}}, b.class, b.gateway)
	b.sayOfListeners(t, b.gateway)
	b.settle(t)
	return b
}

// ofCertificates is newTLSBench in a cluster that has cert-manager's kind.
func ofCertificates(t *testing.T, change ...func(*v1alpha1.TenantClass)) *tlsBench {
	t.Helper()
	if err := kindOnce(); err != nil {
		t.Fatal(err)
	}
	return newTLSBench(t, change...)
}

// custom is a host that is no platform domain.
func (b *tlsBench) custom(name string) string { return name + "." + b.Namespace + ".test" }

// sayOfListeners says what a data plane does that serves all listeners of a Gateway.
func (b *tlsBench) sayOfListeners(t *testing.T, gateway *gatewayv1.Gateway) {
	t.Helper()
	before := gateway.DeepCopy()
	gateway.Status.Listeners = nil
	for _, l := range gateway.Spec.Listeners {
		status := gatewayv1.ListenerStatus{Name: l.Name, SupportedKinds: []gatewayv1.RouteGroupKind{}}
		for _, kind := range []string{"Accepted", "ResolvedRefs", "Programmed"} {
			meta.SetStatusCondition(&status.Conditions, metav1.Condition{Type: kind, Status: "True", Reason: kind})
		}
		gateway.Status.Listeners = append(gateway.Status.Listeners, status)
	}
	if err := b.Admin.Status().Patch(t.Context(), gateway, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// acceptAll says of all routes of the namespace that every parent takes them.
func (b *tlsBench) acceptAll(t *testing.T) {
	t.Helper()
	for _, route := range b.routes(t) {
		before := route.DeepCopy()
		route.Status.Parents = nil
		for _, ref := range route.Spec.ParentRefs {
			parent := gatewayv1.RouteParentStatus{ParentRef: ref, ControllerName: "example.com/edge"}
			for _, kind := range []string{"Accepted", "ResolvedRefs"} {
				meta.SetStatusCondition(&parent.Conditions, metav1.Condition{Type: kind, Status: "True", Reason: kind, ObservedGeneration: route.Generation})
			}
			route.Status.Parents = append(route.Status.Parents, parent)
		}
		if err := b.Admin.Status().Patch(t.Context(), &route, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
	}
}

// certificates returns those of a namespace, by their hosts.
func (b *tlsBench) certificates(t *testing.T, namespace string) map[string]*certificates.Certificate {
	t.Helper()
	var list certificates.CertificateList
	if err := b.Admin.List(t.Context(), &list, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	by := map[string]*certificates.Certificate{}
	for i := range list.Items {
		by[list.Items[i].Host()] = &list.Items[i]
	}
	return by
}

// say writes a Certificate's status as cert-manager does.
func (b *tlsBench) say(t *testing.T, c *certificates.Certificate, notAfter time.Time, conditions ...metav1.Condition) {
	t.Helper()
	before := c.DeepCopy()
	c.Status = certificates.Status{Conditions: conditions}
	if !notAfter.IsZero() {
		c.Status.NotAfter = &metav1.Time{Time: notAfter}
	}
	for i := range c.Status.Conditions {
		c.Status.Conditions[i].LastTransitionTime = metav1.Now()
	}
	if err := b.Admin.Status().Patch(t.Context(), c, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// issue does what cert-manager does of all Certificates of a namespace.
func (b *tlsBench) issue(t *testing.T, namespace string) {
	t.Helper()
	for _, c := range b.certificates(t, namespace) {
		secret := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: namespace, Name: c.Spec.SecretName, Labels: c.Spec.SecretTemplate.Labels,
				Annotations: map[string]string{"cert-manager.io/certificate-name": c.Name},
			},
			Type: corev1.SecretTypeTLS, Data: map[string][]byte{"tls.crt": {}, "tls.key": {}},
		}
		if err := b.Admin.Create(t.Context(), secret); err != nil {
			if client.IgnoreAlreadyExists(err) != nil {
				t.Fatal(err)
			}
		}
		b.say(t, c, time.Now().Add(24*time.Hour), metav1.Condition{Type: "Ready", Status: "True", Reason: "Ready", Message: "Certificate is up to date"})
	}
}

// shards returns the hosts of the listeners of the class's shards, by their names.
func (b *tlsBench) shards(t *testing.T) map[string][]string {
	t.Helper()
	var list gatewayv1.GatewayList
	if err := b.Admin.List(t.Context(), &list, client.InNamespace(b.gateway.Namespace)); err != nil {
		t.Fatal(err)
	}
	hosts := map[string][]string{}
	for _, g := range list.Items {
		if g.Name == b.gateway.Name {
			continue
		}
		for _, l := range g.Spec.Listeners {
			hosts[g.Name] = append(hosts[g.Name], string(*l.Hostname))
		}
	}
	return hosts
}

// asOperator writes what nobody else may.
func (b *tlsBench) asOperator(t *testing.T) client.Client {
	t.Helper()
	c, err := client.New(b.Operator, client.Options{Scheme: controllers.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// places tells on what each host is, by the routes that serve it. Of listeners of single hosts, a host
// fits its own.
func (b *tlsBench) places(t *testing.T) map[string][]string {
	t.Helper()
	on := map[string][]string{}
	for _, route := range b.routes(t) {
		for _, h := range route.Spec.Hostnames {
			for _, p := range route.Spec.ParentRefs {
				if string(p.Name) != b.gateway.Name && *p.SectionName != routing.ListenerName(string(h)) {
					continue
				}
				on[string(h)] = append(on[string(h)], fmt.Sprintf("%s %s/%s", *p.Kind, p.Name, *p.SectionName))
			}
		}
	}
	for h := range on {
		slices.Sort(on[h])
	}
	return on
}

// domain returns the state of one host.
func domain(t *testing.T, tenant *v1alpha1.Tenant, host string) v1alpha1.TenantDomainStatus {
	t.Helper()
	for _, d := range tenant.Status.Domains {
		if d.Host == host {
			return d
		}
	}
	t.Fatalf("no state of %s", host)
	return v1alpha1.TenantDomainStatus{}
}

// serve brings a tenant whose certificates were just ordered to Ready.
func (b *tlsBench) serve(t *testing.T, tenant *v1alpha1.Tenant) {
	t.Helper()
	b.issue(t, b.gateway.Namespace)
	b.pass(t, b.Class)
	b.pass(t, tenant)
	b.acceptAll(t)
	b.pass(t, tenant)
	b.Expect(t, tenant, operator.Ready())
}
