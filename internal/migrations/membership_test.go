package migrations

import (
	"testing"

	"github.com/tenantry/tenantry/internal/postgres"
)

// misses makes the pool's only session one whose list of roles lacks a tenant's owner although it was granted: the
// grant is committed while the server makes the list, between its first part, which tells the migrator's own
// memberships, and the rest.
func (db *database) misses(t *testing.T, owner string) {
	t.Helper()
	ctx := t.Context()
	db.exec(t, "REVOKE "+ident(owner)+" FROM "+db.migrator)
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	// What it has without SET ROLE tells the first part alone, as nothing is inherited.
	if _, err := conn.Exec(ctx, "SELECT pg_has_role('pg_monitor', 'USAGE')"); err != nil {
		t.Fatal(err)
	}
	tx, err := db.admin.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	for _, sql := range []string{
		"GRANT " + ident(owner) + " TO " + db.migrator + " WITH INHERIT FALSE, SET TRUE",
		"LOCK TABLE pg_auth_members IN ACCESS EXCLUSIVE MODE",
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	listed := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, "SELECT pg_has_role('pg_monitor', 'SET')")
		listed <- err
	}()
	eventually(t, "the session waits for the list's rest", func() bool {
		return db.text(t, "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'pg_auth_members'::regclass") == "1"
	})
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-listed; err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, "SET ROLE "+ident(owner)); postgres.CauseOf(err) != postgres.InsufficientPrivilege {
		t.Fatalf("SET ROLE: %v, want that the session does not know of the grant", err)
	}
}

func TestASessionThatMissedAGrantIsReplaced(t *testing.T) {
	db := newDatabase(t, 18)
	set := load(t, `-- file 1_orders.sql --
CREATE TABLE orders ();
`)
	db.tenant(t, "other")
	for name, do := range map[string]func(Target) error{
		"Apply": func(target Target) error { _, err := Apply(t.Context(), db.pool, target, set, ""); return err },
		"Baseline": func(target Target) error {
			db.exec(t, "CREATE TABLE "+ident(target.Schema, "orders")+" ()")
			_, err := Baseline(t.Context(), db.pool, target, set, "1")
			return err
		},
		"ReadLedger": func(target Target) error { _, err := ReadLedger(t.Context(), db.pool, target); return err },
		"ReadShape":  func(target Target) error { _, err := ReadShape(t.Context(), db.pool, target); return err },
	} {
		t.Run(name, func(t *testing.T) {
			target := db.tenant(t, name)
			db.misses(t, target.Owner)
			if err := do(target); err != nil {
				t.Errorf("%s: %v, want that it goes on in a new session", name, err)
			}
		})
	}
}
