package migrations

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/internal/fault"
)

// transactions returns the versions of a ledger, those of a transaction joined by "+".
func (db *database) transactions(t *testing.T, target Target) string {
	t.Helper()
	return strings.ReplaceAll(db.text(t, `SELECT string_agg(version, '+' ORDER BY version::int) FROM `+target.ledger()+
		` GROUP BY xmin::text ORDER BY min(version::int)`), "\n", " ")
}

// Files of a schema that was only just made share a transaction where a commit between them makes no difference.
func TestNewbornSchemasShareTransactions(t *testing.T) {
	const (
		table   = "CREATE TABLE t%d (id int PRIMARY KEY, note text NOT NULL DEFAULT '');\n"
		row     = "INSERT INTO t1 VALUES (%d);\n"
		refers  = "ALTER TABLE t1 ADD FOREIGN KEY (id) REFERENCES t1;\n"
		routine = "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';\n"
	)
	shared := func(target *Target) { target.SharedSchema = "shared" }
	tests := map[string]struct {
		files []string
		with  func(*Target)
		want  string
	}{
		"tables, rows and keys":             {files: []string{table, row, table, refers, "DROP INDEX IF EXISTS i;\n", row}, want: "1+2+3+4+5+6"},
		"another schema, with its own past": {files: []string{table, row, table}, with: func(target *Target) { target.Empty = false }, want: "1 2 3"},
		"a function, and rows behind it":    {files: []string{table, table, routine, table, table, row, table, table}, want: "1+2 3 4+5 6 7+8"},
		"a block":                           {files: []string{table, "DO $$ BEGIN END $$;\n", table, table, row}, want: "1 2 3+4 5"},
		"a setting":                         {files: []string{table, "SET work_mem = '8MB';\n", table, table}, want: "1 2 3+4"},
		"a query":                           {files: []string{table, "SELECT 1;\n", table, table}, want: "1 2 3+4"},
		"an enumeration gets a name": {
			files: []string{"CREATE TYPE e AS ENUM ('a');\n", table, "ALTER TYPE e ADD VALUE 'b';\n", "CREATE TABLE u (e e DEFAULT 'b');\n", table}, want: "1+2 3 4+5",
		},
		"a key that waits, and rows": {
			files: []string{table, table, "ALTER TABLE t2 ADD FOREIGN KEY (id) REFERENCES t1 DEFERRABLE INITIALLY DEFERRED;\n", row, table, table, row}, want: "1+2 3 4 5+6 7",
		},
		"keys to tables of its own":                    {files: []string{table, table, refers, row, table}, with: shared, want: "1+2+3+4+5"},
		"a key to a shared table, and rows behind it":  {files: []string{table, table, "ALTER TABLE t1 ADD FOREIGN KEY (id) REFERENCES other;\n", row, table, table}, with: shared, want: "1+2 3 4 5+6"},
		"a key to a table by its schema's name":        {files: []string{table, "ALTER TABLE t1 ADD FOREIGN KEY (id) REFERENCES shared.other;\n", table}, with: shared, want: "1 2 3"},
		"a key to a name that a table had":             {files: []string{table, "CREATE TABLE other (id int);\nDROP TABLE other;\n", "CREATE TABLE u (id int REFERENCES other);\n", table}, with: shared, want: "1+2 3 4"},
		"an index that is built concurrently":          {files: []string{table, table, "CREATE INDEX CONCURRENTLY ON t1 (note);\n", table, table}, want: "1+2 3 4+5"},
		"more statements than one transaction is for":  {files: []string{table, strings.Repeat(row, 60), strings.Repeat("COMMENT ON TABLE t1 IS '%d';\n", 50), table}, want: "1+2 3+4"},
		"one with too many by itself, as everywhere":   {files: []string{table, strings.Repeat("COMMENT ON TABLE t1 IS '%d';\n", 150), table, table}, want: "1 2 3+4"},
		"a view, a sequence, another name, and a drop": {files: []string{table, "CREATE VIEW v AS SELECT id FROM t1;\nCREATE SEQUENCE s;\n", "ALTER TABLE t1 RENAME note TO n;\n", "DROP VIEW v;\n"}, want: "1+2+3+4"},
	}
	onServers(t, func(t *testing.T, db *database) {
		db.exec(t, "CREATE SCHEMA shared", "CREATE TABLE shared.other (id int PRIMARY KEY)", "INSERT INTO shared.other SELECT generate_series(1, 9)",
			"GRANT USAGE ON SCHEMA shared TO PUBLIC", "GRANT SELECT, REFERENCES ON shared.other TO PUBLIC")
		n := 0
		for name, tt := range tests {
			n++
			target := db.tenant(t, fmt.Sprintf("acme%d", n))
			t.Run(name, func(t *testing.T) {
				var files []File
				for i, text := range tt.files {
					numbers := make([]any, strings.Count(text, "%d"))
					for j := range numbers {
						numbers[j] = i + 1 + 100*j
					}
					files = append(files, File{Name: fmt.Sprintf("%04d_step.sql", i+1), Content: fmt.Appendf(nil, text, numbers...)})
				}
				target.Empty = true
				if tt.with != nil {
					tt.with(&target)
				}
				result := db.apply(t, target, mustLoad(t, files), "")
				if got := db.transactions(t, target); got != tt.want || len(result.Applied) != len(files) {
					t.Errorf("transactions = %s, want %s; result = %+v", got, tt.want, result)
				}
			})
		}
	})
}

