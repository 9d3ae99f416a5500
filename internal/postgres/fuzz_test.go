package postgres_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenantry/tenantry/internal/postgres"
)

// FuzzIdentifierOnServer: an identifier in SQL text is exactly its name to a server, or the server
// refuses it; it is never another name, and never a second statement. What PostgreSQL would cut, or
// cannot hold, is refused before (see FuzzSchemaName and FuzzParseDSN in the folder fuzz).
//
//	go test ./internal/postgres -run '^$' -fuzz FuzzIdentifierOnServer -fuzztime 1m
func FuzzIdentifierOnServer(f *testing.F) {
	for _, seed := range []string{
		"acme", "Acme", `we"ird`, `"`, `""`, `a"; DROP TABLE x; --`, "лавка", "a b", "a\nb", `\`, "select", "$1", "a\tb", "😀", " a ", "--", "/*", "';--", "%s", "a.b",
		strings.Repeat("x", 63), strings.Repeat("ä", 31), "\u202e", "\u00a0", "\ufeff",
	} {
		f.Add(seed)
	}
	conn, err := pgx.Connect(f.Context(), server.AdminDSN())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = conn.Close(f.Context()) })
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" || len(name) > 63 || strings.ContainsRune(name, 0) || !utf8.ValidString(name) {
			return // refused before it reaches SQL
		}
		// The simple protocol runs several statements, if there are several.
		results, err := conn.PgConn().Exec(t.Context(), "SELECT 1 AS "+postgres.Ident(name)).ReadAll()
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if len(results) != 1 || len(results[0].FieldDescriptions) != 1 || results[0].FieldDescriptions[0].Name != name {
			t.Errorf("%q became %v", name, fields(results))
		}
	})
}

func fields(results []*pgconn.Result) (names []string) {
	for _, r := range results {
		for _, f := range r.FieldDescriptions {
			names = append(names, f.Name)
		}
	}
	return names
}
