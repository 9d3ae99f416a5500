package postgres

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
)

// jobSuffix follows the owner's stem, which leaves room for it.
const jobSuffix = "_job"

// jobConnections bounds the sessions of one login: a program that opens without end must not take the
// connections of the server's others. Frameworks migrate by one to four; Ecto's pool has ten.
const jobConnections = "20"

// Job is the login of a program of the product that migrates the tenant. It is there for as long as
// such a program runs.
func (n RoleNames) Job() string { return strings.TrimSuffix(n.Owner, "_owner") + jobSuffix }

// JobTerms are what a program gets that migrates tenants.
type JobTerms struct {
	// MigrationSet, as "namespace/name", is whose program it is. Other sets' tenants are refused.
	MigrationSet string
	// SharedSchema is searched behind the tenant's; "" for none.
	SharedSchema string
	// LockTimeout and StatementTimeout are the session's defaults; 0 for none.
	LockTimeout, StatementTimeout time.Duration
	// Until is when the password ends, whatever becomes of the operator.
	Until time.Time
}

// JobLogin is a login that acts as the owner of one tenant's schema.
type JobLogin struct {
	UID, Namespace, Name, Schema, Owner string
	// Path is the session's search_path.
	Path   []string
	Config Config
}

// EnableJobLogin makes a login for a program that migrates one tenant, with a new password. It owns
// nothing and may become one role: the owner of this tenant's schema, which its sessions are from the
// start, so that a program that never heard of SET ROLE makes objects as the owner. A session of an
// earlier program ends: two never work on one tenant. The registry knows no digest of the tenant from then on: what
// the program did, the framework's table tells. Faults: NotProvisioned,
// SchemaRetained, NotOwner, InvalidSchemaName.
func (db *DB) EnableJobLogin(ctx context.Context, uid string, terms JobTerms) (JobLogin, error) {
	const what = "cannot let a Job into the tenant's schema"
	if terms.SharedSchema != "" {
		if err := validateShared(terms.SharedSchema); err != nil {
			return JobLogin{}, err
		}
	}
	schema, found, err := db.FindTenant(ctx, uid)
	if err != nil {
		return JobLogin{}, err
	}
	if !found {
		return JobLogin{}, fault.NewWaiting(ReasonNotProvisioned, waitForServer, "the database's registry does not know the Tenant")
	}
	password := NewPassword()
	verifier, err := SCRAMVerifier(password)
	if err != nil {
		return JobLogin{}, err
	}
	defer db.recent.changed(schema)
	var row *registered
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		if row, err = lockOwn(ctx, tx, uid, schema); err != nil {
			return err
		}
		if row.State != StateActive {
			return fault.NewInvalid(ReasonSchemaRetained, "%s: schema %s is %s", what, schema, row.State)
		}
		if row.MigrationSet != terms.MigrationSet {
			return fault.NewInvalid(ReasonNotOwner, "%s: schema %s is not migrated by %s", what, schema, terms.MigrationSet)
		}
		exists, version, err := jobState(ctx, tx, row.job())
		if err != nil {
			return err
		}
		if err := script(ctx, tx, db.jobStatements(row, terms, verifier, exists, version)...); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE tenantry.tenant SET digest = '' WHERE schema_name = $1`, schema)
		return err
	})
	if err == nil {
		err = db.endSessions(ctx, row, row.job())
	}
	if err != nil {
		return JobLogin{}, failed(err, what+" "+schema)
	}
	return JobLogin{
		UID: uid, Namespace: row.Namespace, Name: row.Name, Schema: schema, Owner: row.Owner, Path: terms.path(schema),
		Config: db.config.WithLogin(row.job(), password),
	}, nil
}

func (r *registered) job() string { return r.names().Job() }

func (t JobTerms) path(schema string) []string {
	return Tenant{Schema: schema, SharedSchema: t.SharedSchema}.searchPath()
}

func jobState(ctx context.Context, tx pgx.Tx, login string) (exists bool, version int, err error) {
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1), current_setting('server_version_num')::int`, login).Scan(&exists, &version)
	return exists, version, err
}

