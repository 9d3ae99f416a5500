package migrations

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/internal/fault"
)

// checkpointAt makes what the first n files of twelve make; the row of version 99 tells that it ran.
func checkpointAt(n int) File {
	text := strings.Builder{}
	text.WriteString("CREATE TABLE effects (version int);\n")
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&text, "CREATE TABLE t%d (id bigint PRIMARY KEY, note text);\nINSERT INTO effects VALUES (%d);\n", i, i)
	}
	text.WriteString("INSERT INTO effects VALUES (99);\n")
	return File{Name: fmt.Sprintf("checkpoint_%04d.pgsql", n), Content: []byte(text.String())}
}

// verified is a target that may start from all checkpoints of a set.
func verified(target Target, set *Set) Target {
	for _, c := range set.Checkpoints {
		target.Checkpoints = append(target.Checkpoints, c.Checksum)
	}
	return target
}

func TestLoadCheckpoints(t *testing.T) {
	plain := mustLoad(t, twelve(nil))
	set := mustLoad(t, append(twelve(nil), checkpointAt(5), checkpointAt(10)))
	if set.Digest != plain.Digest {
		t.Error("a checkpoint changes the digest: every tenant would have to be looked at")
	}
	if len(set.Migrations) != 12 || len(set.Checkpoints) != 2 || set.Checkpoints[0].Version != "10" || set.Checkpoints[0].File != "checkpoint_0010.pgsql" {
		t.Fatalf("checkpoints are %+v", set.Checkpoints)
	}
	later := mustLoad(t, append(twelve(map[int]string{12: "SELECT 1;"}), checkpointAt(10)))
	if later.Checkpoints[0].Checksum != set.Checkpoints[0].Checksum {
		t.Error("a migration behind a checkpoint changes the checkpoint's checksum")
	}
	earlier := mustLoad(t, append(twelve(map[int]string{10: "SELECT 1;"}), checkpointAt(10)))
	if earlier.Checkpoints[0].Checksum == set.Checkpoints[0].Checksum {
		t.Error("a migration that a checkpoint stands for changed, and its verification would still count")
	}
	for format, names := range map[Format][2]string{
		GolangMigrate: {"1_a.up.sql", "checkpoint_1.pgsql"}, Flyway: {"V1_2__a.sql", "checkpoint_1_2.pgsql"}, Plain: {"001-a.sql", "checkpoint_001.pgsql"},
	} {
		files := []File{{names[0], []byte("SELECT 1;")}, {names[1], []byte("SELECT 1;")}}
		if set, err := Load(files, Auto); err != nil || set.Format != format || len(set.Checkpoints) != 1 {
			t.Errorf("%s: %v, %+v", format, err, set)
		}
	}
}

