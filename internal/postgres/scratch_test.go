package postgres_test

import (
	"strings"
	"testing"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

func openScratch(t *testing.T, db *postgres.DB) *postgres.Scratch {
	t.Helper()
	must(db.EnsureMigrator(t.Context(), "team/set"))(t)
	s := must(db.OpenScratch(t.Context(), scratchOf("set-1")))(t)
	t.Cleanup(func() { _ = s.Close(t.Context()) }) // its pool waits for the guard's connection
	return s
}

func scratchOf(uid string) postgres.ScratchSpec {
	return postgres.ScratchSpec{SetUID: uid, Set: "team/set", Digest: "d1"}
}

// leftovers are the scratch schemas, their roles and their rows in the registry.
func leftovers(t *testing.T, db *postgres.DB) string {
	t.Helper()
	return query(t, admin(t, db.Config().Database()), `SELECT (SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'tenantry\_scratch\_%') || ' '
		|| (SELECT count(*) FROM pg_roles WHERE rolname LIKE $1 || '%scratch%owner') || ' ' || (SELECT count(*) FROM tenantry.scratch)`,
		"tn_"+db.Config().Database())
}

// A scratch schema is like a tenant's for those who migrate it, and no tenant for all others.
func TestScratch(t *testing.T) {
	db := newDB(t)
	s := openScratch(t, db)
	login := must(db.EnsureMigrator(t.Context(), "team/set"))(t)
	exec(t, login, "SET ROLE "+quote(s.Owner), "CREATE TABLE "+quote(s.Schema, "t")+" (id int)",
		"CREATE FUNCTION "+quote(s.Schema, "f")+"() RETURNS int LANGUAGE sql AS 'SELECT 1'")
	super := admin(t, db.Config().Database())
	if got := query(t, super, `SELECT count(*) FROM pg_auth_members m WHERE pg_get_userbyid(m.roleid) = $1 AND NOT m.admin_option AND pg_get_userbyid(m.member) <> $2`,
		s.Owner, postgres.MigratorRole(db.Config().Database(), "team/set")); got != "0" {
		t.Errorf("%s others may act as the owner", got)
	}
	if got := query(t, super, `SELECT has_schema_privilege('public', $1, 'USAGE') OR has_function_privilege('public', $1 || '.f()', 'EXECUTE')`, s.Schema); got != "false" {
		t.Error("everybody has rights in a scratch schema")
	}
	tn := tenant("acme")
	tn.MaxTenants = 1
	if _, err := db.Provision(t.Context(), tn); err != nil {
		t.Errorf("a scratch schema takes a tenant's place: %v", err)
	}
	if rows := must(db.Tenants(t.Context()))(t); len(rows) != 1 {
		t.Errorf("the registry has %d tenants, want 1", len(rows))
	}
	if _, err := db.Provision(t.Context(), tenant(s.Schema)); fault.ReasonOf(err) != postgres.ReasonSchemaNameTaken {
		t.Errorf("Provision of the scratch schema: %v, want %s", err, postgres.ReasonSchemaNameTaken)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := leftovers(t, db); got != "0 0 0" {
		t.Errorf("schemas, roles and rows after Close: %s", got)
	}
}

// Of two runners one waits. When the first one's process dies, the other drops what it left.
func TestScratchIsOneRunners(t *testing.T) {
	db := newDB(t)
	first := openScratch(t, db)
	second := open(t, db.Config())
	for what, err := range map[string]error{
		"OpenScratch": func() error { _, err := second.OpenScratch(t.Context(), scratchOf("set-1")); return err }(),
		"DropScratch": second.DropScratch(t.Context(), "set-1"),
	} {
		if fault.ReasonOf(err) != postgres.ReasonScratchBusy || fault.KindOf(err) != fault.Waiting {
			t.Errorf("%s of a scratch schema in use: %v", what, err)
		}
	}
	super := admin(t, db.Config().Database())
	other := must(second.OpenScratch(t.Context(), scratchOf("set-2")))(t)
	exec(t, super, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '"+db.Config().User()+"' AND state = 'idle in transaction'")
	taken := must(second.OpenScratch(t.Context(), scratchOf("set-1")))(t)
	if taken.Schema == first.Schema {
		t.Error("the dead runner's schema was taken over as it was")
	}
	if got := query(t, super, `SELECT count(*) FROM pg_namespace WHERE nspname = $1`, first.Schema); got != "0" {
		t.Error("the dead runner's schema is still there")
	}
	if err := first.Close(t.Context()); fault.ReasonOf(err) != postgres.ReasonScratchBusy {
		t.Errorf("Close of the dead runner: %v: it must not drop what is another's now", err)
	}
	_ = other.Close(t.Context())
	_ = taken.Close(t.Context())
	if got := leftovers(t, db); got != "0 0 0" {
		t.Errorf("schemas, roles and rows: %s", got)
	}
}

// What a crash left is dropped by the registry's word alone.
func TestSweepScratch(t *testing.T) {
	db := newDB(t)
	super := admin(t, db.Config().Database())
	s := openScratch(t, db)
	login := must(db.EnsureMigrator(t.Context(), "team/set"))(t)
	exec(t, login, "SET ROLE "+quote(s.Owner), "SET search_path = "+quote(s.Schema),
		`DO $$ BEGIN FOR i IN 1..210 LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY)', i); END LOOP; END $$`)
	exec(t, super, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '"+db.Config().User()+"' AND state = 'idle in transaction'")
	exec(t, super, "CREATE SCHEMA tenantry_scratch_0000000000000000")
	if left, err := db.SweepScratch(t.Context()); err != nil || len(left) > 0 {
		t.Fatalf("SweepScratch: %v, %v", left, err)
	}
	if got := leftovers(t, db); got != "2 1 1" {
		t.Errorf("schemas, roles and rows: %s: what was made just now may have a runner that is about to lock it", got)
	}
	exec(t, super, "UPDATE tenantry.scratch SET created_at = now() - interval '1 hour'", "CREATE SCHEMA precious",
		"CREATE VIEW precious.v AS SELECT * FROM "+quote(s.Schema, "t1"))
	left := must(db.SweepScratch(t.Context()))(t)
	if len(left) != 1 || !strings.Contains(left[0], "precious.v") {
		t.Errorf("SweepScratch with a dependent view: %v", left)
	}
	exec(t, super, "DROP SCHEMA precious CASCADE")
	if left, err := db.SweepScratch(t.Context()); err != nil || len(left) > 0 {
		t.Fatalf("SweepScratch: %v, %v", left, err)
	}
	if got := leftovers(t, db); got != "1 0 0" {
		t.Errorf("schemas, roles and rows: %s: what the registry does not know is not ours", got)
	}
	exec(t, super, "INSERT INTO tenantry.scratch (set_uid, set_name, digest, schema_name, owner_role, keeper_role, created_at) VALUES ('x', 'x', 'x', 'public', 'x', 'x', '2020-01-01')")
	if left := must(db.SweepScratch(t.Context()))(t); len(left) != 1 || !strings.Contains(left[0], "cannot be") {
		t.Errorf("SweepScratch of a row that names another schema: %v", left)
	}
}

// The session of a runner that is gone is ended by the migrator itself.
func TestEndSessionsInScratch(t *testing.T) {
	db := newDB(t)
	s := openScratch(t, db)
	login := must(db.EnsureMigrator(t.Context(), "team/set"))(t)
	gone := make(chan error, 1)
	go func() {
		gone <- tryExec(t, login, "SET ROLE "+quote(s.Owner), "BEGIN", "CREATE TABLE "+quote(s.Schema, "t")+" (id int)", "SELECT pg_sleep(60)")
	}()
	super := admin(t, db.Config().Database())
	eventually(t, "the session holds a lock", func() bool {
		return query(t, super, `SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'`) == "1"
	})
	migrator := open(t, login)
	if err := migrator.EndSessionsIn(t.Context(), s.Schema); err != nil {
		t.Fatal(err)
	}
	if err := <-gone; err == nil {
		t.Error("the session went on")
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// A registry of an older operator gets what it lacks, once.
func TestRegistryUpgrade(t *testing.T) {
	db := newDB(t)
	super := admin(t, db.Config().Database())
	newTenant(t, db, "acme")
	exec(t, super, "DROP TABLE tenantry.scratch")
	must(db.EnsureMigrator(t.Context(), "team/set"))(t)
	if _, err := db.OpenScratch(t.Context(), scratchOf("set-1")); fault.ReasonOf(err) != postgres.ReasonNotBootstrapped {
		t.Errorf("OpenScratch on an old registry: %v", err)
	}
	for i, want := range []bool{true, false} {
		if changed := must(db.Bootstrap(t.Context(), "marker", "shared"))(t); changed != want {
			t.Errorf("Bootstrap %d says changed %v", i+1, changed)
		}
	}
	if got := query(t, super, `SELECT count(*) FROM tenantry.tenant`); got != "1" {
		t.Errorf("%s tenants are left", got)
	}
	if err := openScratch(t, db).Close(t.Context()); err != nil {
		t.Error(err)
	}
}
