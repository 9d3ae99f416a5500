package frameworks

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// ReasonLedgerUnusable : what stands in the table's place is not the framework's table.
const ReasonLedgerUnusable = "LedgerUnusable"

// record is a row of a framework's table.
type record struct {
	entry string
	state string // applied, broken, undone, baseline
}

// Ledger is what a framework recorded of one schema, in its order.
type Ledger struct {
	framework Framework
	records   []record
}

// maxEntry bounds what a row names, in characters: a tenant's own login may be able to write there.
const maxEntry = 1024

var limit = strconv.Itoa(maxRows + 1)

// Read returns what the framework's table in the schema says, nothing if there is no such table yet. It
// reads as the owner, on a session of the migrator, in one round trip. Errors are faults: LedgerUnusable
// for a table that is not to be trusted, or the server's.
func Read(ctx context.Context, pool *pgxpool.Pool, framework Framework, schema, owner string) (Ledger, error) {
	return postgres.WithNewSessions(pool, func() (Ledger, error) { return read(ctx, pool, framework, schema, owner) })
}

func read(ctx context.Context, pool *pgxpool.Pool, framework Framework, schema, owner string) (Ledger, error) {
	ledger := Ledger{framework: framework}
	t, known := tables[framework]
	if !known {
		return ledger, fmt.Errorf("no table of framework %q is known", framework)
	}
	what := fmt.Sprintf("cannot read %s of schema %q as role %q", t.name, schema, owner)
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return ledger, postgres.Fault(err, what)
	}
	defer conn.Release()
	// The statements of one message are one transaction, which is where SET LOCAL ends.
	results, err := conn.Conn().PgConn().Exec(ctx, strings.Join([]string{
		"SET LOCAL ROLE " + ident(owner), t.guard(schema, owner), t.read(schema),
	}, ";\n")).ReadAll()
	if err != nil {
		return ledger, t.fault(err, schema, owner, what)
	}
	rows := results[len(results)-1].Rows
	if len(rows) > maxRows {
		return ledger, fault.NewInvalid(ReasonLedgerUnusable, "%s.%s has more than %d rows", schema, t.name, maxRows)
	}
	for _, row := range rows {
		if utf8.RuneCount(row[0]) > maxEntry {
			return ledger, fault.NewInvalid(ReasonLedgerUnusable, "%s.%s has an entry of more than %d characters", schema, t.name, maxEntry)
		}
		ledger.records = append(ledger.records, record{string(row[0]), string(row[1])})
	}
	return ledger, nil
}

func (t table) fault(err error, schema, owner, what string) error {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case ok && pg.Code == "42P01": // undefined_table
		return nil
	case ok && pg.Code == "22012": // division_by_zero, of the guard
		return fault.NewInvalid(ReasonLedgerUnusable,
			"%s.%s is not a plain table that belongs to role %s, and is not read; give it to that role, or rename what is there", schema, t.name, owner).Because(err)
	case ok && (pg.Code == "42703" || pg.Code == "42883" || pg.Code == "42804"): // another table's columns
		return fault.NewInvalid(ReasonLedgerUnusable,
			"%s.%s has not the columns of the framework's table (%s); see that spec.job.framework is the right one", schema, t.name, strings.Join(t.columns, ", ")).Because(err)
	}
	return postgres.Fault(err, what)
}

func ident(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

// literal quotes a name; none holds a backslash, and standard_conforming_strings is pinned.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
