// Package fuzz holds the fuzz target of the loader. It stands apart from the tests of the engine, so
// that what the fuzzer instruments is the loader and its parser alone.
//
//	go test ./internal/migrations/fuzz -fuzz FuzzLoad -fuzztime 1m
package fuzz

import (
	"strings"
	"testing"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/migrations"
)

// FuzzLoad feeds one file to Load. Whatever it is, Load must not panic, its errors must be Invalid
// faults, and a file that it takes must come back whole: the statements, in their order and from
// the lines they name, with nothing but comments, semicolons and space between them.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"SELECT 1;\nSELECT 'a;b' /* ; */;", "BEGIN;\nCREATE TABLE t (id int);\nCOMMIT;", "CREATE INDEX CONCURRENTLY i ON t (a);",
		"-- +goose Up\n-- +goose StatementBegin\nSELECT 1;\n-- +goose StatementEnd\n-- +goose Down\nSELECT 2;",
		"DO $$ BEGIN COMMIT; END $$;", "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END;",
		"SELECT U&'\\0441' UESCAPE '!', E'\\'', B'1', $1, $a$;$a$;", "DROP INDEX CONCURRENTLY \"a\"\"b\".c;", "REINDEX TABLE CONCURRENTLY t",
		"\xef\xbb\xbfSELECT\r\n1", "SET LOCAL x = 1; RESET ALL; SET SESSION", "((((", "]);[", "PREPARE", "CREATE", "GRANT a TO b", "COPY t FROM STDIN;\n1\n\\.",
		"CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2);", "/* /* */", "\\d", "CREATE INDEX CONCURRENTLY", "DROP INDEX CONCURRENTLY IF",
		"SELECT " + strings.Repeat("1+", 400) + "1;\nSELECT " + strings.Repeat("(", 400),
	} {
		f.Add(seed)
	}
	// Starting the parser takes longer than the fuzzer lets one input take.
	if _, err := migrations.Load([]migrations.File{{Name: "1_a.sql", Content: []byte("SELECT 1")}}, migrations.Auto); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		set := load(t, text)
		if set == nil || set.Format != migrations.Plain || !set.Migrations[0].Transactional {
			return
		}
		file := strings.ReplaceAll(strings.TrimPrefix(text, "\xef\xbb\xbf"), "\r\n", "\n")
		if !covers(t, set.Migrations[0].Statements, file, 1) {
			t.Fatalf("the statements are not the file: %+v", set.Migrations[0].Statements)
		}
	})
}

// load returns nil for what Load refuses.
func load(t *testing.T, text string) *migrations.Set {
	set, err := migrations.Load([]migrations.File{{Name: "1_a.sql", Content: []byte(text)}}, migrations.Auto)
	if err != nil && fault.KindOf(err) != fault.Invalid {
		t.Fatalf("%v is no Invalid fault", err)
	}
	return set
}

// covers finds the statements in the file again, and nothing else. The same text may stand in a
// comment before, so every place is tried.
func covers(t *testing.T, statements []migrations.Statement, file string, line int) bool {
	if len(statements) == 0 {
		return isGap(t, file)
	}
	st := statements[0]
	for start := 0; ; start++ {
		next := strings.Index(file[start:], st.SQL)
		if next < 0 {
			return false
		}
		start += next
		at := line + strings.Count(file[:start], "\n")
		if at == st.Line && isGap(t, file[:start]) &&
			covers(t, statements[1:], file[start+len(st.SQL):], at+strings.Count(st.SQL, "\n")) {
			return true
		}
	}
}

// isGap says whether a text holds no statement. What the loader takes out, a BEGIN in front of the
// first statement and a COMMIT behind the last, is none either.
func isGap(t *testing.T, text string) bool {
	// A comment keeps what follows from being a mark at the start of a line.
	text = "/**/" + text
	for _, whole := range []string{text, text + "\n;COMMIT", "BEGIN;" + text} {
		if set := load(t, whole+"\n;--"); set != nil && len(set.Migrations[0].Statements) == 0 {
			return true
		}
	}
	return false
}
