package migrations

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenantry/tenantry/internal/fault"
)

// Whatever a migration does to its session, the next one and the pool's next user start clean.
func TestNothingLeaksOutOfAMigration(t *testing.T) {
	bodies := map[string]string{
		"role in a DO block":  "DO $$ BEGIN EXECUTE 'SET ROLE other'; END $$;",
		"no role at all":      "DO $$ BEGIN EXECUTE 'RESET ROLE'; END $$;",
		"another by INSERT":   "INSERT INTO effects SELECT 'a', 'b' WHERE set_config('role', '@other@', false) IS NULL;",
		"no role by INSERT":   "INSERT INTO effects SELECT 'a', 'b' WHERE set_config('role', 'none', false) IS NULL;",
		"search_path":         "SET search_path = pg_catalog;",
		"path by a function":  "SELECT set_config('search_path', 'pg_catalog', false);",
		"lock_timeout":        "SET lock_timeout = '1h';",
		"custom setting":      "SET myapp.mode = 'odd';",
		"prepared statement":  "PREPARE p AS SELECT 1;",
		"temporary table":     "CREATE TEMP TABLE effects (version text, who text);",
		"temporary by name":   "CREATE TABLE pg_temp.effects (version text, who text);",
		"temporary function":  "CREATE FUNCTION \"pg_temp\".f() RETURNS text LANGUAGE sql AS 'SELECT NULL::text'; UPDATE effects SET who = pg_temp.f();",
		"cursor":              "DECLARE c CURSOR WITH HOLD FOR SELECT 1;",
		"advisory lock":       "SELECT pg_advisory_lock(42);",
		"listening":           "LISTEN x;",
		"literals":            "SET standard_conforming_strings = off;",
		"encoding":            "SET client_encoding = 'LATIN1';",
		"read only":           "SET default_transaction_read_only = on;",
		"commit without wait": "SET synchronous_commit = off;",
		"calls in an INSERT":  "INSERT INTO effects SELECT set_config('myapp.mode', 'odd', false), pg_advisory_lock(43)::text; DELETE FROM effects;",
		"a trigger": `CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('myapp.mode', 'odd', false), pg_advisory_lock(44); RETURN NULL; END $$;
			CREATE TRIGGER trap BEFORE UPDATE ON effects FOR EACH STATEMENT EXECUTE FUNCTION trap(); UPDATE effects SET who = ''; DROP TRIGGER trap ON effects;`,
	}
	// The last body of a message is cleaned up behind, one before another migration in front of that.
	const next = `INSERT INTO effects SELECT 'ü\', current_user::text
		WHERE current_setting('lock_timeout') = '50ms' AND coalesce(current_setting('myapp.mode', true), '') = '';`
	const state = `SELECT current_setting('role'), current_setting('search_path'), current_setting('lock_timeout'),
		coalesce(current_setting('myapp.mode', true), ''), (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_cursors),
		(SELECT count(*) FROM pg_class WHERE relpersistence = 't'), (SELECT count(*) FROM pg_proc WHERE pronamespace = pg_my_temp_schema()), (SELECT count(*) FROM pg_listening_channels()),
		current_setting('client_encoding'), current_setting('default_transaction_read_only'), current_setting('synchronous_commit'),
		(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())`
	onServers(t, func(t *testing.T, db *database) {
		fresh := db.sessionState(t, state)
		i := 0
		for name, body := range bodies {
			i++
			other, target := db.tenant(t, fmt.Sprintf("other%d", i)), db.tenant(t, fmt.Sprintf("acme%d", i))
			db.exec(t, "GRANT TEMPORARY ON DATABASE "+db.name+" TO "+ident(target.Owner))
			t.Run(name, func(t *testing.T) {
				files := []File{
					{Name: "1_a.sql", Content: []byte("CREATE TABLE effects (version text, who text);")},
					{Name: "2_b.sql", Content: []byte(strings.ReplaceAll(replaceRole(body, other.Owner), "@other@", other.Owner))},
					{Name: "3_c.sql", Content: []byte(next)},
				}
				pid := db.sessionState(t, "SELECT pg_backend_pid()")
				db.apply(t, target, mustLoad(t, files), "")
				if now := db.sessionState(t, "SELECT pg_backend_pid()"); now != pid {
					t.Error("the session was given up: a file began as somebody who may not")
				}
				if got, want := db.text(t, "SELECT * FROM "+ident(target.Schema, "effects")), `ü\|`+target.Owner; got != want {
					t.Errorf("the next migration left %q, want %q", got, want)
				}
				if got := db.sessionState(t, state); got != fresh {
					t.Errorf("the pooled session is %s\nwant %s", got, fresh)
				}
			})
		}
	})
}

