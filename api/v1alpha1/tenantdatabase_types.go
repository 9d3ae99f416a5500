package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// TenantDatabaseSpec describes one PostgreSQL database that holds tenants.
// +kubebuilder:validation:XValidation:rule="!has(self.shared) || !has(self.adoptions) || self.adoptions.all(a, a.schemaName != self.shared.schemaName)",message="the shared schema belongs to no Tenant: take it out of adoptions"
type TenantDatabaseSpec struct {
	// connectionSecretRef names a Secret of this namespace with the operator's login: either a
	// key uri (or dsn), or the keys of CloudNativePG's app Secret (host, port, dbname,
	// username, password). A key ca.crt holds the server's certificate authority.
	// +required
	ConnectionSecretRef LocalReference `json:"connectionSecretRef,omitzero"`

	// allowedNamespaces says from which namespaces Tenants may be placed here.
	// +optional
	// +kubebuilder:default={from: Same}
	AllowedNamespaces *AllowedNamespaces `json:"allowedNamespaces,omitempty"`

	// maxTenants is how many tenants fit, retained schemas included. Left out, there is no
	// bound.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	MaxTenants *int32 `json:"maxTenants,omitempty"`

	// endpoint is the address handed to tenants in their Secrets where it differs from the
	// operator's own, such as that of a connection pooler.
	// +optional
	Endpoint *DatabaseEndpoint `json:"endpoint,omitempty"`

	// shared is the schema that all tenants of this database see, such as one with plans or
	// sign-in tables. Left out, there is none.
	// +optional
	Shared *SharedSchema `json:"shared,omitempty"`

	// adoptions list schemas that are in the database already and the Tenants to which they belong.
	// Any other schema that is there is left alone, and no Tenant gets its name.
	// +optional
	// +listType=map
	// +listMapKey=schemaName
	// +kubebuilder:validation:MaxItems=1000
	Adoptions []SchemaAdoption `json:"adoptions,omitempty"`
}

// DatabaseEndpoint is an address of the database.
type DatabaseEndpoint struct {
	// host is a DNS name or an IP address.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9:]([-A-Za-z0-9.:]*[A-Za-z0-9])?$`
	Host string `json:"host,omitempty"`

	// port is the TCP port.
	// +optional
	// +kubebuilder:default=5432
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
}

// SharedSchema is the schema that all tenants of a database see.
type SharedSchema struct {
	// schemaName is the PostgreSQL schema. Immutable.
	// +optional
	// +kubebuilder:default=shared
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=50
	// +kubebuilder:validation:Pattern=`^[a-z][a-z0-9_]*$`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="schemaName of the shared schema is immutable"
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('pg_') && !(self in ['public', 'information_schema', 'tenantry'])",message="this schema name is reserved by PostgreSQL or Tenantry; choose another"
	SchemaName string `json:"schemaName,omitempty"`

	// migrationSetRef names the MigrationSet of this namespace that makes the shared tables. It
	// runs before any tenant of this database is migrated.
	// +required
	MigrationSetRef LocalReference `json:"migrationSetRef,omitzero"`

	// grants are rights of tenants on shared tables, beside those that the MigrationSet names in
	// spec.sharedGrants: exactly these together, none other.
	// +optional
	// +listType=map
	// +listMapKey=table
	// +kubebuilder:validation:MaxItems=128
	Grants []SharedGrant `json:"grants,omitempty"`
}

// TablePrivilege is a right on a table.
// +kubebuilder:validation:Enum=SELECT;INSERT;UPDATE;DELETE;REFERENCES
type TablePrivilege string

// SharedGrant gives tenants rights on one shared table.
type SharedGrant struct {
	// table of the shared schema.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Table string `json:"table,omitempty"`

	// privileges that tenants get on the table.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=5
	Privileges []TablePrivilege `json:"privileges,omitempty"`
}

// TenantDatabaseStatus is what the operator saw of the database.
type TenantDatabaseStatus struct {
	// conditions say whether the database can take and serve tenants.
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

	// serverVersion is PostgreSQL's version.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ServerVersion string `json:"serverVersion,omitempty"`

	// endpoint is where the operator logs in, as host:port/database.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Endpoint string `json:"endpoint,omitempty"`

	// transport is a digest of sslmode, certificate authority and the like, as the connection Secret has
	// them: when it changes, the tenants' Secrets follow.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Transport string `json:"transport,omitempty"`

	// identity is how the operator knows the database again after a failover or restore.
	// +optional
	Identity *DatabaseIdentity `json:"identity,omitempty"`

	// tenants is how many tenants the registry of this database holds, retained ones included.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Tenants int32 `json:"tenants"`

	// retainedTenants is how many of them are gone, and their schemas kept.
	// +optional
	// +kubebuilder:validation:Minimum=0
	RetainedTenants int32 `json:"retainedTenants,omitempty"`

	// retained names the kept schemas, the first 500 by namespace and name. A Tenant that comes back under
	// such a name waits for this database, also while it is away, and takes its data over by the
	// annotation that its SchemaReady condition then names.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=500
	Retained []RetainedSchema `json:"retained,omitempty"`

	// sharedVersion is the migration at which the shared schema stands.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	SharedVersion string `json:"sharedVersion,omitempty"`

	// adoptions says how far the schemas of spec.adoptions came. Left out while none is listed.
	// +optional
	Adoptions *AdoptionStatus `json:"adoptions,omitempty"`
}

// RetainedSchema is a schema that was kept when its Tenant was deleted.
type RetainedSchema struct {
	// namespace of the Tenant.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// name of the Tenant.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// schema that holds the data.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Schema string `json:"schema,omitempty"`
}

// DatabaseIdentity tells one database from every other.
type DatabaseIdentity struct {
	// systemIdentifier is PostgreSQL's own mark of the cluster of databases.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	SystemIdentifier string `json:"systemIdentifier,omitempty"`

	// marker is the operator's mark in the registry of this database.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Marker string `json:"marker,omitempty"`
}

// TenantDatabase is one PostgreSQL database that holds tenants, and the login with which the
// operator works on it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=tdb,categories=tenantry
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Tenants",type=integer,JSONPath=`.status.tenants`
// +kubebuilder:printcolumn:name="Max",type=integer,JSONPath=`.spec.maxTenants`
// +kubebuilder:printcolumn:name="Server",type=string,JSONPath=`.status.serverVersion`
// +kubebuilder:printcolumn:name="Shared",type=string,JSONPath=`.status.sharedVersion`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type TenantDatabase struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec describes the database.
	// +required
	Spec TenantDatabaseSpec `json:"spec,omitzero"`

	// status is what the operator saw of the database.
	// +optional
	// +kubebuilder:default={observedGeneration:-1}
	Status TenantDatabaseStatus `json:"status,omitzero"`
}

// TenantDatabaseList is a list of TenantDatabases.
//
// +kubebuilder:object:root=true
type TenantDatabaseList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TenantDatabase `json:"items"`
}

// GetConditions returns the conditions; it serves the code that all kinds share.
func (d *TenantDatabase) GetConditions() *[]metav1.Condition { return &d.Status.Conditions }

// SetObservedGeneration records that there is a verdict on a generation of the spec.
func (d *TenantDatabase) SetObservedGeneration(generation int64) {
	d.Status.ObservedGeneration = generation
}
