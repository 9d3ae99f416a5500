package postgres_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// classLogin makes a shared login with a password.
func classLogin(t *testing.T, db *postgres.DB, l postgres.ClassLogin) postgres.Config {
	t.Helper()
	state := must(db.EnsureClassLogin(t.Context(), l))(t)
	return setClassPassword(t, db, l, state.First)
}

func setClassPassword(t *testing.T, db *postgres.DB, l postgres.ClassLogin, name string) postgres.Config {
	t.Helper()
	password := postgres.NewPassword()
	if err := db.SetClassLogin(t.Context(), l, name, must(postgres.SCRAMVerifier(password))(t)); err != nil {
		t.Fatal(err)
	}
	must(db.EnsureClassLogin(t.Context(), l))(t)
	return db.Config().WithLogin(name, password)
}

// classTenant is a tenant with a table, for which the login may act.
func classTenant(t *testing.T, db *postgres.DB, schema string, l postgres.ClassLogin) postgres.Tenant {
	t.Helper()
	tn := tenant(schema)
	tn.ClassLogin, tn.ClassLoginInherits = db.ClassLoginRole(l), l.All
	must(db.Provision(t.Context(), tn))(t)
	asOwner(t, db, tn, "CREATE TABLE item (id int)")
	return tn
}

func classBounds(t *testing.T, db *postgres.DB, tn postgres.Tenant) postgres.Bounds {
	t.Helper()
	return postgres.Bounds{Schema: tn.Schema, Shared: tn.SharedSchema, Roles: observe(t, db, tn).Roles, Group: postgres.GroupRole(db.Config().Database())}
}

func refused(t *testing.T, cfg postgres.Config, sql ...string) {
	t.Helper()
	if err := tryExec(t, cfg, sql...); postgres.CauseOf(err) != postgres.InsufficientPrivilege {
		t.Errorf("%s: %q = %v, want it refused", cfg.User(), sql, err)
	}
}

