package controllers_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/certificates"
	"github.com/tenantry/tenantry/test/operator"
)

// A cluster without cert-manager serves platform domains all the same and says what is missing; it heals
// when the kind appears; and when the kind goes, deletion still ends.
func TestCertificateAPIMissing(t *testing.T) {
	b := newTLSBench(t)
	acme := b.Tenant("acme", b.Host("acme"), b.custom("shop"))
	b.Create(t, acme)
	b.pass(t, acme)
	b.acceptAll(t)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Routed", v1alpha1.ReasonCertificateAPIMissing, b.custom("shop"), "install it"))
	if got := domain(t, acme, b.Host("acme")).State; got != v1alpha1.DomainServing {
		t.Errorf("the platform domain is %s", got)
	}

	if err := kindOnce(); err != nil {
		t.Fatal(err)
	}
	b.restart(t)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Routed", v1alpha1.ReasonCertificateNotReady, b.custom("shop")))
	b.serve(t, acme)

	kind := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "certificates.cert-manager.io"},
	}}
	b.Delete(t, kind)
	operator.Poll(t, operator.Soon, func() error {
		if err := b.Admin.List(t.Context(), &certificates.CertificateList{}); err == nil {
			return fmt.Errorf("the kind is still served")
		}
		return nil
	})
	b.remove(t, acme)
	b.pass(t, b.Class)
	if got := b.shards(t); len(got) != 0 {
		t.Errorf("shards are left: %v", got)
	}
	if err := servers.Plane.InstallCertificateKind(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestCustomDomainsGetListenersInShards(t *testing.T) {
	t.Parallel()
	b := ofCertificates(t)
	shop, host, edge := b.custom("shop"), b.Host("acme"), b.gateway.Namespace
	acme := b.Tenant("acme", host, shop)
	b.Create(t, acme)
	b.pass(t, acme)
	b.acceptAll(t)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Routed", v1alpha1.ReasonCertificateNotReady, shop, "is not there yet"))
	if d := domain(t, acme, shop); d.State != v1alpha1.DomainClaimed || d.Certificate == nil || d.Certificate.State != v1alpha1.CertificatePending {
		t.Errorf("state of %s: %+v", shop, d)
	}
	if d := domain(t, acme, host); d.State != v1alpha1.DomainServing || d.Certificate == nil || d.Certificate.State != v1alpha1.CertificateReady {
		t.Errorf("state of %s: %+v", host, d)
	}
	if got := b.places(t)[shop]; len(got) != 0 {
		t.Errorf("%s is routed before it has a certificate: %v", shop, got)
	}
	b.pass(t, b.Class)
	if got := b.shards(t); len(got) != 0 {
		t.Errorf("listeners before there is a certificate: %v", got)
	}
	c := b.certificates(t, edge)[shop]
	if c == nil || c.Spec.IssuerRef.Kind != "ClusterIssuer" || len(b.certificates(t, edge)) != 1 {
		t.Fatalf("certificates %v", b.certificates(t, edge))
	}

	b.serve(t, acme)
	want := map[string][]string{
		host: {"Gateway edge/https", "Gateway edge/web"},
		shop: {"Gateway " + b.Class.Name + "-tls-0/" + shop, "Gateway edge/web"},
	}
	if diff := cmp.Diff(want, b.places(t), sorted); diff != "" {
		t.Errorf("listeners by host (-want +got):\n%s", diff)
	}
	if d := domain(t, acme, shop); d.State != v1alpha1.DomainServing || d.Certificate.State != v1alpha1.CertificateReady || d.Certificate.NotAfter == nil {
		t.Errorf("state of %s: %+v", shop, d)
	}
	shard := &gatewayv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: edge, Name: b.Class.Name + "-tls-0"}}
	b.Get(t, shard)
	l := shard.Spec.Listeners[0]
	if l.Port != 8443 || l.AllowedRoutes.Namespaces.Selector.MatchLabels["kubernetes.io/metadata.name"] != b.Namespace || string(l.TLS.CertificateRefs[0].Name) != c.Spec.SecretName {
		t.Errorf("listener %+v", l)
	}

	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.Domains = tn.Spec.Domains[:1] })
	// No watch leads from the listener to a tenant that names the host no more.
	if result := b.pass(t, acme); result.RequeueAfter == 0 || result.RequeueAfter > 10*time.Second {
		t.Errorf("comes back in %s to take the certificate away", result.RequeueAfter)
	}
	if c := b.certificates(t, edge)[shop]; c == nil || !c.Released() || len(b.places(t)[shop]) != 0 {
		t.Errorf("before the listener is gone: certificate %v, routes %v", c, b.places(t)[shop])
	}
	b.pass(t, b.Class)
	if got := b.shards(t); len(got) != 0 {
		t.Errorf("shards %v are left", got)
	}
	b.pass(t, acme)
	if got := len(b.certificates(t, edge)); got != 0 || !b.gone(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: edge, Name: c.Spec.SecretName}}) {
		t.Errorf("%d certificates are left, or the key", got)
	}
}

