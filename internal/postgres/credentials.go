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
		return script(ctx, tx, "SET LOCAL ROLE "+ident(row.Keeper), "ALTER ROLE "+ident(row.App)+" LOGIN PASSWORD "+literal(verifier)+" VALID UNTIL 'infinity'", "RESET ROLE")
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
	var own *registered
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		row, err := lockRow(ctx, tx, uid, schema)
		if err != nil || row == nil {
			return err
		}
		own = row
		if row.State == StateDropping && state == StateRetained {
			return fault.NewInvalid(ReasonNotProvisioned, "part of schema %q is dropped already; it can only be dropped wholly", schema)
		}
		if state != "" && state != row.State && row.State != StateDropping {
			if err := setState(ctx, tx, schema, state); err != nil {
				return err
			}
		}
		return disable(ctx, tx, row)
	})
	if err != nil || own == nil {
		return err
	}
	return db.endSessions(ctx, own)
}

func setState(ctx context.Context, tx pgx.Tx, schema, state string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM tenantry.domain WHERE schema_name = $1`, schema); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE tenantry.tenant SET state = $2 WHERE schema_name = $1`, schema, state)
	return err
}

// disable takes LOGIN from a role that may be gone, or without LOGIN already.
func disable(ctx context.Context, tx pgx.Tx, row *registered) error {
	var canLogin bool
	err := tx.QueryRow(ctx, `SELECT coalesce((SELECT rolcanlogin FROM pg_roles WHERE rolname = $1), false)`, row.App).Scan(&canLogin)
	if err != nil || !canLogin {
		return err
	}
	return script(ctx, tx, "SET LOCAL ROLE "+ident(row.Keeper), "ALTER ROLE "+ident(row.App)+" NOLOGIN", "RESET ROLE")
}

// sessionsEnd bounds the wait for sessions to end: they roll back what they were doing first.
const sessionsEnd = 10 * time.Second

// ReasonSessionsRemain : sessions of the tenant's login do not end.
const ReasonSessionsRemain = "SessionsRemain"

const sessionsSQL = `SELECT count(*), current_setting('server_version_num')::int FROM pg_stat_activity WHERE usename = $1`

// endSessions ends the sessions of a role that can no longer log in, and waits until they are gone.
// Only a role itself, a member that inherits its rights, or a superuser may end its sessions, so
// the operator does it as the role.
func (db *DB) endSessions(ctx context.Context, row *registered) error {
	ctx, cancel := context.WithTimeout(ctx, sessionsEnd)
	defer cancel()
	for attempt := 1; ; attempt++ {
		var remain, version int
		if err := db.pool.QueryRow(ctx, sessionsSQL, row.App).Scan(&remain, &version); err != nil || remain == 0 {
			return err
		}
		if err := db.terminate(ctx, row, version); err != nil {
			return err
		}
		if err := pause(ctx, attempt); err != nil {
			return fault.NewWaiting(ReasonSessionsRemain, waitForServer, "sessions of login %s do not end", row.App).Because(err)
		}
	}
}

func (db *DB) terminate(ctx context.Context, row *registered, version int) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		return script(ctx, tx, actingAs(row.Keeper, version, row.App, nil, "SET LOCAL ROLE "+ident(row.App),
			"SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = "+literal(row.App))...)
	})
}
