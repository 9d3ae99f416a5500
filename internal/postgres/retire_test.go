package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

func connect(t *testing.T, cfg postgres.Config) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), cfg.URI())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func TestDropLeavesNothing(t *testing.T) {
	db := newDB(t)
	before := snapshot(t, db)
	tn, cfg := newTenant(t, db, "acme")
	must(db.SetDomains(t.Context(), tn.UID, "acme", []string{"a.com"}))(t)
	asOwner(t, db, tn, "CREATE TABLE item (id int)", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
	exec(t, cfg, "SELECT lo_create(0)", "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC", "ALTER ROLE CURRENT_USER SET work_mem = '8MB'")
	session := connect(t, cfg)
	if _, err := session.Exec(t.Context(), "BEGIN; INSERT INTO item VALUES (1)"); err != nil {
		t.Fatal(err)
	}

	if err := db.Drop(t.Context(), tn.UID, "acme"); err != nil {
		t.Fatal(err)
	}
	if err := session.Ping(t.Context()); err == nil {
		t.Error("the tenant's session lives on")
	}
	if err := tryExec(t, cfg); postgres.CauseOf(err) != postgres.AuthenticationFailed {
		t.Errorf("login after the drop: %v", err)
	}
	if err := db.DropMigrator(t.Context(), "team/set"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, snapshot(t, db)); diff != "" {
		t.Errorf("left behind:\n%s", diff)
	}
	if got := query(t, admin(t, db.Config().Database()), "SELECT count(*) FROM pg_largeobject_metadata"); got != "0" {
		t.Errorf("%s large objects left", got)
	}
	for _, call := range []func() error{
		func() error { return db.Drop(t.Context(), tn.UID, "acme") },
		func() error { return db.Drop(t.Context(), "anybody", "neverthere") },
		func() error { return db.Retain(t.Context(), tn.UID, "acme") },
		func() error { return db.DisableLogins(t.Context(), tn.UID, "acme") },
		func() error { return db.DropMigrator(t.Context(), "team/set") },
	} {
		if err := call(); err != nil {
			t.Errorf("nothing to drop: %v", err)
		}
	}
}

// A schema that the registry does not know is nobody's to drop.
func TestDropLeavesUnknownSchemas(t *testing.T) {
	db := newDB(t)
	exec(t, db.Config(), "CREATE SCHEMA legacy", "CREATE TABLE legacy.t ()")
	for _, name := range []string{"legacy", "public", "tenantry", "shared", "pg_catalog", `legacy" CASCADE; --`} {
		if err := db.Drop(t.Context(), "uid", name); err != nil {
			t.Errorf("Drop(%q) = %v", name, err)
		}
	}
	if got := query(t, db.Config(), "SELECT to_regclass('legacy.t')"); got != "legacy.t" {
		t.Error("the schema is gone")
	}
}

// What other tenants granted to the roles does not keep them: a login may grant rights on its large
// objects to anybody, and a role that has rights is not dropped.
func TestDropTakesBackWhatOthersGranted(t *testing.T) {
	db := newDB(t)
	acme, cfg := newTenant(t, db, "acme")
	other, _ := newTenant(t, db, "other")
	asOwner(t, db, acme, "CREATE TABLE item (id int)", "CREATE SEQUENCE number", "CREATE TYPE mood AS ENUM ('ok')", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
	asOwner(t, db, other, "CREATE TABLE secured (id int)")
	super, sharedOwner := admin(t, db.Config().Database()), quote(postgres.SharedOwnerRole(db.Config().Database(), "shared"))
	exec(t, super, "CREATE TABLE shared.plan ()", "ALTER TABLE shared.plan OWNER TO "+sharedOwner, "GRANT SELECT ON shared.plan TO "+quote(postgres.GroupRole(db.Config().Database())))
	before := snapshot(t, db)
	victim := tenant("victim")
	must(db.Provision(t.Context(), victim))(t)
	login := setPassword(t, db, victim)
	second := secondLogin(t, db, victim)
	roles := quote(observe(t, db, victim).Roles.Owner) + ", " + quote(login.User()) + ", " + quote(second.User())
	exec(t, cfg, "SELECT lo_create(7)", "GRANT ALL ON LARGE OBJECT 7 TO "+roles)
	asOwner(t, db, acme, "GRANT SELECT, INSERT ON item TO "+roles, "GRANT UPDATE (id) ON item TO "+roles, "GRANT USAGE ON SCHEMA acme TO "+roles,
		"GRANT USAGE ON SEQUENCE number TO "+roles, "GRANT USAGE ON TYPE mood TO "+roles, "GRANT EXECUTE ON FUNCTION f() TO "+roles)
	asOwner(t, db, other, "CREATE POLICY p ON secured TO "+roles)
	exec(t, super, "SET ROLE "+sharedOwner, "GRANT SELECT ON shared.plan TO "+roles)
	if err := db.Drop(t.Context(), victim.UID, "victim"); err != nil {
		t.Fatal(err)
	}
	exec(t, cfg, "SELECT lo_unlink(7)")
	if diff := cmp.Diff(before, snapshot(t, db)); diff != "" {
		t.Errorf("left behind:\n%s", diff)
	}
	if o := observe(t, db, acme); len(o.Drift)+len(o.Foreign) > 0 {
		t.Errorf("the grantor: %+v", o)
	}
}

// What a role has in another database is out of the operator's reach. The refusal says where and what
// to do, and the drop goes on then.
func TestDropNamesOtherDatabases(t *testing.T) {
	db := newDB(t)
	tn, cfg := newTenant(t, db, "acme")
	exec(t, inDatabase(t, cfg, "postgres"), "SELECT lo_create(0)")
	err := db.Drop(t.Context(), tn.UID, "acme")
	if fault.ReasonOf(err) != string(postgres.DependentObjects) || fault.KindOf(err) != fault.Waiting ||
		!strings.Contains(err.Error(), "(postgres)") || !strings.Contains(err.Error(), "DROP OWNED BY "+quote(observe(t, db, tn).Roles.Owner)) {
		t.Errorf("Drop = %v", err)
	}
	exec(t, admin(t, "postgres"), "DROP OWNED BY "+quote(cfg.User()))
	if err := db.Drop(t.Context(), tn.UID, "acme"); err != nil {
		t.Error(err)
	}
}

// A drop that something blocks says what, keeps the data, and ends when the block is gone.
func TestDropBlocked(t *testing.T) {
	db := newDB(t)
	tn, _ := newTenant(t, db, "acme")
	asOwner(t, db, tn, "CREATE TABLE item (id int PRIMARY KEY)", "CREATE TYPE mood AS ENUM ('ok')", "CREATE DOMAIN price AS int", "CREATE TABLE parent (a int) PARTITION BY LIST (a)",
		"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
	super := admin(t, db.Config().Database())
	exec(t, super, "CREATE SCHEMA reports")
	tests := map[string]struct{ make, remove, want string }{
		"a view":         {"CREATE VIEW reports.v AS SELECT * FROM acme.item", "DROP VIEW reports.v", "view reports.v"},
		"a foreign key":  {"CREATE TABLE reports.r (i int REFERENCES acme.item)", "DROP TABLE reports.r", "table reports.r"},
		"a column":       {"CREATE TABLE reports.r (m acme.mood)", "DROP TABLE reports.r", "column m of table reports.r"},
		"a domain":       {"CREATE TABLE reports.r (m acme.price)", "DROP TABLE reports.r", "column m of table reports.r"},
		"a child table":  {"CREATE TABLE reports.r () INHERITS (acme.item)", "DROP TABLE reports.r", "table reports.r"},
		"a partition":    {"CREATE TABLE reports.r PARTITION OF acme.parent DEFAULT", "DROP TABLE reports.r", "table reports.r"},
		"a default":      {"CREATE TABLE reports.r (i int DEFAULT acme.f())", "DROP TABLE reports.r", "default value for column i of table reports.r"},
		"a function":     {"CREATE FUNCTION reports.g() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM acme.item; END", "DROP FUNCTION reports.g", "function reports.g()"},
		"a table's type": {"CREATE FUNCTION reports.g(acme.item) RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION reports.g", "function reports.g(acme.item)"},
		"a policy": {
			"CREATE TABLE reports.r (i int); CREATE POLICY p ON reports.r USING (i IN (SELECT id FROM acme.item))", "DROP TABLE reports.r",
			"policy p on table reports.r",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			exec(t, super, tt.make)
			err := db.Drop(t.Context(), tn.UID, "acme")
			if fault.ReasonOf(err) != string(postgres.DependentObjects) || fault.KindOf(err) != fault.Waiting || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Drop = %v", err)
			}
			exec(t, super, tt.remove)
		})
	}
	t.Run("a lock", func(t *testing.T) {
		reader := connect(t, super)
		if _, err := reader.Exec(t.Context(), "BEGIN; SELECT FROM acme.item"); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		err := db.Drop(t.Context(), tn.UID, "acme")
		if fault.ReasonOf(err) != string(postgres.LockTimeout) || fault.KindOf(err) != fault.Waiting || time.Since(begin) > 30*time.Second {
			t.Errorf("Drop = %v after %v", err, time.Since(begin))
		}
		_ = reader.Close(t.Context())
	})
	o := observe(t, db, tn)
	if o.State != postgres.StateDeleting || !o.SchemaExists || o.AppCanLogin {
		t.Errorf("observation = %+v", o)
	}
	if _, err := db.Provision(t.Context(), tn); fault.ReasonOf(err) != postgres.ReasonSchemaRetained {
		t.Errorf("Provision while deleting = %v", err)
	}
	if err := db.Drop(t.Context(), tn.UID, "acme"); err != nil {
		t.Error(err)
	}
}

// Whatever of a tenant is already gone, by hand or by a crash, does not stop the drop.
func TestDropOfWhatIsLeft(t *testing.T) {
	withoutOwner := func(n postgres.RoleNames, operator string) []string {
		return []string{"REASSIGN OWNED BY " + quote(n.Owner) + " TO " + quote(operator), "DROP OWNED BY " + quote(n.Owner), "DROP ROLE " + quote(n.Owner)}
	}
	tests := map[string]func(names postgres.RoleNames, operator string) []string{
		"no schema":                 func(postgres.RoleNames, string) []string { return []string{"DROP SCHEMA acme CASCADE"} },
		"no owner":                  withoutOwner,
		"no owner, and many tables": withoutOwner,
		"no app": func(n postgres.RoleNames, _ string) []string {
			return []string{"DROP OWNED BY " + quote(n.App), "DROP ROLE " + quote(n.App)}
		},
		"no roles": func(n postgres.RoleNames, _ string) []string {
			both := quote(n.App) + ", " + quote(n.Owner)
			return []string{"DROP SCHEMA acme CASCADE", "DROP OWNED BY " + both, "DROP ROLE " + both}
		},
		"nothing": func(postgres.RoleNames, string) []string { return nil },
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			db := newDB(t)
			tn, cfg := newTenant(t, db, "acme")
			asOwner(t, db, tn, "CREATE TABLE item (id int)")
			if strings.Contains(name, "many") {
				asOwner(t, db, tn, "DO $$ BEGIN FOR i IN 1..250 LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY)', i); END LOOP; END $$")
			}
			names := observe(t, db, tn).Roles
			exec(t, admin(t, db.Config().Database()), damage(names, db.Config().User())...)
			if name == "nothing" {
				connect(t, cfg)
			}
			if err := db.Drop(t.Context(), tn.UID, "acme"); err != nil {
				t.Fatal(err)
			}
			if rows := must(db.Tenants(t.Context()))(t); len(rows) > 0 {
				t.Errorf("left: %v", rows)
			}
			if got := query(t, db.Config(), "SELECT count(*) FROM pg_roles WHERE rolname = ANY ($1)", []string{names.Owner, names.App}); got != "0" {
				t.Errorf("%s roles left", got)
			}
		})
	}
}

