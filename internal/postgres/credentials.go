package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
)

// SetPassword gives the tenant's app role its password, as SetLogin does.
func (db *DB) SetPassword(ctx context.Context, uid, schema, verifier string) error {
	return db.SetLogin(ctx, uid, schema, "", verifier)
}

// SetLogin gives one of the tenant's logins its password, as a SCRAM verifier, and lets it log in;
// the app role if none is named. The second is made where it is missing; Provision gives it its
// settings. Anything that is no verifier is refused: the server would log it in clear text. Only a
// tenant that is active gets a login.
func (db *DB) SetLogin(ctx context.Context, uid, schema, login, verifier string) error {
	what := "cannot set the password of schema " + schema
	if !isVerifier(verifier) {
		return fault.NewInvalid(ReasonInvalidConnection, "%s: it is no SCRAM verifier", what)
	}
	var app bool
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		row, err := lockOwn(ctx, tx, uid, schema)
		if err != nil {
			return err
		}
		if row.State != StateActive {
			return fault.NewInvalid(ReasonSchemaRetained, "%s: the schema is %s", what, row.State)
		}
		if login, err = row.login(login); err != nil {
			return err
		}
		app = login == row.App
		verb, err := row.make(ctx, tx, login)
		if err != nil {
			return err
		}
		return script(ctx, tx, "SET LOCAL ROLE "+ident(row.Keeper),
			verb+" ROLE "+ident(login)+logsIn(verifier), "RESET ROLE")
	})
	if app {
		db.recent.amended(schema, err, (*catalog).appLogsIn)
	} else {
		db.recent.changed(schema)
	}
	return failed(err, what)
}

// logsIn are the options of a role that can log in with a password.
func logsIn(verifier string) string {
	return " LOGIN PASSWORD " + literal(verifier) + " VALID UNTIL 'infinity'"
}

func (c *catalog) appLogsIn() {
	if c.App != nil {
		app := *c.App
		app.Login = true
		c.App = &app
	}
}

// login returns the full name of one of the tenant's logins, and refuses every other role's.
func (r *registered) login(name string) (string, error) {
	switch name {
	case "", r.App:
		return r.App, nil
	case r.names().Second(), r.names().Reader(), r.names().SecondReader():
		return name, nil
	}
	return "", fault.NewInvalid(ReasonNotOwner, "role %q is no login of schema %q", name, r.Schema)
}