// A second domain gets its listener in the Gateway that is there.
func TestCustomDomainsShareAShard(t *testing.T) {
	t.Parallel()
	b := ofCertificates(t)
	shop, store := b.custom("shop"), b.custom("store")
	acme := b.Tenant("acme", b.Host("acme"), shop)
	b.Create(t, acme)
	b.pass(t, acme) // orders the certificate
	b.serve(t, acme)
	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.Domains = append(tn.Spec.Domains, store) })
	b.pass(t, acme)
	b.serve(t, acme)
	want := map[string][]string{b.Class.Name + "-tls-0": {shop, store}}
	if diff := cmp.Diff(want, b.shards(t), sorted); diff != "" {
		t.Errorf("shards (-want +got):\n%s", diff)
	}
}

// sorted compares lists of listeners in their order.
var sorted = cmp.Transformer("sorted", func(in []string) string {
	return strings.Join(slices.Sorted(slices.Values(in)), ", ")
})

// A tenant may have more custom domains than one Gateway takes listeners.
func TestSecondShard(t *testing.T) {
	t.Parallel()
	b := ofCertificates(t)
	acme := b.Tenant("acme")
	for i := range 62 {
		acme.Spec.Domains = append(acme.Spec.Domains, b.custom(fmt.Sprintf("d%02d", i)))
	}
	b.Create(t, acme)
	b.pass(t, acme)
	b.serve(t, acme)
	sizes := map[string]int{}
	for name, hosts := range b.shards(t) {
		sizes[name] = len(hosts)
	}
	if diff := cmp.Diff(map[string]int{b.Class.Name + "-tls-0": 60, b.Class.Name + "-tls-1": 2}, sizes); diff != "" {
		t.Errorf("listeners by shard (-want +got):\n%s", diff)
	}
	b.Delete(t, acme)
	for range 2 {
		b.pass(t, acme)
		b.pass(t, b.Class)
	}
	b.finish(t, acme)
	if got, certs := b.shards(t), b.certificates(t, b.gateway.Namespace); len(got)+len(certs) != 0 {
		t.Errorf("left: shards %v, %d certificates", got, len(certs))
	}
}

func TestListenerSets(t *testing.T) {
	t.Parallel()
	b := ofCertificates(t)
	before := b.class.DeepCopy()
	b.class.Status.SupportedFeatures = []gatewayv1.SupportedFeature{{Name: "ListenerSet"}}
	if err := b.Admin.Status().Patch(t.Context(), b.class, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	shop := b.custom("shop")
	acme := b.Tenant("acme", b.Host("acme"), shop, b.custom("old"))
	b.Create(t, acme)
	b.pass(t, acme)
	b.acceptAll(t)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Routed", v1alpha1.ReasonListenerNotAllowed, "allowedListeners"))
	b.pass(t, b.Class)
	b.Expect(t, b.Class, operator.Waiting("Ready", v1alpha1.ReasonListenerNotAllowed, "allowedListeners"))
	operator.Update(t, b.Servers, b.gateway, func(g *gatewayv1.Gateway) {
		g.Spec.AllowedListeners = &gatewayv1.AllowedListeners{Namespaces: &gatewayv1.ListenerNamespaces{From: new(gatewayv1.NamespacesFromSame)}}
	})
	b.pass(t, acme)
	b.serve(t, acme)
	set := &gatewayv1.ListenerSet{ObjectMeta: metav1.ObjectMeta{Namespace: b.gateway.Namespace, Name: b.Namespace + ".acme"}}
	b.Get(t, set)
	if len(set.Spec.Listeners) != 2 || len(b.shards(t)) != 0 {
		t.Errorf("listeners %v, shards %v", set.Spec.Listeners, b.shards(t))
	}
	if diff := cmp.Diff([]string{"Gateway edge/web", "ListenerSet " + set.Name + "/" + shop}, b.places(t)[shop]); diff != "" {
		t.Errorf("listeners of %s (-want +got):\n%s", shop, diff)
	}
	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.Domains = tn.Spec.Domains[:2] })
	b.pass(t, acme)
	b.Get(t, set)
	if len(set.Spec.Listeners) != 1 || len(b.certificates(t, b.gateway.Namespace)) != 1 {
		t.Errorf("after a domain went: %d listeners, %d certificates", len(set.Spec.Listeners), len(b.certificates(t, b.gateway.Namespace)))
	}
	b.remove(t, acme)
	if !b.gone(t, set) || len(b.certificates(t, b.gateway.Namespace)) != 0 {
		t.Error("ListenerSet or certificates are left")
	}
}

