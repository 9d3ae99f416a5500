package postgres

import (
	"context"
	_ "embed" // for the queries
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

//go:embed preflight.sql
var preflightSQL string

//go:embed preflight_registry.sql
var preflightRegistrySQL string

// MinVersionNum is the oldest server that Preflight takes, in server_version_num's form: before
// 15, everybody may make objects in the schema public, and servers leave support.
const MinVersionNum = 150000

// Report is what Preflight saw of a server and of the operator's login on it.
type Report struct {
	// ServerVersion is the server's own word, such as "18.4"; VersionNum is 180004.
	ServerVersion string
	VersionNum    int
	// InRecovery: the server is a standby. ReadOnly: sessions take no writes, as on every standby.
	InRecovery, ReadOnly bool
	// Encrypted: the connection uses TLS.
	Encrypted bool
	// Superuser: the login is one. It works, and is more than the operator needs.
	Superuser       bool
	Login, Database string
	// SystemIdentifier is PostgreSQL's own mark of the server's data; "" if it may not be read.
	SystemIdentifier string
	// DatabaseOID is the number of the database in the server.
	DatabaseOID uint32
	// Bootstrapped: the registry is there. Marker is what Bootstrap wrote into it, "" without one.
	Bootstrapped bool
	Marker       string
	// Moved: the registry was written on another server or database, so this is a copy.
	Moved bool
	// TenantCount is the number of schemas in the registry, retained ones included.
	TenantCount int
	// RetainedCount is how many of them are retained, and Retained the first ones of these by namespace
	// and name, at most MaxRetained.
	RetainedCount int
	Retained      []RetainedSchema
	// Missing are rights without which the operator cannot work; empty when all is well.
	Missing []Right
	// Warnings are what works and should not be so, as sentences without an end.
	Warnings []string
}

// MaxRetained bounds the schemas that a Report names.
const MaxRetained = 500

// RetainedSchema is a schema whose Tenant is gone.
type RetainedSchema struct{ Namespace, Name, Schema string }

// Right is a right that the login lacks, with the statement by which a DBA gives it.
type Right struct{ What, Grant string }

type serverFacts struct {
	Version         string
	VersionNum      int
	InRecovery      bool
	ReadOnly        bool
	Encrypted       bool
	Local           bool
	Login           string
	Superuser       bool
	CreateRole      bool
	Database        string
	DatabaseOID     uint32
	OwnsDatabase    bool
	MayReadIdentity bool
	HasRegistry     bool
	RegistryForeign bool
	RegistryTables  []string
	ForeignRoles    []string
	Powers          []string
	Memberships     []string
	OpenDatabases   []string
}

type registryFacts struct {
	Identity *identity
	Tenants  int
	Sets     []string
	Retained []RetainedSchema
	// RetainedTenants counts all of them.
	RetainedTenants int

	Unkept []struct {
		Keeper string
		Roles  []string
	}
}

// Preflight looks at server, login and registry. It never writes, and works on a standby. Rights
// that miss are no error: they are in the Report.
func (db *DB) Preflight(ctx context.Context) (Report, error) {
	r, err := db.preflight(ctx)
	return r, failed(err, "cannot look at "+db.config.String())
}

func (db *DB) preflight(ctx context.Context) (Report, error) {
	var f serverFacts
	if err := db.pool.QueryRow(ctx, preflightSQL, GroupRole(db.config.Database()), KeeperRoles(db.config.Database())).Scan(&f); err != nil {
		return Report{}, err
	}
	r := Report{
		ServerVersion: f.Version, VersionNum: f.VersionNum, InRecovery: f.InRecovery, ReadOnly: f.ReadOnly,
		Encrypted: f.Encrypted, Superuser: f.Superuser, Login: f.Login, Database: f.Database, DatabaseOID: f.DatabaseOID,
		Bootstrapped: f.HasRegistry, Missing: f.missing(), Warnings: f.warnings(),
	}
	if f.MayReadIdentity {
		if err := db.pool.QueryRow(ctx, `SELECT system_identifier::text FROM pg_control_system()`).Scan(&r.SystemIdentifier); err != nil {
			return Report{}, err
		}
	}
	if !f.HasRegistry || f.RegistryForeign || len(f.RegistryTables) > 0 {
		return r, nil // it may not be read
	}
	var g registryFacts
	if err := db.pool.QueryRow(ctx, preflightRegistrySQL, MaxRetained).Scan(&g); err != nil {
		return Report{}, err
	}
	r.TenantCount, r.RetainedCount, r.Retained = g.Tenants, g.RetainedTenants, g.Retained
	if g.Identity != nil {
		r.Marker = g.Identity.Marker
		r.Moved = f.MayReadIdentity && (g.Identity.DatabaseOID != f.DatabaseOID || g.Identity.SystemID != r.SystemIdentifier)
	}
	if !f.Superuser && f.VersionNum >= version16 {
		for _, u := range g.Unkept {
			r.Missing = append(r.Missing, adminOn(u.Keeper, u.Roles, "SET FALSE")...)
		}
		foreign, err := db.foreignMigrators(ctx, g.Sets)
		if err != nil {
			return Report{}, err
		}
		r.Missing = append(r.Missing, adminOn(f.Login, foreign, "SET FALSE")...)
	}
	return r, nil
}

// foreignMigrators are the logins of migration sets that another login than the operator's made: it
// could not set their passwords.
func (db *DB) foreignMigrators(ctx context.Context, sets []string) ([]string, error) {
	roles := make([]string, len(sets))
	for i, set := range sets {
		roles[i] = MigratorRole(db.config.Database(), set)
	}
	rows, err := db.pool.Query(ctx, `SELECT r.rolname FROM pg_catalog.pg_roles r, pg_catalog.pg_roles me
		WHERE r.rolname = ANY ($1) AND me.rolname = current_user AND NOT EXISTS (
			SELECT FROM pg_catalog.pg_auth_members m WHERE m.roleid = r.oid AND m.member = me.oid AND m.admin_option)
		ORDER BY r.rolname`, roles)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func (f *serverFacts) missing() []Right {
	login, database := ident(f.Login), ident(f.Database)
	var missing []Right
	add := func(when bool, what, grant string) {
		if when {
			missing = append(missing, Right{what, grant})
		}
	}
	add(!f.MayReadIdentity, "read the server's identity", "GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system() TO "+login)
	if f.Superuser {
		return missing
	}
	add(!f.CreateRole, "create roles", "ALTER ROLE "+login+" CREATEROLE")
	add(!f.OwnsDatabase, "own database "+f.Database, "ALTER DATABASE "+database+" OWNER TO "+login)
	add(f.RegistryForeign, "own the registry's schema", "ALTER SCHEMA "+RegistrySchema+" OWNER TO "+login)
	for _, t := range f.RegistryTables {
		add(true, "own the registry's table "+t, "ALTER TABLE "+ident(RegistrySchema, t)+" OWNER TO "+login)
	}
	if f.VersionNum >= version16 {
		missing = append(missing, adminOn(f.Login, f.ForeignRoles, "SET TRUE")...)
	}
	return missing
}

// rolesInOneGrant keeps the statement readable.
const rolesInOneGrant = 50

// adminOn asks for the right to manage roles that another role made, as after a change of the
// operator's login or a restore.
func adminOn(who string, roles []string, option string) []Right {
	var missing []Right
	for some := range slices.Chunk(roles, rolesInOneGrant) {
		missing = append(missing, Right{
			What:  fmt.Sprintf("manage %d roles that another role made, such as %s", len(some), some[0]),
			Grant: "GRANT " + idents(some) + " TO " + ident(who) + " WITH ADMIN TRUE, INHERIT FALSE, " + option,
		})
	}
	return missing
}

func (f *serverFacts) warnings() []string {
	var warnings []string
	add := func(when bool, format string, args ...any) {
		if when {
			warnings = append(warnings, fmt.Sprintf(format, args...))
		}
	}
	add(f.VersionNum < MinVersionNum, "PostgreSQL %s is older than 15 and not supported", f.Version)
	add(f.VersionNum >= MinVersionNum && f.VersionNum < version16,
		"on PostgreSQL %s a login with CREATEROLE can give itself rights over the whole server and read tenants' rows; 16 and newer prevent it", f.Version)
	add(f.Superuser, "login %s is a superuser; a login with CREATEROLE that owns the database is enough", f.Login)
	add(!f.Superuser && len(f.Powers) > 0, "login %s has %s, which it does not need", f.Login, strings.Join(f.Powers, ", "))
	add(!f.Superuser && len(f.Memberships) > 0, "login %s is a member of %s, which it does not need", f.Login, strings.Join(f.Memberships, ", "))
	add(!f.Encrypted && !f.Local, "the connection is not encrypted; set sslmode to verify-full")
	add(len(f.OpenDatabases) > 0, "every tenant's login may connect to the databases %s of this server; REVOKE CONNECT ON DATABASE ... FROM PUBLIC closes them",
		strings.Join(f.OpenDatabases, ", "))
	return warnings
}
