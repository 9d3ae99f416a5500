package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// TenantSpec says what one customer of the product gets.
// +kubebuilder:validation:XValidation:rule="has(self.schemaName) == has(oldSelf.schemaName)",message="schemaName is immutable: it can be neither added nor removed; delete the Tenant (deletionPolicy Retain keeps the data) and create it anew"
type TenantSpec struct {
	// className names the TenantClass, which says which databases, migrations and routes the
	// tenant gets. Immutable.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="className is immutable; delete the Tenant and create it with the other class"
	ClassName string `json:"className,omitempty"`

	// domains are the hosts on which the tenant is served. The first is the primary domain;
	// requests to the others are redirected to it. A domain like *.acme.com stands for all hosts
	// below it. A host belongs to one Tenant of the whole cluster.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=254
	// +kubebuilder:validation:XValidation:rule="self.all(d, !d.matches('[/:@?#\\\\s]|.[*]|[*]([^.]|$)'))",message="a domain is a host name alone, like acme.example.com, or *.acme.com for all hosts below it: no scheme, port, path or space, and no wildcard elsewhere"
	// +kubebuilder:validation:XValidation:rule="!self[0].startsWith('*')",message="the first domain is the primary one, to which others redirect: it cannot be a wildcard"
	// +kubebuilder:validation:XValidation:rule="self.all(d, self.exists_one(e, e.lowerAscii() == d.lowerAscii()))",message="the same domain is listed twice"
	Domains []string `json:"domains,omitempty"`

	// schemaName is the PostgreSQL schema. Left out, it is made from namespace and name and
	// shown in status. Immutable.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=50
	// +kubebuilder:validation:Pattern=`^[a-z][a-z0-9_]*$`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="schemaName is immutable; delete the Tenant (deletionPolicy Retain keeps the data) and create it anew"
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('pg_') && !(self in ['public', 'information_schema', 'tenantry', 'shared', 'default', 'none', 'postgres'])",message="this schema name is reserved by PostgreSQL or Tenantry; choose another"
	SchemaName string `json:"schemaName,omitempty"`

	// deletionPolicy overrides the class's policy for this tenant: Retain keeps schema and
	// data when the Tenant is deleted, Delete drops them.
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// migrations overrides how the tenant follows its class's MigrationSet.
	// +optional
	Migrations *TenantMigrations `json:"migrations,omitempty"`

	// backend is the Service that serves this tenant, in place of its class's. Another namespace
	// than the Tenant's must allow it by a ReferenceGrant.
	// +optional
	Backend *ServiceBackend `json:"backend,omitempty"`

	// reader overrides whether the tenant has a login that can only read, if its class offers one.
	// +optional
	Reader Switch `json:"reader,omitempty"`

	// suspended takes the tenant's hosts off its backend; the class's holding backend answers
	// there, if it names one. Schema, data and logins stay as they are.
	// +optional
	Suspended bool `json:"suspended,omitempty"` //nolint:kubeapilinter // false and left out mean the same
}

// TenantMigrations overrides how a tenant follows its class's MigrationSet.
type TenantMigrations struct {
	// targetVersion pins the tenant to a version of the MigrationSet. Left out, it follows the
	// set's newest version. A tenant is never taken back to an older version.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9]+([._][0-9]+)*$`
	TargetVersion string `json:"targetVersion,omitempty"`
}

// TenantStatus is what the operator saw and did.
type TenantStatus struct {
	// conditions say whether the customer can work (Ready) and how far each step came. See
	// docs/tenant.md for types and reasons.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +patchStrategy=merge
	// +patchMergeKey=type
	// +kubebuilder:validation:MaxItems=24
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// observedGeneration is the newest generation of the spec on which there is a verdict.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// database is the TenantDatabase on which the tenant was placed. It does not change.
	// +optional
	Database *NamespacedReference `json:"database,omitempty"`

	// schema is the tenant's PostgreSQL schema.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Schema string `json:"schema,omitempty"`

	// schemaRecreations is how often a schema that was lost was begun anew, empty, because the annotation
	// tenantry.dev/recreate-schema asked for it.
	// +optional
	// +kubebuilder:validation:Minimum=0
	SchemaRecreations int32 `json:"schemaRecreations,omitempty"`

	// version is the migration at which the schema stands.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Version string `json:"version,omitempty"`

	// digest is the state of the MigrationSet that the schema was brought to, or last failed to be.
	// +optional
	// +kubebuilder:validation:MaxLength=80
	Digest string `json:"digest,omitempty"`

	// primaryDomain is the canonical form of the first domain.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	PrimaryDomain string `json:"primaryDomain,omitempty"`

	// binding names the Secret with the tenant's credentials, as in the Service Binding
	// specification (a Provisioned Service).
	// +optional
	Binding *LocalReference `json:"binding,omitempty"`

	// credentials says which login is in that Secret.
	// +optional
	Credentials *TenantCredentials `json:"credentials,omitempty"`

	// reader is the tenant's login that can only read, if it has one.
	// +optional
	Reader *ReaderStatus `json:"reader,omitempty"`

	// domains say of each wanted host whether this tenant holds it.
	// +optional
	// +listType=map
	// +listMapKey=host
	// +kubebuilder:validation:MaxItems=64
	Domains []TenantDomainStatus `json:"domains,omitempty"`
}

