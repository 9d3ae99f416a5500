package v1alpha1

// SchemaAdoption is the database's consent that a schema which is in it already, with all that is in the
// schema, becomes a Tenant's. It counts until the Tenant has the schema; taken out later, it changes nothing.
type SchemaAdoption struct {
	// schemaName is the schema that is there already.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=50
	// +kubebuilder:validation:Pattern=`^[a-z][a-z0-9_]*$`
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('pg_') && !(self in ['public', 'information_schema', 'tenantry', 'shared', 'default', 'none', 'postgres'])",message="this schema name is reserved by PostgreSQL or Tenantry; only a schema that a Tenant could have can be adopted: rename it (ALTER SCHEMA ... RENAME TO ...)"
	SchemaName string `json:"schemaName,omitempty"`

	// tenantRef names the Tenant to which the schema belongs. The Tenant's schema must have just this
	// name: say so in its spec.schemaName.
	// +required
	TenantRef NamespacedReference `json:"tenantRef,omitzero"`

	// baselineVersion is the migration at which the schema stands: it and all below it are recorded as
	// done and never run on this schema, those above it run. Left out, the schema must be empty or
	// have a record of its own: tenantry_migrations, or with a Job the framework's table.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9]+([._][0-9]+)*$`
	BaselineVersion string `json:"baselineVersion,omitempty"`
}

// AdoptionStatus counts the schemas that spec.adoptions lists.
type AdoptionStatus struct {
	// listed is how many there are in spec.adoptions.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Listed int32 `json:"listed"`

	// adopted is how many of them belong to their Tenants.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Adopted int32 `json:"adopted"`

	// waiting names the first of the others.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:items:MaxLength=50
	Waiting []string `json:"waiting,omitempty"`
}
