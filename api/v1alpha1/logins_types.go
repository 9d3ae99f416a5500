package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// LoginMode says as whom programs log in for a tenant.
// +kubebuilder:validation:Enum=Dedicated;SetRole;Shared
type LoginMode string

const (
	// LoginDedicated gives each tenant a login of its own, which can use that tenant's schema alone.
	LoginDedicated LoginMode = "Dedicated"
	// LoginSetRole gives all tenants of a class on one database one login, which has no rights of its
	// own and takes those of one tenant by SET ROLE.
	LoginSetRole LoginMode = "SetRole"
	// LoginShared gives all tenants of a class on one database one login, which has the rights of all
	// of them at once.
	LoginShared LoginMode = "Shared"
)

// LoginPolicy says as whom programs log in for the tenants of a class.
// +kubebuilder:validation:XValidation:rule="has(self.mode) && self.mode != 'Dedicated' ? has(self.secretRef) : !has(self.secretRef)",message="set secretRef if, and only if, mode is SetRole or Shared: it is where the shared login's credentials go"
// +kubebuilder:validation:XValidation:rule="!has(self.secretRef) || !has(oldSelf.secretRef) || self.secretRef == oldSelf.secretRef",message="secretRef is immutable while the mode has a shared login: programs read that Secret; go by mode Dedicated to move it"
// +kubebuilder:validation:XValidation:rule="!has(self.connections) || has(self.secretRef)",message="connections is the shared login's bound; for tenants' own logins use spec.limits.connections"
type LoginPolicy struct {
	// mode says as whom programs log in. Dedicated: each tenant has a login of its own. SetRole:
	// one login for all tenants of the class on a database, which has no rights until it takes
	// one tenant's by SET ROLE. Shared: one login with the rights of all of them at once.
	// A change takes the old way away only when the new one works and the grace is over.
	// +optional
	// +kubebuilder:default=Dedicated
	Mode LoginMode `json:"mode,omitempty"`

	// secretRef says where the shared login's credentials go, for SetRole and Shared: the Secret
	// of a database is called <name>-<name of the TenantDatabase>. Who can read it reaches every
	// tenant of the class. The TenantDatabase must allow this namespace.
	// +optional
	SecretRef *LoginSecretReference `json:"secretRef,omitempty"`

	// connections is the greatest number of sessions of the shared login at a time.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	Connections int32 `json:"connections,omitempty"`

	// reader offers tenants a second login that can only read, for reports and support. Left out,
	// there is none.
	// +optional
	Reader *ReaderPolicy `json:"reader,omitempty"`
}

// LoginSecretReference names Secrets with the credentials of shared logins.
type LoginSecretReference struct {
	// namespace of the Secrets: where the programs run that log in.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespace string `json:"namespace,omitempty"`

	// name is the beginning of the Secrets' names.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`
}

// Switch says whether something that a class offers is used.
// +kubebuilder:validation:Enum=Enabled;Disabled
type Switch string

const (
	// SwitchEnabled asks for it.
	SwitchEnabled Switch = "Enabled"
	// SwitchDisabled goes without it.
	SwitchDisabled Switch = "Disabled"
)

// ReaderPolicy bounds tenants' logins that can only read.
type ReaderPolicy struct {
	// default says whether tenants have a reader that do not say so themselves (spec.reader).
	// +optional
	// +kubebuilder:default=Enabled
	Default Switch `json:"default,omitempty"`

	// connections is the greatest number of sessions of one reader at a time.
	// +optional
	// +kubebuilder:default=5
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	Connections int32 `json:"connections,omitempty"`

	// statementTimeoutSeconds ends statements of a reader that run longer. It is a default that
	// the reader can raise for its own session. Left out, it is that of spec.limits.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	StatementTimeoutSeconds int32 `json:"statementTimeoutSeconds,omitempty"`
}

// SecretKey is one more key of tenants' Secrets.
type SecretKey struct {
	// key of the Secret. Those that Tenantry writes itself cannot be named.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	// +kubebuilder:validation:XValidation:rule="!(self in ['type', 'provider', 'host', 'port', 'database', 'username', 'password', 'schema', 'role', 'uri', 'ca.crt'])",message="this key is Tenantry's own; choose another"
	Key string `json:"key,omitempty"`

	// template of the value: text in which {{ .Field }} stands for a part of the credentials,
	// and {{ .Field | urlquery }} for the same percent-encoded. Fields: Host, Port, Database,
	// Username, Password, Schema, SharedSchema, SearchPath, Role, URI, SSLMode, Namespace, Name.
	// Functions: urlquery, base64, json.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches('^([^{]|[{][^{]|[{][{] *[.](Host|Port|Database|Username|Password|Schema|SharedSchema|SearchPath|Role|URI|SSLMode|Namespace|Name)( *[|] *(urlquery|base64|json))* *[}][}])*[{]?$')",message="write {{ .Field }} or {{ .Field | function }} with a field of Host, Port, Database, Username, Password, Schema, SharedSchema, SearchPath, Role, URI, SSLMode, Namespace, Name and a function of urlquery, base64, json"
	Template string `json:"template,omitempty"`
}

// SharedLoginStatus is the login of a class on one database.
type SharedLoginStatus struct {
	// namespace of the TenantDatabase.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// name of the TenantDatabase.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// mode of the login: SetRole or Shared.
	// +required
	Mode LoginMode `json:"mode,omitempty"`

	// secretRef names the Secret with its credentials.
	// +optional
	SecretRef *NamespacedReference `json:"secretRef,omitempty"`

	// login is the role in that Secret. Left out, there is none yet, or none any more.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Login string `json:"login,omitempty"`

	// since is when it came into the Secret.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`

	// next is the login that takes its place as soon as it can act for every tenant that this one
	// can: the class has changed its mode.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Next string `json:"next,omitempty"`

	// previous are the logins before it that still work.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Previous []string `json:"previous,omitempty"`
}

// ReaderStatus is the login of a tenant that can only read.
type ReaderStatus struct {
	// secret is the name of the Secret with its credentials, in the Tenant's namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Secret string `json:"secret,omitempty"`

	// login is the role in that Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Login string `json:"login,omitempty"`

	// since is when it came into the Secret.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`

	// previous is the login before it, as long as it still works.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Previous string `json:"previous,omitempty"`
}
