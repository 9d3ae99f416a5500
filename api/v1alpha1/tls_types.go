package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// CertificateSource says where the certificates of tenants' hosts come from.
// +kubebuilder:validation:Enum=Shared;CertManager;External
type CertificateSource string

const (
	// CertificatesShared : one certificate of the platform covers all hosts.
	CertificatesShared CertificateSource = "Shared"
	// CertificatesFromCertManager : platform domains use the shared certificate, each custom domain
	// gets one of its own from cert-manager.
	CertificatesFromCertManager CertificateSource = "CertManager"
	// CertificatesExternal : somebody else looks after certificates.
	CertificatesExternal CertificateSource = "External"
)

// RoutingTLS says how tenants' hosts are served by TLS.
// +kubebuilder:validation:XValidation:rule="(self.certificates == 'CertManager') == has(self.issuerRef)",message="set issuerRef with certificates CertManager, and with nothing else"
type RoutingTLS struct {
	// certificates is Shared (one certificate, usually a wildcard, on the Gateway's listener or in
	// secretName covers all hosts), CertManager (platform domains use the shared one; each custom
	// domain gets a Certificate and a listener of its own, ordered only after the tenant proved
	// that it controls the domain) or External (somebody else puts certificates where they are
	// needed; hosts are only routed).
	// +required
	Certificates CertificateSource `json:"certificates,omitempty"`

	// issuerRef names the issuer of cert-manager that signs the certificates of custom domains.
	// +optional
	IssuerRef *IssuerReference `json:"issuerRef,omitempty"`

	// secretName is a Secret of type kubernetes.io/tls with the shared certificate, in the
	// namespace of each Tenant and of the class's own hosts. Ingress only; left out, such hosts get
	// the Ingress controller's default certificate.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	SecretName string `json:"secretName,omitempty"`

	// httpSectionName is the listener of the Gateways for plain HTTP: requests there are redirected
	// (301) to https. Gateway only; left out, hosts have no routes for plain HTTP.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	HTTPSectionName string `json:"httpSectionName,omitempty"`
}

// IssuerReference names an issuer of cert-manager.
type IssuerReference struct {
	// name of the issuer.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`

	// kind of the issuer. An Issuer must be in the namespace of the class's first Gateway; with
	// Ingress, in each Tenant's.
	// +optional
	// +kubebuilder:default=ClusterIssuer
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9]*$`
	Kind string `json:"kind,omitempty"`

	// group of the issuer, for those that are not cert-manager's own.
	// +optional
	// +kubebuilder:default="cert-manager.io"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Group string `json:"group,omitempty"`
}

// CertificateState is how far the certificate of a host came.
// +kubebuilder:validation:Enum=Pending;Ready;Failed
type CertificateState string

const (
	// CertificatePending : it is not there yet.
	CertificatePending CertificateState = "Pending"
	// CertificateReady : it is there and good for the host.
	CertificateReady CertificateState = "Ready"
	// CertificateFailed : it could not be had, or does not fit the host.
	CertificateFailed CertificateState = "Failed"
)

// CertificateStatus is the state of the certificate for a host.
type CertificateStatus struct {
	// state of the certificate: Pending, Ready or Failed.
	// +required
	State CertificateState `json:"state,omitempty"`

	// message of whoever looks after it: the issuer's, where it is one of the host's own.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`

	// notAfter is when the certificate expires, where it is one of the host's own.
	// +optional
	NotAfter *metav1.Time `json:"notAfter,omitempty"`
}