// A message takes the role for all of its files, and none of it stays where one of them fails.
func TestAFailedFileLeavesTheSessionAsItWas(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		const state = "SELECT current_user = session_user, current_setting('role'), current_setting('search_path')"
		fresh := db.sessionState(t, state)
		for i, third := range []string{"SELECT 1/0;", "DO $$ BEGIN EXECUTE 'RESET ROLE'; END $$;\nSELECT 1/0;"} {
			target := db.tenant(t, fmt.Sprintf("acme%d", i))
			_, err := db.applyWith(t.Context(), fast, target, mustLoad(t, []File{
				{Name: "1_a.sql", Content: []byte("CREATE TABLE a (id int);")},
				{Name: "2_b.sql", Content: []byte("CREATE TABLE b AS SELECT current_user::text AS who;")},
				{Name: "3_c.sql", Content: []byte(third)},
			}))
			if err == nil {
				t.Fatal("the third file passed")
			}
			if who := db.text(t, "SELECT * FROM "+ident(target.Schema, "b")); who != target.Owner {
				t.Errorf("the second file ran as %q, want %q", who, target.Owner)
			}
			if got := db.sessionState(t, state); got != fresh {
				t.Errorf("the pooled session is %s, want %s", got, fresh)
			}
		}
	})
}

// To take a role is dear where the migrator has thousands (see Target.role): a message does it once.
func TestAMessageTakesItsRoleOnce(t *testing.T) {
	for files, want := range map[int]string{1: "SET LOCAL ROLE", 12: "SET SESSION ROLE"} {
		set := mustLoad(t, twelve(nil)[:files])
		steps, err := Plan(set, nil, set.Latest())
		if err != nil {
			t.Fatal(err)
		}
		text := (&runner{target: Target{Schema: "acme", Owner: "acme_owner"}, set: set}).compose(steps).text.String()
		if strings.Count(text, want) != 1 || strings.Count(text, " ROLE \"acme_owner\"") != 1 ||
			strings.Count(text, "CASE WHEN current_user::pg_catalog.text OPERATOR(pg_catalog.=) 'acme_owner' THEN 1 ELSE 0 END") != files {
			t.Errorf("%d files: want one %s, and a row that only the owner can write for each:\n%s", files, want, text)
		}
	}
}

func replaceRole(body, role string) string {
	const marker = "ROLE other"
	for i := 0; i+len(marker) <= len(body); i++ {
		if body[i:i+len(marker)] == marker {
			return body[:i] + "ROLE " + ident(role) + body[i+len(marker):]
		}
	}
	return body
}

// sessionState asks on one of the migrator's pooled sessions.
func (db *database) sessionState(t *testing.T, query string) string {
	t.Helper()
	conn, err := db.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	results, err := conn.Conn().PgConn().Exec(t.Context(), query).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s", results[0].Rows[0])
}

func TestLockedTable(t *testing.T) {
	set := func(t *testing.T) *Set {
		return mustLoad(t, twelve(map[int]string{7: "INSERT INTO effects VALUES (7);\nALTER TABLE t3\n  ADD COLUMN extra int;\n"}))
	}
	onServers(t, func(t *testing.T, db *database) {
		target := db.tenant(t, "acme")
		db.apply(t, target, set(t), "6")
		tx, err := db.admin.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback(context.Background()) }()
		if _, err := tx.Exec(t.Context(), "SELECT * FROM acme.t3"); err != nil {
			t.Fatal(err)
		}
		result, err := db.applyWith(t.Context(), fast, target, set(t))
		const want = "0007_step.sql line 2: another session holds a lock that the statement needs; it is tried again (55P03); the schema stays at version 6"
		if err == nil || err.Error() != want || fault.KindOf(err) != fault.Transient || fault.ReasonOf(err) != ReasonLocked {
			t.Errorf("error = %v\nwant    %s", err, want)
		}
		if result.Retries != fast.tries-1 || result.To != "6" {
			t.Errorf("result = %+v", result)
		}
		done := make(chan error, 1)
		go func() {
			_, err := Apply(t.Context(), db.pool, target, set(t), "")
			done <- err
		}()
		db.waiting(t, "BEGIN")
		// A reader that comes while the migration waits is not kept until the other session is done.
		const patience = 20 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if _, err := db.admin.Exec(ctx, "SELECT count(*) FROM acme.t3"); err != nil {
			t.Errorf("a reader waited %v: %v", patience, err)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Errorf("once the lock was gone: %v", err)
		}
		if got := effects(t, db, target); got != allEffects {
			t.Errorf("effects = %s", got)
		}
	})
}