// Whatever becomes of the class's Gateway, a host that has its listener stays served, and the status says
// what is wrong; no certificate is ordered for one that has none.
func TestServedHostsOutliveFaultsOfTheGateway(t *testing.T) {
	t.Parallel()
	b := ofCertificates(t)
	shop, late := b.custom("shop"), b.custom("late")
	acme := b.Tenant("acme", shop)
	b.Create(t, acme)
	b.pass(t, acme)
	b.serve(t, acme)
	routed, shards := b.places(t)[shop], b.shards(t)
	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.Domains = append(tn.Spec.Domains, late) })

	features := func(has ...gatewayv1.SupportedFeature) {
		before := b.class.DeepCopy()
		b.class.Status.SupportedFeatures = has
		if err := b.Admin.Status().Patch(t.Context(), b.class, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
	}
	listener := func(name gatewayv1.SectionName) {
		operator.Update(t, b.Servers, b.gateway, func(g *gatewayv1.Gateway) { g.Spec.Listeners[1].Name = name })
	}
	anew := func(o client.Object) {
		o.SetResourceVersion("")
		o.SetUID("")
		b.Create(t, o)
	}
	for _, tt := range []struct {
		name, reason string
		do, undo     func()
	}{
		{"data plane learns ListenerSets", v1alpha1.ReasonListenerNotAllowed, func() { features(gatewayv1.SupportedFeature{Name: "ListenerSet"}) }, func() { features() }},
		{"listener is renamed", v1alpha1.ReasonListenerNotFound, func() { listener("tls") }, func() { listener("https") }},
		{"GatewayClass goes", v1alpha1.ReasonRouteNotAccepted, func() { b.Delete(t, b.class) }, func() { anew(b.class) }},
		{"Gateway goes", v1alpha1.ReasonRouteNotAccepted, func() { b.Delete(t, b.gateway) }, func() { anew(b.gateway); b.sayOfListeners(t, b.gateway) }},
	} {
		tt.do()
		b.pass(t, b.Class)
		for range 2 {
			b.pass(t, acme)
		}
		if diff := cmp.Diff(routed, b.places(t)[shop]); diff != "" {
			t.Errorf("%s: listeners of %s (-before +after):\n%s", tt.name, shop, diff)
		}
		if diff := cmp.Diff(shards, b.shards(t)); diff != "" {
			t.Errorf("%s: shards (-before +after):\n%s", tt.name, diff)
		}
		b.Expect(t, acme, operator.Waiting("Routed", tt.reason))
		b.Expect(t, b.Class, operator.Waiting("Ready", tt.reason))
		if d := domain(t, acme, shop); d.Message == "" || d.Certificate == nil || d.Certificate.State != v1alpha1.CertificateReady {
			t.Errorf("%s: state of %s: %+v", tt.name, shop, d)
		}
		if b.certificates(t, b.gateway.Namespace)[late] != nil {
			t.Errorf("%s: a certificate was ordered for %s", tt.name, late)
		}
		tt.undo()
		b.pass(t, b.Class)
	}
	b.pass(t, acme)
	b.serve(t, acme)
}

// Who deletes the Gateway first can delete the tenants all the same, one by one: each takes its own listener
// with it and no other's.
func TestTenantsGoAfterTheGateway(t *testing.T) {
	t.Parallel()
	b := ofCertificates(t)
	acme, globex := b.Tenant("acme", b.custom("shop")), b.Tenant("globex", b.custom("store"))
	b.Create(t, acme, globex)
	b.pass(t, acme)
	b.pass(t, globex)
	b.serve(t, acme)
	b.serve(t, globex)
	b.Delete(t, b.gateway)
	for _, tt := range []struct {
		tenant *v1alpha1.Tenant
		left   map[string][]string
	}{
		{acme, map[string][]string{b.Class.Name + "-tls-0": {b.custom("store")}}},
		{globex, map[string][]string{}},
	} {
		b.Delete(t, tt.tenant)
		for range 3 {
			b.pass(t, tt.tenant)
			b.pass(t, b.Class)
		}
		if !b.gone(t, tt.tenant) {
			t.Errorf("%s is still there: %+v", tt.tenant.Name, tt.tenant.Status.Conditions)
		}
		if diff := cmp.Diff(tt.left, b.shards(t)); diff != "" {
			t.Errorf("shards after %s (-want +got):\n%s", tt.tenant.Name, diff)
		}
	}
	if got := b.certificates(t, b.gateway.Namespace); len(got) != 0 {
		t.Errorf("%d certificates are left", len(got))
	}
	b.Delete(t, b.Class)
	b.pass(t, b.Class)
	if !b.gone(t, b.Class) {
		t.Error("the class is still there")
	}
}

