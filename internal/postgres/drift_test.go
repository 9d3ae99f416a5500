package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// What somebody changes behind the operator's back is found, named and put back.
func TestDriftIsMended(t *testing.T) {
	db := newDB(t)
	tn := tenant("acme")
	tn.ConnectionLimit, tn.LockTimeout = 5, 3*time.Second
	tn.MigrationSet = "team/set"
	must(db.EnsureMigrator(t.Context(), "team/set"))(t)
	must(db.EnsureMigrator(t.Context(), "team/old"))(t)
	must(db.Provision(t.Context(), tn))(t)
	cfg := setPassword(t, db, tn)
	newTenant(t, db, "other")
	database := db.Config().Database()
	o := observe(t, db, tn)
	owner, app := quote(o.Roles.Owner), quote(o.Roles.App)
	asOwner := "SET ROLE " + owner + "; "
	asKeeper := "SET ROLE " + quote(postgres.KeeperRole(database, "acme")) + "; "
	super := admin(t, database)
	tests := map[string]struct {
		as   postgres.Config
		sql  string
		want string
	}{
		"owner may log in":            {super, "ALTER ROLE " + owner + " LOGIN", "owner role may log in"},
		"app is NOINHERIT":            {super, "ALTER ROLE " + app + " NOINHERIT", "NOINHERIT"},
		"connection limit":            {super, "ALTER ROLE " + app + " CONNECTION LIMIT 500", "connection limit is 500"},
		"the tenant's own path":       {cfg, "ALTER ROLE CURRENT_USER IN DATABASE " + database + " SET search_path = public", "search_path differs"},
		"the tenant's own timeout":    {cfg, "ALTER ROLE CURRENT_USER IN DATABASE " + database + " SET lock_timeout = 0", "lock_timeout differs"},
		"a timeout nobody wants":      {cfg, "ALTER ROLE CURRENT_USER IN DATABASE " + database + " SET statement_timeout = '1h'", "has a statement_timeout"},
		"read only by itself":         {cfg, "ALTER ROLE CURRENT_USER IN DATABASE " + database + " SET default_transaction_read_only = on", "has a default_transaction_read_only"},
		"another role by itself":      {cfg, "ALTER ROLE CURRENT_USER IN DATABASE " + database + " SET role = none", "has a role"},
		"all settings":                {cfg, "ALTER ROLE CURRENT_USER IN DATABASE " + database + " RESET ALL", "search_path differs"},
		"group":                       {db.Config(), asKeeper + "REVOKE " + quote(postgres.GroupRole(database)) + " FROM " + app, "lacks the group's rights"},
		"usage":                       {super, asOwner + "REVOKE USAGE ON SCHEMA acme FROM " + app, "lacks USAGE on the schema"},
		"create for the app":          {super, asOwner + "GRANT CREATE ON SCHEMA acme TO " + app, "has CREATE"},
		"usage for all":               {super, asOwner + "GRANT USAGE ON SCHEMA acme TO PUBLIC", "everybody has USAGE"},
		"usage for another tenant":    {super, asOwner + "GRANT USAGE ON SCHEMA acme TO " + quote(postgres.TenantRoles(database, "other").App), "_other_app has USAGE"},
		"owner without create":        {super, asOwner + "REVOKE CREATE ON SCHEMA acme FROM " + owner, "lacks CREATE on the schema"},
		"default table rights":        {super, asOwner + "ALTER DEFAULT PRIVILEGES REVOKE INSERT ON TABLES FROM " + app, "lacks INSERT on TABLES"},
		"all default table rights":    {super, asOwner + "ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM " + app, "lacks DELETE, INSERT, SELECT, UPDATE on TABLES"},
		"default rights for all":      {super, asOwner + "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC", "everybody has SELECT"},
		"default TRUNCATE":            {super, asOwner + "ALTER DEFAULT PRIVILEGES GRANT TRUNCATE ON TABLES TO " + app, "has TRUNCATE"},
		"functions open to all":       {super, asOwner + "ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC", "everybody has EXECUTE"},
		"types open to all":           {super, asOwner + "ALTER DEFAULT PRIVILEGES GRANT USAGE ON TYPES TO PUBLIC", "everybody has USAGE"},
		"schema belongs to the login": {super, "ALTER SCHEMA acme OWNER TO " + quote(db.Config().User()), "belongs to"},
		"another set's login":         {db.Config(), asKeeper + "GRANT " + owner + " TO " + quote(postgres.MigratorRole(database, "team/old")), "another migration set's login"},
		"migrator is out":             {db.Config(), asKeeper + "REVOKE " + owner + " FROM " + quote(postgres.MigratorRole(database, "team/set")), "migration set's login may not"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			exec(t, tt.as, tt.sql)
			o := observe(t, db, tn)
			if !strings.Contains(strings.Join(o.Drift, "\n"), tt.want) {
				t.Errorf("drift = %q, want %q in it", o.Drift, tt.want)
			}
			changed, err := db.Provision(t.Context(), tn)
			if err != nil || !changed {
				t.Fatalf("Provision = %v, %v", changed, err)
			}
			if o := observe(t, db, tn); len(o.Drift)+len(o.Foreign) > 0 {
				t.Errorf("left: %q %v", o.Drift, o.Foreign)
			}
		})
	}
}