// More relations than the lock table has room for are dropped in steps.
func TestDropLargeSchema(t *testing.T) {
	db := newDB(t)
	tn, _ := newTenant(t, db, "acme")
	const tables = 300
	var sql []string
	for i := range tables {
		sql = append(sql, fmt.Sprintf("CREATE TABLE t%d (id int PRIMARY KEY, up int REFERENCES t%d)", i, max(i-1, 0)))
	}
	asOwner(t, db, tn, strings.Join(sql, ";"))
	super := admin(t, db.Config().Database())
	exec(t, super, "CREATE VIEW public.v AS SELECT * FROM acme.t299")
	if err := db.Drop(t.Context(), tn.UID, "acme"); fault.ReasonOf(err) != string(postgres.DependentObjects) {
		t.Errorf("Drop with a view = %v", err)
	}
	if o := observe(t, db, tn); o.State != postgres.StateDeleting {
		t.Errorf("state = %s", o.State)
	}
	exec(t, super, "DROP VIEW public.v")
	reader := connect(t, super)
	if _, err := reader.Exec(t.Context(), "BEGIN; SELECT FROM acme.t0"); err != nil { // t0 is dropped last
		t.Fatal(err)
	}
	if err := db.Drop(t.Context(), tn.UID, "acme"); fault.ReasonOf(err) != string(postgres.LockTimeout) {
		t.Fatalf("Drop under a lock = %v", err)
	}
	_ = reader.Close(t.Context())
	if got := query(t, super, "to_regclass('acme.t299')"); got != "" {
		t.Errorf("no table was dropped")
	}
	if o := observe(t, db, tn); o.State != postgres.StateDropping {
		t.Errorf("state = %s", o.State)
	}
	if err := db.Retain(t.Context(), tn.UID, "acme"); fault.KindOf(err) != fault.Invalid || fault.ReasonOf(err) != postgres.ReasonPartlyDropped {
		t.Errorf("Retain of half a schema = %v", err)
	}
	if err := db.Drop(t.Context(), tn.UID, "acme"); err != nil {
		t.Fatal(err)
	}
}