// What the issuer says is what the status says; a host without a good certificate is not Serving.
func TestCertificateStates(t *testing.T) {
	t.Parallel()
	b := ofCertificates(t)
	shop := b.custom("shop")
	acme := b.Tenant("acme", b.Host("acme"), shop)
	b.Create(t, acme)
	b.pass(t, acme)
	b.serve(t, acme)
	failed := metav1.Condition{Type: "Issuing", Status: "False", Reason: "Failed", Message: "no valid A records found"}
	for _, tt := range []struct {
		name     string
		notAfter time.Duration
		says     []metav1.Condition
		state    v1alpha1.CertificateState
		serving  bool
	}{
		{"being replaced", time.Hour, []metav1.Condition{{Type: "Ready", Status: "False", Reason: "IncorrectIssuer", Message: "x"}}, v1alpha1.CertificatePending, true},
		{"not renewed", time.Hour, []metav1.Condition{{Type: "Ready", Status: "True", Reason: "Ready"}, failed}, v1alpha1.CertificateReady, true},
		{"expired", -time.Hour, []metav1.Condition{{Type: "Ready", Status: "False", Reason: "Expired", Message: "expired"}, failed}, v1alpha1.CertificateFailed, false},
		{"renewed", time.Hour, []metav1.Condition{{Type: "Ready", Status: "True", Reason: "Ready"}}, v1alpha1.CertificateReady, true},
	} {
		b.say(t, b.certificates(t, b.gateway.Namespace)[shop], time.Now().Add(tt.notAfter), tt.says...)
		b.pass(t, acme)
		d := domain(t, acme, shop)
		if d.Certificate.State != tt.state || (d.State == v1alpha1.DomainServing) != tt.serving {
			t.Errorf("%s: %s is %s with a certificate %+v", tt.name, shop, d.State, d.Certificate)
		}
		if len(b.places(t)[shop]) != 2 {
			t.Errorf("%s: the route was taken down: %v", tt.name, b.places(t)[shop])
		}
		if !tt.serving {
			b.Expect(t, acme, operator.Waiting("Routed", v1alpha1.ReasonCertificateNotReady, "no longer good", failed.Message))
		}
	}
	b.Expect(t, acme, operator.Ready())
	writes := b.Writes(t)
	b.pass(t, acme)
	for _, w := range writes.API(t) {
		if strings.Contains(w, b.Namespace) {
			t.Errorf("a pass over an unchanged Tenant wrote %s", w)
		}
	}
}

// Objects of others under the names are neither changed nor used.
func TestCertificateNamesOfOthers(t *testing.T) {
	t.Parallel()
	b := ofCertificates(t)
	shop := b.custom("shop")
	acme := b.Tenant("acme", shop)
	b.Create(t, acme)
	name := certificates.Name(shop, acme.UID)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: b.gateway.Namespace, Name: name}}
	b.Create(t, secret)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Routed", v1alpha1.ReasonCertificateNameTaken, "A Secret named", name))
	if got := len(b.certificates(t, b.gateway.Namespace)); got != 0 {
		t.Errorf("%d certificates would overwrite it", got)
	}
	b.Delete(t, secret)
	foreign := &certificates.Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.gateway.Namespace, Name: name},
		Spec:       certificates.Spec{DNSNames: []string{shop}, SecretName: name, IssuerRef: certificates.IssuerRef{Name: "other"}},
	}
	b.Create(t, foreign)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Routed", v1alpha1.ReasonCertificateNameTaken, "A Certificate named", name))
	b.issueForeign(t, foreign)
	b.pass(t, b.Class)
	if got := b.shards(t); len(got) != 0 {
		t.Errorf("a foreign certificate got a listener: %v", got)
	}
	b.remove(t, acme)
	if b.gone(t, foreign) {
		t.Error("the foreign Certificate was deleted")
	}
}

func (b *tlsBench) issueForeign(t *testing.T, c *certificates.Certificate) {
	t.Helper()
	b.say(t, c, time.Now().Add(time.Hour), metav1.Condition{Type: "Ready", Status: "True", Reason: "Ready"})
}

