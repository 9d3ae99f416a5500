package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/certificates"
	"github.com/tenantry/tenantry/test/operator"
	"github.com/tenantry/tenantry/test/platform"
)

var certificateKind = sync.OnceValue(func() error { return servers.Plane.InstallCertificateKind(context.Background()) })

// secureSite is a site with a Gateway of its own for HTTP and HTTPS, a wildcard certificate for platform
// domains, and an authority for custom ones.
type secureSite struct {
	*site
	*authority
	edge string
}

func newSecureSite(t *testing.T, change ...func(*v1alpha1.TenantClass)) *secureSite {
	t.Helper()
	if err := certificateKind(); err != nil {
		t.Fatal(err)
	}
	s := &secureSite{}
	s.site = newSite(t, func(w *operator.World) {
		s.edge = w.Namespace + "-edge"
		w.Class.Spec.Domains = &v1alpha1.DomainPolicy{
			Platform: []v1alpha1.PlatformDomain{{DomainSuffix: w.Namespace + ".example"}},
			Custom:   &v1alpha1.CustomDomains{Verification: v1alpha1.VerifyNothing},
		}
		w.Class.Spec.Routing.Gateway.ParentRefs = []v1alpha1.GatewayReference{{
			NamespacedReference: v1alpha1.NamespacedReference{Namespace: s.edge, Name: "edge"}, SectionName: "https",
		}}
		w.Class.Spec.Routing.TLS = &v1alpha1.RoutingTLS{
			Certificates: v1alpha1.CertificatesFromCertManager, IssuerRef: &v1alpha1.IssuerReference{Name: "test"}, HTTPSectionName: "http",
		}
		for _, f := range change {
			f(w.Class)
		}
	})
	s.Create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.edge}})
	at := s.edge
	if s.Class.Spec.Routing.Gateway == nil {
		at = s.Namespace // Ingress: certificates are beside the tenants.
	}
	s.authority = newAuthority(t, s.site, at)
	if _, err := s.sign(t.Context(), "wild", "wild", nil, "*."+s.site.Namespace+".example"); err != nil {
		t.Fatal(err)
	}
	if at == s.edge {
		if err := traefik.EnsureGateway(t.Context(), s.edge, "edge", "wild"); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *secureSite) custom(name string) string { return name + "." + s.site.Namespace + ".test" }

// handshake returns the certificate that the data plane shows for a server name.
func handshake(ctx context.Context, name string) (*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, requestWithin)
	defer cancel()
	dialer := tls.Dialer{Config: &tls.Config{ServerName: name, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(traefik.HTTPSPort)))
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// ask asks a host by https, with a server name of its own if one is given, trusting the authority alone.
func (s *secureSite) ask(ctx context.Context, host, serverName string) (answer, error) {
	transport := traefik.Transport()
	transport.TLSClientConfig = &tls.Config{RootCAs: s.pool(), ServerName: serverName, MinVersion: tls.VersionTLS12}
	return requestBy(ctx, transport, http.MethodGet, "https://"+host+"/whoami", "")
}

func (s *secureSite) awaitSecure(t *testing.T, host, tenant string) {
	t.Helper()
	operator.Poll(t, operator.Eventually, func() error {
		a, err := s.ask(t.Context(), host, "")
		if err == nil && a.Tenant != tenant {
			err = fmt.Errorf("https://%s is answered by %q with %d, not by %s", host, a.Tenant, a.Status, tenant)
		}
		return err
	})
}

func (s *secureSite) awaitCertificate(t *testing.T, host string, names ...string) *x509.Certificate {
	t.Helper()
	var cert *x509.Certificate
	operator.Poll(t, operator.Eventually, func() (err error) {
		if cert, err = handshake(t.Context(), host); err == nil && !slices.Equal(cert.DNSNames, names) {
			err = fmt.Errorf("%s shows a certificate for %v, not %v", host, cert.DNSNames, names)
		}
		return err
	})
	return cert
}

// shards returns how many listeners each shard of the class has.
func (s *secureSite) shards(t *testing.T) map[string]int {
	t.Helper()
	var list gatewayv1.GatewayList
	if err := s.Admin.List(t.Context(), &list, client.InNamespace(s.edge)); err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int{}
	for _, g := range list.Items {
		if g.Name != "edge" {
			sizes[g.Name] = len(g.Spec.Listeners)
		}
	}
	return sizes
}

