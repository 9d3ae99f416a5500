package postgres

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// A tenant's reader is a login of its own, and no member of the app role: it has SELECT on what there
// is and, by the owner's default privileges, on what is to come. A migration that takes SELECT on a
// table from it has the last word: what is there is granted once, with the right on what is to come.

// hasReader: a reader that is no longer wanted keeps what it has until DropReader.
func (c *catalog) hasReader(t Tenant) bool { return t.Reader != nil || c.Reader != nil }

func (p *plan) readerRoles(c *catalog, t Tenant) {
	if t.Reader == nil {
		return
	}
	limit := -1
	if t.Reader.ConnectionLimit > 0 {
		limit = t.Reader.ConnectionLimit
	}
	if c.Reader == nil {
		p.asKeeper("the reader is missing", "CREATE ROLE %s NOLOGIN INHERIT CONNECTION LIMIT %s", ident(c.names.Reader()), strconv.Itoa(limit))
	} else {
		p.login(*c.Reader, "reader", limit)
	}
	if c.SecondReader != nil {
		p.login(*c.SecondReader, "second reader", limit)
	}
}

func (p *plan) readerMemberships(c *catalog, asGroup string) {
	inherits := func(m membership) bool { return m.Inherit }
	wanted := slices.ContainsFunc(p.keeper, func(f fix) bool { return f.what == "the reader is missing" })
	if (c.Reader != nil || wanted) && !c.isMember(c.Group, c.names.Reader(), inherits) {
		p.asKeeper("the reader lacks the group's rights", "GRANT %s TO %s%s", ident(c.Group), ident(c.names.Reader()), asGroup)
	}
	if c.SecondReader != nil && !c.isMember(c.names.Reader(), c.names.SecondReader(), inherits) {
		p.asKeeper("the second reader lacks the reader's rights", "GRANT %s TO %s%s", ident(c.names.Reader()), ident(c.names.SecondReader()), asGroup)
	}
}

// reader is what the reader gets on every object of a kind.
func (d defaultRight) reader(c *catalog, t Tenant) []string {
	if c.hasReader(t) && (d.objects == "TABLES" || d.objects == "SEQUENCES") {
		return []string{"SELECT"}
	}
	return nil
}

func (p *plan) readerRights(c *catalog, t Tenant, d defaultRight) {
	if t.Reader == nil || len(without(d.reader(c, t), grantees(c.DefaultACL, d.code, c.names.Reader()))) == 0 {
		return
	}
	reader := ident(c.names.Reader())
	p.asOwner("the reader lacks SELECT on "+d.objects+" to come", "ALTER DEFAULT PRIVILEGES GRANT SELECT ON %s TO %s", d.objects, reader)
	p.asOwner("the reader lacks SELECT on "+d.objects, "GRANT SELECT ON ALL %s IN SCHEMA %s TO %s", d.objects, ident(t.Schema), reader)
}

// DropReader ends the sessions of a tenant's reader and removes it with its rights. None is success.
func (db *DB) DropReader(ctx context.Context, uid, schema string) error {
	return failed(db.dropReader(ctx, uid, schema), "cannot drop the reader of schema "+schema)
}

func (db *DB) dropReader(ctx context.Context, uid, schema string) error {
	var own *registered
	err := db.inTx(ctx, func(tx pgx.Tx) (err error) {
		if own, err = lockOwn(ctx, tx, uid, schema); err != nil {
			return err
		}
		return disable(ctx, tx, own, own.names().Reader(), own.names().SecondReader())
	})
	if err != nil {
		return err
	}
	if err := db.endSessions(ctx, own, own.names().Reader(), own.names().SecondReader()); err != nil {
		return err
	}
	return db.inTx(ctx, func(tx pgx.Tx) error {
		row, err := lockOwn(ctx, tx, uid, schema)
		if err != nil {
			return err
		}
		r, err := readRemains(ctx, tx, row)
		if err != nil {
			return err
		}
		gone := slices.DeleteFunc(r.logins, func(login string) bool { return !strings.HasPrefix(login, row.names().Reader()) })
		if len(gone) == 0 {
			return nil
		}
		t, err := readTies(ctx, tx, gone)
		if err != nil {
			return err
		}
		if err := t.refusal(schema, gone); err != nil {
			return err
		}
		return script(ctx, tx, slices.Concat(dropSettings, t.dropOwned(row.Keeper, true, r.version, gone),
			[]string{"SET LOCAL ROLE " + ident(row.Keeper), "DROP ROLE " + idents(gone), "RESET ROLE"})...)
	})
}
