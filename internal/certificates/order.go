// Package certificates orders certificates for tenants' own domains from cert-manager, says how far each
// came, and takes them away again with their keys. It never touches a Certificate or a Secret that it
// did not make. Where they are beside a Gateway, a tenant's Certificates are known by labels: who could
// forge them there could read the keys as well. Beside a tenant they are known by their owner.
//
// It knows cert-manager's kind by its name alone, needs no cert-manager to run, and says
// CertificateAPIMissing where one is needed.
package certificates

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/internal/routing"
)

// maxName is the longest name of an object.
const maxName = 253

// annotationReleased marks a Certificate whose host is served no longer: its listener is to go, and it
// goes after that.
const annotationReleased = "tenantry.dev/released"

// Order is a certificate that is wanted.
type Order struct {
	// Host in canonical form. The tenant has proved that it controls it: issuers count failures.
	Host   string
	Tenant *v1alpha1.Tenant
	Class  *v1alpha1.TenantClass
	// Namespace is the first Gateway's of the class, or the Tenant's own.
	Namespace string
}

// Name returns the name of the Certificate and of the Secret for a host. A host that goes from one
// Tenant to another gets another name, so that neither waits for the other.
func Name(host string, holder types.UID) string {
	tail := "-" + sum(string(holder))
	name := domains.ClaimName(host)
	if len(name)+len(tail) > maxName {
		name = name[:maxName-2*len(tail)] + "-" + sum(host)
	}
	return name + tail
}

func sum(text string) string {
	digest := sha256.Sum256([]byte(text))
	return hex.EncodeToString(digest[:4])
}

// certificate is the object that is wanted.
func (o Order) certificate() *Certificate {
	labels := routing.Labels(o.Tenant)
	labels[routing.LabelClass] = o.Class.Name
	c := &Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: Name(o.Host, o.Tenant.UID), Labels: labels},
		Spec: Spec{
			DNSNames:       []string{o.Host},
			SecretName:     Name(o.Host, o.Tenant.UID),
			SecretTemplate: &SecretTemplate{Labels: maps.Clone(labels)},
			IssuerRef:      issuer(o.Class.Spec.Routing.TLS.IssuerRef),
			PrivateKey:     &PrivateKey{RotationPolicy: "Always"},
		},
	}
	if o.Namespace == o.Tenant.Namespace {
		c.OwnerReferences = []metav1.OwnerReference{routing.Owner(o.Tenant)}
	}
	return c
}

func issuer(ref *v1alpha1.IssuerReference) IssuerRef {
	return IssuerRef{Name: ref.Name, Kind: cmp.Or(ref.Kind, "ClusterIssuer"), Group: cmp.Or(ref.Group, GroupVersion.Group)}
}

// Host for which a Certificate of the operator's is.
func (c *Certificate) Host() string {
	if len(c.Spec.DNSNames) == 0 {
		return ""
	}
	return c.Spec.DNSNames[0]
}

// Released says whether its host is served no longer.
func (c *Certificate) Released() bool { return c.Annotations[annotationReleased] != "" }

// belongs says whether a Certificate was made for a tenant.
func (c *Certificate) belongs(tenant *v1alpha1.Tenant) bool {
	if c.Namespace == tenant.Namespace {
		return metav1.IsControlledBy(c, tenant)
	}
	return c.Labels[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy && c.Labels[routing.LabelTenantUID] == string(tenant.UID)
}
