package migrations

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/test/platform"
)

// crashes are the ways in which a server ends without a word to anybody. What it had synced is what
// the next one on the same data begins with.
var crashes = map[string]func(*platform.Postgres) error{
	"SIGKILL": (*platform.Postgres).Kill, "SIGQUIT": (*platform.Postgres).Crash,
}

// crashable is a database on a server of its own, which syncs as production does.
func crashable(t *testing.T) *database {
	t.Helper()
	server, err := platform.StartPostgres(t.Context(), platform.PostgresMajor(18))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	db := databaseOn(t, server)
	if got := db.text(t, "SELECT current_setting('fsync'), current_setting('synchronous_commit'), current_setting('full_page_writes')"); got != "on|on|on" {
		t.Fatalf("the server does not sync: %s", got)
	}
	return db
}

// crash ends the server and starts it again on the same data. The migrator's pool is left as it is: it
// is the operator's, to whom nobody says that all its connections are dead.
func (db *database) crash(t *testing.T, how func(*platform.Postgres) error) {
	t.Helper()
	begin := time.Now()
	defer func() { t.Logf("the server was away for %v", time.Since(begin).Round(time.Millisecond)) }()
	if err := how(db.server); err != nil {
		t.Fatal(err)
	}
	if _, err := Apply(t.Context(), db.pool, Target{Schema: "any", Owner: "any"}, load(t, concurrent), ""); err == nil || fault.KindOf(err) == fault.Invalid {
		t.Errorf("without a server: %v, want an error that passes", err)
	}
	if err := db.server.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	db.admin.Reset()
}

// start applies a set beside the test. The channel gives the end.
func (db *database) start(ctx context.Context, target Target, set *Set) <-chan error {
	end := make(chan error, 1)
	go func() {
		_, err := Apply(ctx, db.pool, target, set, "")
		end <- err
	}()
	return end
}

// gate is a statement at which a migration stands as long as somebody holds the lock: until the server
// dies, and never again.
const gate = "SELECT pg_advisory_xact_lock(41);\n"

// holdGate closes it.
func (db *database) holdGate(t *testing.T) (end func()) {
	t.Helper()
	tx, err := db.admin.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), gate); err != nil {
		t.Fatal(err)
	}
	return func() { _ = tx.Rollback(t.Context()) }
}

const indexed = `-- file 1_effects.sql --
CREATE TABLE effects (version int);
-- file 2_index.sql --
INSERT INTO effects VALUES (2);
CREATE INDEX CONCURRENTLY effects_version ON effects (version) WHERE version > 0;
INSERT INTO effects VALUES (21);
-- file 3_more.sql --
INSERT INTO effects VALUES (3);
`

// maxTries is how often a server is killed in search of a call at work.
const maxTries = 5

// TestServerDies kills one server again and again: where each kind of migration stands in the middle, and
// at any moment.
func TestServerDies(t *testing.T) {
	db := crashable(t)
	for name, how := range crashes {
		t.Run("in the middle by "+name, func(t *testing.T) { db.dieInTheMiddle(t, strings.ToLower(name), how) })
		t.Run("anywhere by "+name, func(t *testing.T) {
			for try := 1; db.dieAnywhere(t, fmt.Sprintf("%s_%d", strings.ToLower(name), try), how) == 0; try++ {
				if try == maxTries {
					t.Fatalf("none of %d crashes cut a call off", try)
				}
			}
		})
	}
}

