package probes

import (
	_ "embed" // for the query
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

//go:embed snapshot.sql
var snapshotSQL string

const snapshotRowsSQL = `SELECT format('row %s %s', oid::regclass,
	replace(query_to_xml(format('SELECT * FROM %s ORDER BY 1', oid::regclass), true, true, '')::text, E'\n', ' '))
FROM pg_class WHERE relkind = 'r' AND relpersistence = 'p' AND oid >= 16384`

// snapshot is everything of the database, and of the server's roles, that somebody might have
// changed: each object with its owner and rights, each role with its powers, memberships and
// settings, and the rows of the registry, the shared tables, the ledgers and the tenants.
func (s *stage) snapshot(t testing.TB) []string {
	t.Helper()
	lines := append(rowsOf(t, s.eyes, snapshotSQL), rowsOf(t, s.eyes, snapshotRowsSQL)...)
	slices.Sort(lines)
	return lines
}

func rowsOf(t testing.TB, conn *pgx.Conn, sql string) []string {
	t.Helper()
	rows := must(conn.Query(t.Context(), sql))(t)
	return must(pgx.CollectRows(rows, pgx.RowTo[string]))(t)
}

// changes is what differs between two snapshots, "" if nothing.
func changes(before, after []string) string {
	if slices.Equal(before, after) {
		return ""
	}
	lines := append(missing("-", before, after), missing("+", after, before)...)
	return strings.Join(lines, "\n")
}

func missing(mark string, from, in []string) (lines []string) {
	for _, line := range from {
		if _, found := slices.BinarySearch(in, line); !found {
			lines = append(lines, mark+" "+line)
		}
	}
	return lines
}