// make says by which verb a login gets its password: a second login that is not there is created.
func (r *registered) make(ctx context.Context, tx pgx.Tx, login string) (verb string, err error) {
	if login == r.App {
		return "ALTER", nil
	}
	var exists bool
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`, login).Scan(&exists)
	if exists {
		return "ALTER", err
	}
	return "CREATE", err
}

// Sessions counts the sessions of each of the tenant's logins.
func (db *DB) Sessions(ctx context.Context, logins ...string) (map[string]int, error) {
	count := map[string]int{}
	rows, err := db.pool.Query(ctx, `SELECT usename, count(*) FROM pg_stat_activity WHERE usename = ANY ($1) GROUP BY usename`, logins)
	if err != nil {
		return nil, failed(err, "cannot count sessions")
	}
	var login string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&login, &n}, func() error { count[login] = n; return nil })
	return count, failed(err, "cannot count sessions")
}

// RetireLogin takes LOGIN and the password from one of the tenant's logins. Sessions that are open stay:
// the caller has seen that there are none.
func (db *DB) RetireLogin(ctx context.Context, uid, schema, login string) error {
	defer db.recent.changed(schema)
	return failed(db.inTx(ctx, func(tx pgx.Tx) error {
		row, err := lockOwn(ctx, tx, uid, schema)
		if err != nil {
			return err
		}
		if login, err = row.login(login); err != nil {
			return err
		}
		return script(ctx, tx, "SET LOCAL ROLE "+ident(row.Keeper), "ALTER ROLE "+ident(login)+" NOLOGIN PASSWORD NULL", "RESET ROLE")
	}), "cannot retire login "+login)
}

// DisableLogins takes LOGIN from the tenant's login and ends its sessions. A schema that the
// registry does not know has no logins, which is success.
func (db *DB) DisableLogins(ctx context.Context, uid, schema string) error {
	return failed(db.retire(ctx, uid, schema, ""), "cannot switch off the login of schema "+schema)
}

// Retain keeps the data and takes all else: the login is off, its sessions ended, the domains gone,
// and the registry's row says retained, so that a Tenant of the same name can adopt it. Of a schema that
// is dropped in parts, and lacks some, nothing is kept up: PartlyDropped.
func (db *DB) Retain(ctx context.Context, uid, schema string) error {
	return failed(db.retire(ctx, uid, schema, StateRetained), "cannot retain schema "+schema)
}

// retire switches the login off, and with a state given lets the domains go and records it. The
// transaction comes first: only when it is committed can no new session begin.
func (db *DB) retire(ctx context.Context, uid, schema, state string) error {
	defer db.recent.changed(schema)
	var own *registered
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		row, err := lockRow(ctx, tx, uid, schema)
		if err != nil || row == nil {
			return err
		}
		own = row
		if row.State == StateDropping && state == StateRetained {
			return fault.NewInvalid(ReasonPartlyDropped,
				"part of schema %q is dropped already, and it cannot be retained; set deletionPolicy to Delete again for the rest of it to go", schema)
		}
		if state != "" && state != row.State && row.State != StateDropping {
			if err := setState(ctx, tx, schema, state); err != nil {
				return err
			}
		}
		if err := leaveClassLogins(ctx, tx, row); err != nil {
			return err
		}
		return disable(ctx, tx, row, row.logins()...)
	})
	if err != nil || own == nil {
		return err
	}
	if state != "" {
		if err := db.finishJob(ctx, uid, schema); err != nil {
			return err
		}
	}
	return db.endSessions(ctx, own, own.logins()...)
}

func setState(ctx context.Context, tx pgx.Tx, schema, state string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM tenantry.domain WHERE schema_name = $1`, schema); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE tenantry.tenant SET state = $2 WHERE schema_name = $1`, schema, state)
	return err
}

// logins of the tenant. Most of the time only one is there.
func (r *registered) logins() []string {
	return []string{r.App, r.names().Second(), r.names().Reader(), r.names().SecondReader()}
}

func (r *registered) names() RoleNames { return RoleNames{Owner: r.Owner, App: r.App} }

// disable takes LOGIN from roles that may be gone, or without LOGIN already.
func disable(ctx context.Context, tx pgx.Tx, row *registered, logins ...string) error {
	rows, err := tx.Query(ctx, `SELECT rolname FROM pg_roles WHERE rolname = ANY ($1) AND rolcanlogin`, logins)
	if err != nil {
		return err
	}
	on, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(on) == 0 {
		return err
	}
	s := []string{"SET LOCAL ROLE " + ident(row.Keeper)}
	for _, login := range on {
		s = append(s, "ALTER ROLE "+ident(login)+" NOLOGIN")
	}
	return script(ctx, tx, append(s, "RESET ROLE")...)
}

// sessionsEnd bounds the wait for sessions to end: they roll back what they were doing first.
const sessionsEnd = 10 * time.Second

// ReasonSessionsRemain : sessions of the tenant's login do not end.
const ReasonSessionsRemain = "SessionsRemain"

// endSessions ends the sessions of roles that can no longer log in with what those sessions had, and waits
// until they are gone. Only a role itself, a member that inherits its rights, or a superuser may end its
// sessions, so the operator does it as the role.
func (db *DB) endSessions(ctx context.Context, row *registered, logins ...string) error {
	ctx, cancel := context.WithTimeout(ctx, sessionsEnd)
	defer cancel()
	for attempt := 1; ; attempt++ {
		remain, err := db.Sessions(ctx, logins...)
		if err != nil || len(remain) == 0 {
			return err
		}
		for login := range remain {
			if err := db.terminate(ctx, row, login); err != nil {
				return err
			}
		}
		if err := pause(ctx, attempt); err != nil {
			return fault.NewWaiting(ReasonSessionsRemain, waitForServer, "sessions of login %s do not end", logins[0]).Because(err)
		}
	}
}

func (db *DB) terminate(ctx context.Context, row *registered, login string) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		var version int
		if err := tx.QueryRow(ctx, `SELECT current_setting('server_version_num')::int`).Scan(&version); err != nil {
			return err
		}
		return script(ctx, tx, actingAs(row.Keeper, version, login, nil, "SET LOCAL ROLE "+ident(login),
			"SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = "+literal(login))...)
	})
}
