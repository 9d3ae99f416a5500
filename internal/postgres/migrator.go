package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// EnsureMigrator returns the settings with which a migration set's SQL runs on this database: a
// login that owns nothing, inherits nothing and may become the owners of the set's schemas only.
// Tenants' SQL must not run in a session of the operator, to which RESET ROLE would return. The
// password is random, known to this DB value alone, and changed when another one asks; sessions
// that are open stay. Further calls for the same set cost nothing. The set is "namespace/name".
func (db *DB) EnsureMigrator(ctx context.Context, set string) (Config, error) {
	db.migratorLock.Lock()
	defer db.migratorLock.Unlock()
	if cfg, ok := db.migrators[set]; ok {
		return cfg, nil
	}
	cfg, err := db.makeMigrator(ctx, set)
	if err != nil {
		return Config{}, failed(err, "cannot prepare the login of MigrationSet "+set)
	}
	db.migrators[set] = cfg
	return cfg, nil
}

// ForgetMigrator makes the next EnsureMigrator set a new password: for when the login fails, because
// another process has changed it since.
func (db *DB) ForgetMigrator(set string) {
	db.migratorLock.Lock()
	defer db.migratorLock.Unlock()
	delete(db.migrators, set)
}

func (db *DB) makeMigrator(ctx context.Context, set string) (Config, error) {
	login, password := MigratorRole(db.config.Database(), set), NewPassword()
	verifier, err := SCRAMVerifier(password)
	if err != nil {
		return Config{}, err
	}
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		exists, connects, err := migratorState(ctx, tx, login)
		if err != nil {
			return err
		}
		verb := "CREATE"
		if exists {
			verb = "ALTER"
		}
		s := []string{verb + " ROLE " + ident(login) + " LOGIN NOINHERIT PASSWORD " + literal(verifier)}
		if !connects {
			s = append(s, "GRANT CONNECT ON DATABASE "+ident(db.config.Database())+" TO "+ident(login))
		}
		return script(ctx, tx, s...)
	})
	return db.config.WithLogin(login, password), err
}

// migratorState: migrators have CONNECT themselves, not by the group, since they inherit nothing.
// They are few, so the database's catalog row stays small.
func migratorState(ctx context.Context, tx pgx.Tx, login string) (exists, connects bool, err error) {
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1),
		EXISTS (SELECT FROM pg_database d, aclexplode(d.datacl) x JOIN pg_roles r ON r.oid = x.grantee
			WHERE d.datname = current_database() AND r.rolname = $1 AND x.privilege_type = 'CONNECT')`, login).Scan(&exists, &connects)
	return exists, connects, err
}

// DropMigrator removes a set's login, with its memberships. A login that does not exist is success.
func (db *DB) DropMigrator(ctx context.Context, set string) error {
	db.ForgetMigrator(set)
	login := MigratorRole(db.config.Database(), set)
	return failed(db.inTx(ctx, func(tx pgx.Tx) error {
		exists, connects, err := migratorState(ctx, tx, login)
		if err != nil || !exists {
			return err
		}
		var s []string
		if connects {
			s = append(s, "REVOKE CONNECT ON DATABASE "+ident(db.config.Database())+" FROM "+ident(login))
		}
		return script(ctx, tx, append(s, "DROP ROLE "+ident(login))...)
	}), "cannot drop the login of MigrationSet "+set)
}

// GrantOwner lets a migration set's login act as the schema's owner and takes that from every other
// set's. Provision does the same for a Tenant with a MigrationSet; this is for when only the set
// changed. EnsureMigrator must have been called for the set.
func (db *DB) GrantOwner(ctx context.Context, uid, schema, set string) (changed bool, err error) {
	changed, err = db.grantOwner(ctx, uid, Tenant{Schema: schema, MigrationSet: set})
	return changed, failed(err, "cannot let MigrationSet "+set+" into schema "+schema)
}

func (db *DB) grantOwner(ctx context.Context, uid string, t Tenant) (changed bool, err error) {
	read := func(q querier) (*catalog, plan, error) {
		var p plan
		c, err := readCatalog(ctx, q, db.config.Database(), t)
		switch {
		case err != nil:
			return c, p, err
		case c.Row == nil:
			return c, p, notProvisioned(t.Schema)
		}
		if err := c.Row.ownedBy(uid); err != nil {
			return c, p, err
		}
		p.migrator(c)
		return c, p, c.migratorExists(t)
	}
	c, p, err := read(db.pool)
	if err != nil || p.empty() && c.setRecorded(t) {
		return false, err
	}
	defer db.recent.changed(t.Schema)
	return true, db.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := lockOwn(ctx, tx, uid, t.Schema); err != nil {
			return err
		}
		c, p, err := read(tx)
		if err != nil {
			return err
		}
		if err := script(ctx, tx, p.statements(c)...); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, setMigrationSetSQL, t.Schema, t.MigrationSet)
		return err
	})
}