// A login for SET ROLE has no rights of its own and takes those of one tenant at a time. Its second one
// does the same, and neither is left when they are dropped.
func TestSetRoleLogin(t *testing.T) {
	db := newDB(t)
	must(db.EnsureMigrator(t.Context(), "team/set"))(t)
	before := snapshot(t, db)
	l := postgres.ClassLogin{UID: "class-1", Class: "standard", ConnectionLimit: 9, StatementTimeout: 5e9, SharedSchema: "shared"}
	first := classLogin(t, db, l)
	acme, other := classTenant(t, db, "acme", l), classTenant(t, db, "other", l)
	stranger, _ := newTenant(t, db, "stranger")
	second := setClassPassword(t, db, l, first.User()+"_b")
	for _, cfg := range []postgres.Config{first, second} {
		for _, tn := range []postgres.Tenant{acme, other} {
			app := observe(t, db, tn).Roles.App
			exec(t, cfg, "SET ROLE "+quote(app), "INSERT INTO "+quote(tn.Schema, "item")+" VALUES (1)", "RESET ROLE")
			if result, excess, err := postgres.ExamineShared(t.Context(), cfg, classBounds(t, db, tn), first.User(), false); err != nil || len(excess) > 0 || !result.SchemaUsage {
				t.Errorf("%s for %s: %+v %v %v", cfg.User(), tn.Schema, result, excess, err)
			}
			if isPostgres16(t, db) {
				refused(t, cfg, "SELECT FROM "+quote(tn.Schema, "item"))
			}
		}
		refused(t, cfg, "SET ROLE "+quote(observe(t, db, acme).Roles.App), "SELECT FROM other.item")
		refused(t, cfg, "SET ROLE "+quote(observe(t, db, stranger).Roles.App))
		refused(t, cfg, "SET ROLE "+quote(observe(t, db, acme).Roles.Owner))
		refused(t, cfg, "SELECT FROM tenantry.login")
		refused(t, cfg, "CREATE TABLE acme.x (id int)")
		if got := query(t, cfg, "SELECT current_setting('search_path') || ' ' || current_setting('statement_timeout')"); got != "shared 5s" {
			t.Errorf("%s works with %s", cfg.User(), got)
		}
		if got := query(t, admin(t, "postgres"), "SELECT rolconnlimit FROM pg_roles WHERE rolname = $1", cfg.User()); got != "9" {
			t.Errorf("%s may have %s sessions, want 9", cfg.User(), got)
		}
	}
	if o := observe(t, db, acme); len(o.Drift)+len(o.Foreign) > 0 || !cmp.Equal(o.ClassLogins, []string{first.User()}) {
		t.Errorf("observed %q %v %q", o.Drift, o.Foreign, o.ClassLogins)
	}
	state := must(db.EnsureClassLogin(t.Context(), l))(t)
	if diff := cmp.Diff(postgres.ClassLoginState{First: first.User(), Second: second.User(), FirstCanLogin: true, SecondCanLogin: true, Tenants: 2}, state); diff != "" {
		t.Error(diff)
	}

	if err := db.RetireClassLogin(t.Context(), l, first.User()); err != nil {
		t.Fatal(err)
	}
	if tryExec(t, first) == nil {
		t.Error("a retired login logs in")
	}
	exec(t, second, "SET ROLE "+quote(observe(t, db, acme).Roles.App), "DELETE FROM acme.item")

	session := connect(t, second)
	for _, tn := range []postgres.Tenant{acme, other, stranger} {
		if err := db.Drop(t.Context(), tn.UID, tn.Schema); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.DropClassLogin(t.Context(), l.UID, first.User()); err != nil {
		t.Fatal(err)
	}
	if session.Ping(t.Context()) == nil {
		t.Error("a session of a dropped login lives on")
	}
	if err := db.DropClassLogin(t.Context(), l.UID, first.User()); err != nil {
		t.Errorf("to drop nothing: %v", err)
	}
	if diff := cmp.Diff(before, snapshot(t, db)); diff != "" {
		t.Errorf("left behind:\n%s", diff)
	}
}

// A login with all rights works as one for all schemas, and only for those of its class.
func TestSharedLoginWithAllRights(t *testing.T) {
	db := newDB(t)
	l := postgres.ClassLogin{UID: "class-1", Class: "standard", All: true}
	cfg := classLogin(t, db, l)
	acme := classTenant(t, db, "acme", l)
	classTenant(t, db, "other", l)
	stranger, _ := newTenant(t, db, "stranger")
	asOwner(t, db, stranger, "CREATE TABLE item (id int)")
	exec(t, cfg, "INSERT INTO acme.item VALUES (1)", "SET search_path = other", "INSERT INTO item VALUES (2)",
		"SET ROLE "+quote(observe(t, db, acme).Roles.App), "SELECT FROM acme.item")
	refused(t, cfg, "SELECT FROM stranger.item")
	refused(t, cfg, "DROP TABLE acme.item")
	if result, excess, err := postgres.ExamineShared(t.Context(), cfg, classBounds(t, db, acme), cfg.User(), true); err != nil || len(excess) > 0 || !result.SchemaUsage {
		t.Errorf("%+v %v %v", result, excess, err)
	}
	exec(t, admin(t, db.Config().Database()), "GRANT USAGE ON SCHEMA stranger TO "+quote(cfg.User()), "GRANT pg_read_all_data TO "+quote(cfg.User()))
	if _, excess, err := postgres.ExamineShared(t.Context(), cfg, classBounds(t, db, acme), cfg.User(), true); err != nil || len(excess) != 2 {
		t.Errorf("with rights too many: %v %v", excess, err)
	}
	exec(t, admin(t, db.Config().Database()), "REVOKE USAGE ON SCHEMA stranger FROM "+quote(cfg.User()), "REVOKE pg_read_all_data FROM "+quote(cfg.User()))
	// Retained data are nobody's to use.
	if err := db.Retain(t.Context(), acme.UID, "acme"); err != nil {
		t.Fatal(err)
	}
	refused(t, cfg, "SELECT FROM acme.item")
	exec(t, cfg, "SELECT FROM other.item")
}

// From one way to the other, both work for a while.
func TestClassLoginsChange(t *testing.T) {
	db := newDB(t)
	set, all := postgres.ClassLogin{UID: "u", Class: "c"}, postgres.ClassLogin{UID: "u", Class: "c", All: true}
	before := classLogin(t, db, set)
	tenants := []postgres.Tenant{classTenant(t, db, "a", set), classTenant(t, db, "b", set)}
	after := classLogin(t, db, all)
	for i, tn := range tenants {
		want := []postgres.ClassTenant{}
		for _, left := range tenants[i:] {
			want = append(want, postgres.ClassTenant{Schema: left.Schema, UID: left.UID, Namespace: left.Namespace, Name: left.Name})
		}
		if diff := cmp.Diff(want, must(db.OnlyIn(t.Context(), before.User(), after.User()))(t)); diff != "" {
			t.Errorf("only in the old login (-want +got):\n%s", diff)
		}
		tn.ClassLogin, tn.ClassLoginInherits = after.User(), true
		must(db.Provision(t.Context(), tn))(t)
		exec(t, before, "SET ROLE "+quote(observe(t, db, tn).Roles.App), "SELECT FROM "+quote(tn.Schema, "item"))
		exec(t, after, "SELECT FROM "+quote(tn.Schema, "item"))
	}
	// A role of which the registry knows nothing is no tenant's.
	stray := quote(db.Config().Database() + "_stray")
	exec(t, admin(t, "postgres"), "CREATE ROLE "+stray, "GRANT "+stray+" TO "+quote(before.User()))
	if left := must(db.OnlyIn(t.Context(), before.User(), after.User()))(t); len(left) > 0 {
		t.Errorf("only in the old login: %v", left)
	}
	exec(t, admin(t, "postgres"), "DROP ROLE "+stray)
	if all := must(db.ClassTenants(t.Context(), before.User(), after.User()))(t); len(all) != len(tenants) {
		t.Errorf("the two logins act for %v", all)
	}
	if err := db.DropClassLogin(t.Context(), "u", before.User()); err != nil {
		t.Fatal(err)
	}
	exec(t, after, "SELECT FROM a.item")
	if err := db.LeaveClassLogins(t.Context(), tenants[0].UID, "a"); err != nil {
		t.Fatal(err)
	}
	refused(t, after, "SELECT FROM a.item")
	exec(t, after, "SELECT FROM b.item")
}

// A tenant is let into the login that programs use, by whom the registry names for both, and once.
func TestJoinClassLogin(t *testing.T) {
	db := newDB(t)
	set, all := postgres.ClassLogin{UID: "u", Class: "c"}, postgres.ClassLogin{UID: "u", Class: "c", All: true}
	inUse := classLogin(t, db, set)
	classLogin(t, db, all)
	acme := classTenant(t, db, "acme", all)
	join := func(uid string, l postgres.ClassLogin) error { return db.JoinClassLogin(t.Context(), uid, "acme", l) }
	if err := join("other", set); fault.ReasonOf(err) != postgres.ReasonNotOwner {
		t.Errorf("for another tenant: %v", err)
	}
	if err := join(acme.UID, postgres.ClassLogin{UID: "gone", Class: "gone"}); err != nil {
		t.Errorf("a login that is gone: %v", err)
	}
	registry := admin(t, db.Config().Database())
	exec(t, registry, "UPDATE tenantry.login SET class_uid = 'other' WHERE role_name = "+literal(inUse.User()))
	if err := join(acme.UID, set); fault.ReasonOf(err) != postgres.ReasonNotOwner {
		t.Errorf("another class's login: %v", err)
	}
	exec(t, registry, "UPDATE tenantry.login SET class_uid = 'u'")
	refused(t, inUse, "SET ROLE "+quote(observe(t, db, acme).Roles.App))
	for range 2 {
		if err := join(acme.UID, set); err != nil {
			t.Fatal(err)
		}
	}
	exec(t, inUse, "SET ROLE "+quote(observe(t, db, acme).Roles.App), "SELECT FROM acme.item")
	if isPostgres16(t, db) {
		refused(t, inUse, "SELECT FROM acme.item")
	}
	if o := observe(t, db, acme); len(o.Drift)+len(o.Foreign) > 0 || len(o.ClassLogins) != 2 {
		t.Errorf("observed %q %v %q", o.Drift, o.Foreign, o.ClassLogins)
	}
	if err := db.Retain(t.Context(), acme.UID, "acme"); err != nil {
		t.Fatal(err)
	}
	if err := join(acme.UID, set); fault.ReasonOf(err) != postgres.ReasonSchemaRetained {
		t.Errorf("retained data: %v", err)
	}
}

// What somebody changes on a shared login comes back; what one tenant gave to it does not keep it.
func TestClassLoginIsMendedAndDropped(t *testing.T) {
	db := newDB(t)
	l := postgres.ClassLogin{UID: "u", Class: "c", ConnectionLimit: 3}
	cfg := classLogin(t, db, l)
	tn, own := newTenant(t, db, "acme")
	database := quote(db.Config().Database())
	for _, sql := range []string{
		"ALTER ROLE " + quote(cfg.User()) + " INHERIT", "ALTER ROLE " + quote(cfg.User()) + " CONNECTION LIMIT 50",
		"ALTER ROLE " + quote(cfg.User()) + " IN DATABASE " + database + " SET search_path = acme",
		"ALTER ROLE " + quote(cfg.User()) + " IN DATABASE " + database + " SET role = " + quote(own.User()),
		"REVOKE CONNECT ON DATABASE " + database + " FROM " + quote(cfg.User()),
	} {
		exec(t, admin(t, db.Config().Database()), sql)
		must(db.EnsureClassLogin(t.Context(), l))(t)
		got := query(t, admin(t, db.Config().Database()), `SELECT jsonb_build_array(rolinherit, rolconnlimit, has_database_privilege(rolname, current_database(), 'CONNECT'),
			(SELECT setconfig FROM pg_db_role_setting WHERE setrole = r.oid)) FROM pg_roles r WHERE rolname = $1`, cfg.User())
		if want := `[false, 3, true, ["search_path=pg_catalog"]]`; got != want {
			t.Errorf("after %s: %s", sql, got)
		}
	}
	asOwner(t, db, tn, "CREATE TABLE given (id int)", "GRANT SELECT ON given TO "+quote(cfg.User()))
	exec(t, own, "SELECT lo_create(4711)", "GRANT SELECT ON LARGE OBJECT 4711 TO "+quote(cfg.User()))
	exec(t, cfg, "SELECT lo_create(4712)")
	if err := db.DropClassLogin(t.Context(), "u", cfg.User()); err != nil {
		t.Fatal(err)
	}
	if got := query(t, admin(t, "postgres"), "SELECT count(*) FROM pg_roles WHERE rolname = $1", cfg.User()); got != "0" {
		t.Error("the login is left")
	}
}

// A login of another class, or one that nobody registered, is nobody's to change.
func TestClassLoginFence(t *testing.T) {
	db := newDB(t)
	l := postgres.ClassLogin{UID: "u", Class: "c"}
	cfg := classLogin(t, db, l)
	verifier := must(postgres.SCRAMVerifier("x"))(t)
	exec(t, admin(t, db.Config().Database()), "UPDATE tenantry.login SET class_uid = 'other'")
	for name, call := range map[string]func() error{
		"ensure":  func() error { _, err := db.EnsureClassLogin(t.Context(), l); return err },
		"set":     func() error { return db.SetClassLogin(t.Context(), l, cfg.User(), verifier) },
		"retire":  func() error { return db.RetireClassLogin(t.Context(), l, cfg.User()) },
		"drop":    func() error { return db.DropClassLogin(t.Context(), "u", cfg.User()) },
		"foreign": func() error { return db.SetClassLogin(t.Context(), l, db.Config().User(), verifier) },
	} {
		if err := call(); fault.ReasonOf(err) != postgres.ReasonNotOwner {
			t.Errorf("%s = %v", name, err)
		}
	}
	exec(t, cfg)
	exec(t, admin(t, db.Config().Database()), "DELETE FROM tenantry.login")
	if _, err := db.EnsureClassLogin(t.Context(), l); fault.ReasonOf(err) != postgres.ReasonNotOwner {
		t.Errorf("a role that was there before is taken over: %v", err)
	}
	if err := db.DropClassLogin(t.Context(), "u", cfg.User()); err != nil {
		t.Fatal(err)
	}
	exec(t, cfg)
}

// A registry of before has no such table; Bootstrap brings it, and nothing else.
func TestRegistryGrows(t *testing.T) {
	db := newDB(t)
	exec(t, admin(t, db.Config().Database()), "DROP TABLE tenantry.login, tenantry.quota_relation, tenantry.quota")
	if _, err := db.EnsureClassLogin(t.Context(), postgres.ClassLogin{UID: "u", Class: "c"}); fault.ReasonOf(err) != postgres.ReasonNotBootstrapped {
		t.Errorf("without the table: %v", err)
	}
	for _, want := range []bool{true, false} {
		if changed := must(db.Bootstrap(t.Context(), "marker", "shared"))(t); changed != want {
			t.Errorf("Bootstrap changed: %v, want %v", changed, want)
		}
	}
	classLogin(t, db, postgres.ClassLogin{UID: "u", Class: "c"})
}

// Names are one-to-one, and no longer than PostgreSQL keeps.
func TestClassLoginNames(t *testing.T) {
	seen := map[string]string{}
	for _, database := range []string{"shop", "Shop", "s", string(make([]byte, 63))} {
		for _, class := range []string{"a", "standard", "a-b", "a.b", fmt.Sprintf("%063d", 1)} {
			for _, uid := range []string{"1", "2"} {
				for _, all := range []bool{true, false} {
					name, key := postgres.ClassLoginRole(database, class, uid, all), fmt.Sprint(database, "/", class, "/", uid, "/", all)
					if len(name+"_b") > 63 || seen[name] != "" {
						t.Errorf("%s: %s is too long or that of %s", key, name, seen[name])
					}
					seen[name] = key
				}
			}
		}
	}
}
