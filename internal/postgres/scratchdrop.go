package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
)

// DropScratch drops what the registry has as the scratch schema of a set's UID, and nothing else. None
// is success. One in use is fault.Waiting (ReasonScratchBusy).
func (db *DB) DropScratch(ctx context.Context, uid string) error {
	for {
		done, err := db.dropScratchTables(ctx, uid)
		if err != nil {
			return failed(err, "cannot drop a scratch schema")
		}
		if done {
			return failed(db.inTx(ctx, func(tx pgx.Tx) error { return dropScratch(ctx, tx, uid) }), "cannot drop a scratch schema")
		}
	}
}

func dropScratch(ctx context.Context, tx pgx.Tx, uid string) error {
	row, err := lockScratch(ctx, tx, uid)
	if err != nil || row == nil {
		return err
	}
	if err := refuseDependents(ctx, tx, row.Schema); err != nil {
		return err
	}
	r, err := scratchRemains(ctx, tx, row)
	if err != nil {
		return err
	}
	t, err := readTies(ctx, tx, r.roles(row))
	if err != nil {
		return err
	}
	if err := t.refusal(row.Schema, r.roles(row)); err != nil {
		return err
	}
	if err := script(ctx, tx, r.statements(row, t)...); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `DELETE FROM tenantry.scratch WHERE set_uid = $1`, uid)
	return err
}

// scratchRemains: a scratch schema has an owner and no logins.
func scratchRemains(ctx context.Context, tx pgx.Tx, row *registered) (r remains, err error) {
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1),
		EXISTS (SELECT FROM pg_roles WHERE rolname = $2), current_setting('server_version_num')::int`,
		row.Schema, row.Owner).Scan(&r.schema, &r.owner, &r.version)
	return r, err
}

// dropScratchTables drops some tables of a large schema; it is done when what is left fits one transaction.
func (db *DB) dropScratchTables(ctx context.Context, uid string) (done bool, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		row, err := lockScratch(ctx, tx, uid)
		if err != nil || row == nil {
			done = true
			return err
		}
		rows, err := tx.Query(ctx, tablesSQL, row.Schema, manyRelations, tablesAtOnce)
		if err != nil {
			return err
		}
		tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if done = err == nil && len(tables) == 0; err != nil || done {
			return err
		}
		if err := refuseDependents(ctx, tx, row.Schema); err != nil {
			return err
		}
		r, err := scratchRemains(ctx, tx, row)
		if err != nil {
			return err
		}
		return script(ctx, tx, r.dropAll(row, tables)...)
	})
	return done, err
}

// SweepScratch drops the scratch schemas that crashes left, of all sets. It passes over those in use, and
// over those that were made just now, whose runners may not have taken their locks yet. left names
// the sets whose scratch schema could not be dropped, with the reason.
func (db *DB) SweepScratch(ctx context.Context) (left []string, err error) {
	rows, err := db.pool.Query(ctx, `SELECT set_uid, set_name FROM tenantry.scratch WHERE created_at < now() - interval '1 minute' ORDER BY set_name`)
	if err != nil {
		return nil, failed(err, "cannot look for scratch schemas")
	}
	type leftover struct{ UID, Set string }
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[leftover])
	if err != nil {
		return nil, failed(err, "cannot look for scratch schemas")
	}
	for _, l := range found {
		if err := db.DropScratch(ctx, l.UID); err != nil && fault.ReasonOf(err) != ReasonScratchBusy {
			left = append(left, l.Set+": "+err.Error())
		}
	}
	return left, nil
}

// EndSessionsIn ends this login's own sessions that hold locks in a schema: those of a runner that is
// gone, whose statement the server still works on.
func (db *DB) EndSessionsIn(ctx context.Context, schema string) error {
	_, err := db.pool.Exec(ctx, `SELECT pg_catalog.pg_terminate_backend(a.pid) FROM pg_stat_activity a
		WHERE a.usename = current_user AND a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.pid IN (
			SELECT l.pid FROM pg_locks l, pg_namespace n
			WHERE n.nspname = $1 AND (l.locktype = 'object' AND l.classid = 'pg_namespace'::regclass AND l.objid = n.oid
				OR EXISTS (SELECT FROM pg_class c WHERE c.oid = l.relation AND c.relnamespace = n.oid)))`, schema)
	return failed(err, "cannot end sessions in schema "+schema)
}