// jobStatements: before 16 no membership has options of its own; there the login inherits what its
// owner may, which it could have by SET ROLE anyway, and needs CONNECT by the group.
func (db *DB) jobStatements(row *registered, terms JobTerms, verifier string, exists bool, version int) []string {
	login, asGroup, verb := ident(row.job()), "", "CREATE"
	if exists {
		verb = "ALTER"
	}
	if version >= version16 {
		asGroup = " WITH INHERIT TRUE, SET FALSE"
	}
	in := "ALTER ROLE " + login + " IN DATABASE " + ident(db.config.Database())
	s := []string{
		"SET LOCAL ROLE " + ident(row.Keeper),
		verb + " ROLE " + login + " LOGIN INHERIT CONNECTION LIMIT " + jobConnections + " PASSWORD " + literal(verifier) + " VALID UNTIL " + literal(terms.Until.UTC().Format("2006-01-02 15:04:05+00")),
		"GRANT " + ident(row.Owner) + " TO " + login + actOptions(version),
		"GRANT " + ident(GroupRole(db.config.Database())) + " TO " + login + asGroup,
		in + " SET role = " + literal(row.Owner),
		in + " SET search_path = " + idents(terms.path(row.Schema)),
	}
	for _, limit := range []struct {
		key string
		d   time.Duration
	}{{"lock_timeout", terms.LockTimeout}, {"statement_timeout", terms.StatementTimeout}} {
		if limit.d > 0 {
			s = append(s, in+" SET "+limit.key+" = "+literal(milliseconds(limit.d)+"ms"))
		} else {
			s = append(s, in+" RESET "+limit.key)
		}
	}
	return append(s, "RESET ROLE")
}

// FinishJobLogin takes the login away: first its password, then its sessions, then the role itself. What
// the role owns, because a program left the owner's role, becomes the owner's. A role that others keep from
// being dropped stays, as nobody's login and nobody's member. A tenant without such a login is success, as is
// a schema that the registry does not know.
func (db *DB) FinishJobLogin(ctx context.Context, uid, schema string) error {
	return failed(db.finishJob(ctx, uid, schema), "cannot take the Job's login away from schema "+schema)
}

func (db *DB) finishJob(ctx context.Context, uid, schema string) error {
	defer db.recent.changed(schema)
	var own *registered
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		own = nil
		row, err := lockRow(ctx, tx, uid, schema)
		if err != nil || row == nil {
			return err
		}
		exists, _, err := jobState(ctx, tx, row.job())
		if err != nil || !exists {
			return err
		}
		own = row
		return script(ctx, tx, "SET LOCAL ROLE "+ident(row.Keeper), "ALTER ROLE "+ident(row.job())+" NOLOGIN PASSWORD NULL", "RESET ROLE")
	})
	if err != nil || own == nil {
		return err
	}
	if err := db.endSessions(ctx, own, own.job()); err != nil {
		return err
	}
	err = db.dropJob(ctx, uid, schema, true)
	switch CauseOf(err) {
	case DependentObjects, LockTimeout:
		// It has something in another database of the server, or somebody else's transaction names it just
		// now: neither may keep the tenant from going on.
		return db.dropJob(ctx, uid, schema, false)
	}
	return err
}

// dropJob drops the role, or takes from it that it may act as the owner.
func (db *DB) dropJob(ctx context.Context, uid, schema string, wholly bool) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		row, err := lockRow(ctx, tx, uid, schema)
		if err != nil || row == nil {
			return err
		}
		exists, version, err := jobState(ctx, tx, row.job())
		if err != nil || !exists {
			return err
		}
		if !wholly {
			return script(ctx, tx, "SET LOCAL ROLE "+ident(row.Keeper), "REVOKE "+ident(row.Owner)+" FROM "+ident(row.job()), "RESET ROLE")
		}
		return script(ctx, tx, dropJobStatements(row, version)...)
	})
}

func dropJobStatements(row *registered, version int) []string {
	job, owner, keeper, inherit := ident(row.job()), ident(row.Owner), ident(row.Keeper), ""
	if version >= version16 {
		inherit = " WITH INHERIT TRUE, SET TRUE" // who gives objects away must be able to become their new owner
	}
	return slices.Concat(dropSettings, []string{
		"SET LOCAL ROLE " + keeper,
		"GRANT " + job + ", " + owner + " TO " + keeper + inherit,
		"REASSIGN OWNED BY " + job + " TO " + owner,
		"DROP OWNED BY " + job,
		"REVOKE " + owner + " FROM " + keeper,
		"DROP ROLE " + job,
		"RESET ROLE",
	})
}
