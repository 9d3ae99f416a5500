package migrations

import (
	"strings"
	"testing"

	"github.com/tenantry/tenantry/internal/fault"
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
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name := "1_a.sql"
		set, err := Load([]File{{Name: name, Content: []byte(text)}}, Auto)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatalf("%v is no Invalid fault", err)
			}
			return
		}
		file, err := decode(File{Name: name, Content: []byte(text)})
		if err != nil {
			t.Fatal("Load took what cannot be decoded")
		}
		checkCover(t, set, file)
	})
}

// checkCover finds the statements in the file again.
func checkCover(t *testing.T, set *Set, file string) {
	at := 0
	for _, st := range set.Migrations[0].Statements {
		gap := strings.Index(file[at:], st.SQL)
		if gap < 0 {
			t.Fatalf("statement %q is not behind the one before it", st.SQL)
		}
		// The same text may stand in a comment before; the line tells.
		for 1+strings.Count(file[:at+gap], "\n") < st.Line {
			next := strings.Index(file[at+gap+1:], st.SQL)
			if next < 0 {
				t.Fatalf("statement %q is not on line %d", st.SQL, st.Line)
			}
			gap += 1 + next
		}
		if set.Format == Plain && set.Migrations[0].Transactional {
			checkGap(t, file[at:at+gap])
		}
		at += gap + len(st.SQL)
	}
	if set.Format == Plain && set.Migrations[0].Transactional {
		checkGap(t, file[at:])
	}
}

// checkGap holds what stands between statements to be no SQL.
func checkGap(t *testing.T, gap string) {
	tokens, err := scan(gap)
	if err != nil {
		t.Fatalf("between statements stands %q: %v", gap, err)
	}
	for _, token := range tokens {
		word := token.word == "begin" || token.word == "commit" || token.word == "end" || token.word == "start" || token.word == "transaction" || token.word == "work"
		if token.code != ';' && token.code != tokenSQLComment && token.code != tokenCComment && !word {
			t.Fatalf("between statements stands %q", gap)
		}
	}
}
