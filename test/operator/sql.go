package operator

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Exec runs SQL on a connection of its own, as whoever the URL names.
func Exec(t testing.TB, dsn, sql string, args ...any) {
	t.Helper()
	conn := open(t, dsn)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// Query returns the one value of a query.
func Query[V any](t testing.TB, dsn, sql string, args ...any) V {
	t.Helper()
	conn := open(t, dsn)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	var value V
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

func open(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// LogsIn tells whether a connection URL can be used.
func LogsIn(t testing.TB, dsn string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		return err
	}
	return conn.Close(t.Context())
}

// OpenSession is a session that somebody holds open.
type OpenSession struct{ conn *pgx.Conn }

// Session logs in and stays.
func Session(t testing.TB, dsn string) *OpenSession {
	t.Helper()
	s := &OpenSession{open(t, dsn)}
	t.Cleanup(func() { _ = s.conn.Close(context.WithoutCancel(t.Context())) })
	return s
}

// End logs out.
func (s *OpenSession) End(t testing.TB) {
	t.Helper()
	if err := s.conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Columns returns the columns of a table, in order; none if there is no table.
func Columns(t testing.TB, dsn, schema, table string) []string {
	t.Helper()
	return Query[[]string](t, dsn, `SELECT coalesce(array_agg(attname::text ORDER BY attnum), '{}') FROM pg_attribute a
		JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname = $2 AND attnum > 0 AND NOT attisdropped`, schema, table)
}

// Roles returns the roles of the server whose names hold a text.
func Roles(t testing.TB, dsn, part string) []string {
	t.Helper()
	return Query[[]string](t, dsn, `SELECT coalesce(array_agg(rolname::text ORDER BY rolname), '{}') FROM pg_roles WHERE position($1 in rolname) > 0`, part)
}

// Schemas returns the schemas of the database besides PostgreSQL's own and the registry.
func Schemas(t testing.TB, dsn string) []string {
	t.Helper()
	return Query[[]string](t, dsn, `SELECT coalesce(array_agg(nspname::text ORDER BY nspname), '{}') FROM pg_namespace
		WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public', 'tenantry')`)
}

// Hold opens a session that stays until the test ends.
func Hold(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	conn := open(t, dsn)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// Try runs statements one after the other on a connection of its own, and returns what the server, or
// the log-in, says against it.
func Try(t testing.TB, dsn string, statements ...string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	for _, sql := range statements {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}
