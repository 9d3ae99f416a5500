package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// DomainClaimSpec says who holds a host. It never changes.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a DomainClaim is immutable: it is released by deleting it, which the operator does when its Tenant no longer wants the host"
// +kubebuilder:validation:XValidation:rule="self.role == 'Tenant' ? self.holder.kind == 'Tenant' && has(self.holder.__namespace__) : self.holder.kind == 'TenantClass' && !has(self.holder.__namespace__)",message="a tenant's host is held by a Tenant, with its namespace; a shared or public host by a TenantClass"
// +kubebuilder:validation:XValidation:rule="!has(self.value) || self.role == 'Tenant'",message="a value on a shared host belongs to a Tenant"
type DomainClaimSpec struct {
	// host in its canonical form: lower case, punycode, no port, no trailing dot; with *. before
	// it for all hosts below.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Host string `json:"host,omitempty"`

	// value claims, on a shared host, the header value or path prefix that names the tenant.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Value string `json:"value,omitempty"`

	// role of the host: Tenant, Shared or Public.
	// +optional
	// +kubebuilder:default=Tenant
	Role HostRole `json:"role,omitempty"`

	// holder is the Tenant that holds the host, or the TenantClass that declares it.
	// +required
	Holder ClaimHolder `json:"holder,omitzero"`

	// claimedAt is the operator's time of the claim; it survives a restore from a backup.
	// +optional
	ClaimedAt *metav1.MicroTime `json:"claimedAt,omitempty"`
}

// ClaimHolder names who holds a host. The UID is what counts.
type ClaimHolder struct {
	// kind of the holder: Tenant, or TenantClass for shared and public hosts.
	// +optional
	// +kubebuilder:default=Tenant
	// +kubebuilder:validation:Enum=Tenant;TenantClass
	Kind string `json:"kind,omitempty"`

	// namespace of the Tenant.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespace string `json:"namespace,omitempty"`

	// name of the Tenant or TenantClass.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`

	// uid of the holder; a Tenant made anew with the same name is another holder.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid,omitempty"`
}

// DomainClaimStatus is what the operator saw of the claim.
type DomainClaimStatus struct {
	// conditions say whether the claim is held by a living Tenant (Ready).
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

	// verification is what is known about who controls the host. It is absent until the holder's
	// right was seen.
	// +optional
	Verification *ClaimVerification `json:"verification,omitempty"`

	// passesTo is the Tenant that has proved that it controls the host, while a route of the holder still
	// serves it: it gets the claim when none does.
	// +optional
	PassesTo *ClaimHolder `json:"passesTo,omitempty"`

	// serving says what answers on the host: the lookup for whoever asks about a host.
	// +optional
	Serving *ClaimServing `json:"serving,omitempty"`
}

// ClaimServing says what answers on a host.
type ClaimServing struct {
	// state of the host, as its Tenant has it.
	// +optional
	State DomainState `json:"state,omitempty"`

	// database is the TenantDatabase of the tenant.
	// +optional
	Database *NamespacedReference `json:"database,omitempty"`

	// schema of the tenant.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Schema string `json:"schema,omitempty"`

	// version at which the schema stands.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Version string `json:"version,omitempty"`

	// secret with the tenant's login.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Secret string `json:"secret,omitempty"`
}

// DomainClaim is the lock on one host: its name is the host, so that the API server lets only one
// exist. Written by the operator only. A wildcard's name begins with xx--wildcard, that of a value on
// a shared host with xx--value: labels that no host name can have.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=dc,categories=tenantry
// +kubebuilder:validation:XValidation:rule="has(self.spec.value) ? self.metadata.name.startsWith('xx--value-') && self.metadata.name.endsWith('.' + self.spec.host) : self.metadata.name == (self.spec.host.startsWith('*.') ? 'xx--wildcard.' + self.spec.host.substring(2) : self.spec.host)",message="a DomainClaim is named by its host: the name is what lets one Tenant hold it"
// +kubebuilder:printcolumn:name="Role",type=string,JSONPath=`.spec.role`
// +kubebuilder:printcolumn:name="Namespace",type=string,JSONPath=`.spec.holder.namespace`
// +kubebuilder:printcolumn:name="Holder",type=string,JSONPath=`.spec.holder.name`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.serving.state`
// +kubebuilder:printcolumn:name="Schema",type=string,JSONPath=`.status.serving.schema`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Database",type=string,priority=1,JSONPath=`.status.serving.database.name`
// +kubebuilder:printcolumn:name="Version",type=string,priority=1,JSONPath=`.status.serving.version`
// +kubebuilder:printcolumn:name="Verified",type=string,priority=1,JSONPath=`.status.verification.method`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type DomainClaim struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says who holds the host.
	// +required
	Spec DomainClaimSpec `json:"spec,omitzero"`

	// status is what the operator saw of the claim.
	// +optional
	// +kubebuilder:default={observedGeneration:-1}
	Status DomainClaimStatus `json:"status,omitzero"`
}

// DomainClaimList is a list of DomainClaims.
//
// +kubebuilder:object:root=true
type DomainClaimList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DomainClaim `json:"items"`
}

// GetConditions returns the conditions; it serves the code that all kinds share.
func (c *DomainClaim) GetConditions() *[]metav1.Condition { return &c.Status.Conditions }

// SetObservedGeneration records that there is a verdict on a generation of the spec.
func (c *DomainClaim) SetObservedGeneration(generation int64) {
	c.Status.ObservedGeneration = generation
}
