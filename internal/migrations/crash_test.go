package migrations

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/internal/fault"
)

// mixed is a set with every way to run: transactions, indexes built concurrently, units, repeatable.
func mixed(t *testing.T) *Set {
	t.Helper()
	var text strings.Builder
	for n := 1; n <= 12; n++ {
		fmt.Fprintf(&text, "-- file V%d__step.sql --\n", n)
		switch n {
		case 1:
			text.WriteString("CREATE TABLE effects (version int);\nINSERT INTO effects VALUES (1);\n")
		case 4, 9:
			fmt.Fprintf(&text, "CREATE INDEX CONCURRENTLY effects_%d ON effects (version);\n", n)
		case 6:
			text.WriteString("INSERT INTO effects VALUES (6);\nCREATE INDEX CONCURRENTLY IF NOT EXISTS effects_6 ON effects (version);\n" +
				"BEGIN;\nINSERT INTO effects VALUES (61);\nSELECT pg_sleep(0.002);\nINSERT INTO effects VALUES (62);\nCOMMIT;\nDROP INDEX CONCURRENTLY effects_4;\n")
		default:
			fmt.Fprintf(&text, "CREATE TABLE t%d (id int PRIMARY KEY);\nSELECT pg_sleep(0.002);\nINSERT INTO effects VALUES (%d);\n", n, n)
		}
	}
	text.WriteString("-- file R__view.sql --\nDROP VIEW IF EXISTS v;\nCREATE VIEW v AS SELECT version FROM effects;\nINSERT INTO effects VALUES (100);\n")
	return load(t, text.String())
}

const mixedEffects = "1 2 3 5 6 7 8 10 11 12 61 62 100"

// fingerprint describes what a schema holds, without what differs from one to the next.
func (db *database) fingerprint(t *testing.T, target Target) string {
	t.Helper()
	return db.text(t, `SELECT relname, relkind, coalesce(indisvalid, true), pg_get_userbyid(relowner) = $2
		FROM pg_class LEFT JOIN pg_index ON indexrelid = pg_class.oid WHERE relnamespace = $1::regnamespace ORDER BY 1`,
		target.Schema, target.Owner) + "\n" + effects(t, db, target) + "\n" +
		db.text(t, "SELECT version, checksum, state, finished, in_doubt, runner FROM "+target.ledger()+" ORDER BY 1")
}

// kill ends the migrator's sessions, as a failover or an impatient DBA does.
func (db *database) kill(t *testing.T) string {
	t.Helper()
	return db.text(t, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = $1", db.migrator)
}

// settle calls Apply until it succeeds; every error before must be one that heals by itself.
func (db *database) settle(t *testing.T, target Target, set *Set) {
	t.Helper()
	for range 200 {
		result, err := db.applyWith(t.Context(), defaultPolicy, target, set)
		if err == nil {
			if result.To != set.Latest() {
				t.Fatalf("result = %+v", result)
			}
			return
		}
		if kind := fault.KindOf(err); kind == fault.Invalid {
			t.Fatalf("after a kill: %v", err)
		}
	}
	t.Fatal("200 calls were not enough")
}

func TestKilledAnywhereEachEffectIsThereOnce(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		set := mixed(t)
		undisturbed := db.tenant(t, "undisturbed")
		start := time.Now()
		db.apply(t, undisturbed, set, "")
		took := time.Since(start)
		want := db.fingerprint(t, undisturbed)
		if got := effects(t, db, undisturbed); got != mixedEffects {
			t.Fatalf("effects = %s", got)
		}
		hits := 0
		for i := range 25 {
			target := db.tenant(t, fmt.Sprintf("killed%d", i))
			done := make(chan struct{})
			go func() {
				defer close(done)
				db.settle(t, target, set)
			}()
			for running := true; running; {
				timer := time.NewTimer(rand.N(took))
				select {
				case <-done:
					running = false
				case <-timer.C:
					if hits < 1000 && db.kill(t) != "0" {
						hits++
					}
				}
				timer.Stop()
				if hits%7 == 6 { // let it finish
					<-done
					running, hits = false, hits+1
				}
			}
			if t.Failed() {
				return
			}
			if diff := cmp.Diff(want, db.fingerprint(t, target)); diff != "" {
				t.Fatalf("schema %s (-undisturbed +killed):\n%s", target.Schema, diff)
			}
		}
		if hits < 10 {
			t.Errorf("only %d kills met a session", hits)
		}
		t.Logf("%d kills", hits)
	})
}

func TestLostReplyOfCommit(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		target := db.tenant(t, "acme")
		set := mustLoad(t, twelve(nil))
		db.wire.cutReplies.Store(true)
		_, err := Apply(t.Context(), db.pool, target, set, "")
		var partial *PartialError
		if !errors.As(err, &partial) || fault.KindOf(err) != fault.Transient || fault.ReasonOf(err) != ReasonConnectionLost {
			t.Fatalf("error = %v, want a transient one of the connection", err)
		}
		if db.wire.cutReplies.Load() {
			t.Fatal("no reply was cut")
		}
		db.settle(t, target, set)
		if got := effects(t, db, target); got != allEffects {
			t.Errorf("effects = %s", got)
		}
	})
}

func TestCancelledCallLeavesNothingRunning(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		target := db.tenant(t, "acme")
		set := mustLoad(t, twelve(map[int]string{5: "SELECT pg_sleep(30);\n"}))
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := Apply(ctx, db.pool, target, set, "")
		if err == nil || fault.KindOf(err) != fault.Transient {
			t.Fatalf("error = %v", err)
		}
		eventually(t, "the server stopped working for the cancelled call", func() bool {
			return db.text(t, "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND state <> 'idle'", db.migrator) == "0"
		})
		db.apply(t, target, mustLoad(t, twelve(nil)), "")
		if got := effects(t, db, target); got != allEffects {
			t.Errorf("effects = %s", got)
		}
	})
}

func TestManyRunnersAtOnce(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		set := mixed(t)
		for i := range 5 {
			target := db.tenant(t, fmt.Sprintf("raced%d", i))
			var wg sync.WaitGroup
			for range 6 {
				wg.Go(func() { db.settle(t, target, set) })
			}
			wg.Wait()
			if got := effects(t, db, target); got != mixedEffects {
				t.Fatalf("effects = %s", got)
			}
		}
	})
}