// awaitNothing waits until nothing is left of custom domains.
func (s *secureSite) awaitNothing(t *testing.T) {
	t.Helper()
	operator.Poll(t, operator.Eventually, func() error {
		var certs certificates.CertificateList
		if err := s.Admin.List(t.Context(), &certs, client.InNamespace(s.edge)); err != nil {
			return err
		}
		var secrets corev1.SecretList
		if err := s.Admin.List(t.Context(), &secrets, client.InNamespace(s.edge)); err != nil {
			return err
		}
		if shards := s.shards(t); len(certs.Items) != 0 || len(shards) != 0 || len(secrets.Items) != 1 {
			return fmt.Errorf("left: %d certificates, shards %v, %d Secrets besides the wildcard's", len(certs.Items), shards, len(secrets.Items)-1)
		}
		return nil
	})
}

// Two customers on one data plane: each host shows its own certificate and reaches its own tenant; plain
// HTTP leads there; a certificate that is renewed is served; what goes leaves nothing.
func TestEachDomainHasItsCertificate(t *testing.T) {
	t.Parallel()
	s := newSecureSite(t)
	shop, other := s.custom("shop"), s.custom("other")
	acme, globex := s.Tenant("acme", s.Host("acme"), shop), s.Tenant("globex", other)
	s.Create(t, acme, globex)
	s.AwaitReady(t, acme, globex)
	wild := "*." + s.site.Namespace + ".example"
	s.awaitSecure(t, s.Host("acme"), s.site.Namespace+"/acme")
	s.awaitSecure(t, other, s.site.Namespace+"/globex")
	s.awaitCertificate(t, s.Host("acme"), wild)
	old := s.awaitCertificate(t, shop, shop)
	s.awaitCertificate(t, other, other)

	for from, to := range map[string]string{
		"http://" + s.Host("acme") + "/a/b?c=d&e=%2F": "https://" + s.Host("acme") + "/a/b?c=d&e=%2F",
		"http://" + shop + "/a/b?c=d":                 "https://" + s.Host("acme") + "/a/b?c=d",
		"https://" + shop + "/a/b?c=d":                "https://" + s.Host("acme") + "/a/b?c=d",
		"http://" + other + "/":                       "https://" + other + "/",
	} {
		transport := traefik.Transport()
		transport.TLSClientConfig = &tls.Config{RootCAs: s.pool(), MinVersion: tls.VersionTLS12}
		operator.Poll(t, operator.Eventually, func() error {
			a, err := requestBy(t.Context(), transport, http.MethodGet, from, "")
			if err == nil && (a.Status != http.StatusMovedPermanently || a.Location != to) {
				err = fmt.Errorf("%s answers %d %q, want 301 %q", from, a.Status, a.Location, to)
			}
			return err
		})
	}
	for _, name := range []string{"unknown.example", s.custom("sub.shop"), "a.b." + s.site.Namespace + ".example"} {
		cert, err := handshake(t.Context(), name)
		if err == nil && (slices.Contains(cert.DNSNames, shop) || slices.Contains(cert.DNSNames, other)) {
			t.Errorf("the server name %s is shown the certificate for %v", name, cert.DNSNames)
		}
	}
	// A connection for one customer's name with another's host may be refused; it is never answered as the
	// first one.
	if a, err := s.ask(t.Context(), other, shop); err == nil && a.Tenant != "" && a.Tenant != s.site.Namespace+"/globex" {
		t.Errorf("server name %s and host %s are answered by %s", shop, other, a.Tenant)
	}

	name := certificates.Name(shop, acme.UID)
	if _, err := s.sign(t.Context(), name, name, nil, shop); err != nil {
		t.Fatal(err)
	}
	operator.Poll(t, operator.Eventually, func() error {
		cert, err := handshake(t.Context(), shop)
		if err == nil && cert.SerialNumber.Cmp(old.SerialNumber) == 0 {
			err = fmt.Errorf("the old certificate is shown")
		}
		return err
	})

	stop := s.witness(t, other, s.site.Namespace+"/globex")
	s.Delete(t, acme)
	s.AwaitGone(t, operator.Eventually, acme)
	if diff := cmp.Diff(map[string]int{s.Class.Name + "-tls-0": 1}, s.shards(t)); diff != "" {
		t.Errorf("listeners by shard (-want +got):\n%s", diff)
	}
	if err := stop(); err != nil {
		t.Errorf("meanwhile on another tenant's host: %v", err)
	}
	operator.Update(t, s.Servers, globex, func(tn *v1alpha1.Tenant) { tn.Spec.Domains = []string{s.Host("globex")} })
	s.awaitSecure(t, s.Host("globex"), s.site.Namespace+"/globex")
	s.awaitNothing(t)
	if cert, err := handshake(t.Context(), other); err == nil && slices.Contains(cert.DNSNames, other) {
		t.Errorf("%s still shows its certificate", other)
	}
}

