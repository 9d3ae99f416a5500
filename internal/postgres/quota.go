package postgres

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
)

// sizeSettings bound the one slow query of the operator: reading the sizes of 1,000 schemas of 31 tables
// took 10.9 s. Nor may a table make it wait that somebody has locked.
var sizeSettings = []string{"SET LOCAL statement_timeout = '5min'", "SET LOCAL lock_timeout = '2s'"}

const sizesSQL = `SELECT n.nspname, sum(pg_total_relation_size(c.oid))::bigint
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY ($1) AND c.relkind IN ('r', 'm') GROUP BY n.nspname`

// lockedSchemasSQL finds the schemas with a relation that cannot be measured now: an exclusive lock, held or
// waited for, on a table or on one of its indexes, which lie in its schema.
const lockedSchemasSQL = `SELECT DISTINCT n.nspname FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_class c ON c.oid = l.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND n.nspname = ANY ($1)
AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())`

// SchemaSizes returns the bytes that schemas take on disk: tables with their indexes and TOAST. A schema
// without tables takes none. Those in which something is locked are not in the answer; their tenants can
// thereby keep no other's from being measured.
func (db *DB) SchemaSizes(ctx context.Context, schemas []string) (map[string]int64, error) {
	rows, err := db.pool.Query(ctx, lockedSchemasSQL, schemas)
	if err != nil {
		return nil, failed(err, "cannot read the locks on schemas")
	}
	locked, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, failed(err, "cannot read the locks on schemas")
	}
	sizes := map[string]int64{}
	free := slices.DeleteFunc(slices.Clone(schemas), func(s string) bool { return slices.Contains(locked, s) })
	return sizes, failed(db.sizesAround(ctx, free, sizes), "cannot read the sizes of schemas")
}

// sizesAround halves the schemas until the one stands alone in which something was locked since.
func (db *DB) sizesAround(ctx context.Context, schemas []string, into map[string]int64) error {
	if len(schemas) == 0 {
		return nil
	}
	sizes, err := db.sizes(ctx, schemas)
	if CauseOf(err) != LockTimeout {
		maps.Copy(into, sizes)
		return err
	}
	if len(schemas) == 1 {
		return nil
	}
	half := len(schemas) / 2
	if err := db.sizesAround(ctx, schemas[:half], into); err != nil {
		return err
	}
	return db.sizesAround(ctx, schemas[half:], into)
}

func (db *DB) sizes(ctx context.Context, schemas []string) (map[string]int64, error) {
	sizes := map[string]int64{}
	for _, schema := range schemas {
		sizes[schema] = 0
	}
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		if err := script(ctx, tx, sizeSettings...); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, sizesSQL, schemas)
		if err != nil {
			return err
		}
		var schema string
		var size *int64
		_, err = pgx.ForEachRow(rows, []any{&schema, &size}, func() error {
			if size != nil {
				sizes[schema] = *size
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return sizes, nil
}

// InsertRevoked returns the tables on which RevokeInsert took INSERT from the tenant, by the names that they had
// and have, and whether it did. A registry that has no such table yet knows of none.
func (db *DB) InsertRevoked(ctx context.Context, schema string) (tables []string, revoked bool, err error) {
	what := "cannot read the quota of schema " + schema
	err = db.pool.QueryRow(ctx, `SELECT tables FROM tenantry.quota WHERE schema_name = $1`, schema).Scan(&tables)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, false, nil
	}
	if err = failed(err, what); err != nil {
		if fault.ReasonOf(err) == ReasonNotBootstrapped {
			err = nil
		}
		return nil, false, err
	}
	relations, err := recordedRelations(ctx, db.pool, schema)
	if err != nil {
		return nil, false, failed(err, what)
	}
	rows, err := db.pool.Query(ctx, `SELECT unnest($2::text[]) UNION SELECT c.relname FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.oid = ANY ($3) ORDER BY 1`, schema, tables, relations)
	if err != nil {
		return nil, false, failed(err, what)
	}
	tables, err = pgx.CollectRows(rows, pgx.RowTo[string])
	return tables, err == nil, failed(err, what)
}

// recordsRelations : a registry of before has names alone, until the TenantDatabase is looked at once more.
func recordsRelations(ctx context.Context, q querier) (known bool, err error) {
	err = q.QueryRow(ctx, `SELECT to_regclass('tenantry.quota_relation') IS NOT NULL`).Scan(&known)
	return known, err
}

// recordedRelations are the tables of RevokeInsert by their numbers.
func recordedRelations(ctx context.Context, q querier, schema string) (relations []uint32, err error) {
	if known, err := recordsRelations(ctx, q); err != nil || !known {
		return nil, err
	}
	err = q.QueryRow(ctx, `SELECT ARRAY(SELECT relation FROM tenantry.quota_relation WHERE schema_name = $1)`, schema).Scan(&relations)
	return relations, err
}

// Views too: who inserts into one needs no right on its tables.
const insertableSQL = `SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'f', 'v') AND pg_get_userbyid(c.relowner) = $2 AND EXISTS (
	SELECT FROM aclexplode(c.relacl) x JOIN pg_catalog.pg_roles a ON a.oid = x.grantee
	WHERE a.rolname = $3 AND x.privilege_type = 'INSERT')
ORDER BY c.relname`

func (r *registered) insertable(ctx context.Context, q interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
},
) ([]string, error) {
	rows, err := q.Query(ctx, insertableSQL, r.Schema, r.Owner, r.App)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// mayInsert says, without a lock, whether there is something to revoke.
func (db *DB) mayInsert(ctx context.Context, uid, schema string) (bool, error) {
	var row registered
	err := db.pool.QueryRow(ctx, `SELECT to_jsonb(t) FROM tenantry.tenant t WHERE schema_name = $1`, schema).Scan(&row)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, notProvisioned(schema)
	}
	if err == nil {
		err = row.ownedBy(uid)
	}
	if err != nil {
		return false, err
	}
	tables, err := row.insertable(ctx, db.pool)
	return len(tables) > 0, err
}