func TestRetainAndAdopt(t *testing.T) {
	db := newDB(t)
	tn, cfg := newTenant(t, db, "acme")
	must(db.SetDomains(t.Context(), tn.UID, "acme", []string{"a.com"}))(t)
	asOwner(t, db, tn, "CREATE TABLE item (id int)", "INSERT INTO item VALUES (42)")
	session := connect(t, cfg)
	for range 2 {
		if err := db.Retain(t.Context(), tn.UID, "acme"); err != nil {
			t.Fatal(err)
		}
	}
	if err := session.Ping(t.Context()); err == nil {
		t.Error("a session lives on")
	}
	if err := tryExec(t, cfg); postgres.CauseOf(err) != postgres.AuthenticationFailed {
		t.Errorf("login: %v", err)
	}
	rows := must(db.Tenants(t.Context()))(t)
	if len(rows) != 1 || rows[0].State != postgres.StateRetained || len(rows[0].Domains) != 0 {
		t.Errorf("rows = %+v", rows)
	}
	if err := db.SetPassword(t.Context(), tn.UID, "acme", must(postgres.SCRAMVerifier("x"))(t)); fault.KindOf(err) != fault.Invalid {
		t.Errorf("SetPassword of a retained schema = %v", err)
	}

	again := tn
	again.UID = "uid-2"
	if _, err := db.Provision(t.Context(), again); fault.ReasonOf(err) != postgres.ReasonSchemaRetained || !strings.Contains(err.Error(), tn.UID) {
		t.Errorf("Provision over retained data = %v", err)
	}
	namesake := again
	namesake.Namespace = "elsewhere"
	if _, err := db.Provision(t.Context(), namesake); fault.ReasonOf(err) != postgres.ReasonSchemaNameTaken || strings.Contains(err.Error(), tn.UID) {
		t.Errorf("Provision by another namespace = %v", err)
	}
	for name, call := range map[string]func() error{
		"another namespace": func() error { return db.Adopt(t.Context(), namesake, tn.UID) },
		"a wrong UID":       func() error { return db.Adopt(t.Context(), again, "uid-wrong") },
		"an unknown schema": func() error { x := again; x.Schema = "nothing"; return db.Adopt(t.Context(), x, tn.UID) },
	} {
		if err := call(); err == nil {
			t.Errorf("%s adopted the schema", name)
		}
	}
	for range 2 {
		if err := db.Adopt(t.Context(), again, tn.UID); err != nil {
			t.Fatal(err)
		}
	}
	must(db.Provision(t.Context(), again))(t)
	login := setPassword(t, db, again)
	if got := query(t, login, "SELECT id FROM item"); got != "42" {
		t.Errorf("data = %s", got)
	}
	if err := db.Drop(t.Context(), tn.UID, "acme"); err == nil {
		t.Error("the old UID could drop the adopted schema")
	}
}

