package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/internal/postgres"
)

func readerPassword(t *testing.T, db *postgres.DB, tn postgres.Tenant, login string) postgres.Config {
	t.Helper()
	password := postgres.NewPassword()
	if err := db.SetLogin(t.Context(), tn.UID, tn.Schema, login, must(postgres.SCRAMVerifier(password))(t)); err != nil {
		t.Fatal(err)
	}
	must(db.Provision(t.Context(), tn))(t)
	return db.Config().WithLogin(login, password)
}

// A reader reads what was there before it and what comes, and nothing else; it goes without a trace.
func TestReader(t *testing.T) {
	db := newDB(t)
	tn, app := newTenant(t, db, "acme")
	asOwner(t, db, tn, "CREATE TABLE old (id int GENERATED ALWAYS AS IDENTITY)", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
	exec(t, app, "INSERT INTO old DEFAULT VALUES")
	before := snapshot(t, db)

	tn.Reader = &postgres.Reader{ConnectionLimit: 2, StatementTimeout: 7 * time.Second}
	must(db.Provision(t.Context(), tn))(t)
	roles := observe(t, db, tn).Roles
	first := readerPassword(t, db, tn, roles.Reader())
	second := readerPassword(t, db, tn, roles.SecondReader())
	asOwner(t, db, tn, "CREATE TABLE young (id int)", "CREATE VIEW seen AS SELECT * FROM old")
	for _, cfg := range []postgres.Config{first, second} {
		exec(t, cfg, "SELECT FROM old", "SELECT FROM young", "SELECT FROM acme.seen", "SELECT last_value FROM old_id_seq")
		for _, sql := range []string{
			"INSERT INTO old DEFAULT VALUES", "UPDATE young SET id = 2", "DELETE FROM young", "TRUNCATE young", "SELECT f()",
			"SELECT nextval('old_id_seq')", "CREATE TABLE acme.x (id int)", "SET ROLE " + quote(roles.App), "SET ROLE " + quote(roles.Owner),
			"DO $$ BEGIN LOCK TABLE young IN EXCLUSIVE MODE; END $$", "SELECT FROM old FOR UPDATE",
		} {
			refused(t, cfg, "SET default_transaction_read_only = off", sql)
		}
		if got := query(t, cfg, "SELECT concat_ws(' ', current_setting('transaction_read_only'), current_setting('statement_timeout'), current_setting('search_path'))"); got != "on 7s acme, shared" {
			t.Errorf("%s works with %s", cfg.User(), got)
		}
		if got := query(t, admin(t, "postgres"), "SELECT rolconnlimit FROM pg_roles WHERE rolname = $1", cfg.User()); got != "2" {
			t.Errorf("%s may have %s sessions, want 2", cfg.User(), got)
		}
	}
	o := observe(t, db, tn)
	if !o.ReaderCanLogin || !o.SecondReaderCanLogin || len(o.Drift)+len(o.Foreign) > 0 {
		t.Errorf("observed %+v", o)
	}
	// What it changed of itself, and what others took, comes back; what a migration took does not.
	exec(t, first, "SET default_transaction_read_only = off", "ALTER ROLE CURRENT_USER IN DATABASE "+quote(db.Config().Database())+" RESET ALL")
	asOwner(t, db, tn, "REVOKE SELECT ON young FROM "+quote(roles.Reader()))
	if o := observe(t, db, tn); !strings.Contains(strings.Join(o.Drift, " "), "default_transaction_read_only") {
		t.Errorf("drift %q", o.Drift)
	}
	must(db.Provision(t.Context(), tn))(t)
	refused(t, first, "SELECT FROM young")
	asOwner(t, db, tn, "DROP TABLE young", "DROP VIEW seen")

	tn.Reader = nil
	if changed := must(db.Provision(t.Context(), tn))(t); changed {
		t.Error("Provision changes a reader that is not wanted any more")
	}
	session := connect(t, second)
	if err := db.DropReader(t.Context(), tn.UID, "acme"); err != nil {
		t.Fatal(err)
	}
	if session.Ping(t.Context()) == nil {
		t.Error("a session of a dropped reader lives on")
	}
	if err := db.DropReader(t.Context(), tn.UID, "acme"); err != nil {
		t.Errorf("to drop nothing: %v", err)
	}
	if diff := cmp.Diff(before, snapshot(t, db)); diff != "" {
		t.Errorf("left behind:\n%s", diff)
	}
	exec(t, app, "INSERT INTO old DEFAULT VALUES")
}

// A reader goes with its tenant, and is switched off with it.
func TestReaderGoesWithItsTenant(t *testing.T) {
	db := newDB(t)
	before := snapshot(t, db)
	tn := tenant("acme")
	tn.Reader = &postgres.Reader{}
	must(db.Provision(t.Context(), tn))(t)
	reader := readerPassword(t, db, tn, observe(t, db, tn).Roles.Reader())
	if err := db.Retain(t.Context(), tn.UID, "acme"); err != nil {
		t.Fatal(err)
	}
	if tryExec(t, reader) == nil {
		t.Error("the reader of a retained schema logs in")
	}
	if err := db.Drop(t.Context(), tn.UID, "acme"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, snapshot(t, db)); diff != "" {
		t.Errorf("left behind:\n%s", diff)
	}
}
