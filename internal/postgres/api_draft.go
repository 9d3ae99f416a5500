package postgres

import (
	"context"
	"errors"
	"time"
)

var errDraft = errors.New("draft")

// Reasons of faults that are not an error of the server.
const (
	ReasonSchemaNameTaken  = "SchemaNameTaken"
	ReasonSchemaRetained   = "SchemaRetained"
	ReasonDatabaseFull     = "DatabaseFull"
	ReasonNotOwner         = "NotOwner"
	ReasonNotBootstrapped  = "NotBootstrapped"
	ReasonIdentityMismatch = "IdentityMismatch"
	ReasonDomainTaken      = "DomainTaken"
)

// ErrNotOwner: the registry says that the schema belongs to another UID.
var ErrNotOwner = errors.New("the registry names another owner")

// Report is what Preflight saw.
type Report struct {
	ServerVersion                     string
	VersionNum                        int
	InRecovery, ReadOnly, Superuser   bool
	Encrypted                         bool
	Login, Database, SystemIdentifier string
	Bootstrapped                      bool
	Marker                            string // "" when there is no registry
	Moved                             bool   // the registry was written on another server or database (a copy)
	Missing                           []Right
	Warnings                          []string
	TenantCount                       int
}

// Right is a right that the login lacks, with the statement that gives it.
type Right struct{ What, Grant string }

func (db *DB) Preflight(ctx context.Context) (Report, error) { return Report{}, errDraft }
func (db *DB) Bootstrap(ctx context.Context, marker, shared string) (bool, error) {
	return false, errDraft
}
func (db *DB) AcceptIdentity(ctx context.Context, marker string) error { return errDraft }

// Tenant is what a tenant should be.
type Tenant struct {
	UID, Namespace, Name, Schema string
	SharedSchema                 string
	MigrationSet                 string // whose migrator may act as the owner; "" leaves it as it is
	ConnectionLimit              int    // 0: none
	StatementTimeout             time.Duration
	LockTimeout                  time.Duration
	IdleInTransactionTimeout     time.Duration
	MaxTenants                   int // 0: none
}

// State of a registry row.
const (
	StateActive   = "active"
	StateRetained = "retained"
	StateDeleting = "deleting"
)

// Observation is what there is.
type Observation struct {
	Registered                                                                    bool
	OwnerUID, OwnerNamespace, OwnerName                                           string
	State, Version, Digest, MigrationSet                                          string
	Roles                                                                         RoleNames
	SchemaExists, SchemaOwnedByOwner, OwnerRoleExists, AppRoleExists, AppCanLogin bool
	Drift                                                                         []string // what Provision would mend
	Foreign                                                                       []string // rights and memberships that others gave; reported, not touched
}

func (db *DB) Observe(ctx context.Context, t Tenant) (Observation, error) {
	return Observation{}, errDraft
}
func (db *DB) FindTenant(ctx context.Context, uid string) (schema string, found bool, err error) {
	return "", false, errDraft
}
func (db *DB) Provision(ctx context.Context, t Tenant) (changed bool, err error) {
	return false, errDraft
}
func (db *DB) Adopt(ctx context.Context, t Tenant, fromUID string) error           { return errDraft }
func (db *DB) SetPassword(ctx context.Context, uid, schema, verifier string) error { return errDraft }
func (db *DB) SetVersion(ctx context.Context, uid, schema, version, digest string) (bool, error) {
	return false, errDraft
}
func (db *DB) SetDomains(ctx context.Context, uid, schema string, hosts []string) (bool, error) {
	return false, errDraft
}
func (db *DB) DisableLogins(ctx context.Context, uid, schema string) error { return errDraft }
func (db *DB) Retain(ctx context.Context, uid, schema string) error        { return errDraft }
func (db *DB) Drop(ctx context.Context, uid, schema string) error          { return errDraft }

// RegistryRow is one tenant by the registry's word.
type RegistryRow struct {
	Schema, UID, Namespace, Name string
	Roles                        RoleNames
	State, Version, Digest       string
	MigrationSet                 string
	Domains                      []string // the primary one first
}

func (db *DB) Tenants(ctx context.Context) ([]RegistryRow, error) { return nil, errDraft }

// ProbeResult is what a tenant's own login can do.
type ProbeResult struct {
	User, Database                                    string
	SchemaUsage                                       bool
	Tables                                            int      // in the schema, the ledger not counted
	LackingTables, LackingSequences, LackingFunctions []string // without SELECT/INSERT/UPDATE/DELETE, USAGE, EXECUTE; names without the schema
	OtherSchemas                                      []string // others' schemas that the login can use: must be empty
}

func Probe(ctx context.Context, cfg Config, schema string) (ProbeResult, error) {
	return ProbeResult{}, errDraft
}

// EnsureMigrator returns the Config of the set's migrator login: fresh random password per process, cached in db.
func (db *DB) EnsureMigrator(ctx context.Context, set string) (Config, error) {
	return Config{}, errDraft
}

// ForgetMigrator makes the next EnsureMigrator rotate (after AuthenticationFailed).
func (db *DB) ForgetMigrator(set string)                          {}
func (db *DB) DropMigrator(ctx context.Context, set string) error { return errDraft }
func (db *DB) GrantOwner(ctx context.Context, uid, schema, set string) (changed bool, err error) {
	return false, errDraft
}

// EnsureShared returns the role that owns the shared schema; set's migrator may SET ROLE to it.
func (db *DB) EnsureShared(ctx context.Context, schema, set string) (owner string, changed bool, err error) {
	return "", false, errDraft
}

// TableGrant is what tenants may do on one table of the shared schema.
type TableGrant struct {
	Table      string
	Privileges []string // SELECT, INSERT, UPDATE, DELETE, REFERENCES
}

func (db *DB) SetSharedGrants(ctx context.Context, schema string, grants []TableGrant) (changed bool, err error) {
	return false, errDraft
}

// AppliedFile is a migration file as it was when first applied anywhere in this database.
type AppliedFile struct{ Version, Name, Checksum string }

func (db *DB) AppliedFiles(ctx context.Context, set string) ([]AppliedFile, error) {
	return nil, errDraft
}
func (db *DB) RecordFiles(ctx context.Context, set string, files []AppliedFile) (bool, error) {
	return false, errDraft
}