// Issuers count failures: nothing is ordered for a host before its tenant proved that it controls it.
func TestNoCertificateBeforeProof(t *testing.T) {
	t.Parallel()
	b := ofCertificates(t, func(c *v1alpha1.TenantClass) { c.Spec.Domains.Custom.Verification = v1alpha1.VerifyByDNS })
	shop := b.custom("shop")
	acme := b.Tenant("acme", b.Host("acme"), shop)
	b.Create(t, acme)
	b.pass(t, acme)
	b.acceptAll(t)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("DomainsClaimed", v1alpha1.ReasonDomainUnverified, shop))
	if got := len(b.certificates(t, b.gateway.Namespace)); got != 0 {
		t.Errorf("%d certificates for an unverified domain", got)
	}
	claim := &v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: shop}}
	b.Get(t, claim)
	before := claim.DeepCopy()
	claim.Status.Conditions = append(claim.Status.Conditions, metav1.Condition{Type: "Verified", Status: "True", Reason: "Succeeded", LastTransitionTime: metav1.Now()})
	if err := b.asOperator(t).Status().Patch(t.Context(), claim, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	b.pass(t, acme)
	if b.certificates(t, b.gateway.Namespace)[shop] == nil {
		t.Error("no certificate after the proof")
	}
}

// A route is accepted if one of its hosts fits a listener; the status tells which do not.
func TestSharedListenerThatDoesNotFit(t *testing.T) {
	t.Parallel()
	b := newTLSBench(t, func(c *v1alpha1.TenantClass) {
		c.Spec.Routing.TLS = &v1alpha1.RoutingTLS{Certificates: v1alpha1.CertificatesShared}
	})
	shop := b.custom("shop")
	acme := b.Tenant("acme", b.Host("acme"), shop)
	b.Create(t, acme)
	b.pass(t, acme)
	b.acceptAll(t)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("Routed", v1alpha1.ReasonCertificateNotReady, shop, "no listener for HTTPS https that is for this host"))
	if d := domain(t, acme, shop); d.State != v1alpha1.DomainClaimed || d.Certificate.State != v1alpha1.CertificateFailed {
		t.Errorf("state of %s: %+v", shop, d)
	}
	if d := domain(t, acme, b.Host("acme")); d.State != v1alpha1.DomainServing {
		t.Errorf("state of %s: %+v", d.Host, d)
	}
	operator.Update(t, b.Servers, b.gateway, func(g *gatewayv1.Gateway) { g.Spec.Listeners[1].Hostname = nil })
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	operator.Update(t, b.Servers, b.gateway, func(g *gatewayv1.Gateway) { g.Spec.Listeners[1].Name = "other" })
	b.pass(t, b.Class)
	b.Expect(t, b.Class, operator.Waiting("Ready", v1alpha1.ReasonListenerNotFound, `"https"`))
}

// With Ingress, certificates are beside the tenant, and each host is served once its own is there.
func TestIngressCertificates(t *testing.T) {
	t.Parallel()
	b := ofCertificates(t, func(c *v1alpha1.TenantClass) {
		c.Spec.Routing.Gateway, c.Spec.Routing.Ingress = nil, &v1alpha1.IngressRouting{ClassName: "edge"}
		c.Spec.Routing.TLS.HTTPSectionName, c.Spec.Routing.TLS.SecretName = "", "wild"
	})
	shop, host := b.custom("shop"), b.Host("acme")
	acme := b.Tenant("acme", host, shop)
	b.Create(t, acme, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: "wild"}})
	b.pass(t, acme)
	ingress := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: "acme"}}
	b.Get(t, ingress)
	if len(ingress.Spec.Rules) != 1 {
		t.Errorf("rules %v before there is a certificate", ingress.Spec.Rules)
	}
	b.issue(t, b.Namespace)
	b.pass(t, acme)
	b.acceptIngress(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	b.Get(t, ingress)
	want := []networkingv1.IngressTLS{{Hosts: []string{host}, SecretName: "wild"}, {Hosts: []string{shop}, SecretName: certificates.Name(shop, acme.UID)}}
	if diff := cmp.Diff(want, ingress.Spec.TLS); diff != "" {
		t.Errorf("tls (-want +got):\n%s", diff)
	}
	if c := b.certificates(t, b.Namespace)[shop]; c == nil || !metav1.IsControlledBy(c, acme) {
		t.Errorf("certificate %v", c)
	}
	b.remove(t, acme)
	if got := len(b.certificates(t, b.Namespace)); got != 0 {
		t.Errorf("%d certificates are left", got)
	}
}
