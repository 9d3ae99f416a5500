package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/internal/certificates"
)

// authority stands in for cert-manager and an issuer: it signs the Certificates of a namespace, writes their
// Secrets and statuses as cert-manager does, and refuses hosts that begin with "refused.".
type authority struct {
	client    client.Client
	namespace string
	cert      *x509.Certificate
	key       *ecdsa.PrivateKey

	mu sync.Mutex
	// ordered are the hosts for which a Certificate was ever seen.
	ordered map[string]bool
}

// newAuthority works until the test ends.
func newAuthority(t *testing.T, s *site, namespace string) *authority {
	t.Helper()
	a := &authority{client: s.Admin, namespace: namespace, ordered: map[string]bool{}}
	template := a.template("Authority of " + namespace)
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	go func() {
		defer close(done)
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for ctx.Err() == nil {
			if err := a.look(ctx); err != nil && ctx.Err() == nil {
				t.Logf("authority: %v", err)
			}
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return a
}

func (a *authority) template(name string) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		panic(err) // The system has no randomness.
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
}

// pool trusts the authority alone.
func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// look signs what is not signed yet.
func (a *authority) look(ctx context.Context) error {
	var list certificates.CertificateList
	if err := a.client.List(ctx, &list, client.InNamespace(a.namespace)); err != nil {
		return err
	}
	for i := range list.Items {
		c := &list.Items[i]
		a.mu.Lock()
		a.ordered[c.Host()] = true
		a.mu.Unlock()
		if meta.FindStatusCondition(c.Status.Conditions, "Ready") != nil || !c.DeletionTimestamp.IsZero() {
			continue
		}
		if err := client.IgnoreNotFound(a.answer(ctx, c)); err != nil {
			return err
		}
	}
	return nil
}

func (a *authority) hasSeen(host string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ordered[host]
}

func (a *authority) answer(ctx context.Context, c *certificates.Certificate) error {
	if strings.HasPrefix(c.Host(), "refused.") {
		return a.say(ctx, c, nil,
			metav1.Condition{Type: "Ready", Status: "False", Reason: "DoesNotExist", Message: "Issuing certificate as Secret does not exist"},
			metav1.Condition{Type: "Issuing", Status: "False", Reason: "Failed", Message: "The certificate request has failed: CAA forbids it"})
	}
	notAfter, err := a.sign(ctx, c.Spec.SecretName, c.Name, c.Spec.SecretTemplate.Labels, c.Spec.DNSNames...)
	if err != nil {
		return err
	}
	return a.say(ctx, c, &metav1.Time{Time: notAfter}, metav1.Condition{Type: "Ready", Status: "True", Reason: "Ready", Message: "Certificate is up to date and has not expired"})
}

func (a *authority) say(ctx context.Context, c *certificates.Certificate, notAfter *metav1.Time, conditions ...metav1.Condition) error {
	before := c.DeepCopy()
	for i := range conditions {
		conditions[i].LastTransitionTime = metav1.Now()
	}
	c.Status = certificates.Status{Conditions: conditions, NotAfter: notAfter}
	return a.client.Status().Patch(ctx, c, client.MergeFrom(before))
}

// sign writes a new key and certificate into a Secret.
func (a *authority) sign(ctx context.Context, name, of string, labels map[string]string, hosts ...string) (time.Time, error) {
	template := a.template(hosts[0])
	template.DNSNames, template.ExtKeyUsage = hosts, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return time.Time{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return time.Time{}, err
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return time.Time{}, err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: a.namespace, Name: name, Labels: labels, Annotations: map[string]string{"cert-manager.io/certificate-name": of},
		},
		Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{
			"tls.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
			"tls.key": pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}),
		},
	}
	err = a.client.Create(ctx, secret)
	if apierrors.IsAlreadyExists(err) {
		err = a.client.Update(ctx, secret)
	}
	return template.NotAfter, err
}
