package migrations

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/internal/fault"
)

// twelve returns twelve files of a product; each leaves a row in effects, so that a migration that
// took effect twice, or in part, shows. Files in replace take the place of those with their version.
func twelve(replace map[int]string) []File {
	var files []File
	for n := 1; n <= 12; n++ {
		sql := fmt.Sprintf("CREATE TABLE t%d (id bigint PRIMARY KEY, note text);\nINSERT INTO effects VALUES (%d);\n", n, n)
		if n == 1 {
			sql = "CREATE TABLE effects (version int);\n" + sql
		}
		if text, ok := replace[n]; ok {
			sql = text
		}
		files = append(files, File{Name: fmt.Sprintf("%04d_step.sql", n), Content: []byte(sql)})
	}
	return files
}

func mustLoad(t *testing.T, files []File) *Set {
	t.Helper()
	set, err := Load(files, Auto)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func effects(t *testing.T, db *database, target Target) string {
	t.Helper()
	return strings.ReplaceAll(db.text(t, "SELECT version FROM "+ident(target.Schema, "effects")+" ORDER BY 1"), "\n", " ")
}

const allEffects = "1 2 3 4 5 6 7 8 9 10 11 12"

func TestNewTenantTakesOneMessage(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		target := db.tenant(t, "acme")
		set := mustLoad(t, twelve(nil))
		before := db.wire.queries.Load()
		result := db.apply(t, target, set, "")
		if n := db.wire.queries.Load() - before; n != 2 {
			t.Errorf("Apply sent %d messages, want 2: read the ledger, migrate", n)
		}
		if result.From != "" || result.To != "12" || len(result.Applied) != 12 {
			t.Errorf("result = %+v", result)
		}
		if got := effects(t, db, target); got != allEffects {
			t.Errorf("effects = %s", got)
		}
		foreign := db.text(t, `SELECT c.relname, pg_get_userbyid(c.relowner) FROM pg_class c
			WHERE c.relnamespace = $1::regnamespace AND pg_get_userbyid(c.relowner) <> $2`, target.Schema, target.Owner)
		if foreign != "" {
			t.Errorf("objects that the owner does not own: %s", foreign)
		}
		before = db.wire.queries.Load()
		if again := db.apply(t, target, set, ""); len(again.Applied) != 0 || again.To != "12" {
			t.Errorf("second Apply = %+v", again)
		}
		if n := db.wire.queries.Load() - before; n != 1 {
			t.Errorf("Apply with nothing to do sent %d messages, want 1", n)
		}
	})
}

// Who says that a schema is empty spares a message. If it is not, its ledger keeps everything that is in it
// from happening twice.
func TestEmptyIsBelievedOnce(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		target := db.tenant(t, "acme")
		target.Empty = true
		for n, upto := range []Version{"5", "5", "", ""} {
			before := db.wire.queries.Load()
			result := db.apply(t, target, mustLoad(t, twelve(nil)), upto)
			if sent := db.wire.queries.Load() - before; n == 0 && sent != 1 {
				t.Errorf("Apply sent %d messages to an empty schema, want 1", sent)
			}
			want := map[Version]string{"5": "1 2 3 4 5", "": allEffects}[upto]
			if got := effects(t, db, target); got != want || result.To != map[Version]Version{"5": "5", "": "12"}[upto] {
				t.Errorf("to version %q: effects = %s, result = %+v", upto, got, result)
			}
		}
		other := db.tenant(t, "other")
		other.Empty = true
		var runners sync.WaitGroup
		for range 6 {
			runners.Go(func() {
				if _, err := Apply(t.Context(), db.pool, other, mustLoad(t, twelve(nil)), ""); err != nil {
					t.Error(err)
				}
			})
		}
		runners.Wait()
		if got := effects(t, db, other); got != allEffects {
			t.Errorf("six runners: effects = %s", got)
		}
	})
}

