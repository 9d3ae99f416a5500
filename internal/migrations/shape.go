package migrations

import (
	"context"
	_ "embed" // for the queries
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantry/tenantry/internal/postgres"
)

//go:embed shape.sql
var shapeSQL string

//go:embed rows.sql
var rowsSQL string

// Shape describes a schema so that two can be compared: sorted lines of what is in it, and for each table
// the number of its rows and a checksum of what they hold. Values of columns whose default reads a clock or
// draws by chance are left out. Names of the schema and its owner do not count, nor does the ledger.
type Shape []string

// ReadShape describes a schema, as its owner, on a session of the migrator. It locks tables whose rows policies hide
// from their owner, and is for schemas that nobody uses. Errors are faults.
func ReadShape(ctx context.Context, pool *pgxpool.Pool, t Target) (Shape, error) {
	shape, err := postgres.WithNewSessions(pool, func() (Shape, error) { return t.readShape(ctx, pool) })
	if err != nil {
		return nil, postgres.Fault(err, fmt.Sprintf("cannot describe schema %q", t.Schema))
	}
	return shape, nil
}

func (t Target) readShape(ctx context.Context, pool *pgxpool.Pool) (Shape, error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	lines, err := t.ask(ctx, conn.Conn().PgConn(), parameters(shapeSQL, t.Schema))
	if err != nil {
		return nil, err
	}
	tables, err := t.ask(ctx, conn.Conn().PgConn(), parameters(rowsSQL, t.Schema))
	if err != nil {
		return nil, err
	}
	if len(tables) > 0 {
		rows, err := t.ask(ctx, conn.Conn().PgConn(), t.countRows(tables), t.unforce(tables)...)
		if err != nil {
			return nil, err
		}
		lines = append(lines, rows...)
	}
	names := strings.NewReplacer(t.Schema, "<schema>", t.Owner, "<owner>")
	shape := make(Shape, len(lines))
	for i, line := range lines {
		shape[i] = names.Replace(strings.Join(line, "\t"))
	}
	slices.Sort(shape)
	return shape, nil
}

// ask runs one query as the owner, behind statements that are taken back. pg_catalog comes first on the path: nothing
// in the schema stands in for what the query itself calls.
func (t Target) ask(ctx context.Context, conn *pgconn.PgConn, sql string, first ...string) ([][]string, error) {
	path := "pg_catalog, " + ident(t.Schema)
	if t.SharedSchema != "" {
		path += ", " + ident(t.SharedSchema)
	}
	var s script
	s.own(0, "BEGIN", "SET LOCAL ROLE "+ident(t.Owner), "SET LOCAL search_path = "+path, "SET LOCAL TimeZone = 'UTC'")
	s.own(0, first...)
	s.own(0, sql, "ROLLBACK")
	results, err := s.run(ctx, conn)
	if err != nil {
		return nil, err // The pool closes a session whose transaction failed.
	}
	answer := results[len(results)-2].Rows
	rows := make([][]string, len(answer))
	for i, row := range answer {
		for _, cell := range row {
			rows[i] = append(rows[i], string(cell))
		}
	}
	return rows, nil
}

func parameters(sql, schema string) string {
	return strings.NewReplacer("$1", literal(schema), "$2", literal(ledgerTable)).Replace(sql)
}

// unforce lets the owner see all rows. A policy might show none of those that a checkpoint has to bring.
func (t Target) unforce(tables [][]string) (sql []string) {
	for _, table := range tables {
		if table[2] == "t" {
			sql = append(sql, "ALTER TABLE "+ident(t.Schema, table[0])+" NO FORCE ROW LEVEL SECURITY")
		}
	}
	return sql
}

// countRows adds up the rows' checksums, so that their order does not count.
func (t Target) countRows(tables [][]string) string {
	queries := make([]string, len(tables))
	for i, table := range tables {
		queries[i] = fmt.Sprintf(`SELECT %s, 'rows: ' || count(*) || ', checksum ' || coalesce(sum(hashtextextended(ROW(%s)::text, 0)), 0) FROM ONLY %s`,
			literal("table "+table[0]), table[1], ident(t.Schema, table[0]))
	}
	return strings.Join(queries, " UNION ALL ")
}

// Differences names what a checkpoint made otherwise than the migrations did.
func (s Shape) Differences(checkpoint Shape) []string {
	var found []string
	for _, line := range s {
		if _, there := slices.BinarySearch(checkpoint, line); !there {
			found = append(found, clipped(line)+": the migrations make it, the checkpoint does not")
		}
	}
	for _, line := range checkpoint {
		if _, there := slices.BinarySearch(s, line); !there {
			found = append(found, clipped(line)+": the checkpoint makes it, the migrations do not")
		}
	}
	return found
}

// maxLine bounds what is said of one difference.
const maxLine = 160

func clipped(line string) string {
	text := []rune(strings.Join(strings.Fields(line), " "))
	if len(text) > maxLine {
		text = append(text[:maxLine], []rune("...")...)
	}
	return string(text)
}