// RevokeInsert takes INSERT on all tables of a tenant from its login, and remembers on which it had it.
// Called again, it does the same for tables that came since; without any it writes nothing.
func (db *DB) RevokeInsert(ctx context.Context, uid, schema string) (changed bool, err error) {
	what := "cannot revoke INSERT in schema " + schema
	if some, err := db.mayInsert(ctx, uid, schema); err != nil || !some {
		return false, failed(err, what)
	}
	defer db.revoked.forget() // however it ends: nobody heard of the end of some
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		row, err := lockOwn(ctx, tx, uid, schema)
		if err != nil {
			return err
		}
		tables, err := row.insertable(ctx, tx)
		if changed = len(tables) > 0; err != nil || !changed {
			return err
		}
		if err := changeInsert(ctx, tx, row, "REVOKE INSERT ON ", " FROM ", tables); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO tenantry.quota (schema_name, tables) VALUES ($1, $2)
			ON CONFLICT (schema_name) DO UPDATE SET tables = ARRAY(SELECT DISTINCT t FROM unnest(quota.tables || excluded.tables) t ORDER BY t)`, schema, tables)
		if err != nil {
			return err
		}
		if known, err := recordsRelations(ctx, tx); err != nil || !known {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO tenantry.quota_relation SELECT $1::text, c.oid FROM pg_catalog.pg_class c
			JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1::text AND c.relname = ANY ($2) ON CONFLICT DO NOTHING`, schema, tables)
		return err
	})
	return changed, failed(err, what)
}

// RestoreInsert gives back what RevokeInsert took, on the tables that are still there, whatever they are called.
func (db *DB) RestoreInsert(ctx context.Context, uid, schema string) (changed bool, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		row, err := lockOwn(ctx, tx, uid, schema)
		if err != nil {
			return err
		}
		relations, err := recordedRelations(ctx, tx, schema)
		if err != nil {
			return err
		}
		var tables []string
		err = tx.QueryRow(ctx, `DELETE FROM tenantry.quota WHERE schema_name = $1 RETURNING tables`, schema).Scan(&tables)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		changed = true
		rows, err := tx.Query(ctx, `SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = $1 AND (c.relname = ANY ($2) OR c.oid = ANY ($4)) AND c.relkind IN ('r', 'p', 'f', 'v') AND pg_get_userbyid(c.relowner) = $3 ORDER BY c.relname`,
			schema, tables, row.Owner, relations)
		if err != nil {
			return err
		}
		if tables, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return err
		}
		return changeInsert(ctx, tx, row, "GRANT INSERT ON ", " TO ", tables)
	})
	return changed, failed(err, "cannot give INSERT back in schema "+schema)
}

// changeInsert acts as the tables' owner.
func changeInsert(ctx context.Context, tx pgx.Tx, row *registered, verb, preposition string, tables []string) error {
	if len(tables) == 0 {
		return nil
	}
	var version int
	if err := tx.QueryRow(ctx, `SELECT current_setting('server_version_num')::int`).Scan(&version); err != nil {
		return err
	}
	inside := []string{"SET LOCAL ROLE " + ident(row.Owner)}
	for _, table := range tables {
		inside = append(inside, verb+ident(row.Schema, table)+preposition+ident(row.App))
	}
	return script(ctx, tx, slices.Concat(dropSettings, actingAs(row.Keeper, version, row.Owner, nil, inside...))...)
}
