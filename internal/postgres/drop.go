package postgres

import (
	"context"
	_ "embed" // for the query
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
)

//go:embed dependents.sql
var dependentsSQL string

// dropSettings bound a drop. Its locks reach tables of the shared schema that are referenced by
// foreign keys, and while it waits for one, readers queue behind it: hence the short lock_timeout,
// and another try later.
var dropSettings = []string{"SET LOCAL lock_timeout = '1s'", "SET LOCAL statement_timeout = '5min'"}

// manyRelations is how many tables, indexes and sequences are dropped in one transaction. A drop
// locks three to four times as many objects, and the server's lock table has room for 6,400 by
// default (max_locks_per_transaction 64, max_connections 100).
const manyRelations = 400

// tablesAtOnce is how many tables one transaction drops of a schema with more relations than that.
const tablesAtOnce = 40

// Drop ends the tenant's sessions and removes schema, roles and registry row, if they belong to uid
// by the registry's word. What the registry does not know is left alone, and that is success. It
// can be called again after a failure at any point. A schema that is retained since the drop began is kept
// (SchemaRetained). Objects outside the schema that depend on it
// are never dropped: they block it (DependentObjects), as does a session that holds a lock.
func (db *DB) Drop(ctx context.Context, uid, schema string) error {
	defer db.recent.changed(schema)
	return failed(db.drop(ctx, uid, schema), "cannot drop schema "+schema)
}

func (db *DB) drop(ctx context.Context, uid, schema string) error {
	if err := db.retire(ctx, uid, schema, StateDeleting); err != nil {
		return err
	}
	for {
		done, err := db.dropTables(ctx, uid, schema)
		if err != nil {
			return err
		}
		if done {
			break
		}
	}
	return db.inTx(ctx, func(tx pgx.Tx) error {
		row, err := lockRow(ctx, tx, uid, schema)
		if err != nil || row == nil {
			return err
		}
		if err := row.goes(); err != nil {
			return err
		}
		if err := refuseDependents(ctx, tx, schema); err != nil {
			return err
		}
		r, err := readRemains(ctx, tx, row)
		if err != nil {
			return err
		}
		t, err := readTies(ctx, tx, r.roles(row))
		if err != nil {
			return err
		}
		if err := t.refusal(schema, r.roles(row)); err != nil {
			return err
		}
		if err := script(ctx, tx, r.statements(row, t)...); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM tenantry.tenant WHERE schema_name = $1`, schema)
		return err
	})
}

// goes says no where somebody decided otherwise since the drop began: a new leader keeps the schema, by a
// policy that was changed meanwhile, and the UID is still the same.
func (r *registered) goes() error {
	if r.State == StateDeleting || r.State == StateDropping {
		return nil
	}
	return fault.NewWaiting(ReasonSchemaRetained, waitForServer, "schema %q is not dropped: it is %s since the drop began", r.Schema, r.State)
}

// remains is what is still there of a tenant.
type remains struct {
	schema, owner bool
	logins        []string // the first ones last: others are their members
	version       int
}

func readRemains(ctx context.Context, tx pgx.Tx, row *registered) (r remains, err error) {
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1),
		EXISTS (SELECT FROM pg_roles WHERE rolname = $2),
		ARRAY(SELECT rolname::text FROM pg_roles WHERE rolname = ANY ($3) ORDER BY length(rolname) DESC, rolname),
		current_setting('server_version_num')::int`,
		row.Schema, row.Owner, append(row.logins(), row.job())).Scan(&r.schema, &r.owner, &r.logins, &r.version)
	return r, err
}

// roles are those that are there, the owner first.
func (r remains) roles(row *registered) []string {
	if r.owner {
		return append([]string{row.Owner}, r.logins...)
	}
	return r.logins
}

// statements leave out what is gone already.
func (r remains) statements(row *registered, t ties) []string {
	s := slices.Clone(dropSettings)
	if r.schema {
		s = append(s, r.asOwner(row, "DROP SCHEMA "+ident(row.Schema)+" CASCADE")...)
	}
	gone := r.roles(row)
	if len(gone) == 0 {
		return s
	}
	s = append(s, t.dropOwned(row.Keeper, true, r.version, gone)...)
	return append(s, "SET LOCAL ROLE "+ident(row.Keeper), "DROP ROLE "+idents(gone), "RESET ROLE")
}

// asOwner drops something as the owner; where that role is gone, as the operator. What was restored without its
// roles is the operator's, or he may not.
func (r remains) asOwner(row *registered, drop string) []string {
	if !r.owner {
		return []string{drop}
	}
	return actingAs(row.Keeper, r.version, row.Owner, nil, "SET LOCAL ROLE "+ident(row.Owner), drop)
}

// dropAll drops tables of a schema, which are given by their names there.
func (r remains) dropAll(row *registered, tables []string) []string {
	for i := range tables {
		tables[i] = ident(row.Schema, tables[i])
	}
	return slices.Concat(dropSettings, r.asOwner(row, "DROP TABLE IF EXISTS "+strings.Join(tables, ", ")+" CASCADE"))
}

// refuseDependents protects what others built on the schema: CASCADE would drop their views, and
// columns with their data, whoever owns them.
func refuseDependents(ctx context.Context, tx pgx.Tx, schema string) error {
	rows, err := tx.Query(ctx, dependentsSQL, schema)
	if err != nil {
		return err
	}
	objects, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(objects) == 0 {
		return err
	}
	return fault.NewWaiting(string(DependentObjects), waitForMend,
		"schema %q is not dropped: outside of it, these depend on it: %s; drop or change them first", schema, strings.Join(objects, "; "))
}

const tablesSQL = `SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'f')
	AND (SELECT count(*) FROM pg_class r WHERE r.relnamespace = n.oid) > $2
ORDER BY c.oid DESC LIMIT $3`

// dropTables drops some tables of a large schema; it is done when what is left fits one transaction.
func (db *DB) dropTables(ctx context.Context, uid, schema string) (done bool, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, tablesSQL, schema, manyRelations, tablesAtOnce)
		if err != nil {
			return err
		}
		tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if done = err == nil && len(tables) == 0; err != nil || done {
			return err
		}
		row, err := lockOwn(ctx, tx, uid, schema)
		if err != nil {
			return err
		}
		if err := row.goes(); err != nil {
			return err
		}
		if err := refuseDependents(ctx, tx, schema); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE tenantry.tenant SET state = 'dropping' WHERE schema_name = $1 AND state <> 'dropping'`, schema); err != nil {
			return err
		}
		r, err := readRemains(ctx, tx, row)
		if err != nil {
			return err
		}
		return script(ctx, tx, r.dropAll(row, tables)...)
	})
	return done, err
}
