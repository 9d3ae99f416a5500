package postgres

import (
	"context"
	_ "embed" // for the registry's SQL
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
)

// ReasonIdentityMismatch : the registry belongs to another installation, or was written on another
// server or database.
const ReasonIdentityMismatch = "IdentityMismatch"

//go:embed registry.sql
var registrySQL string

//go:embed registry_scratch.sql
var scratchSQL string

//go:embed base.sql
var baseSQL string

// registryVersion is what registry.sql makes. A later version comes with statements that bring
// older registries up to it.
const registryVersion = 1

// additions are tables that came to the registry later and that an operator who does not know them
// can leave alone: they need no new version.
var additions = []struct{ table, sql string }{
	// The shared logins of classes. The UID is their fence.
	{"login", `CREATE TABLE IF NOT EXISTS tenantry.login (
		role_name  text COLLATE "C" PRIMARY KEY,
		class_uid  text        NOT NULL,
		class_name text        NOT NULL,
		created_at timestamptz NOT NULL DEFAULT now())`},
	// Schemas whose login may add no rows, with the tables on which it could.
	{"quota", `CREATE TABLE IF NOT EXISTS tenantry.quota (
		schema_name text COLLATE "C" PRIMARY KEY REFERENCES tenantry.tenant ON DELETE CASCADE,
		tables      text[]      NOT NULL,
		since       timestamptz NOT NULL DEFAULT now())`},
	// The same tables, by what they are known by when migrations give them other names.
	{"quota_relation", `CREATE TABLE IF NOT EXISTS tenantry.quota_relation (
		schema_name text COLLATE "C" REFERENCES tenantry.quota ON DELETE CASCADE,
		relation    oid,
		PRIMARY KEY (schema_name, relation))`},
	{"scratch", scratchSQL},
}

// base is what Bootstrap compares and makes.
type base struct {
	Login            string `json:"login"`
	Database         string `json:"database"`
	SystemID         string `json:"systemID"`
	DatabaseOID      uint32 `json:"databaseOID"`
	HasRegistry      bool   `json:"hasRegistry"`
	HasProof         bool   `json:"hasProof"`
	HasSharedVersion bool   `json:"hasSharedVersion"`
	HasAdoptions     bool   `json:"hasAdoptions"`
	HasGroup         bool   `json:"hasGroup"`
	GroupConnects    bool   `json:"groupConnects"`
	PublicConnects   bool   `json:"publicConnects"`
	PublicCreates    bool   `json:"publicCreates"`
	// Tables that the registry has.
	Tables []string `json:"tables"`
	// Keepers that are missing, lack CREATEROLE, that the operator may not act as, and that may not
	// give the group role to tenants.
	NoKeepers    []string `json:"noKeepers"`
	WeakKeepers  []string `json:"weakKeepers"`
	IdleKeepers  []string `json:"idleKeepers"`
	GroupKeepers []string `json:"groupKeepers"`
	VersionNum   int      `json:"versionNum"`

	identity *identity
}

type identity struct {
	Marker      string `json:"marker"`
	SystemID    string `json:"system_identifier"`
	DatabaseOID uint32 `json:"database_oid"`
	Version     int    `json:"registry_version"`
}

// After the database was renamed, its tenants still have the keepers of its old name, which must
// give them the group role of the new one.
const identitySQL = `SELECT to_jsonb(i), (SELECT jsonb_agg(DISTINCT t.keeper_role) FROM tenantry.tenant t JOIN pg_roles r ON r.rolname = t.keeper_role
	WHERE t.keeper_role <> ALL ($2) AND NOT EXISTS (
		SELECT FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid AND g.rolname = $1 WHERE a.member = r.oid AND a.admin_option))
FROM tenantry.identity i`

// Bootstrap makes what a database needs before its first tenant: the registry, the group role that
// alone may connect, the keepers that make tenants' roles, and, if shared is not "", the shared
// schema. It returns whether it changed anything; when all is there it writes nothing. The marker
// is the caller's own mark of this database: a registry with another one, or one that was written
// on another server or database, is refused with fault.Invalid (ReasonIdentityMismatch), because
// the roles that it names may be the original's.
func (db *DB) Bootstrap(ctx context.Context, marker, shared string) (changed bool, err error) {
	changed, err = db.bootstrap(ctx, marker)
	if err == nil && shared != "" {
		var made bool
		_, made, err = db.EnsureShared(ctx, shared, "")
		changed = changed || made
	}
	return changed, failed(err, "cannot prepare database "+db.config.Database())
}

