package migrations

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenantry/tenantry/internal/fault"
)

// holdSnapshot keeps an old snapshot, which builds of "unsafe" concurrent indexes wait for.
func (db *database) holdSnapshot(t *testing.T) (end func()) {
	t.Helper()
	tx, err := db.admin.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT 1 FROM pg_class"} {
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	return func() { _ = tx.Rollback(t.Context()) }
}

// waiting waits until a statement of the migrator that begins with the text runs.
func (db *database) waiting(t *testing.T, begins string) {
	t.Helper()
	eventually(t, begins+" runs", func() bool {
		return db.text(t, "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND state = 'active' AND wait_event_type = 'Lock' AND query LIKE $2",
			db.migrator, begins+"%") != "0"
	})
}

func (db *database) indexes(t *testing.T, target Target) string {
	t.Helper()
	return db.text(t, `SELECT c.relname, indisvalid FROM pg_index JOIN pg_class c ON c.oid = indexrelid
		WHERE relnamespace = $1::regnamespace AND NOT indisprimary ORDER BY 1`, target.Schema)
}

const concurrent = `-- file 1_tables.sql --
CREATE TABLE a (id int, note text);
-- file 2_index.sql --
CREATE INDEX CONCURRENTLY "A note" ON a (note) WHERE id > 0;
-- file 3_more.sql --
CREATE TABLE b (id int);
`

func TestKilledIndexBuildIsRepaired(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		target, set := db.tenant(t, "acme"), load(t, concurrent)
		end := db.holdSnapshot(t)
		failed := make(chan error, 1)
		go func() {
			_, err := Apply(t.Context(), db.pool, target, set, "")
			failed <- err
		}()
		db.waiting(t, `CREATE INDEX CONCURRENTLY "A note"`)
		if _, err := db.applyWith(t.Context(), fast, target, set); fault.ReasonOf(err) != ReasonBusy || fault.KindOf(err) != fault.Waiting {
			t.Errorf("a second runner gets %v, want %s", err, ReasonBusy)
		}
		db.kill(t)
		if err := <-failed; fault.ReasonOf(err) != ReasonConnectionLost {
			t.Fatalf("the killed runner gets %v", err)
		}
		if got := db.indexes(t, target); got != "A note|false" {
			t.Fatalf("indexes = %s, want an invalid one", got)
		}
		end()
		if result := db.apply(t, target, set, ""); result.To != "3" || fmt.Sprint(result.Applied) != "[2 3]" {
			t.Errorf("result = %+v", result)
		}
		if got := db.indexes(t, target); got != "A note|true" {
			t.Errorf("indexes = %s, want a valid one", got)
		}
	})
}

func TestInvalidIndexOfOthersIsRebuilt(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		target := db.tenant(t, "acme")
		set := load(t, strings.Replace(concurrent, `CONCURRENTLY "A note" ON a (note) WHERE id > 0`, "CONCURRENTLY IF NOT EXISTS a_id ON a (id)", 1))
		db.apply(t, target, set, "1")
		db.exec(t, "SET ROLE "+ident(target.Owner)+"; INSERT INTO acme.a VALUES (1), (1); RESET ROLE")
		if _, err := db.admin.Exec(t.Context(), "CREATE UNIQUE INDEX CONCURRENTLY a_id ON acme.a (id)"); err == nil {
			t.Fatal("a unique index over equal values was built")
		}
		if got := db.indexes(t, target); got != "a_id|false" {
			t.Fatalf("indexes = %s", got)
		}
		db.exec(t, "ALTER TABLE acme.a OWNER TO "+ident(target.Owner))
		db.apply(t, target, set, "")
		if got := db.indexes(t, target); got != "a_id|true" {
			t.Errorf("indexes = %s, want a valid one", got)
		}
	})
}

func TestFailedIndexBuildLeavesNothingAndCanBeMended(t *testing.T) {
	const files = `-- file 1_a.sql --
CREATE TABLE a (id int);
INSERT INTO a VALUES (1), (1);
-- file 2_unique.sql --
CREATE INDEX CONCURRENTLY a_plain ON a (id);
CREATE UNIQUE INDEX CONCURRENTLY a_id
  ON a (id);
`
	onServers(t, func(t *testing.T, db *database) {
		target := db.tenant(t, "acme")
		_, err := Apply(t.Context(), db.pool, target, load(t, files), "")
		want := `2_unique.sql line 2: could not create unique index "a_id" (23505); the file's first 1 statements took effect; the schema stays at version 1`
		if err == nil || err.Error() != want {
			t.Fatalf("error = %v\nwant    %s", err, want)
		}
		if got := db.indexes(t, target); got != "a_plain|true" {
			t.Errorf("indexes = %s, want the invalid one gone", got)
		}
		_, err = Apply(t.Context(), db.pool, target, load(t, strings.Replace(files, "a_plain", "a_other", 1)), "")
		if _, ok := errors.AsType[*ChecksumChanged](err); !ok {
			t.Errorf("a change of what took effect gives %v", err)
		}
		mended := load(t, strings.Replace(files, "UNIQUE ", "", 1))
		if result := db.apply(t, target, mended, ""); result.To != "2" {
			t.Errorf("result = %+v", result)
		}
		if got := db.indexes(t, target); got != "a_id|true\na_plain|true" {
			t.Errorf("indexes = %s", got)
		}
		if steps, err := Plan(mended, mustRead(t, db, target), ""); err != nil || len(steps) != 0 {
			t.Errorf("Plan afterwards = %v, %v", steps, err)
		}
	})
}

