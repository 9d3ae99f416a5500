package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// DomainClaimSpec says who holds a host. It never changes.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a DomainClaim is immutable: it is released by deleting it, which the operator does when its Tenant no longer wants the host"
type DomainClaimSpec struct {
	// host in its canonical form: lower case, punycode, no port, no trailing dot.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Host string `json:"host,omitempty"`

	// holder is the Tenant that holds the host.
	// +required
	Holder ClaimHolder `json:"holder,omitzero"`
}

// ClaimHolder names the Tenant that holds a host. The UID is what counts.
type ClaimHolder struct {
	NamespacedReference `json:",inline"`

	// uid of the Tenant; a Tenant made anew with the same name is another holder.
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
}

// DomainClaim is the lock on one host: its name is the host, so that the API server lets only one
// exist. Written by the operator only.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=dc,categories=tenantry
// +kubebuilder:validation:XValidation:rule="self.metadata.name == self.spec.host",message="a DomainClaim is named by its host: the name is what lets one Tenant hold it"
// +kubebuilder:printcolumn:name="Namespace",type=string,JSONPath=`.spec.holder.namespace`
// +kubebuilder:printcolumn:name="Tenant",type=string,JSONPath=`.spec.holder.name`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
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
