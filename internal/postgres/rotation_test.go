package postgres_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// secondLogin gives the tenant's second login a password, and what Provision gives it.
func secondLogin(t *testing.T, db *postgres.DB, tn postgres.Tenant) postgres.Config {
	t.Helper()
	login, password := observe(t, db, tn).Roles.Second(), postgres.NewPassword()
	if err := db.SetLogin(t.Context(), tn.UID, tn.Schema, login, must(postgres.SCRAMVerifier(password))(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Provision(t.Context(), tn); err != nil {
		t.Fatal(err)
	}
	return db.Config().WithLogin(login, password)
}

// Both logins of a tenant can do the same at the same time, until one is retired.
func TestTwoLoginsTakeTurns(t *testing.T) {
	db := newDB(t)
	before := snapshot(t, db)
	tn := tenant("acme")
	tn.ConnectionLimit, tn.StatementTimeout = 7, 5e9
	must(db.Provision(t.Context(), tn))(t)
	first := setPassword(t, db, tn)
	asOwner(t, db, tn, "CREATE TABLE item (id int)")
	next := secondLogin(t, db, tn)
	asOwner(t, db, tn, "CREATE TABLE later (id int)")
	for _, cfg := range []postgres.Config{first, next} {
		exec(t, cfg, "INSERT INTO item VALUES (1)", "UPDATE later SET id = 2")
		if got := query(t, cfg, "SELECT current_setting('search_path') || ' ' || current_setting('statement_timeout')"); got != "acme, shared 5s" {
			t.Errorf("%s works with %s", cfg.User(), got)
		}
		if got := query(t, admin(t, "postgres"), "SELECT rolconnlimit FROM pg_roles WHERE rolname = $1", cfg.User()); got != "7" {
			t.Errorf("%s may have %s sessions, want 7", cfg.User(), got)
		}
		for _, sql := range []string{"CREATE TABLE acme.x (id int)", "SET ROLE " + quote(observe(t, db, tn).Roles.Owner)} {
			if tryExec(t, cfg, sql) == nil {
				t.Errorf("%s may %s", cfg.User(), sql)
			}
		}
		if result := must(postgres.Probe(t.Context(), cfg, "acme"))(t); len(result.LackingTables) > 0 || !result.SchemaUsage {
			t.Errorf("%s: %+v", cfg.User(), result)
		}
	}
	if err := tryExec(t, next, "SET ROLE "+quote(first.User())); err == nil && isPostgres16(t, db) {
		t.Error("the second login can become the first")
	}
	o := observe(t, db, tn)
	if !o.AppCanLogin || !o.SecondCanLogin || len(o.Drift) > 0 || len(o.Foreign) > 0 {
		t.Errorf("observed %+v", o)
	}

	if err := db.RetireLogin(t.Context(), tn.UID, "acme", first.User()); err != nil {
		t.Fatal(err)
	}
	if err := tryExec(t, first); postgres.CauseOf(err) != postgres.AuthenticationFailed {
		t.Errorf("the retired login: %v", err)
	}
	exec(t, next, "SELECT * FROM item")
	if changed := must(db.Provision(t.Context(), tn))(t); changed {
		t.Error("Provision mends what a rotation made")
	}

	session := connect(t, next)
	if got := must(db.Sessions(t.Context(), first.User(), next.User()))(t); !cmp.Equal(got, map[string]int{next.User(): 1}) {
		t.Errorf("sessions %v", got)
	}
	if err := db.Drop(t.Context(), tn.UID, "acme"); err != nil {
		t.Fatal(err)
	}
	if session.Ping(t.Context()) == nil {
		t.Error("a session of the second login lives on")
	}
	if err := db.DropMigrator(t.Context(), "team/set"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, snapshot(t, db)); diff != "" {
		t.Errorf("left behind:\n%s", diff)
	}
}

func isPostgres16(t *testing.T, db *postgres.DB) bool {
	t.Helper()
	return must(db.Preflight(t.Context()))(t).VersionNum >= 160000
}

// What the second login lost comes back, and a kept tenant has no login at all.
func TestSecondLoginIsMendedAndRetained(t *testing.T) {
	db := newDB(t)
	tn, _ := newTenant(t, db, "acme")
	next := secondLogin(t, db, tn)
	exec(t, next, "ALTER ROLE CURRENT_USER IN DATABASE "+quote(db.Config().Database())+" SET search_path = pg_catalog")
	exec(t, admin(t, db.Config().Database()), "REVOKE "+quote(observe(t, db, tn).Roles.App)+" FROM "+quote(next.User())+" GRANTED BY "+quote(postgres.KeeperRole(db.Config().Database(), "acme")))
	if o := observe(t, db, tn); len(o.Drift) != 2 {
		t.Errorf("drift %q", o.Drift)
	}
	must(db.Provision(t.Context(), tn))(t)
	if o := observe(t, db, tn); len(o.Drift) != 0 {
		t.Errorf("drift %q after Provision", o.Drift)
	}
	if got := query(t, next, "SELECT current_schema()"); got != "acme" {
		t.Errorf("the second login works in %q", got)
	}
	if err := db.Retain(t.Context(), tn.UID, "acme"); err != nil {
		t.Fatal(err)
	}
	if o := observe(t, db, tn); o.AppCanLogin || o.SecondCanLogin {
		t.Errorf("a login of a retained schema works: %+v", o)
	}
}

// Nobody's password is set but the tenant's own two.
func TestSetLoginRefusesOtherRoles(t *testing.T) {
	db := newDB(t)
	tn, _ := newTenant(t, db, "acme")
	other, _ := newTenant(t, db, "other")
	verifier := must(postgres.SCRAMVerifier("x"))(t)
	roles := observe(t, db, other).Roles
	for _, login := range []string{roles.App, roles.Second(), observe(t, db, tn).Roles.Owner, db.Config().User(), "postgres"} {
		if err := db.SetLogin(t.Context(), tn.UID, "acme", login, verifier); fault.ReasonOf(err) != postgres.ReasonNotOwner {
			t.Errorf("SetLogin(%s) = %v", login, err)
		}
		if err := db.RetireLogin(t.Context(), tn.UID, "acme", login); fault.ReasonOf(err) != postgres.ReasonNotOwner {
			t.Errorf("RetireLogin(%s) = %v", login, err)
		}
	}
	if err := db.SetLogin(t.Context(), other.UID, "acme", "", verifier); fault.ReasonOf(err) != postgres.ReasonNotOwner {
		t.Errorf("SetLogin by another tenant = %v", err)
	}
}
