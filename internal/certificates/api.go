package certificates

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is that of cert-manager's kinds.
var GroupVersion = schema.GroupVersion{Group: "cert-manager.io", Version: "v1"}

// Certificate is the part of cert-manager's kind that the operator writes and reads. Fields that it does
// not know stay as they are: it changes a Certificate by patches.
type Certificate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitzero"`

	Spec   Spec   `json:"spec,omitzero"`
	Status Status `json:"status,omitzero"`
}

// Spec of a Certificate.
type Spec struct {
	DNSNames       []string        `json:"dnsNames,omitempty"`
	SecretName     string          `json:"secretName,omitempty"`
	SecretTemplate *SecretTemplate `json:"secretTemplate,omitempty"`
	IssuerRef      IssuerRef       `json:"issuerRef,omitzero"`
	PrivateKey     *PrivateKey     `json:"privateKey,omitempty"`
}

// SecretTemplate is what a Certificate's Secret gets besides its data.
type SecretTemplate struct {
	Labels map[string]string `json:"labels,omitempty"`
}

// IssuerRef names the issuer of a Certificate.
type IssuerRef struct {
	Name  string `json:"name,omitempty"`
	Kind  string `json:"kind,omitempty"`
	Group string `json:"group,omitempty"`
}

// PrivateKey says how a Certificate's key is looked after.
type PrivateKey struct {
	RotationPolicy string `json:"rotationPolicy,omitempty"`
}

// Status of a Certificate.
type Status struct {
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// NotAfter is when the certificate in the Secret expires; nil if there is none.
	NotAfter *metav1.Time `json:"notAfter,omitempty"`
}

// CertificateList is a list of Certificates.
type CertificateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`

	Items []Certificate `json:"items"`
}

// AddToScheme makes the kind known.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &Certificate{}, &CertificateList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}

// DeepCopy returns a copy that shares nothing.
func (c *Certificate) DeepCopy() *Certificate {
	out := *c
	out.ObjectMeta = *c.ObjectMeta.DeepCopy()
	out.Spec.DNSNames = slices.Clone(c.Spec.DNSNames)
	if c.Spec.SecretTemplate != nil {
		out.Spec.SecretTemplate = &SecretTemplate{Labels: maps.Clone(c.Spec.SecretTemplate.Labels)}
	}
	if c.Spec.PrivateKey != nil {
		out.Spec.PrivateKey = new(*c.Spec.PrivateKey)
	}
	out.Status.Conditions = slices.Clone(c.Status.Conditions) // Their times are never changed in place.
	out.Status.NotAfter = c.Status.NotAfter.DeepCopy()
	return &out
}

// DeepCopyObject makes it a runtime.Object.
func (c *Certificate) DeepCopyObject() runtime.Object { return c.DeepCopy() }

// DeepCopyObject makes it a runtime.Object.
func (l *CertificateList) DeepCopyObject() runtime.Object {
	out := *l
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	out.Items = make([]Certificate, len(l.Items))
	for i := range l.Items {
		out.Items[i] = *l.Items[i].DeepCopy()
	}
	return &out
}
