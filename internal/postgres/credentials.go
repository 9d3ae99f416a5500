package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
)

// SetPassword gives the tenant's login its password, as a SCRAM verifier, and lets it log in.
// Anything that is no verifier is refused: the server would log it in clear text. Only a tenant
// that is active gets a login.
func (db *DB) SetPassword(ctx context.Context, uid, schema, verifier string) error {
	what := "cannot set the password of schema " + schema
	if !isVerifier(verifier) {
		return fault.NewInvalid(ReasonInvalidConnection, "%s: it is no SCRAM verifier", what)
	}
	return failed(db.inTx(ctx, func(tx pgx.Tx) error {
		row, err := lockOwn(ctx, tx, uid, schema)
		if err != nil {
			return err
		}
		if row.State != StateActive {
			return fault.NewInvalid(ReasonSchemaRetained, "%s: the schema is %s", what, row.State)
		}
		return script(ctx, tx, "ALTER ROLE "+ident(row.App)+" LOGIN PASSWORD "+literal(verifier))
	}), what)
}

// DisableLogins takes LOGIN from the tenant's login and ends its sessions. A schema that the
// registry does not know has no logins, which is success.
func (db *DB) DisableLogins(ctx context.Context, uid, schema string) error {
	return failed(db.retire(ctx, uid, schema, ""), "cannot switch off the login of schema "+schema)
}

// Retain keeps the data and takes all else: the login is off, its sessions ended, the domains gone,
// and the registry's row says retained, so that a Tenant of the same name can adopt it.
func (db *DB) Retain(ctx context.Context, uid, schema string) error {
	return failed(db.retire(ctx, uid, schema, StateRetained), "cannot retain schema "+schema)
}

// retire switches the login off, and with a state given lets the domains go and records it. The
// transaction comes first: only when it is committed can no new session begin.
func (db *DB) retire(ctx context.Context, uid, schema, state string) error {
	var app string
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		row, err := lockRow(ctx, tx, uid, schema)
		if err != nil || row == nil {
			return err
		}
		if row.State == StateDropping && state == StateRetained {
			return fault.NewInvalid(ReasonNotProvisioned, "part of schema %q is dropped already; it can only be dropped wholly", schema)
		}
		app = row.App
		if state != "" && state != row.State && row.State != StateDropping {
			if err := setState(ctx, tx, schema, state); err != nil {
				return err
			}
		}
		if err := actAs(ctx, tx, row.Owner, row.App); err != nil {
			return err
		}
		return disable(ctx, tx, app)
	})
	if err != nil || app == "" {
		return err
	}
	return db.endSessions(ctx, app)
}

func setState(ctx context.Context, tx pgx.Tx, schema, state string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM tenantry.domain WHERE schema_name = $1`, schema); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE tenantry.tenant SET state = $2 WHERE schema_name = $1`, schema, state)
	return err
}

const cannotActSQL = `SELECT rolname, current_setting('server_version_num')::int FROM pg_roles
WHERE rolname = ANY ($1) AND NOT pg_has_role(oid, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)`

// actAs gives the operator back what somebody may have taken: without it nothing can be ended or
// dropped. Roles that do not exist are left out.
func actAs(ctx context.Context, tx pgx.Tx, roles ...string) error {
	rows, err := tx.Query(ctx, cannotActSQL, roles)
	if err != nil {
		return err
	}
	var name string
	var version int
	var grants []string
	_, err = pgx.ForEachRow(rows, []any{&name, &version}, func() error {
		grants = append(grants, "GRANT "+ident(name)+" TO CURRENT_USER"+actOptions(version))
		return nil
	})
	if err != nil {
		return err
	}
	return script(ctx, tx, grants...)
}

// disable takes LOGIN from a role that may be gone, or without LOGIN already.
func disable(ctx context.Context, tx pgx.Tx, app string) error {
	var canLogin bool
	err := tx.QueryRow(ctx, `SELECT coalesce((SELECT rolcanlogin FROM pg_roles WHERE rolname = $1), false)`, app).Scan(&canLogin)
	if err != nil || !canLogin {
		return err
	}
	return script(ctx, tx, "ALTER ROLE "+ident(app)+" NOLOGIN")
}

// sessionsEnd bounds the wait for sessions to end: they roll back what they were doing first.
const sessionsEnd = 10 * time.Second

// ReasonSessionsRemain : sessions of the tenant's login do not end.
const ReasonSessionsRemain = "SessionsRemain"

const sessionsSQL = `SELECT count(*) FROM pg_stat_activity WHERE usename = $1`

// endSessions ends the sessions of a role that can no longer log in, and waits until they are gone.
// Only a role itself, a member that inherits its rights, or a superuser may end its sessions, so
// the operator does it as the role.
func (db *DB) endSessions(ctx context.Context, app string) error {
	ctx, cancel := context.WithTimeout(ctx, sessionsEnd)
	defer cancel()
	for attempt := 1; ; attempt++ {
		var remain int
		if err := db.pool.QueryRow(ctx, sessionsSQL, app).Scan(&remain); err != nil || remain == 0 {
			return err
		}
		if err := db.terminate(ctx, app); err != nil {
			return err
		}
		if err := pause(ctx, attempt); err != nil {
			return fault.NewWaiting(ReasonSessionsRemain, waitForServer, "sessions of login %s do not end", app).Because(err)
		}
	}
}

func (db *DB) terminate(ctx context.Context, app string) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		return script(ctx, tx, "SET LOCAL ROLE "+ident(app),
			"SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = "+literal(app))
	})
}
