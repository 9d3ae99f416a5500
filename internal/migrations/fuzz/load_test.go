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
	f.Fuzz(func(t *testing.T, text string) {
		set := load(t, text)
		if set == nil || set.Format != migrations.Plain || !set.Migrations[0].Transactional {
			return
		}
		checkCover(t, set.Migrations[0].Statements, strings.ReplaceAll(strings.TrimPrefix(text, "\xef\xbb\xbf"), "\r\n", "\n"))
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

// checkCover finds the statements in the file again, and nothing else.
func checkCover(t *testing.T, statements []migrations.Statement, file string) {
	at := 0
	for _, st := range statements {
		start := at
		for {
			next := strings.Index(file[start:], st.SQL)
			if next < 0 {
				t.Fatalf("statement %q is not on line %d", st.SQL, st.Line)
			}
			start += next
			// The same text may stand in a comment before.
			if 1+strings.Count(file[:start], "\n") >= st.Line && isGap(t, file[at:start]) {
				break
			}
			start++
		}
		at = start + len(st.SQL)
	}
	if !isGap(t, file[at:]) {
		t.Fatalf("behind the last statement stands %q", file[at:])
	}
}

// isGap says whether a text holds no statement. What is left of a transaction around the file is
// none either.
func isGap(t *testing.T, text string) bool {
	for _, bracket := range []string{"", "BEGIN;", "COMMIT;"} {
		around := bracket + "--\n" + text + "\n"
		if bracket == "BEGIN;" {
			around = text + "\nBEGIN;COMMIT;"
		}
		if set := load(t, around+"\n;--"); set != nil && len(set.Migrations[0].Statements) == 0 {
			return true
		}
	}
	return strings.TrimSpace(text) == "" || onlyControl(text)
}

// onlyControl tells the BEGIN or COMMIT that the loader takes out.
func onlyControl(text string) bool {
	for _, word := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r == ';' || r <= ' ' }) {
		switch word {
		case "begin", "start", "transaction", "work", "commit", "end":
		default:
			return strings.Contains(text, "--") || strings.Contains(text, "/*")
		}
	}
	return true
}