// What others gave on purpose is reported and stays.
func TestForeignRightsAreReportedNotTaken(t *testing.T) {
	db := newDB(t)
	tn, _ := newTenant(t, db, "acme")
	o := observe(t, db, tn)
	database := db.Config().Database()
	bi := quote(database + "_metabase")
	exec(t, admin(t, database), "CREATE ROLE "+bi, "SET ROLE "+quote(o.Roles.Owner),
		"GRANT USAGE ON SCHEMA acme TO "+bi, "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO "+bi, "RESET ROLE",
		"GRANT "+quote(o.Roles.Owner)+" TO "+bi, "ALTER ROLE "+quote(o.Roles.App)+" CREATEDB")
	want := []string{
		"role " + database + "_metabase has SELECT ON TABLES to come",
		"role " + database + "_metabase has USAGE ON SCHEMA \"acme\"",
		"role " + database + "_metabase is a member of " + o.Roles.Owner,
		"role " + o.Roles.App + " is CREATEDB",
	}
	for range 2 {
		o = observe(t, db, tn)
		if diff := cmp.Diff(want, whats(o.Foreign)); diff != "" || len(o.Drift) > 0 {
			t.Errorf("foreign (-want +got):\n%s\ndrift %q", diff, o.Drift)
		}
		if changed := must(db.Provision(t.Context(), tn))(t); changed {
			t.Error("Provision changed something")
		}
	}
	for _, e := range o.Foreign {
		if outward := strings.HasSuffix(e.What, "CREATEDB"); e.Outward != outward {
			t.Errorf("%s: outward is %t", e.What, e.Outward)
		}
		exec(t, admin(t, database), e.Mend)
	}
	if o = observe(t, db, tn); len(o.Foreign)+len(o.Drift) > 0 {
		t.Errorf("behind the mends there is still %v, %q", o.Foreign, o.Drift)
	}
}

// A limit that the class no longer has goes away.
func TestLimitsCanBeTakenBack(t *testing.T) {
	db := newDB(t)
	tn := tenant("acme")
	tn.ConnectionLimit, tn.StatementTimeout, tn.IdleInTransactionTimeout = 3, time.Minute, time.Minute
	must(db.Provision(t.Context(), tn))(t)
	plain := tenant("acme")
	plain.SharedSchema = ""
	if changed := must(db.Provision(t.Context(), plain))(t); !changed {
		t.Error("no change")
	}
	got := query(t, db.Config(), `SELECT r.rolconnlimit || ' ' || array_to_string(s.setconfig, ';') FROM pg_roles r JOIN pg_db_role_setting s ON s.setrole = r.oid
		WHERE r.rolname = $1`, observe(t, db, plain).Roles.App)
	if got != "-1 search_path=acme" {
		t.Errorf("settings = %s", got)
	}
}

// The roles' names are those of the registry, even where today's would differ.
func TestRenamedDatabaseKeepsItsRoles(t *testing.T) {
	cfg := newDatabase(t)
	db := open(t, cfg)
	must(db.Bootstrap(t.Context(), "marker", "shared"))(t)
	tn, _ := newTenant(t, db, "acme")
	before := observe(t, db, tn).Roles
	db.Close()
	renamed := cfg.Database() + "_new"
	exec(t, admin(t, "postgres"), "ALTER DATABASE "+cfg.Database()+" RENAME TO "+renamed)
	after := open(t, inDatabase(t, cfg, renamed))
	must(after.Bootstrap(t.Context(), "marker", "shared"))(t)
	must(after.Provision(t.Context(), tn))(t)
	o := observe(t, after, tn)
	if o.Roles != before || len(o.Drift) > 0 {
		t.Errorf("roles %v, want %v; drift %q", o.Roles, before, o.Drift)
	}
	// The old group stays theirs and would open a new database of the old name to them: worth a word.
	if len(o.Foreign) != 2 || !strings.Contains(o.Foreign[0].What, "is a member of "+postgres.GroupRole(cfg.Database())) {
		t.Errorf("foreign = %v", o.Foreign)
	}
	login := setPassword(t, after, tn)
	if got := query(t, login, "SELECT current_user"); got != before.App {
		t.Errorf("login = %s", got)
	}
	if err := after.Drop(t.Context(), tn.UID, "acme"); err != nil {
		t.Error(err)
	}
}