// dieInTheMiddle : of the message of a batch, of a new tenant's checkpoint, and of a concurrent index
// behind a unit that took effect. The same call on the next server ends what was begun.
func (db *database) dieInTheMiddle(t *testing.T, name string, how func(*platform.Postgres) error) {
	t.Helper()
	tenant := func(kind string) Target {
		target := db.tenant(t, kind+"_"+name)
		target.LockTimeout = time.Minute
		return target
	}
	checkpoint := checkpointAt(10)
	checkpoint.Content = append(checkpoint.Content, gate...)
	batches, checkpoints, indexes := mustLoad(t, twelve(map[int]string{5: "CREATE TABLE t5 (id int);\nINSERT INTO effects VALUES (5);\n" + gate})),
		mustLoad(t, append(twelve(nil), checkpoint)), load(t, indexed)
	cases := []struct {
		target Target
		set    *Set
		want   string
	}{
		{tenant("batch"), batches, allEffects},
		{verified(tenant("checkpoint"), checkpoints), checkpoints, allEffects + " 99"},
		{tenant("index"), indexes, "2 3 21"},
	}
	index := cases[2].target
	defer db.holdSnapshot(t)()
	defer db.holdGate(t)()
	var ends []<-chan error
	for _, tt := range cases {
		ends = append(ends, db.start(t.Context(), tt.target, tt.set))
	}
	eventually(t, "each stands in the middle", func() bool {
		return db.text(t, "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND wait_event_type = 'Lock'", db.migrator) == "3"
	})
	db.crash(t, how)
	for _, end := range ends {
		mustFail(t, <-end)
	}
	if got := db.text(t, "SELECT count(*) FROM pg_class WHERE relnamespace = $1::regnamespace", cases[1].target.Schema); got != "0" {
		t.Errorf("%s things are there of the checkpoint", got)
	}
	if got := db.indexes(t, index) + " " + effects(t, db, index); got != "effects_version|false 2" {
		t.Errorf("behind the crash there are %s, want an invalid index and what was in front of it", got)
	}
	for _, tt := range cases {
		db.settle(t, tt.target, tt.set)
		if got := effects(t, db, tt.target); got != tt.want {
			t.Errorf("%s: effects = %s, want %s", tt.target.Schema, got, tt.want)
		}
		if result := db.apply(t, tt.target, tt.set, ""); len(result.Applied) > 0 {
			t.Errorf("%s: once more %v", tt.target.Schema, result.Applied)
		}
	}
	if got := db.indexes(t, index); got != "effects_version|true" {
		t.Errorf("indexes are %s, want a valid one", got)
	}
}

// dieAnywhere : some commits that did not wait for the disk are lost, and their rows of the ledger with them.
// It returns how many calls were cut off.
func (db *database) dieAnywhere(t *testing.T, name string, how func(*platform.Postgres) error) int32 {
	t.Helper()
	const tenants, atOnce = 12, 6
	set := mixed(t)
	undisturbed := db.tenant(t, "undisturbed_"+name)
	before := db.wire.queries.Load()
	db.apply(t, undisturbed, set, "")
	messages := db.wire.queries.Load() - before // of one tenant
	want := db.fingerprint(t, undisturbed)
	var targets []Target
	queue := make(chan Target, tenants)
	for i := range tenants {
		targets = append(targets, db.tenant(t, fmt.Sprintf("%s_%d", name, i)))
		queue <- targets[i]
	}
	close(queue)
	var running sync.WaitGroup
	var cut atomic.Int32
	moment := db.wire.queries.Load() + messages/2 + rand.N((tenants-atOnce)*messages)
	for range atOnce {
		running.Go(func() {
			for target := range queue {
				if _, err := Apply(t.Context(), db.pool, target, set, ""); fault.ReasonOf(err) == ReasonConnectionLost {
					cut.Add(1)
				}
			}
		})
	}
	eventually(t, "so many messages were sent", func() bool { return db.wire.queries.Load() >= moment })
	db.crash(t, how)
	running.Wait()
	for _, target := range targets {
		db.settle(t, target, set)
		if diff := cmp.Diff(want, db.fingerprint(t, target)); diff != "" {
			t.Fatalf("schema %s (-undisturbed +crashed):\n%s", target.Schema, diff)
		}
	}
	t.Logf("%d of %d calls at a time were cut off", cut.Load(), atOnce)
	return cut.Load()
}