func TestLedgerIsReadableByTheApplicationOnly(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		target := db.tenant(t, "acme")
		db.apply(t, target, mustLoad(t, twelve(nil)), "3")
		got := db.text(t, `SELECT grantee::regrole, privilege_type FROM pg_class, aclexplode(relacl)
			WHERE oid = $1::regclass AND grantee <> relowner`, "acme.tenantry_migrations")
		if want := target.App + "|SELECT"; got != want {
			t.Errorf("rights on the ledger = %q, want %q", got, want)
		}
		rows, err := ReadLedger(t.Context(), db.pool, target)
		if err != nil || len(rows) != 3 || Current(rows) != "3" {
			t.Errorf("ReadLedger = %v, %v", rows, err)
		}
	})
}

func TestBadSQLStopsAtItsFile(t *testing.T) {
	tests := map[string]struct {
		seven        string
		wantLine     int
		wantState    string
		wantMessage  string
		wantUnparsed bool
	}{
		"a table that is not there": {
			seven:    "-- seven\nCREATE TABLE half (id int);\n\nINSERT INTO missing\nVALUES (1);\n",
			wantLine: 4, wantState: "42P01",
			wantMessage: `0007_step.sql line 4: relation "missing" does not exist (42P01); the schema stays at version 6`,
		},
		"a position behind letters of several bytes": {
			seven:    "CREATE TABLE half (\"é→\" int);\nSELECT 'ü', 'é→',\n  nothing;\n",
			wantLine: 3, wantState: "42703",
			wantMessage: `0007_step.sql line 3: column "nothing" does not exist (42703); the schema stays at version 6`,
		},
		"syntax that no parser knows": {
			seven:    "CREATE TABLE half (id int);\nCREATE\n TABEL t (id int);\n",
			wantLine: 3, wantState: "42601",
			wantMessage: `0007_step.sql line 3: syntax error at or near "TABEL" (42601); the schema stays at version 6`,
		},
		"an error without a position": {
			seven:    "CREATE TABLE half (id int);\nINSERT INTO half VALUES (1), (1);\nCREATE UNIQUE INDEX half_id ON half (id);\n",
			wantLine: 3, wantState: "23505",
			wantMessage: `0007_step.sql line 3: could not create unique index "half_id" (23505); the schema stays at version 6`,
		},
		"inside of a DO block": {
			seven:    "CREATE TABLE half (id int);\nDO $$\nBEGIN\n  PERFORM 1;\n  RAISE EXCEPTION 'no';\nEND $$;\n",
			wantLine: 5, wantState: "P0001",
			wantMessage: `0007_step.sql line 5: no (P0001); the schema stays at version 6`,
		},
	}
	onServers(t, func(t *testing.T, db *database) {
		i := 0
		for name, tt := range tests {
			i++
			target := db.tenant(t, fmt.Sprintf("acme%d", i))
			t.Run(name, func(t *testing.T) {
				result, err := Apply(t.Context(), db.pool, target, mustLoad(t, twelve(map[int]string{7: tt.seven})), "")
				var partial *PartialError
				if !errors.As(err, &partial) {
					t.Fatalf("error = %v, want a PartialError", err)
				}
				if err.Error() != tt.wantMessage || partial.Line != tt.wantLine || partial.SQLState != tt.wantState ||
					partial.Failed != "7" || partial.Current != "6" || result.To != "6" || len(result.Applied) != 6 {
					t.Errorf("error = %q\nwant    %q\n%+v\n%+v", err, tt.wantMessage, partial, result)
				}
				if f := fault.Of(err, ""); f.Kind != fault.Invalid || f.Reason != ReasonMigrationFailed || f.Message != tt.wantMessage {
					t.Errorf("fault = %+v", f)
				}
				if got := db.text(t, "SELECT count(*) FROM pg_class WHERE relname = 'half' AND relnamespace = $1::regnamespace", target.Schema); got != "0" {
					t.Error("the failed migration left something behind")
				}
				db.apply(t, target, mustLoad(t, twelve(nil)), "")
				if diff := cmp.Diff(allEffects, effects(t, db, target)); diff != "" {
					t.Errorf("effects after the mend (-want +got):\n%s", diff)
				}
			})
		}
	})
}