func (db *DB) bootstrap(ctx context.Context, marker string) (changed bool, err error) {
	b, err := readBase(ctx, db.pool, db.config.Database())
	if err != nil {
		return false, err
	}
	if err := b.check(marker); err != nil {
		return false, err
	}
	if len(b.statements()) == 0 {
		return false, nil
	}
	return true, db.inTx(ctx, func(tx pgx.Tx) error {
		b, err := readBase(ctx, tx, db.config.Database())
		if err != nil {
			return err
		}
		if err := b.check(marker); err != nil {
			return err
		}
		if err := script(ctx, tx, b.statements()...); err != nil || b.identity != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO tenantry.identity (marker, system_identifier, database_oid, registry_version)
			VALUES ($1, $2, $3, $4)`, marker, b.SystemID, b.DatabaseOID, registryVersion)
		return err
	})
}

// querier is a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func readBase(ctx context.Context, q querier, database string) (*base, error) {
	var b base
	if err := q.QueryRow(ctx, baseSQL, GroupRole(database), KeeperRoles(database)).Scan(&b); err != nil {
		return nil, err
	}
	if !b.HasRegistry {
		return &b, nil
	}
	var old []string
	err := q.QueryRow(ctx, identitySQL, GroupRole(database), KeeperRoles(database)).Scan(&b.identity, &old)
	b.GroupKeepers = append(b.GroupKeepers, old...)
	return &b, err
}

func (b *base) check(marker string) error {
	switch {
	case b.identity == nil:
		return nil
	case b.identity.Marker != marker:
		return fault.NewInvalid(ReasonIdentityMismatch,
			"database %s has the registry of another installation or TenantDatabase (its marker is %q)", b.Database, b.identity.Marker)
	case b.moved():
		return fault.NewInvalid(ReasonIdentityMismatch,
			"database %s is a copy: its registry was written on another server or database, and the roles it names may be the original's", b.Database)
	case b.identity.Version > registryVersion:
		return fault.NewInvalid(ReasonIdentityMismatch,
			"the registry of database %s has version %d; this operator knows up to %d and must be upgraded", b.Database, b.identity.Version, registryVersion)
	}
	return nil
}

func (b *base) moved() bool {
	return b.identity.SystemID != b.SystemID || b.identity.DatabaseOID != b.DatabaseOID
}

func (b *base) statements() []string {
	group := GroupRole(b.Database)
	var s []string
	if !b.HasRegistry {
		s = append(s, registrySQL)
	}
	if b.HasRegistry && !b.HasProof { // An operator that does not know the column leaves it alone.
		s = append(s, "ALTER TABLE tenantry.tenant ADD COLUMN IF NOT EXISTS login_proof text NOT NULL DEFAULT ''")
	}
	if b.HasRegistry && !b.HasAdoptions {
		s = append(s, `ALTER TABLE tenantry.tenant ADD COLUMN IF NOT EXISTS adopted_at timestamptz,
			ADD COLUMN IF NOT EXISTS baseline text NOT NULL DEFAULT ''`)
	}
	if b.HasRegistry && !b.HasSharedVersion {
		s = append(s, "ALTER TABLE tenantry.shared_schema ADD COLUMN IF NOT EXISTS version text NOT NULL DEFAULT ''")
	}
	for _, a := range additions {
		if !slices.Contains(b.Tables, a.table) {
			s = append(s, a.sql)
		}
	}
	if !b.HasGroup {
		s = append(s, "CREATE ROLE "+ident(group)+" NOLOGIN")
	}
	if b.PublicConnects {
		s = append(s, "REVOKE ALL ON DATABASE "+ident(b.Database)+" FROM PUBLIC")
	}
	if !b.GroupConnects {
		s = append(s, "GRANT CONNECT ON DATABASE "+ident(b.Database)+" TO "+ident(group))
	}
	if b.PublicCreates {
		s = append(s, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
	}
	return append(s, b.keeperStatements(group)...)
}

// keeperStatements: keepers make roles, give the group role to them, and nothing else; on 15, where
// CREATEROLE alone is enough to give any role, they are no members of the group.
func (b *base) keeperStatements(group string) []string {
	var s []string
	for _, name := range b.NoKeepers {
		s = append(s, "CREATE ROLE "+ident(name)+" NOLOGIN CREATEROLE")
	}
	for _, name := range b.WeakKeepers {
		s = append(s, "ALTER ROLE "+ident(name)+" CREATEROLE")
	}
	if len(b.IdleKeepers) > 0 {
		s = append(s, "GRANT "+idents(b.IdleKeepers)+" TO CURRENT_USER"+actOptions(b.VersionNum))
	}
	if b.VersionNum >= version16 && len(b.GroupKeepers) > 0 {
		s = append(s, "GRANT "+ident(group)+" TO "+idents(b.GroupKeepers)+" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
	}
	return s
}

// AcceptIdentity writes marker, server and database into the registry as they are now: after a
// restore or a move that somebody confirmed.
func (db *DB) AcceptIdentity(ctx context.Context, marker string) error {
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		b, err := readBase(ctx, tx, db.config.Database())
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE tenantry.identity SET marker = $1, system_identifier = $2, database_oid = $3`,
			marker, b.SystemID, b.DatabaseOID)
		return err
	})
	return failed(err, fmt.Sprintf("cannot accept the identity of database %s", db.config.Database()))
}
