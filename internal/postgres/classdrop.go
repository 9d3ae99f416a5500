package postgres

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
)

// DropClassLogin ends the sessions of a class login and its second and removes them, with their rights
// and memberships. What the registry does not know is left alone, and that is success.
func (db *DB) DropClassLogin(ctx context.Context, uid, login string) error {
	return failed(db.dropClassLogin(ctx, uid, login), "cannot drop login "+login)
}

func (db *DB) dropClassLogin(ctx context.Context, uid, login string) error {
	var c classCatalog
	err := db.inTx(ctx, func(tx pgx.Tx) (err error) {
		if err := lockClassLogin(ctx, tx, login, uid); err != nil {
			return err
		}
		c, err = readClassLogin(ctx, tx, login, uid)
		if err != nil {
			return err
		}
		var off []string
		for _, name := range c.roles(login) {
			off = append(off, "ALTER ROLE "+ident(name)+" NOLOGIN PASSWORD NULL")
		}
		return script(ctx, tx, off...)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := db.endClassSessions(ctx, c, login); err != nil {
		return err
	}
	return db.inTx(ctx, func(tx pgx.Tx) error {
		err := lockClassLogin(ctx, tx, login, uid)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if roles := c.roles(login); len(roles) > 0 {
			t, err := readTies(ctx, tx, roles)
			if err != nil {
				return err
			}
			if err := t.refusal("of "+login, roles); err != nil {
				return err
			}
			if err := script(ctx, tx, slices.Concat(dropSettings, t.dropOwned(c.Operator, false, c.VersionNum, roles), []string{"DROP ROLE " + idents(roles)})...); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `DELETE FROM tenantry.login WHERE role_name = $1`, login)
		return err
	})
}

// roles are those that are there, the second first.
func (c *classCatalog) roles(login string) []string {
	var names []string
	if c.Second != nil {
		names = append(names, SecondClassLogin(login))
	}
	if c.First != nil {
		names = append(names, login)
	}
	return names
}

func (db *DB) endClassSessions(ctx context.Context, c classCatalog, login string) error {
	ctx, cancel := context.WithTimeout(ctx, sessionsEnd)
	defer cancel()
	for attempt := 1; ; attempt++ {
		remain, err := db.Sessions(ctx, c.roles(login)...)
		if err != nil || len(remain) == 0 {
			return err
		}
		for name := range remain {
			err := db.inTx(ctx, func(tx pgx.Tx) error {
				return script(ctx, tx, "GRANT "+ident(name)+" TO CURRENT_USER"+actOptions(c.VersionNum), "SET LOCAL ROLE "+ident(name),
					"SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = "+literal(name),
					"RESET ROLE", "REVOKE "+ident(name)+" FROM CURRENT_USER")
			})
			if err != nil {
				return err
			}
		}
		if err := pause(ctx, attempt); err != nil {
			return fault.NewWaiting(ReasonSessionsRemain, waitForServer, "sessions of login %s do not end", login).Because(err)
		}
	}
}