// mustFail holds a runner whose session ended to say so.
func mustFail(t *testing.T, err error) {
	t.Helper()
	if fault.ReasonOf(err) != ReasonConnectionLost {
		t.Fatalf("the runner whose session ended gets %v", err)
	}
}

func mustRead(t *testing.T, db *database, target Target) []Applied {
	t.Helper()
	rows, err := ReadLedger(t.Context(), db.pool, target)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestUnknownOutcomeAsksAPerson(t *testing.T) {
	const files = `-- file 1_a.sql --
-- +goose Up
CREATE TABLE effects (version int);
-- file 2_batches.sql --
-- +goose Up
-- +goose NO TRANSACTION
INSERT INTO effects VALUES (1);
DO $$ BEGIN
  INSERT INTO effects VALUES (2);
  COMMIT;
  PERFORM pg_sleep(CASE WHEN (SELECT count(*) FROM effects) < 3 THEN 60 ELSE 0 END);
END $$;
INSERT INTO effects VALUES (3);
`
	answers := map[string]struct{ set, wantEffects string }{
		"it did":     {"in_doubt = false, finished = 2", "1 2 3"},
		"it did not": {"in_doubt = false", "1 2 2 3"},
	}
	onServers(t, func(t *testing.T, db *database) {
		set := load(t, files)
		i := 0
		for name, tt := range answers {
			i++
			target := db.tenant(t, fmt.Sprintf("acme%d", i))
			t.Run(name, func(t *testing.T) {
				failed := make(chan error, 1)
				go func() {
					_, err := Apply(t.Context(), db.pool, target, set, "")
					failed <- err
				}()
				eventually(t, "the block sleeps", func() bool {
					return db.text(t, "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND wait_event = 'PgSleep'", db.migrator) != "0"
				})
				db.kill(t)
				mustFail(t, <-failed)
				for range 2 {
					_, err := Apply(t.Context(), db.pool, target, set, "")
					if fault.ReasonOf(err) != ReasonDecisionNeeded || !strings.HasPrefix(err.Error(), "2_batches.sql line 4: ") {
						t.Fatalf("error = %v", err)
					}
				}
				db.exec(t, "SET ROLE "+ident(target.Owner)+"; UPDATE "+target.ledger()+" SET "+tt.set+" WHERE version = '2'; RESET ROLE")
				db.exec(t, "SET ROLE "+ident(target.Owner)+"; INSERT INTO "+ident(target.Schema, "effects")+" VALUES (0); RESET ROLE")
				db.apply(t, target, set, "")
				if got := effects(t, db, target); got != "0 "+tt.wantEffects {
					t.Errorf("effects = %s, want 0 %s", got, tt.wantEffects)
				}
			})
		}
	})
}

// What a file sets stays for its later statements, also on the session that continues after a crash.
func TestSettingsAreReplayed(t *testing.T) {
	const files = `-- file 1_a.sql --
CREATE TABLE effects (version int);
-- file 2_set.sql --
SET myapp.mode = 'careful';
SET statement_timeout = '7s';
INSERT INTO effects VALUES (1);
CREATE INDEX CONCURRENTLY effects_version ON effects (version) WHERE version > 0;
INSERT INTO effects SELECT 2 WHERE current_setting('myapp.mode') = 'careful' AND current_setting('statement_timeout') = '7s';
`
	onServers(t, func(t *testing.T, db *database) {
		target, set := db.tenant(t, "acme"), load(t, files)
		end := db.holdSnapshot(t)
		failed := make(chan error, 1)
		go func() {
			_, err := Apply(t.Context(), db.pool, target, set, "")
			failed <- err
		}()
		db.waiting(t, "CREATE INDEX CONCURRENTLY")
		db.kill(t)
		mustFail(t, <-failed)
		end()
		db.apply(t, target, set, "")
		if got := effects(t, db, target); got != "1 2" {
			t.Errorf("effects = %s, want 1 2", got)
		}
		if got := db.indexes(t, target); got != "effects_version|true" {
			t.Errorf("indexes = %s", got)
		}
	})
}

// A file that sets something else for its session leaves a concurrent build the time that it may take.
func TestSettingsLeavePatience(t *testing.T) {
	const files = `-- file 1_a.sql --
CREATE TABLE a (id int);
-- file 2_set.sql --
SET maintenance_work_mem = '64MB';
CREATE INDEX CONCURRENTLY a_id ON a (id) WHERE id > 0;
`
	onServers(t, func(t *testing.T, db *database) {
		target, set := db.tenant(t, "acme"), load(t, files)
		end := db.holdSnapshot(t)
		result := make(chan Result, 1)
		go func() { result <- db.apply(t, target, set, "") }()
		db.waiting(t, "CREATE INDEX CONCURRENTLY")
		<-time.After(10 * target.LockTimeout) // what is measured is that nothing happens
		end()
		if r := <-result; r.Retries > 0 || r.To != "2" {
			t.Errorf("result = %+v", r)
		}
	})
}

// A process that dies says nothing to the server; its session must not keep the schema for long.
func TestSilentDeathFreesTheSchema(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		target, set := db.tenant(t, "acme"), load(t, concurrent)
		end := db.holdSnapshot(t)
		defer end()
		failed := make(chan error, 1)
		go func() {
			_, err := Apply(t.Context(), db.pool, target, set, "")
			failed <- err
		}()
		db.waiting(t, `CREATE INDEX CONCURRENTLY "A note"`)
		start := time.Now()
		db.wire.die()
		mustFail(t, <-failed)
		eventually(t, "the server noticed that its client died", func() bool {
			return db.text(t, "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND query LIKE 'CREATE INDEX%'", db.migrator) == "0"
		})
		t.Logf("noticed after %v", time.Since(start).Round(time.Millisecond))
	})
}
