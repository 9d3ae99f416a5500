package postgres_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// A tenant's login, and what a migration can reach, stays in its schema.
func TestTenantsDoNotReachEachOther(t *testing.T) {
	db := newDB(t)
	database := db.Config().Database()
	acme, login := newTenant(t, db, "acme")
	other, otherLogin := newTenant(t, db, "other")
	for _, tn := range []postgres.Tenant{acme, other} {
		asOwner(t, db, tn, "CREATE TABLE item (id int)", "INSERT INTO item VALUES (1)", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
	}
	exec(t, otherLogin, "SELECT lo_create(4711)")
	theirs := postgres.TenantRoles(database, "other")
	group := quote(postgres.GroupRole(database))
	denied := map[string]string{
		"read":                        "SELECT * FROM other.item",
		"write":                       "INSERT INTO other.item VALUES (2)",
		"call":                        "SELECT other.f()",
		"make a table there":          "CREATE TABLE other.x ()",
		"make a table at home":        "CREATE TABLE acme.x ()",
		"make a schema":               "CREATE SCHEMA x",
		"make a temporary table":      "CREATE TEMPORARY TABLE x ()",
		"make a table in public":      "CREATE TABLE public.x ()",
		"make a table in shared":      "CREATE TABLE shared.x ()",
		"become its own owner":        "SET ROLE " + quote(postgres.TenantRoles(database, "acme").Owner),
		"become the other's owner":    "SET ROLE " + quote(theirs.Owner),
		"become the other's login":    "SET ROLE " + quote(theirs.App),
		"become the operator":         "SET ROLE " + quote(db.Config().User()),
		"session of the operator":     "SET SESSION AUTHORIZATION " + quote(db.Config().User()),
		"read the registry":           "SELECT * FROM tenantry.tenant",
		"write the registry":          "UPDATE tenantry.tenant SET tenant_uid = 'x'",
		"make a role":                 "CREATE ROLE x",
		"lift its connection limit":   "ALTER ROLE CURRENT_USER CONNECTION LIMIT 100",
		"change the other's password": "ALTER ROLE " + quote(theirs.App) + " PASSWORD 'x'",
		"set the other's path":        "ALTER ROLE " + quote(theirs.App) + " SET search_path = acme",
		"rename the database":         "ALTER DATABASE " + database + " RENAME TO x",
		"set for the database":        "ALTER DATABASE " + database + " SET work_mem = '1GB'",
		"give its group away":         "GRANT " + group + " TO " + quote(theirs.Owner),
		"drop its schema":             "DROP SCHEMA acme CASCADE",
		"read a server's file":        "SELECT pg_read_file('PG_VERSION')",
		"run a program":               "COPY acme.item TO PROGRAM 'cat'",
		"read others' passwords":      "SELECT * FROM pg_authid",
		"unlink the other's object":   "SELECT lo_unlink(4711)",
		"read the other's object":     "SELECT lo_get(4711)",
		"set for the server":          "ALTER SYSTEM SET work_mem = '1GB'",
	}
	for name, sql := range denied {
		if err := tryExec(t, login, sql); postgres.CauseOf(err) != postgres.InsufficientPrivilege {
			t.Errorf("%s: %v", name, err)
		}
	}
	other2 := newDatabase(t)
	if err := tryExec(t, inDatabase(t, login, other2.Database())); err == nil {
		t.Error("the login may connect to another operator's database")
	}
}

// The group role is shared by all tenants: what a member may do to it must not hurt the others.
func TestGroupRoleSurvivesItsMembers(t *testing.T) {
	db := newDB(t)
	acme, login := newTenant(t, db, "acme")
	_, otherLogin := newTenant(t, db, "other")
	group := quote(postgres.GroupRole(db.Config().Database()))
	for _, sql := range []string{
		"DROP OWNED BY " + group, "DROP OWNED BY " + group + " CASCADE", "REASSIGN OWNED BY " + group + " TO CURRENT_USER",
		"REVOKE CONNECT ON DATABASE " + db.Config().Database() + " FROM " + group,
		"REVOKE USAGE ON SCHEMA shared FROM " + group, "ALTER DEFAULT PRIVILEGES FOR ROLE " + group + " GRANT ALL ON TABLES TO PUBLIC",
		"DROP ROLE " + group, "ALTER ROLE " + group + " NOINHERIT", "REVOKE " + group + " FROM " + quote(otherLogin.User()), "SET ROLE " + group,
	} {
		_ = tryExec(t, login, sql)
		_ = tryExec(t, login, "SET ROLE "+group, sql)
		asOwnerTry(t, db, acme, sql)
	}
	exec(t, otherLogin, "SELECT 1")
	exec(t, login, "SELECT 1")
	if got := query(t, otherLogin, "has_schema_privilege('shared', 'USAGE')"); got != "true" {
		t.Error("the shared schema is lost")
	}
	if o := observe(t, db, acme); len(o.Drift) > 0 {
		t.Errorf("drift: %q", o.Drift)
	}
	if changed := must(db.Bootstrap(t.Context(), "marker", "shared"))(t); changed {
		t.Error("the base was damaged")
	}
}

func asOwnerTry(t *testing.T, db *postgres.DB, tn postgres.Tenant, sql string) {
	t.Helper()
	asOwner(t, db, tn)
	cfg := must(db.EnsureMigrator(t.Context(), "team/set"))(t)
	_ = tryExec(t, cfg, "SET ROLE "+quote(postgres.TenantRoles(cfg.Database(), tn.Schema).Owner), sql)
}

// The migrator reaches its own set's schemas, after SET ROLE, and nothing of the operator's.
func TestMigratorReachesItsSetOnly(t *testing.T) {
	db := newDB(t)
	database := db.Config().Database()
	acme, _ := newTenant(t, db, "acme")
	asOwner(t, db, acme, "CREATE TABLE item (id int)")
	foreign := tenant("foreign")
	foreign.MigrationSet = "another/set"
	must(db.EnsureMigrator(t.Context(), "another/set"))(t)
	must(db.Provision(t.Context(), foreign))(t)
	migrator := must(db.EnsureMigrator(t.Context(), "team/set"))(t)
	for name, sql := range map[string]string{
		"read without SET ROLE":    "SELECT * FROM acme.item",
		"another set's owner":      "SET ROLE " + quote(postgres.TenantRoles(database, "foreign").Owner),
		"the tenant's login":       "SET ROLE " + quote(postgres.TenantRoles(database, "acme").App),
		"the operator":             "SET ROLE " + quote(db.Config().User()),
		"the registry":             "SELECT * FROM tenantry.tenant",
		"the registry, as owner":   "SET ROLE " + quote(postgres.TenantRoles(database, "acme").Owner) + "; SELECT * FROM tenantry.tenant",
		"a schema, as owner":       "SET ROLE " + quote(postgres.TenantRoles(database, "acme").Owner) + "; CREATE SCHEMA x",
		"another tenant, as owner": "SET ROLE " + quote(postgres.TenantRoles(database, "acme").Owner) + "; CREATE TABLE foreign.x ()",
		"a role, as owner":         "SET ROLE " + quote(postgres.TenantRoles(database, "acme").Owner) + "; CREATE ROLE x",
		"its role given away":      "GRANT " + quote(postgres.TenantRoles(database, "acme").Owner) + " TO " + quote(postgres.TenantRoles(database, "foreign").App),
	} {
		if err := tryExec(t, migrator, sql); postgres.CauseOf(err) != postgres.InsufficientPrivilege && postgres.CauseOf(err) != postgres.DatabaseError {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := query(t, migrator, "current_setting('is_superuser')"); got != "off" {
		t.Error("the migrator is superuser")
	}

	again := must(db.EnsureMigrator(t.Context(), "team/set"))(t)
	if !again.Equal(migrator) {
		t.Error("the password changed though nobody asked")
	}
	db.ForgetMigrator("team/set")
	fresh := must(db.EnsureMigrator(t.Context(), "team/set"))(t)
	if err := tryExec(t, migrator); postgres.CauseOf(err) != postgres.AuthenticationFailed {
		t.Errorf("the old password: %v", err)
	}
	exec(t, fresh, "SET ROLE "+quote(postgres.TenantRoles(database, "acme").Owner), "SELECT * FROM acme.item")

	if changed := must(db.GrantOwner(t.Context(), acme.UID, "acme", "another/set"))(t); !changed {
		t.Error("another set is no change")
	}
	if err := tryExec(t, fresh, "SET ROLE "+quote(postgres.TenantRoles(database, "acme").Owner)); err == nil {
		t.Error("the old set may still act as owner")
	}
	if o := observe(t, db, acme); o.MigrationSet != "another/set" {
		t.Errorf("set = %s", o.MigrationSet)
	}
}

func TestOperatorDoesNotReadTenantsRows(t *testing.T) {
	db := newDB(t)
	acme, _ := newTenant(t, db, "acme")
	asOwner(t, db, acme, "CREATE TABLE item (id int)")
	names := observe(t, db, acme).Roles
	for _, sql := range []string{"SELECT * FROM acme.item", "SET ROLE " + quote(names.Owner), "SET ROLE " + quote(names.App)} {
		if err := tryExec(t, db.Config(), sql); postgres.CauseOf(err) != postgres.InsufficientPrivilege {
			t.Errorf("%s: %v", sql, err)
		}
	}
	report := must(db.Preflight(t.Context()))(t)
	if warned := strings.Contains(strings.Join(report.Warnings, "\n"), "read tenants' rows"); warned == (server.Major >= 16) {
		t.Errorf("warnings = %q", report.Warnings)
	}
}

// What a tenant plants in its schema does not run in the operator's sessions: none has it on its
// path, whatever the operator's role says.
func TestSessionsPinTheirPath(t *testing.T) {
	db := newDB(t)
	exec(t, admin(t, db.Config().Database()), "ALTER ROLE "+quote(db.Config().User())+" SET search_path = acme, public")
	fresh := open(t, db.Config())
	for name, pool := range map[string]*postgres.DB{"operator": fresh, "migrator": open(t, must(fresh.EnsureMigrator(t.Context(), "team/set"))(t))} {
		var path string
		if err := pool.Pool().QueryRow(t.Context(), "SELECT current_setting('search_path')").Scan(&path); err != nil {
			t.Fatal(err)
		}
		if path != "pg_catalog, pg_temp" {
			t.Errorf("%s: search_path = %s", name, path)
		}
	}
}

// Passwords are nowhere: not in the server's log of all statements, nor in the catalogs that tell
// what sessions did.
func TestPasswordsLeaveNoTrace(t *testing.T) {
	db := newDB(t)
	_, login := newTenant(t, db, "acme")
	migrator := must(db.EnsureMigrator(t.Context(), "team/set"))(t)
	exec(t, login, "SELECT 1")
	exec(t, migrator, "SELECT 1")
	if err := db.SetPassword(t.Context(), "uid-acme", "acme", "hunter2-clear-text"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a clear text password: %v", err)
	}
	log, err := os.ReadFile(server.LogPath)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), "LOGIN PASSWORD 'SCRAM-SHA-256$4096:") {
		t.Error("the log does not hold what was run; the test shows nothing")
	}
	activity := query(t, admin(t, db.Config().Database()), "SELECT string_agg(query, ' ') FROM pg_stat_activity")
	for _, cfg := range []postgres.Config{login, migrator, db.Config()} {
		for name, text := range map[string]string{"log": string(log), "pg_stat_activity": activity} {
			if strings.Contains(text, cfg.Password()) {
				t.Errorf("the password of %s is in the %s", cfg.User(), name)
			}
		}
	}
}

func TestProbe(t *testing.T) {
	db := newDB(t)
	acme, login := newTenant(t, db, "acme")
	asOwner(t, db, acme, "CREATE TABLE item (id serial)", "CREATE TABLE tenantry_migrations (version text)",
		"REVOKE ALL ON tenantry_migrations FROM "+quote(login.User()), "GRANT SELECT ON tenantry_migrations TO "+quote(login.User()),
		"CREATE VIEW v AS SELECT 1 AS one", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
	good := postgres.ProbeResult{User: login.User(), Database: login.Database(), SchemaUsage: true, Tables: 1, Writes: []string{"item", "v"}}
	if diff := cmp.Diff(good, must(postgres.Probe(t.Context(), login, "acme"))(t)); diff != "" {
		t.Errorf("probe (-want +got):\n%s", diff)
	}
	asOwner(t, db, acme, "REVOKE DELETE ON item FROM "+quote(login.User()), "REVOKE ALL ON v FROM "+quote(login.User()),
		"REVOKE ALL ON SEQUENCE item_id_seq FROM "+quote(login.User()), "REVOKE ALL ON FUNCTION f FROM "+quote(login.User()),
		"GRANT INSERT ON tenantry_migrations TO "+quote(login.User()), "GRANT CREATE ON SCHEMA acme TO "+quote(login.User()))
	bad := good
	bad.SchemaCreate, bad.WritesLedger = true, true
	bad.Writes = []string{"item", "tenantry_migrations"}
	bad.LackingTables, bad.LackingSequences, bad.LackingFunctions = []string{"item", "v"}, []string{"item_id_seq"}, []string{"f"}
	if diff := cmp.Diff(bad, must(postgres.Probe(t.Context(), login, "acme"))(t)); diff != "" {
		t.Errorf("probe of a damaged tenant (-want +got):\n%s", diff)
	}
	wrong := login.WithLogin(login.User(), "wrong")
	if _, err := postgres.Probe(t.Context(), wrong, "acme"); postgres.CauseOf(err) != postgres.AuthenticationFailed {
		t.Errorf("probe with a wrong password: %v", err)
	}
	if err := postgres.Login(t.Context(), wrong); fault.ReasonOf(err) != string(postgres.AuthenticationFailed) {
		t.Errorf("login with a wrong password: %v", err)
	}
	if err := postgres.Login(t.Context(), login); err != nil {
		t.Error(err)
	}
	if got := must(postgres.Probe(t.Context(), login, "nothing"))(t); got.SchemaUsage {
		t.Error("a schema that does not exist can be used")
	}
}