// A Tenant that went without the operator, as with its cluster, leaves an active schema. Its namesake is
// told so and takes it over by its UID; nobody else does.
func TestAdoptWhatNobodyRetained(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	tn, cfg := newTenant(t, db, "acme")
	asOwner(t, db, tn, "CREATE TABLE item (id int)", "INSERT INTO item VALUES (42)")
	session := connect(t, cfg)
	again, thief := tn, tn
	again.UID, thief.UID, thief.Name = "uid-2", "uid-3", "thief"
	if _, err := db.Provision(t.Context(), again); fault.ReasonOf(err) != postgres.ReasonSchemaRetained || !strings.Contains(err.Error(), tn.UID) {
		t.Errorf("Provision by the namesake = %v", err)
	}
	if _, err := db.Provision(t.Context(), thief); fault.ReasonOf(err) != postgres.ReasonSchemaNameTaken || strings.Contains(err.Error(), tn.UID) {
		t.Errorf("Provision by another = %v", err)
	}
	if err := db.Adopt(t.Context(), thief, tn.UID); err == nil {
		t.Error("another Tenant adopted the schema")
	}
	if err := db.Adopt(t.Context(), again, "uid-wrong"); err == nil {
		t.Error("a wrong UID adopted the schema")
	}
	if err := session.Ping(t.Context()); err != nil {
		t.Errorf("who may not adopt ended a session: %v", err)
	}
	if err := db.Adopt(t.Context(), again, tn.UID); err != nil {
		t.Fatal(err)
	}
	if err := session.Ping(t.Context()); err == nil {
		t.Error("a session of before lives on")
	}
	must(db.Provision(t.Context(), again))(t)
	if got := query(t, setPassword(t, db, again), "SELECT id FROM item"); got != "42" {
		t.Errorf("data = %s", got)
	}
	if err := db.Drop(t.Context(), tn.UID, "acme"); err == nil {
		t.Error("the old UID could drop the adopted schema")
	}
}
