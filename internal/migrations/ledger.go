package migrations

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// ledgerTable is in the tenant's schema, so that it travels with a dump of it.
const ledgerTable = postgres.LedgerTable

// ledgerColumns are in the order in which decodeRow reads them.
const ledgerColumns = `version, file, checksum, state, finished, in_doubt, prefix, runner, ` +
	`(extract(epoch FROM applied_at) * 1000000)::pg_catalog.int8`

func (t Target) ledger() string { return ident(t.Schema, ledgerTable) }

// createLedger makes the ledger as the owner. The application may read it; what default
// privileges gave it beyond that is taken back.
func (t Target) createLedger() []string {
	statements := []string{
		"CREATE TABLE IF NOT EXISTS " + t.ledger() + ` (
	version text COLLATE "C" PRIMARY KEY,
	file text NOT NULL,
	checksum text NOT NULL,
	state text NOT NULL CHECK (state IN ('running', 'done')),
	finished integer NOT NULL,
	in_doubt boolean NOT NULL DEFAULT false,
	prefix text NOT NULL DEFAULT '',
	runner text NOT NULL DEFAULT '',
	applied_at timestamp with time zone NOT NULL DEFAULT pg_catalog.clock_timestamp()
)`,
		"COMMENT ON TABLE " + t.ledger() + " IS 'Migrations applied to this schema, written by Tenantry'",
	}
	revoke := "REVOKE ALL ON " + t.ledger() + " FROM PUBLIC"
	if t.App == "" {
		return append(statements, revoke)
	}
	return append(statements, revoke+", "+ident(t.App), "GRANT SELECT ON "+t.ledger()+" TO "+ident(t.App))
}

// insertRows is the first statement of a migration's transaction. Its primary key lets one of two
// runners through; the other waits for the first one's end. It divides by zero for anybody but the owner.
func (t Target) insertRows(rows ...Applied) string {
	owner := fmt.Sprintf(" / CASE WHEN current_user::pg_catalog.text OPERATOR(pg_catalog.=) %s THEN 1 ELSE 0 END", literal(t.Owner))
	values := make([]string, len(rows))
	for i, row := range rows {
		values[i] = fmt.Sprintf("(%s, %s, %s, %s, %d%s, %t, %s, %s)", literal(string(row.Version)), literal(row.File),
			literal(row.Checksum), literal(string(row.State)), row.Finished, owner, row.InDoubt, literal(row.Prefix), literal(row.Runner))
		owner = ""
	}
	return "INSERT INTO " + t.ledger() + " (version, file, checksum, state, finished, in_doubt, prefix, runner) VALUES " + strings.Join(values, ", ")
}

// deleteRow takes out the row that another one replaces, if it is still as it was read.
func (t Target) deleteRow(row Applied) string {
	return fmt.Sprintf("DELETE FROM ONLY %s WHERE version = %s AND checksum = %s AND state = %s",
		t.ledger(), literal(string(row.Version)), literal(row.Checksum), literal(string(row.State)))
}

// guard fails unless the ledger is absent or a plain table of the owner: a migration might have put
// a view in its place, which would run functions as whoever reads it.
func (t Target) guard() string {
	return fmt.Sprintf(`SELECT 1 / CASE WHEN relkind = 'r' AND NOT relhasrules AND NOT relrowsecurity AND relowner = %s::pg_catalog.regrole THEN 1 ELSE 0 END
FROM pg_catalog.pg_class WHERE oid = %s`, literal(ident(t.Owner)), regclass(t.Schema, ledgerTable))
}

// ReadLedger returns the rows of a schema's ledger in no particular order, none if it has no ledger
// yet. It reads as the owner, on a session of the migrator. Errors are faults.
func ReadLedger(ctx context.Context, pool *pgxpool.Pool, t Target) ([]Applied, error) {
	return postgres.WithNewSessions(pool, func() ([]Applied, error) {
		conn, err := pool.Acquire(ctx)
		if err != nil {
			return nil, postgres.Fault(err, "cannot read the ledger of schema "+strconv.Quote(t.Schema))
		}
		defer conn.Release()
		rows, _, err := t.readLedger(ctx, conn.Conn().PgConn())
		return rows, err
	})
}

// readLedger takes one round trip. The statements of one message are one transaction, which is where
// SET LOCAL ends.
func (t Target) readLedger(ctx context.Context, conn *pgconn.PgConn) (rows []Applied, exists bool, err error) {
	var s script
	s.own(0, "SET LOCAL ROLE "+ident(t.Owner), t.guard(), "SELECT "+ledgerColumns+" FROM ONLY "+t.ledger())
	results, err := s.run(ctx, conn)
	if f, ok := errors.AsType[*failure](err); ok {
		pg := f.server()
		switch {
		case pg != nil && f.done == 2 && pg.Code == "42P01":
			return nil, false, nil
		case pg != nil && (f.done == 1 && pg.Code == "22012" || f.done == 2 && pg.Code == "42703"):
			return nil, false, t.ledgerUnusable().Because(err)
		}
		return nil, false, postgres.Fault(err, fmt.Sprintf("cannot read the ledger of schema %q as role %q", t.Schema, t.Owner))
	}
	for _, raw := range results[2].Rows {
		row, err := decodeRow(raw)
		if err != nil {
			return nil, false, t.ledgerUnusable().Because(err)
		}
		rows = append(rows, row)
	}
	return rows, true, nil
}

func (t Target) ledgerUnusable() *fault.Fault {
	return fault.NewInvalid(ReasonLedgerUnusable,
		"%s.%s is not the table that records migrations; rename or drop what is there, or restore it from a backup", t.Schema, ledgerTable)
}

// ledgerLost is for a schema that was migrated, and came back from a backup or from somebody's hands without
// its ledger: all migrations would run once more on what it has.
func (t Target) ledgerLost() *fault.Fault {
	return fault.NewInvalid(ReasonLedgerUnusable,
		"schema %s is recorded at version %s, and the table %s.%s that lists its migrations is missing or empty; nothing is run. "+
			"Restore that table from a backup of this schema, or drop the schema if it is to be made anew",
		t.Schema, t.Recorded, t.Schema, ledgerTable)
}

func decodeRow(raw [][]byte) (Applied, error) {
	finished, err := strconv.Atoi(string(raw[4]))
	if err != nil {
		return Applied{}, err
	}
	micros, err := strconv.ParseInt(string(raw[8]), 10, 64)
	if err != nil {
		return Applied{}, err
	}
	return Applied{
		Version: Version(raw[0]), File: string(raw[1]), Checksum: string(raw[2]), State: State(raw[3]),
		Finished: finished, InDoubt: string(raw[5]) == "t", Prefix: string(raw[6]), Runner: string(raw[7]),
		At: time.UnixMicro(micros),
	}, nil
}