// witness asks a host by https until the returned function is called, which tells of the first answer that
// was not the tenant's.
func (s *secureSite) witness(t *testing.T, host, tenant string) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			a, err := s.ask(t.Context(), host, "")
			if err == nil && a.Tenant != tenant {
				err = fmt.Errorf("answered by %q with %d", a.Tenant, a.Status)
			}
			if err != nil || ctx.Err() != nil {
				done <- err
				return
			}
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	}()
	return func() error {
		cancel()
		return <-done
	}
}

// An issuer that refuses one domain, and a domain that nobody proved: the others are served, and nothing is
// ordered for the unproved one.
func TestCertificateThatCannotBeHad(t *testing.T) {
	t.Parallel()
	s := newSecureSite(t)
	refused := s.custom("x")
	refused = "refused." + refused
	acme := s.Tenant("acme", s.Host("acme"), refused)
	s.Create(t, acme)
	s.AwaitWant(t, operator.Eventually, acme, operator.Waiting("Routed", v1alpha1.ReasonCertificateNotReady, refused, "CAA forbids it"))
	s.awaitSecure(t, s.Host("acme"), s.site.Namespace+"/acme")
	for _, d := range acme.Status.Domains {
		if d.Host == refused && (d.State != v1alpha1.DomainClaimed || d.Certificate == nil || d.Certificate.State != v1alpha1.CertificateFailed) {
			t.Errorf("state of the refused domain: %+v", d)
		}
	}
	operator.Update(t, s.Servers, s.Class, func(c *v1alpha1.TenantClass) { c.Spec.Domains.Custom.Verification = v1alpha1.VerifyByDNS })
	s.AwaitReady(t, s.Class) // Nothing else says that the operator has seen the class before the Tenant.
	unproved := s.custom("unproved")
	globex := s.Tenant("globex", s.Host("globex"), unproved)
	s.Create(t, globex)
	s.AwaitWant(t, operator.Eventually, globex, operator.Want{Condition: "DomainsClaimed", Reason: v1alpha1.ReasonDomainUnverified, Message: []string{unproved}})
	s.awaitSecure(t, s.Host("globex"), s.site.Namespace+"/globex")
	if s.hasSeen(unproved) {
		t.Error("a certificate was ordered for a domain that nobody proved")
	}
}

// One Gateway takes 64 listeners; customers have more domains.
func TestMoreDomainsThanOneGatewayTakes(t *testing.T) {
	t.Parallel()
	s := newSecureSite(t)
	acme := s.Tenant("acme")
	for i := range 62 {
		acme.Spec.Domains = append(acme.Spec.Domains, s.custom(fmt.Sprintf("d%02d", i)))
	}
	s.Create(t, acme)
	s.AwaitWant(t, 2*operator.Eventually, acme, operator.Ready())
	if diff := cmp.Diff(map[string]int{s.Class.Name + "-tls-0": 60, s.Class.Name + "-tls-1": 2}, s.shards(t)); diff != "" {
		t.Errorf("listeners by shard (-want +got):\n%s", diff)
	}
	s.awaitSecure(t, acme.Spec.Domains[0], s.site.Namespace+"/acme")
	for _, host := range acme.Spec.Domains {
		s.awaitCertificate(t, host, host)
	}
	s.Delete(t, acme)
	s.AwaitGone(t, operator.Eventually, acme)
	s.awaitNothing(t)
}

func TestIngressShowsCertificates(t *testing.T) {
	t.Parallel()
	s := newSecureSite(t, func(c *v1alpha1.TenantClass) {
		c.Spec.Routing.Gateway, c.Spec.Routing.Ingress = nil, &v1alpha1.IngressRouting{
			ClassName: platform.TraefikClass, Port: int32(traefik.HTTPPort),
			Annotations: map[string]string{"traefik.ingress.kubernetes.io/router.entrypoints": "websecure"},
		}
		c.Spec.Routing.TLS.HTTPSectionName, c.Spec.Routing.TLS.SecretName = "", "wild"
	})
	shop := s.custom("shop")
	acme := s.Tenant("acme", s.Host("acme"), shop)
	s.Create(t, acme)
	s.AwaitReady(t, acme)
	s.awaitCertificate(t, s.Host("acme"), "*."+s.site.Namespace+".example")
	s.awaitCertificate(t, shop, shop)
	s.awaitSecure(t, shop, s.site.Namespace+"/acme")
}