func TestBadCheckpoints(t *testing.T) {
	file := func(name, text string) []File {
		return append(twelve(nil), File{Name: name, Content: []byte(text)})
	}
	for name, tt := range map[string]struct {
		files []File
		want  string
	}{
		"no such version":   {file("checkpoint_0013.pgsql", "SELECT 1;"), "no migration of version 13"},
		"another name":      {file("structure.pgsql", "SELECT 1;"), "checkpoint_0018.pgsql"},
		"of psql":           {file("checkpoint_0012.pgsql", "SELECT 1;\n\\restrict abc\n"), "line 2: psql's own commands"},
		"another role":      {file("checkpoint_0012.pgsql", "SELECT 1;\nSET ROLE postgres;\n"), "line 2"},
		"the ledger":        {file("checkpoint_0012.pgsql", "CREATE TABLE tenantry_migrations ();"), "ledger"},
		"no transaction":    {file("checkpoint_0012.pgsql", "CREATE TABLE a (id int);\nCREATE INDEX CONCURRENTLY ON a (id);"), "as a whole"},
		"empty":             {file("checkpoint_0012.pgsql", " "), "is empty"},
		"twice":             {append(file("checkpoint_12.pgsql", "SELECT 1;"), checkpointAt(12)), "same version"},
		"beside repeatable": {parseFiles("-- file V1__a.sql --\nSELECT 1;\n-- file R__v.sql --\nSELECT 1;\n-- file checkpoint_1.pgsql --\nSELECT 1;\n"), "repeatable"},
	} {
		_, err := Load(tt.files, Auto)
		if fault.ReasonOf(err) != ReasonInvalidMigration || !strings.Contains(fmt.Sprint(err), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestNewTenantStartsFromACheckpoint(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		set := mustLoad(t, append(twelve(nil), checkpointAt(5), checkpointAt(10)))
		ledger := func(target Target) string {
			return db.text(t, "SELECT version, file, checksum, state, finished, in_doubt, prefix, runner FROM "+target.ledger()+" ORDER BY version::int")
		}
		replayed := db.tenant(t, "replayed")
		db.apply(t, replayed, set, "")
		acme := verified(db.tenant(t, "acme"), set)
		before := db.wire.queries.Load()
		result := db.apply(t, acme, set, "")
		if n := db.wire.queries.Load() - before; n != 2 {
			t.Errorf("Apply sent %d messages, want 2: read the ledger, migrate", n)
		}
		if result.From != "" || result.To != "12" || len(result.Applied) != 12 {
			t.Errorf("result = %+v", result)
		}
		if diff := cmp.Diff(ledger(replayed), ledger(acme)); diff != "" {
			t.Errorf("ledger (-replayed +acme):\n%s", diff)
		}
		if got := effects(t, db, acme); got != allEffects+" 99" {
			t.Errorf("effects = %s", got)
		}
		if r := db.apply(t, acme, set, ""); len(r.Applied) > 0 {
			t.Errorf("again: %+v", r)
		}
		for name, tt := range map[string]struct {
			target  Target
			version Version
			want    string
		}{
			"older":      {verified(db.tenant(t, "older"), set), "7", "1 2 3 4 5 6 7 99"},
			"below":      {verified(db.tenant(t, "below"), set), "4", "1 2 3 4"},
			"unverified": {db.tenant(t, "unverified"), "", allEffects},
		} {
			db.apply(t, tt.target, set, tt.version)
			if got := effects(t, db, tt.target); got != tt.want {
				t.Errorf("%s: effects = %s, want %s", name, got, tt.want)
			}
		}
		// A schema in which something is already gets the migrations one by one.
		used := verified(db.tenant(t, "used"), set)
		db.exec(t, "SET ROLE "+ident(used.Owner)+"; CREATE TABLE used.mine (id int); RESET ROLE")
		if r := db.apply(t, used, set, ""); r.To != "12" || effects(t, db, used) != allEffects {
			t.Errorf("a schema that is not empty: %+v, effects %s", r, effects(t, db, used))
		}
	})
}

// Whoever is killed, and however many begin at once, a checkpoint takes effect once.
func TestCheckpointIsThereOnce(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		set := mustLoad(t, append(twelve(nil), checkpointAt(10)))
		lost := verified(db.tenant(t, "lost"), set)
		db.wire.cutReplies.Store(true)
		if _, err := Apply(t.Context(), db.pool, lost, set, ""); fault.ReasonOf(err) != ReasonConnectionLost {
			t.Errorf("the answer is lost: %v", err)
		}
		db.apply(t, lost, set, "")
		crowd := verified(db.tenant(t, "crowd"), set)
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				if _, err := Apply(context.WithoutCancel(t.Context()), db.pool, crowd, set, ""); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, target := range []Target{lost, crowd} {
			if got := effects(t, db, target); got != allEffects+" 99" {
				t.Errorf("%s: effects = %s", target.Schema, got)
			}
		}
		// A checkpoint that fails leaves nothing, and says where.
		bad := checkpointAt(10)
		bad.Content = append(bad.Content, "\nSELECT 1 FROM nowhere;\n"...)
		set = mustLoad(t, append(twelve(nil), bad))
		failed := verified(db.tenant(t, "failed"), set)
		_, err := Apply(t.Context(), db.pool, failed, set, "")
		if fault.ReasonOf(err) != ReasonMigrationFailed || !strings.Contains(fmt.Sprint(err), "checkpoint_0010.pgsql line 24") {
			t.Errorf("a bad checkpoint: %v", err)
		}
		if got := db.text(t, "SELECT count(*) FROM pg_class WHERE relnamespace = 'failed'::regnamespace"); got != "0" {
			t.Errorf("%s things are left of a bad checkpoint", got)
		}
	})
}