// TenantCredentials says as whom programs log in for a tenant.
type TenantCredentials struct {
	// mode is the class's: Dedicated (the tenant's own login), SetRole or Shared (a login of all
	// tenants of the class).
	// +optional
	Mode LoginMode `json:"mode,omitempty"`

	// role whose rights programs have in the tenant's schema; with SetRole, the one to set.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Role string `json:"role,omitempty"`

	// sharedSecretRef names the Secret with the shared login's credentials. Left out with Dedicated,
	// where binding names it.
	// +optional
	SharedSecretRef *NamespacedReference `json:"sharedSecretRef,omitempty"`

	// login is the role that logs in.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Login string `json:"login,omitempty"`

	// since is when it came into the Secret.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`

	// previous is the login before it, as long as it still works: until its grace is over and its
	// last session has ended.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Previous string `json:"previous,omitempty"`
}

// DomainState is how far a host came.
// +kubebuilder:validation:Enum=Invalid;NotAllowed;Taken;Unverified;Claimed;Holding;Serving;Unreachable
type DomainState string

const (
	// DomainInvalid is no host name.
	DomainInvalid DomainState = "Invalid"
	// DomainNotAllowed is a host that the class does not offer to this tenant.
	DomainNotAllowed DomainState = "NotAllowed"
	// DomainStateTaken is held by another tenant, or has another role in the cluster.
	DomainStateTaken DomainState = "Taken"
	// DomainUnverified is held by this tenant, which has not proved yet that it controls it.
	DomainUnverified DomainState = "Unverified"
	// DomainClaimed is held by this tenant and not served yet.
	DomainClaimed DomainState = "Claimed"
	// DomainHolding is held by this tenant and answered by the class's holding backend.
	DomainHolding DomainState = "Holding"
	// DomainServing is held by this tenant and accepted by the data plane.
	DomainServing DomainState = "Serving"
	// DomainUnreachable is accepted by the data plane and does not answer as it should.
	DomainUnreachable DomainState = "Unreachable"
)

// TenantDomainStatus is the state of one host.
type TenantDomainStatus struct {
	// host in its canonical form (lower case, punycode, no trailing dot); as written in the
	// spec where it is invalid.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=254
	Host string `json:"host,omitempty"`

	// state of the host: Invalid, NotAllowed, Taken, Unverified, Claimed, Holding, Serving or
	// Unreachable.
	// +required
	State DomainState `json:"state,omitempty"`

	// claim names the DomainClaim that holds the host for this tenant.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Claim string `json:"claim,omitempty"`

	// message says why the host is not served and what to do.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// record is the DNS record to create where control of the host is not proved.
	// +optional
	Record *DNSRecord `json:"record,omitempty"`

	// certificate is the state of the host's certificate, as far as the class's routing.tls says who
	// looks after it.
	// +optional
	Certificate *CertificateStatus `json:"certificate,omitempty"`
}

// Tenant gives one customer of a product its own PostgreSQL schema, roles and credentials, runs
// its migrations, routes its domains, and says in its conditions whether that customer can work.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=tn,categories=tenantry
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Database",type=string,JSONPath=`.status.database.name`
// +kubebuilder:printcolumn:name="Schema",type=string,JSONPath=`.status.schema`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.version`
// +kubebuilder:printcolumn:name="Domain",type=string,JSONPath=`.status.primaryDomain`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Class",type=string,priority=1,JSONPath=`.spec.className`
// +kubebuilder:printcolumn:name="Secret",type=string,priority=1,JSONPath=`.status.binding.name`
// +kubebuilder:printcolumn:name="Isolated",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Isolated")].status`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="a Tenant's name has at most 63 characters: it becomes a label value and part of other names"
// +kubebuilder:validation:XValidation:rule="!self.metadata.name.matches('[.](alias|shared|http|custom|more)(-[0-9]+)?$')",message="a Tenant's name cannot end with .alias, .shared, .http, .custom or .more: routes of other Tenants are called so"
type Tenant struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says what the customer gets.
	// +required
	Spec TenantSpec `json:"spec,omitzero"`

	// status is what the operator saw and did.
	// +optional
	// +kubebuilder:default={observedGeneration:-1}
	Status TenantStatus `json:"status,omitzero"`
}

// TenantList is a list of Tenants.
//
// +kubebuilder:object:root=true
type TenantList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Tenant `json:"items"`
}

// GetConditions returns the conditions; it serves the code that all kinds share.
func (t *Tenant) GetConditions() *[]metav1.Condition { return &t.Status.Conditions }

// SetObservedGeneration records that there is a verdict on a generation of the spec.
func (t *Tenant) SetObservedGeneration(generation int64) { t.Status.ObservedGeneration = generation }
