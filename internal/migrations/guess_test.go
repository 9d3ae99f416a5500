package migrations

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// A ledger that has what was believed of it is not read: one message does all.
func TestBelievedLedgerIsCompared(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		set := mustLoad(t, twelve(nil))
		first, second := db.tenant(t, "acme"), db.tenant(t, "other")
		for _, target := range []Target{first, second} {
			db.apply(t, target, set, "5")
		}
		known := db.apply(t, first, set, "6")
		if len(known.Before) != 5 || known.From != "5" {
			t.Fatalf("what was there before: %+v", known)
		}
		second.Believed, second.Recorded = known.Before, "5"
		before := db.wire.queries.Load()
		result := db.apply(t, second, set, "6")
		if sent := db.wire.queries.Load() - before; sent != 1 {
			t.Errorf("Apply sent %d messages, want 1", sent)
		}
		if got := effects(t, db, second); got != "1 2 3 4 5 6" || result.From != "5" || result.To != "6" || !result.Read || !result.Fits || len(result.Before) != 5 {
			t.Errorf("effects = %s, result = %+v", got, result)
		}
	})
}

// Whatever is believed of a ledger, what it has decides.
func TestWrongBeliefs(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		set := mustLoad(t, twelve(nil))
		model := db.tenant(t, "model")
		db.apply(t, model, set, "5")
		rows, err := ReadLedger(t.Context(), db.pool, model)
		if err != nil {
			t.Fatal(err)
		}
		unlike := func(change func(row *Applied)) []Applied {
			other := slices.Clone(rows)
			change(&other[2])
			return other
		}
		for name, tt := range map[string]struct {
			has      Version
			believed []Applied
			spoil    string
			reason   string
			effects  string
		}{
			"further":    {has: "7", believed: rows, effects: allEffects},
			"behind":     {has: "3", believed: rows, effects: allEffects},
			"at_target":  {has: "", believed: rows, effects: allEffects},
			"nothing":    {has: "5", believed: []Applied{}, effects: allEffects},
			"file":       {has: "5", believed: unlike(func(r *Applied) { r.File = "other" }), effects: allEffects},
			"running":    {has: "5", believed: unlike(func(r *Applied) { r.State = Running }), effects: allEffects},
			"other_file": {has: "5", believed: rows, spoil: "UPDATE spoilt.tenantry_migrations SET checksum = 'x' WHERE version = '3'", reason: ReasonChecksumChanged, effects: "1 2 3 4 5"},
			"emptied":    {has: "5", believed: rows, spoil: "DELETE FROM spoilt.tenantry_migrations", reason: ReasonLedgerUnusable, effects: "1 2 3 4 5"},
			"lost":       {has: "5", believed: rows, spoil: "DROP TABLE spoilt.tenantry_migrations", reason: ReasonLedgerUnusable, effects: "1 2 3 4 5"},
			"view": {
				has: "5", believed: rows, reason: ReasonLedgerUnusable, effects: "1 2 3 4 5",
				spoil: "ALTER TABLE spoilt.tenantry_migrations RENAME TO kept; CREATE VIEW spoilt.tenantry_migrations AS SELECT * FROM spoilt.kept",
			},
		} {
			schema := name
			if tt.spoil != "" {
				schema = "spoilt"
			}
			target := db.tenant(t, schema)
			db.apply(t, target, set, tt.has)
			target.Believed, target.Recorded = tt.believed, "5"
			if tt.spoil != "" {
				db.exec(t, tt.spoil)
			}
			result, err := Apply(t.Context(), db.pool, target, set, "")
			if fault.ReasonOf(err) != tt.reason {
				t.Errorf("%s: %v, want reason %q", name, err, tt.reason)
			}
			if got := effects(t, db, target); got != tt.effects || err == nil && result.To != "12" {
				t.Errorf("%s: effects = %s, result = %+v", name, got, result)
			}
			if tt.spoil != "" {
				db.exec(t, "DROP SCHEMA spoilt CASCADE", "DROP OWNED BY "+ident(target.Owner), "DROP OWNED BY "+ident(target.App),
					"DROP ROLE "+ident(target.Owner), "DROP ROLE "+ident(target.App))
			}
		}
	})
}

