package migrations

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// queryer is a connection or a pool.
type queryer interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// DumpArguments returns pg_dump's arguments for a checkpoint of one schema: its objects, and the rows of the
// tables that migrations fill. A tenant's own rows must not get into every new tenant, so the rows of
// a table are left out unless it is named. The connection string goes behind them.
func DumpArguments(ctx context.Context, q queryer, schema string, seeds []string) ([]string, error) {
	// Sequences go with the table that they belong to.
	rows, err := q.Query(ctx, `SELECT c.relname, coalesce(t.relname, c.relname), c.relkind::text FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN pg_catalog.pg_depend d ON c.relkind = 'S' AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
			AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
		LEFT JOIN pg_catalog.pg_class t ON t.oid = d.refobjid
		WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'm', 'S') AND c.relname <> $2 ORDER BY 1`, schema, ledgerTable)
	if err != nil {
		return nil, err
	}
	type relation struct{ Name, Of, Kind string }
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[relation])
	if err != nil {
		return nil, err
	}
	args := []string{
		"--no-owner", "--no-privileges", "--no-tablespaces", "--no-publications", "--no-subscriptions", "--no-security-labels",
		"--inserts", "--rows-per-insert=500", "--schema=" + pattern(schema), "--exclude-table=" + pattern(schema, ledgerTable),
	}
	for _, seed := range seeds {
		if !slices.ContainsFunc(all, func(r relation) bool { return r.Name == seed && r.Kind != "S" }) {
			return nil, fmt.Errorf("schema %q has no table %q", schema, seed)
		}
	}
	for _, r := range all {
		if !slices.Contains(seeds, r.Of) {
			args = append(args, "--exclude-table-data="+pattern(schema, r.Name))
		}
	}
	return args, nil
}

// pattern names just one object to pg_dump: in double quotes nothing is special.
func pattern(parts ...string) string { return ident(parts...) }
