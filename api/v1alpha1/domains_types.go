package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// HostRole is what a host is for. A host has one role in the whole cluster.
// +kubebuilder:validation:Enum=Tenant;Shared;Public
type HostRole string

const (
	// HostTenant is a host of one tenant.
	HostTenant HostRole = "Tenant"
	// HostShared is one host for many tenants, told apart by a header or a path.
	HostShared HostRole = "Shared"
	// HostPublic is a host that needs no tenant.
	HostPublic HostRole = "Public"
)

// DomainPolicy says which hosts the tenants of a class may have, and on what proof.
type DomainPolicy struct {
	// platform are the platform's own domains: hosts under them need no proof. Several entries
	// may name one suffix for different namespaces; one that allows a host is enough.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Platform []PlatformDomain `json:"platform,omitempty"`

	// custom says what any other host needs. Left out, tenants have platform domains only.
	// +optional
	Custom *CustomDomains `json:"custom,omitempty"`
}

// PlatformDomain offers hosts under a domain of the platform.
type PlatformDomain struct {
	// domainSuffix is the domain under which the hosts are, like tasklane.example. In lower case
	// and punycode.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=200
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)+[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	DomainSuffix string `json:"domainSuffix,omitempty"`

	// allowedHosts are patterns of what may stand before the suffix: * stands for any characters
	// of one label, {namespace} and {name} for the Tenant's. Left out, it is any one label.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.all(p, p.matches('^([-a-z0-9*]|[{]name[}]|[{]namespace[}])+([.]([-a-z0-9*]|[{]name[}]|[{]namespace[}])+)*$'))",message="a pattern has labels of letters, digits, hyphens, *, {namespace} and {name}, with dots between them, like *, {name}-* or www.{name}"
	AllowedHosts []string `json:"allowedHosts,omitempty"`

	// allowedNamespaces says whose Tenants get these hosts. Left out, those of every namespace
	// that may use the class.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.from != 'Same'",message="a TenantClass has no namespace: use All or Selector"
	AllowedNamespaces *AllowedNamespaces `json:"allowedNamespaces,omitempty"`
}

// DomainVerification says what proves that a tenant controls a custom domain.
// +kubebuilder:validation:Enum=DNS;None
type DomainVerification string

const (
	// VerifyByDNS wants a record in the domain's DNS.
	VerifyByDNS DomainVerification = "DNS"
	// VerifyNothing trusts whoever may write Tenants.
	VerifyNothing DomainVerification = "None"
)

// CustomDomains says what hosts need that are not the platform's.
type CustomDomains struct {
	// verification is DNS (a TXT record at _tenantry-challenge.<host>, or a CNAME to cnameTarget)
	// or None, which trusts everybody who may write Tenants of this class with any host.
	// +optional
	// +kubebuilder:default=DNS
	Verification DomainVerification `json:"verification,omitempty"`

	// cnameTarget proves control too, of a host whose CNAME it is. {namespace} and {name} stand
	// for the Tenant's. Without {name}, a record that outlives its tenant proves any tenant's
	// control: then use it for domains only that nobody forgets to clean up.
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=200
	// +kubebuilder:validation:Pattern=`^(([-a-z0-9]|\{name\}|\{namespace\})+\.)+[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	CNAMETarget string `json:"cnameTarget,omitempty"`
}

// VerificationMethod is how a host was found to be its tenant's.
// +kubebuilder:validation:Enum=Platform;TXT;CNAME;Trusted
type VerificationMethod string

const (
	// VerifiedPlatform : the host lies under a domain that the class offers.
	VerifiedPlatform VerificationMethod = "Platform"
	// VerifiedTXT : the challenge record holds the tenant's value.
	VerifiedTXT VerificationMethod = "TXT"
	// VerifiedCNAME : the host is an alias of the class's target.
	VerifiedCNAME VerificationMethod = "CNAME"
	// VerifiedTrusted : the class asks for no proof, or the host is declared by a class itself.
	VerifiedTrusted VerificationMethod = "Trusted"
)

// DNSRecord is a record that a customer should create.
type DNSRecord struct {
	// type of the record: TXT.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16
	Type string `json:"type,omitempty"`

	// name of the record.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=254
	Name string `json:"name,omitempty"`

	// value of the record. It is bound to the tenant and the host, and is no secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=254
	Value string `json:"value,omitempty"`
}

// ClaimVerification is what is known about who controls a host.
type ClaimVerification struct {
	// method by which the holder's right was seen.
	// +required
	Method VerificationMethod `json:"method,omitempty"`

	// missingSince is when the record that had proved it was first seen to be gone. The claim
	// stays verified for a grace of three days after it.
	// +optional
	MissingSince *metav1.Time `json:"missingSince,omitempty"`
}
