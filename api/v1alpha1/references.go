package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// NamespaceSource says where the namespaces that may use an object come from.
// +kubebuilder:validation:Enum=All;Same;Selector
type NamespaceSource string

const (
	// NamespacesAll allows every namespace.
	NamespacesAll NamespaceSource = "All"
	// NamespacesSame allows only the namespace of the object itself.
	NamespacesSame NamespaceSource = "Same"
	// NamespacesSelector allows the namespaces whose labels match the selector.
	NamespacesSelector NamespaceSource = "Selector"
)

// AllowedNamespaces is the consent of an object to be used from other namespaces.
// +kubebuilder:validation:XValidation:rule="self.from == 'Selector' ? has(self.selector) : !has(self.selector)",message="set selector if, and only if, from is Selector"
type AllowedNamespaces struct {
	// from says which namespaces may use this object: All, Same (its own), or Selector (those
	// that match the selector).
	// +required
	From NamespaceSource `json:"from,omitempty"`

	// selector picks namespaces by their labels. Only with from: Selector.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// NamespacedReference names an object in a namespace.
type NamespacedReference struct {
	// namespace of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespace string `json:"namespace,omitempty"`

	// name of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`
}

// LocalReference names an object in the same namespace.
type LocalReference struct {
	// name of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`
}

// DeletionPolicy says what becomes of a tenant's data when its Tenant is deleted.
// +kubebuilder:validation:Enum=Retain;Delete
type DeletionPolicy string

const (
	// DeletionRetain keeps the schema and its data and only switches the logins off.
	DeletionRetain DeletionPolicy = "Retain"
	// DeletionDelete drops the schema, its data and its roles.
	DeletionDelete DeletionPolicy = "Delete"
)