// A steady tenant costs no write: no transaction number is used and nothing goes to the WAL.
func TestSteadyStateWritesNothing(t *testing.T) {
	db := newDB(t)
	tn, _ := newTenant(t, db, "acme")
	tn.MigrationSet = "team/set"
	steady := map[string]func() (bool, error){
		"Bootstrap":  func() (bool, error) { return db.Bootstrap(t.Context(), "marker", "shared") },
		"Provision":  func() (bool, error) { return db.Provision(t.Context(), tn) },
		"SetVersion": func() (bool, error) { return db.SetVersion(t.Context(), tn.UID, "acme", "12", "digest") },
		"SetDomains": func() (bool, error) { return db.SetDomains(t.Context(), tn.UID, "acme", []string{"a.com", "b.com"}) },
		"GrantOwner": func() (bool, error) { return db.GrantOwner(t.Context(), tn.UID, "acme", "team/set") },
		"RecordFiles": func() (bool, error) {
			return db.RecordFiles(t.Context(), "team/set", []postgres.AppliedFile{{Version: "1", Name: "1_a.sql", Checksum: "c"}})
		},
		"EnsureShared": func() (bool, error) {
			_, changed, err := db.EnsureShared(t.Context(), "shared", "team/set")
			return changed, err
		},
		"SetSharedGrants": func() (bool, error) {
			return db.SetSharedGrants(t.Context(), "shared", []postgres.TableGrant{{Table: "plan", Privileges: []string{"SELECT"}}})
		},
		"EnsureMigrator": func() (bool, error) { _, err := db.EnsureMigrator(t.Context(), "team/set"); return false, err },
		"Observe":        func() (bool, error) { _, err := db.Observe(t.Context(), tn); return false, err },
		"Preflight":      func() (bool, error) { _, err := db.Preflight(t.Context()); return false, err },
		"Tenants":        func() (bool, error) { _, err := db.Tenants(t.Context()); return false, err },
		"AppliedFiles":   func() (bool, error) { _, err := db.AppliedFiles(t.Context(), "team/set"); return false, err },
	}
	must(db.EnsureMigrator(t.Context(), "team/set"))(t)
	shared, _, err := db.EnsureShared(t.Context(), "shared", "team/set")
	if err != nil {
		t.Fatal(err)
	}
	exec(t, admin(t, db.Config().Database()), "CREATE TABLE shared.plan (id serial)", "ALTER TABLE shared.plan OWNER TO "+quote(shared.Owner))
	for name, call := range steady {
		if _, err := call(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	super := admin(t, db.Config().Database())
	const xid = "pg_snapshot_xmax(pg_current_snapshot())"
	before := query(t, super, xid)
	for name, call := range steady {
		var used []string
		for range 3 {
			if changed, err := call(); changed || err != nil {
				t.Errorf("%s = %v, %v", name, changed, err)
			}
			if after := query(t, super, xid); after != before {
				used = append(used, after)
				before = after
			}
		}
		// The server writes for itself now and then; a call that writes does so each time.
		if len(used) == 3 {
			t.Errorf("%s used transaction numbers up to %q", name, used)
		}
	}
	if _, err := db.SetVersion(t.Context(), tn.UID, "acme", "13", "digest"); err != nil {
		t.Fatal(err)
	}
	if query(t, super, xid) == before {
		t.Error("the test cannot see a write")
	}
}

func TestMissingRegistryHasAReason(t *testing.T) {
	db := open(t, newDatabase(t))
	_, err := db.Observe(t.Context(), tenant("acme"))
	if fault.ReasonOf(err) != postgres.ReasonNotBootstrapped || fault.KindOf(err) != fault.Waiting {
		t.Errorf("Observe = %v", err)
	}
	if _, err := db.Provision(t.Context(), tenant("acme")); fault.ReasonOf(err) != postgres.ReasonNotBootstrapped {
		t.Errorf("Provision = %v", err)
	}
	if err := db.Drop(t.Context(), "uid", "acme"); fault.ReasonOf(err) != postgres.ReasonNotBootstrapped {
		t.Errorf("Drop = %v", err)
	}
}

// What a login sets for itself in all databases counts less than what the operator sets in this one; what
// the operator does not set is its own choice, and harms nobody else's sessions.
func TestOwnSettingsInAllDatabases(t *testing.T) {
	db := newDB(t)
	tn := tenant("acme")
	tn.StatementTimeout, tn.LockTimeout = 5*time.Second, 3*time.Second
	must(db.Provision(t.Context(), tn))(t)
	cfg := setPassword(t, db, tn)
	_, other := newTenant(t, db, "other")
	for _, set := range []string{"statement_timeout = '1h'", "lock_timeout = 0", "search_path = pg_catalog", "work_mem = '1GB'"} {
		exec(t, cfg, "ALTER ROLE CURRENT_USER SET "+set)
	}
	const show = "SELECT concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'), current_setting('search_path'))"
	if got := query(t, cfg, show); got != "5s 3s acme, shared" {
		t.Errorf("its sessions have %s", got)
	}
	if got := query(t, other, show); got != "0 0 other, shared" {
		t.Errorf("another's sessions have %s", got)
	}
	if o := observe(t, db, tn); len(o.Drift) > 0 {
		t.Errorf("drift %q, of which nothing comes", o.Drift)
	}
}