// A failure behind the comparison tells how far the schema is, as without beliefs.
func TestBelievedLedgerAndBadSQL(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		target := db.tenant(t, "acme")
		bad := mustLoad(t, twelve(map[int]string{7: "SELECT 1/0"}))
		first := db.apply(t, target, bad, "5")
		target.Believed, _ = ReadLedger(t.Context(), db.pool, target)
		target.Recorded = first.To
		result, err := Apply(t.Context(), db.pool, target, bad, "")
		partial, is := errors.AsType[*PartialError](err)
		if !is || partial.Failed != "7" || result.To != "6" || !result.Read || !result.Fits {
			t.Errorf("result = %+v, %v", result, err)
		}
	})
}

// The question comes behind the last migration, is answered by the migrator itself, and fails nothing.
func TestQuestion(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		target := db.tenant(t, "acme")
		ask := func(sql string, upto Version, args ...string) string {
			t.Helper()
			target.Ask = &postgres.Question{SQL: sql, Args: args}
			result := db.apply(t, target, mustLoad(t, twelve(map[int]string{
				4: "CREATE TABLE t4 (); INSERT INTO effects VALUES (4); DEALLOCATE ALL",
			})), upto)
			if result.Answer == nil {
				return "none"
			}
			return string(slices.Concat(result.Answer...))
		}
		const who = "SELECT $1, current_user, (SELECT relname FROM pg_catalog.pg_class WHERE relname = 't1')"
		for _, tt := range []struct {
			sql  string
			upto Version
			want string
		}{
			{who, "1", "it's " + db.migrator + "t1"},
			{"SELECT 1/0 WHERE $1 <> ''", "2", "none"},
			{who, "3", "it's " + db.migrator + "t1"},
			{who, "4", "none"}, // The file takes the prepared statement away.
			{who, "5", "it's " + db.migrator + "t1"},
			{"no SQL at all $1", "6", "none"},
			{who, "6", "none"}, // Nothing was to do.
			{who, "", "it's " + db.migrator + "t1"},
		} {
			db.pool.Reset() // a session prepares one question only
			if got := ask(tt.sql, tt.upto, "it's "); got != tt.want {
				t.Errorf("%s at %s: %s, want %s", tt.sql, tt.upto, got, tt.want)
			}
		}
		if got := effects(t, db, target); got != allEffects {
			t.Errorf("effects = %s", got)
		}
	})
}

// What a migration left in its session is cleaned up although the question behind it, whose failure takes the
// message's own reset back, failed.
func TestFailedQuestionLeavesNothing(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		const state = `SELECT current_setting('role'), current_setting('search_path'), coalesce(current_setting('myapp.mode', true), '')`
		fresh := db.sessionState(t, state)
		target := db.tenant(t, "acme")
		target.Ask = &postgres.Question{SQL: "SELECT 1/0 WHERE $1 <> ''", Args: []string{"x"}}
		set := mustLoad(t, twelve(map[int]string{2: "INSERT INTO effects VALUES (2); INSERT INTO effects SELECT 0 WHERE " +
			"set_config('myapp.mode', 'odd', false) || set_config('role', '" + target.Owner + "', false) = ''"}))
		if result := db.apply(t, target, set, "2"); result.To != "2" || result.Answer != nil {
			t.Errorf("result = %+v", result)
		}
		if got := db.sessionState(t, state); got != fresh {
			t.Errorf("the pooled session is %s\nwant %s", got, fresh)
		}
	})
}

// A ledger that is believed and compared is as safe as one that was read: whoever is killed, races, or loses
// the server's answer, each effect is there once.
func TestBelievedLedgerUnderKills(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		files := twelve(nil)
		for i := range files {
			files[i].Content = append(files[i].Content, "SELECT pg_sleep(0.002);\n"...)
		}
		set := mustLoad(t, files)
		targets := make([]Target, 12)
		for i := range targets {
			targets[i] = db.tenant(t, fmt.Sprintf("killed%d", i))
			db.apply(t, targets[i], set, "4")
			if i == 0 {
				targets[0].Believed = db.apply(t, targets[0], set, "4").Before
			}
			targets[i].Believed, targets[i].Recorded = targets[0].Believed, "4"
			targets[i].Ask = &postgres.Question{SQL: "SELECT $1", Args: []string{"x"}}
		}
		for i, target := range targets {
			var runners sync.WaitGroup
			if i%3 == 0 {
				db.wire.cutReplies.Store(true)
			}
			for range 1 + i%2*3 {
				runners.Go(func() { db.settle(t, target, set) })
			}
			if i%3 > 0 {
				<-time.After(rand.N(40 * time.Millisecond))
				db.kill(t)
			}
			runners.Wait()
			if got := effects(t, db, target); got != allEffects {
				t.Errorf("%s: effects = %s", target.Schema, got)
			}
		}
	})
}
