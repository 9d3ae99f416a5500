package postgres_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/test/platform"
)

// oldest is a server of the oldest version that is supported, for what depends on the version.
func oldest(t *testing.T) *platform.Postgres {
	t.Helper()
	s, err := platform.StartPostgres(t.Context(), platform.PostgresMajor(15), platform.PostgresSetting("fsync", "off"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// excesses are rights that somebody may give a login, one for each of postgres.Limits and more, and what
// Examine says of each. {Words} stand for names; undo is run where the mend leaves something.
var excesses = []struct {
	give, what, undo string
}{
	{give: "ALTER ROLE {app} SUPERUSER", what: "is SUPERUSER"},
	{give: "ALTER ROLE {app} CREATEROLE", what: "is CREATEROLE"},
	{give: "ALTER ROLE {app} CREATEDB", what: "is CREATEDB"},
	{give: "ALTER ROLE {app} REPLICATION", what: "is REPLICATION"},
	{give: "ALTER ROLE {app} BYPASSRLS", what: "is BYPASSRLS"},
	{give: "GRANT {owner} TO {app}", what: "is a member of {owner}"},
	{give: "GRANT {other_owner} TO {app}", what: "is a member of {other_owner}"},
	{give: "GRANT {other_app} TO {app}", what: "is a member of {other_app}"},
	{give: "GRANT pg_read_all_data TO {app}", what: "is a member of pg_read_all_data"},
	{give: "GRANT pg_read_server_files TO {group}", what: "is a member of pg_read_server_files"},
	{give: "GRANT USAGE ON SCHEMA other TO {app}", what: "has USAGE on schema other"},
	{give: "GRANT USAGE ON SCHEMA other TO PUBLIC", what: "has USAGE on schema other"},
	{give: "GRANT CREATE ON SCHEMA other TO {group}", what: "has CREATE on schema other"},
	{give: "GRANT USAGE ON SCHEMA tenantry TO {group}", what: "has USAGE on schema tenantry"},
	{give: "GRANT CREATE ON SCHEMA public TO PUBLIC", what: "has CREATE on schema public"},
	{give: "GRANT CREATE ON SCHEMA acme TO {app}", what: "has CREATE on schema acme"},
	{give: "GRANT CREATE ON SCHEMA shared TO {group}", what: "has CREATE on schema shared"},
	{give: "GRANT SELECT ON legacy.orders TO PUBLIC", what: "has SELECT on legacy.orders"},
	{give: "GRANT UPDATE (id) ON legacy.orders TO {group}", what: "has UPDATE on column id of legacy.orders"},
	{give: "GRANT USAGE ON SEQUENCE legacy.number TO {app}", what: "has USAGE on legacy.number"},
	{give: "GRANT TEMPORARY ON DATABASE {db} TO PUBLIC", what: "has TEMPORARY on database {db}"},
	{give: "GRANT CREATE ON DATABASE {db} TO {group}", what: "has CREATE on database {db}"},
	{give: "GRANT CONNECT ON DATABASE template1 TO {app}", what: "has CONNECT on database template1"},
	{give: "CREATE TABLE acme.mine (); ALTER TABLE acme.mine OWNER TO {app}", what: "owns table acme.mine"},
	{give: "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO {group}", what: "may call pg_read_file(text)"},
	{give: "GRANT EXECUTE ON FUNCTION lo_import(text) TO PUBLIC", what: "may call lo_import(text)"},
	{give: "GRANT SET ON PARAMETER session_replication_role TO {app}", what: "has SET on parameter session_replication_role"},
	{give: "GRANT ALTER SYSTEM ON PARAMETER work_mem TO {group}", what: "has ALTER SYSTEM on parameter work_mem"},
	{give: "CREATE FOREIGN DATA WRAPPER away; GRANT USAGE ON FOREIGN DATA WRAPPER away TO {group}", what: "has USAGE on foreign data wrapper away", undo: "DROP FOREIGN DATA WRAPPER away"},
	{give: "GRANT CREATE ON TABLESPACE pg_default TO {app}", what: "has CREATE on tablespace pg_default"},
	{give: "CREATE TABLE acme.tenantry_migrations (version text); GRANT INSERT ON acme.tenantry_migrations TO {app}", what: "has INSERT on its ledger of migrations", undo: "DROP TABLE acme.tenantry_migrations"},
}

// Each right too many is told, with the statement that takes it back, and a login that has none is told
// to have none, on the oldest server and the newest.
func TestExamine(t *testing.T) {
	for name, s := range map[string]*platform.Postgres{"newest": server, "oldest": oldest(t)} {
		t.Run(name, func(t *testing.T) { testExamine(t, s) })
	}
}

func testExamine(t *testing.T, s *platform.Postgres) {
	t.Helper()
	db := on(t, s)
	acme, login := newTenant(t, db, "acme")
	newTenant(t, db, "other")
	bounds := boundsOf(db, acme)
	super := must(pgx.Connect(t.Context(), inDatabase(t, must(postgres.ParseDSN(s.AdminDSN()))(t), db.Config().Database()).URI()))(t)
	t.Cleanup(func() { _ = super.Close(context.WithoutCancel(t.Context())) })
	run := func(sql string) {
		t.Helper()
		if _, err := super.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	run(`CREATE SCHEMA legacy; CREATE TABLE legacy.orders (id int); CREATE SEQUENCE legacy.number; GRANT USAGE ON SCHEMA legacy TO PUBLIC;
		GRANT USAGE ON SCHEMA public TO PUBLIC; CREATE EXTENSION pg_stat_statements SCHEMA public`)
	exec(t, login, "SELECT lo_create(0)")
	if got := examined(t, login, bounds); len(got) > 0 {
		t.Fatalf("an untouched login has %q", got)
	}
	other := postgres.TenantRoles(db.Config().Database(), "other")
	names := strings.NewReplacer("{other_owner}", quote(other.Owner), "{other_app}", quote(other.App), "{owner}", quote(bounds.Roles.Owner),
		"{app}", quote(bounds.Roles.App), "{group}", quote(bounds.Group), "{db}", quote(db.Config().Database()))
	plain := func(text string) string { return strings.ReplaceAll(text, `"`, "") }
	for _, tt := range excesses {
		run(names.Replace(tt.give))
		got := examined(t, login, bounds)
		want := "login " + login.User() + " " + plain(names.Replace(tt.what)) + " | "
		if len(got) != 1 || !strings.HasPrefix(plain(got[0]), want) {
			t.Errorf("%s: told %q, want %q", tt.give, got, want)
		}
		for _, line := range got {
			_, mend, _ := strings.Cut(line, " | ")
			run(mend)
		}
		if tt.undo != "" {
			run(tt.undo)
		}
		if left := examined(t, login, bounds); len(left) > 0 {
			t.Fatalf("%s: behind the mend %q there is still %q", tt.give, got, left)
		}
	}
}

// examined are the rights too many that a login is told to have, each with its mend.
func examined(t *testing.T, login postgres.Config, bounds postgres.Bounds) []string {
	t.Helper()
	result, excess, err := postgres.Examine(t.Context(), login, bounds)
	if err != nil || !result.SchemaUsage {
		t.Fatalf("Examine = %+v, %v", result, err)
	}
	var told []string
	for _, e := range excess {
		if !e.Outward {
			t.Errorf("%s is not outward", e.What)
		}
		told = append(told, e.What+" | "+e.Mend)
	}
	return told
}

// Every kind of right that is spoken of in the condition has been given in TestExamine.
func TestExamineIsComplete(t *testing.T) {
	text, err := os.ReadFile("bounds.sql")
	if err != nil {
		t.Fatal(err)
	}
	want, got := map[string]bool{}, map[string]bool{}
	for i := range postgres.Limits {
		want[fmt.Sprint(i+1)] = true
	}
	for _, m := range regexp.MustCompile(`(?m)^ *SELECT (?:DISTINCT )?(?:CASE nspname WHEN 'tenantry' THEN (\d+) ELSE (\d+) END|(\d+)), `).FindAllStringSubmatch(string(text), -1) {
		for _, number := range m[1:] {
			if number != "" {
				got[number] = true
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parts of bounds.sql (-Limits +found):\n%s", diff)
	}
	if len(excesses) < 2*len(postgres.Limits) {
		t.Errorf("%d rights are tried", len(excesses))
	}
}

func on(t *testing.T, s *platform.Postgres) *postgres.DB {
	t.Helper()
	dsn, err := s.NewOperatorDatabase(t.Context(), fmt.Sprintf("bounds%d", databases.Add(1)))
	if err != nil {
		t.Fatal(err)
	}
	db := open(t, must(postgres.ParseDSN(dsn))(t))
	must(db.Bootstrap(t.Context(), "marker", "shared"))(t)
	return db
}

func boundsOf(db *postgres.DB, tn postgres.Tenant) postgres.Bounds {
	database := db.Config().Database()
	return postgres.Bounds{Schema: tn.Schema, Shared: tn.SharedSchema, Roles: postgres.TenantRoles(database, tn.Schema), Group: postgres.GroupRole(database)}
}

// whats are the rights alone, sorted.
func whats(all []postgres.Excess) []string {
	var list []string
	for _, e := range all {
		list = append(list, e.What)
	}
	slices.Sort(list)
	return list
}
