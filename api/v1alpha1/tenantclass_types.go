package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// TenantClassSpec is what the platform team offers to tenants.
//
// +kubebuilder:validation:XValidation:rule="!has(self.logins) || !has(self.logins.secretRef) || self.databases.all(d, self.databases.exists_one(e, e.name == d.name))",message="with logins.secretRef no two databases can have one name, in whatever namespaces: the Secrets of the shared logins are called after it"
type TenantClassSpec struct {
	// allowedNamespaces says from which namespaces Tenants may name this class. Same has no
	// meaning for a cluster-wide class.
	// +optional
	// +kubebuilder:default={from: All}
	// +kubebuilder:validation:XValidation:rule="self.from != 'Same'",message="a TenantClass has no namespace: use All or Selector"
	AllowedNamespaces *AllowedNamespaces `json:"allowedNamespaces,omitempty"`

	// databases are the TenantDatabases on which tenants are placed; a new tenant goes to the
	// one with the most free capacity and stays there.
	// +required
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Databases []NamespacedReference `json:"databases,omitempty"`

	// migrationSetRef names the MigrationSet whose migrations every tenant of this class gets.
	// Left out, tenants get an empty schema.
	// +optional
	MigrationSetRef *NamespacedReference `json:"migrationSetRef,omitempty"`

	// domains says which hosts tenants may have, and on what proof. Left out, they may have any
	// that they prove to control by a DNS record.
	// +optional
	// +kubebuilder:default={custom: {verification: DNS}}
	Domains *DomainPolicy `json:"domains,omitempty"`

	// routing says how tenants' domains reach the product. Left out, domains are claimed and
	// not routed.
	// +optional
	Routing *Routing `json:"routing,omitempty"`

	// deletionPolicy says what becomes of a tenant's data when its Tenant is deleted: Retain
	// keeps it, Delete drops it. A Tenant may say otherwise for itself.
	// +optional
	// +kubebuilder:default=Retain
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// credentials says how tenants' logins change. Left out, a login stays until somebody asks for
	// another.
	// +optional
	Credentials *CredentialsPolicy `json:"credentials,omitempty"`

	// logins says as whom programs log in. Left out, each tenant has a login of its own.
	// +optional
	Logins *LoginPolicy `json:"logins,omitempty"`

	// limits bound what one tenant's login may use.
	// +optional
	Limits *TenantLimits `json:"limits,omitempty"`
}

// CredentialsPolicy says how tenants' logins change. A tenant has two that take turns: the new one is in
// the Secret before the old one stops to work.
type CredentialsPolicy struct {
	// rotateAfterDays is the age at which a login is replaced. Left out, only the annotation
	// tenantry.dev/rotate-credentials on a Tenant replaces it.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3650
	RotateAfterDays int32 `json:"rotateAfterDays,omitempty"`

	// graceSeconds is how long the old login works at least, so that every program reads the new
	// one. It works on as long as it has sessions.
	// +optional
	// +kubebuilder:default=3600
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2592000
	GraceSeconds int32 `json:"graceSeconds,omitempty"`

	// extraKeys are further keys of tenants' Secrets, made from their credentials, such as the URL
	// that a certain driver wants.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MaxItems=16
	ExtraKeys []SecretKey `json:"extraKeys,omitempty"`
}

// TenantLimits bound what one tenant's login may use.
type TenantLimits struct {
	// connections is the greatest number of sessions of the tenant's login at a time.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	Connections int32 `json:"connections,omitempty"`

	// statementTimeoutSeconds ends statements that run longer. The login can raise it for its
	// own session: it is a default, not a wall.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	StatementTimeoutSeconds int32 `json:"statementTimeoutSeconds,omitempty"`

	// lockTimeoutMilliseconds ends statements that wait longer for a lock. The login can raise it
	// for its own session.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400000
	LockTimeoutMilliseconds int32 `json:"lockTimeoutMilliseconds,omitempty"`

	// schema bounds the size of a tenant's schema. Left out, nobody looks at it.
	// +optional
	Schema *SchemaQuota `json:"schema,omitempty"`

	// idleInTransactionTimeoutSeconds ends sessions that hold a transaction open without
	// working. The login can raise it for its own session.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	IdleInTransactionTimeoutSeconds int32 `json:"idleInTransactionTimeoutSeconds,omitempty"`
}

// TenantClassStatus is what the operator saw of the class.
type TenantClassStatus struct {
	// conditions say whether tenants of this class can be served.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +patchStrategy=merge
	// +patchMergeKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// observedGeneration is the newest generation of the spec on which there is a verdict.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// tenants is how many Tenants name this class.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Tenants int32 `json:"tenants"`

	// logins are the shared logins of the class, one for each database.
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Logins []SharedLoginStatus `json:"logins,omitempty"`
}

// TenantClass is an offer of the platform team: which databases, migrations and routes the
// Tenants that name it get, and which namespaces may name it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=tc,categories=tenantry
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Tenants",type=integer,JSONPath=`.status.tenants`
// +kubebuilder:printcolumn:name="Deletion",type=string,JSONPath=`.spec.deletionPolicy`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type TenantClass struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the platform team offers.
	// +required
	Spec TenantClassSpec `json:"spec,omitzero"`

	// status is what the operator saw of the class.
	// +optional
	// +kubebuilder:default={observedGeneration:-1}
	Status TenantClassStatus `json:"status,omitzero"`
}

// TenantClassList is a list of TenantClasses.
//
// +kubebuilder:object:root=true
type TenantClassList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TenantClass `json:"items"`
}

// GetConditions returns the conditions; it serves the code that all kinds share.
func (c *TenantClass) GetConditions() *[]metav1.Condition { return &c.Status.Conditions }

// SetObservedGeneration records that there is a verdict on a generation of the spec.
func (c *TenantClass) SetObservedGeneration(generation int64) {
	c.Status.ObservedGeneration = generation
}