func TestStatementTimeout(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		target := db.tenant(t, "acme")
		target.StatementTimeout = 4 * time.Second
		// Each statement has the time, not the message.
		slow := mustLoad(t, twelve(map[int]string{2: strings.Repeat("SELECT pg_sleep(1.5);\n", 3) + "INSERT INTO effects VALUES (2);", 3: "SELECT\npg_sleep(60);"}))
		_, err := Apply(t.Context(), db.pool, target, slow, "")
		const want = "0003_step.sql line 1: canceling statement due to statement timeout (57014); the schema stays at version 2"
		if err == nil || err.Error() != want {
			t.Errorf("error = %v\nwant    %s", err, want)
		}
	})
}

// A migration might put something in the ledger's place that runs as whoever reads it.
func TestLedgerMustBeThePlainTable(t *testing.T) {
	tests := map[string]string{
		"view": `ALTER TABLE acme.tenantry_migrations RENAME TO real_one;
			CREATE FUNCTION acme.trap() RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trapped''; END';
			CREATE VIEW acme.tenantry_migrations AS SELECT acme.trap() AS version, file, checksum, state, finished, in_doubt, prefix, runner, applied_at FROM acme.real_one`,
		"policy": `ALTER TABLE acme.tenantry_migrations ENABLE ROW LEVEL SECURITY`,
		"rule":   `CREATE RULE nothing AS ON INSERT TO acme.tenantry_migrations DO INSTEAD NOTHING`,
		"owner":  `ALTER TABLE acme.tenantry_migrations OWNER TO postgres`,
		"column": `ALTER TABLE acme.tenantry_migrations DROP COLUMN runner`,
	}
	for name, sql := range tests {
		t.Run(name, func(t *testing.T) {
			db := newDatabase(t, 18)
			target, set := db.tenant(t, "acme"), mustLoad(t, twelve(nil))
			db.apply(t, target, set, "3")
			db.exec(t, sql)
			for what, call := range map[string]func() error{
				"Apply":      func() error { _, err := Apply(t.Context(), db.pool, target, set, ""); return err },
				"ReadLedger": func() error { _, err := ReadLedger(t.Context(), db.pool, target); return err },
			} {
				if err := call(); fault.ReasonOf(err) != ReasonLedgerUnusable || fault.KindOf(err) != fault.Invalid {
					t.Errorf("%s = %v, want %s", what, err, ReasonLedgerUnusable)
				}
			}
		})
	}
}

func TestFaultsOfTheTarget(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		set := mustLoad(t, twelve(nil))
		target := db.tenant(t, "acme")
		stranger := target
		stranger.Owner = "postgres"
		_, err := Apply(t.Context(), db.pool, stranger, set, "")
		var partial *PartialError
		if err == nil || fault.KindOf(err) == fault.Invalid || errors.As(err, &partial) {
			t.Errorf("without the owner's membership: %v", err)
		}
		nowhere := target
		nowhere.Schema = "nowhere"
		if _, err := Apply(t.Context(), db.pool, nowhere, set, ""); err == nil || fault.KindOf(err) == fault.Invalid {
			t.Errorf("without the schema: %v", err)
		}
		hostile := db.tenant(t, `we"ird'\ schéma`)
		db.apply(t, hostile, set, "")
		if got := effects(t, db, hostile); got != allEffects {
			t.Errorf("effects = %s", got)
		}
	})
}

func TestRepeatable(t *testing.T) {
	files := func(text string) []File {
		return []File{
			{Name: "V1__a.sql", Content: []byte("CREATE TABLE effects (version int);")},
			{Name: "V2__b.sql", Content: []byte("CREATE TABLE b (id int);")},
			{Name: "R__fill it.sql", Content: []byte(text)},
		}
	}
	onServers(t, func(t *testing.T, db *database) {
		target := db.tenant(t, "acme")
		first := mustLoad(t, files("INSERT INTO effects VALUES (1);"))
		db.apply(t, target, first, "1")
		if got := effects(t, db, target); got != "" {
			t.Errorf("below the latest version a repeatable migration ran: %s", got)
		}
		for range 2 {
			db.apply(t, target, first, "")
		}
		second := mustLoad(t, files("INSERT INTO effects VALUES (2);\nCREATE INDEX CONCURRENTLY IF NOT EXISTS e ON effects (version);"))
		for range 2 {
			db.apply(t, target, second, "")
		}
		result := db.apply(t, target, mustLoad(t, files("INSERT INTO effects VALUES (3);")), "")
		if got := effects(t, db, target); got != "1 2 3" || result.To != "2" {
			t.Errorf("effects = %s, result = %+v", got, result)
		}
	})
}
