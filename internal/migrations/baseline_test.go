package migrations

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantry/tenantry/internal/fault"
)

const shopWithHistory = `
-- file 0001_orders.sql --
CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1);
-- file 0002_index.sql --
CREATE INDEX CONCURRENTLY orders_id ON orders (id);
-- file 0003_note.sql --
ALTER TABLE orders ADD COLUMN note text; UPDATE orders SET note = 'three';
-- file 0004_more.sql --
INSERT INTO orders VALUES (4, 'four');
`

// handMade is a schema at version 3 that no engine made.
func (db *database) handMade(t *testing.T) Target {
	t.Helper()
	to := db.tenant(t, "acme")
	db.exec(t, "SET ROLE "+ident(to.Owner)+"; CREATE TABLE acme.orders (id int PRIMARY KEY, note text); RESET ROLE",
		"INSERT INTO acme.orders VALUES (7, 'kept')")
	return to
}

func (db *database) wantOrders(t *testing.T, to Target, want string) {
	t.Helper()
	if got := db.text(t, "SELECT string_agg(id || coalesce(note, ''), ' ' ORDER BY id) FROM "+to.Schema+".orders"); got != want {
		t.Errorf("orders are %q, want %q", got, want)
	}
}

func TestBaseline(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		set, to := load(t, shopWithHistory), db.handMade(t)
		if _, err := Baseline(t.Context(), db.pool, to, set, ""); fault.ReasonOf(err) != ReasonBaselineRequired || fault.KindOf(err) != fault.Invalid {
			t.Fatalf("without a version: %v", err)
		}
		if _, err := Baseline(t.Context(), db.pool, to, set, "5"); fault.ReasonOf(err) != ReasonUnknownVersion {
			t.Fatalf("of no version: %v", err)
		}
		for range 2 {
			if at, err := Baseline(t.Context(), db.pool, to, set, "0003"); at != "3" || err != nil {
				t.Fatalf("Baseline = %q, %v", at, err)
			}
		}
		if got := db.text(t, "SELECT string_agg(version || state || runner || finished, ' ' ORDER BY version) FROM acme.tenantry_migrations"); got != "1donebaseline2 2donebaseline1 3donebaseline2" {
			t.Errorf("ledger: %s", got)
		}
		if got := db.text(t, "SELECT has_table_privilege($1, 'acme.tenantry_migrations', 'SELECT'), has_table_privilege($1, 'acme.tenantry_migrations', 'INSERT')", to.App); got != "true|false" {
			t.Errorf("the login's rights on the ledger: %s", got)
		}
		if result := db.apply(t, to, set, ""); result.From != "3" || result.To != "4" || len(result.Applied) != 1 {
			t.Errorf("Apply = %+v", result)
		}
		db.wantOrders(t, to, "4four 7kept")
		if at, err := Baseline(t.Context(), db.pool, to, set, "1"); at != "4" || err != nil {
			t.Errorf("a ledger that is there: %q, %v", at, err)
		}
		changed := load(t, strings.Replace(shopWithHistory, "'three'", "'drei'", 1))
		if _, err := Apply(t.Context(), db.pool, to, changed, ""); fault.ReasonOf(err) != ReasonChecksumChanged {
			t.Errorf("a file below the baseline changed: %v", err)
		}
	})
}

// An empty schema has nothing that a baseline could stand for, whatever is said.
func TestBaselineOfNothing(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		set, to := load(t, shopWithHistory), db.tenant(t, "acme")
		if at, err := Baseline(t.Context(), db.pool, to, set, "3"); at != "" || err != nil {
			t.Fatalf("Baseline = %q, %v", at, err)
		}
		db.apply(t, to, set, "")
		db.wantOrders(t, to, "1three 4four")
	})
}

// What stands in the ledger's place is not written into.
func TestBaselineMeetsAnotherTable(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		set, to := load(t, shopWithHistory), db.handMade(t)
		db.exec(t, "CREATE VIEW acme.tenantry_migrations AS SELECT 1 AS version")
		if _, err := Baseline(t.Context(), db.pool, to, set, "3"); fault.ReasonOf(err) != ReasonLedgerUnusable {
			t.Errorf("%v", err)
		}
	})
}

func TestManyBaselinesAtOnce(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		set, to := load(t, shopWithHistory), db.handMade(t)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				// Another one may have gone on already.
				if at, err := Baseline(t.Context(), db.pool, to, set, "3"); at != "3" && at != "4" || err != nil {
					t.Errorf("Baseline = %q, %v", at, err)
				}
				if _, err := Apply(t.Context(), db.pool, to, set, ""); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		db.wantOrders(t, to, "4four 7kept")
	})
}

// longHistory has so many files below the baseline that its message is one whose answer the harness can lose.
func longHistory(t *testing.T) *Set {
	t.Helper()
	text := strings.Builder{}
	for i := range 12 {
		fmt.Fprintf(&text, "-- file %04d_never.sql --\nINSERT INTO orders VALUES (%d);\n", i+1, i+100)
	}
	text.WriteString("-- file 0013_more.sql --\nINSERT INTO orders VALUES (4, 'four');\n")
	return load(t, text.String())
}

// A baseline that is broken off before its end is there as a whole or not at all, and the next call makes it
// good; nothing below it runs.
func TestBaselineBrokenOff(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		set, to := longHistory(t), db.handMade(t)
		held, err := db.admin.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// Whoever else creates the ledger waits for the end of this.
		if _, err := held.Exec(t.Context(), "CREATE TABLE acme.tenantry_migrations ()"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if at, err := Baseline(ctx, db.pool, to, set, "12"); err == nil {
			t.Fatalf("Baseline = %q", at)
		}
		if err := held.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		if at, err := Baseline(t.Context(), db.pool, to, set, "12"); at != "12" || err != nil {
			t.Errorf("Baseline = %q, %v", at, err)
		}
		if got := db.text(t, "SELECT count(*) FROM acme.tenantry_migrations"); got != "12" {
			t.Errorf("the ledger has %s rows", got)
		}
		db.apply(t, to, set, "")
		db.wantOrders(t, to, "4four 7kept")
	})
}

// Whoever does not hear that the baseline was written finds it.
func TestBaselineWhoseReplyIsLost(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		set, to := longHistory(t), db.handMade(t)
		db.wire.cutReplies.Store(true)
		if at, err := Baseline(t.Context(), db.pool, to, set, "12"); err == nil {
			t.Fatalf("Baseline = %q", at)
		}
		if at, err := Baseline(t.Context(), db.pool, to, set, "12"); at != "12" || err != nil {
			t.Errorf("Baseline = %q, %v", at, err)
		}
		db.apply(t, to, set, "")
		db.wantOrders(t, to, "4four 7kept")
	})
}