// What fails in company is what would fail alone: those before it take effect, and it is named with its line.
func TestOneThatFailsInCompanyFailsAlone(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		target := db.tenant(t, "acme")
		target.Empty = true
		set := mustLoad(t, twelve(map[int]string{7: "CREATE TABLE half (id int);\nINSERT INTO half VALUES (1), (1);\nCREATE UNIQUE INDEX half_id ON half (id);\n"}))
		result, err := Apply(t.Context(), db.pool, target, set, "")
		partial, ok := errors.AsType[*PartialError](err)
		if !ok || partial.Line != 3 || partial.Failed != "7" || partial.SQLState != "23505" || fault.ReasonOf(err) != ReasonMigrationFailed {
			t.Fatalf("error = %v", err)
		}
		if result.To != "6" || len(result.Applied) != 6 || result.Retries != 0 || effects(t, db, target) != "1 2 3 4 5 6" {
			t.Errorf("result = %+v, effects = %s", result, effects(t, db, target))
		}
		db.apply(t, target, mustLoad(t, twelve(nil)), "")
		if got := effects(t, db, target); got != allEffects {
			t.Errorf("after the mend: effects = %s", got)
		}
	})
}

// Whoever makes a schema may be killed at any place of a transaction that several migrations share, and goes on
// with or without the belief that nothing is there.
func TestKilledInCompany(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		set := mustLoad(t, twelve(nil))
		undisturbed := db.tenant(t, "undisturbed")
		began := time.Now()
		db.apply(t, undisturbed, set, "")
		took, want := time.Since(began), db.fingerprint(t, undisturbed)
		for i := range 20 {
			target := db.tenant(t, fmt.Sprintf("killed%d", i))
			target.Empty = true
			done := make(chan struct{})
			go func() {
				defer close(done)
				db.settle(t, target, set)
			}()
			timer := time.NewTimer(rand.N(took))
			<-timer.C
			db.kill(t)
			<-done
			if diff := cmp.Diff(want, db.fingerprint(t, target)); diff != "" && !t.Failed() {
				t.Fatalf("schema %s (-undisturbed +killed):\n%s", target.Schema, diff)
			}
		}
		lost := db.tenant(t, "lost")
		lost.Empty = true
		db.wire.cutReplies.Store(true)
		if _, err := Apply(t.Context(), db.pool, lost, set, ""); fault.ReasonOf(err) != ReasonConnectionLost {
			t.Fatalf("error = %v", err)
		}
		db.settle(t, lost, set)
		if got := effects(t, db, lost); got != allEffects {
			t.Errorf("behind a lost reply: effects = %s", got)
		}
	})
}
