package postgres

import (
	"strings"
	"time"

	"github.com/tenantry/tenantry/internal/fault"
)

// Tenant is what one tenant should be in a database. UID, Namespace, Name and Schema are required.
type Tenant struct {
	// UID is the fence: only calls with the UID that the registry holds change anything.
	UID, Namespace, Name string
	// Schema is the tenant's schema, see ValidateSchemaName.
	Schema string
	// SharedSchema comes second in the login's search_path; "" for none.
	SharedSchema string
	// MigrationSet, as "namespace/name", is the set whose login may act as the owner. EnsureMigrator
	// must have been called for it. "" leaves that as it is.
	MigrationSet string
	// ConnectionLimit bounds the login's sessions; 0 for no bound.
	ConnectionLimit int
	// The timeouts are the login's defaults, which it can change for its session; 0 for none.
	StatementTimeout, LockTimeout, IdleInTransactionTimeout time.Duration
	// ClassLogin is the role that has, or may take, the app role's rights for all tenants of a class;
	// EnsureClassLogin makes it; until then Provision goes without. "" for none: what there is stays.
	ClassLogin string
	// ClassLoginInherits: it has them at once, and not by SET ROLE only.
	ClassLoginInherits bool
	// Reader is the tenant's login that can only read; nil for none. One that is there stays until
	// DropReader.
	Reader *Reader
	// MaxTenants is how many schemas the database may hold, retained ones included; 0 for no bound.
	MaxTenants int
}

// Reader bounds a login that can only read. Zero values are no bounds.
type Reader struct {
	ConnectionLimit  int
	StatementTimeout time.Duration
}

// States of a schema in the registry.
const (
	StateActive   = "active"
	StateRetained = "retained" // the Tenant is gone, its data is kept
	StateDeleting = "deleting" // the login is off, the drop comes next
	StateDropping = "dropping" // too large for one transaction, and in part dropped
)

// Observation is what there is of a tenant.
type Observation struct {
	// Registered: the registry knows the schema; the fields up to MigrationSet are its word.
	Registered                           bool
	OwnerUID, OwnerNamespace, OwnerName  string
	State, Version, Digest, MigrationSet string
	// Roles are the names that the tenant's roles have, or would get.
	Roles                                                                         RoleNames
	SchemaExists, SchemaOwnedByOwner, OwnerRoleExists, AppRoleExists, AppCanLogin bool
	// SecondCanLogin: the login that takes turns with the app role can log in.
	SecondCanLogin bool
	// ReaderExists: there is a reader, or its second login. The others say which can log in.
	ReaderExists, ReaderCanLogin, SecondReaderCanLogin bool
	// ClassLogins are the shared logins of classes that have, or may take, the app role's rights.
	ClassLogins []string
	// AppOID and SecondOID tell a login from another one that got its name; 0 where there is none.
	AppOID, SecondOID uint32
	// Proof is what Record wrote last.
	Proof string
	// Adopted: the schema was there before, see TakeOver. Baseline is at which version, as far as was said.
	Adopted  bool
	Baseline string
	// JobLogin: a Job was let into the schema, and its login was not taken away yet.
	JobLogin bool
	// Domains are the tenant's hosts by the registry's word, the primary one first.
	Domains []string
	// Drift is what Provision would mend, for people's eyes.
	Drift []string
	// Foreign are rights and memberships that others gave. Provision leaves them alone.
	Foreign []Excess
}

func (t Tenant) validate() error {
	if err := ValidateSchemaName(t.Schema); err != nil {
		return err
	}
	if t.SharedSchema != "" {
		if err := validateShared(t.SharedSchema); err != nil {
			return err
		}
	}
	if t.SharedSchema == t.Schema {
		return fault.NewInvalid(ReasonInvalidSchemaName, "schema name %q is the shared schema's; choose another", t.Schema)
	}
	if t.UID == "" {
		return fault.NewInvalid(ReasonNotOwner, "the Tenant has no UID")
	}
	if strings.ContainsRune(t.UID+t.Namespace+t.Name+t.MigrationSet, 0) { // would end the text of a message
		return fault.NewInvalid(ReasonNotOwner, "the Tenant's UID, namespace, name or migration set has a NUL in it")
	}
	return nil
}
