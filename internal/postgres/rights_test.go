package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/test/platform"
)

// changes are what somebody may do to the rights of a tenant's logins, and what undoes it. Words in braces
// stand for names.
var changes = [][2]string{
	{"REVOKE USAGE ON SCHEMA acme FROM {app}", "GRANT USAGE ON SCHEMA acme TO {app}"},
	{"REVOKE USAGE ON SCHEMA acme FROM {app}; GRANT USAGE ON SCHEMA acme TO PUBLIC", "GRANT USAGE ON SCHEMA acme TO {app}; REVOKE USAGE ON SCHEMA acme FROM PUBLIC"},
	{"REVOKE SELECT ON acme.item FROM {app}", "GRANT SELECT ON acme.item TO {app}"},
	{"REVOKE INSERT ON acme.item FROM {app}", "GRANT INSERT ON acme.item TO {app}"},
	{"REVOKE ALL ON acme.item FROM {app}; GRANT ALL ON acme.item TO {group}", "GRANT SELECT, INSERT, UPDATE, DELETE ON acme.item TO {app}; REVOKE ALL ON acme.item FROM {group}"},
	{"REVOKE ALL ON acme.v FROM {app}", "GRANT ALL ON acme.v TO {app}"},
	{"REVOKE ALL ON SEQUENCE acme.item_id_seq FROM {app}", "GRANT ALL ON SEQUENCE acme.item_id_seq TO {app}"},
	{"REVOKE EXECUTE ON FUNCTION acme.f FROM {app}", "GRANT EXECUTE ON FUNCTION acme.f TO {app}"},
	{"CREATE TABLE acme.stray (id int)", "DROP TABLE acme.stray"},
	{"CREATE TABLE acme.stray (id int); GRANT SELECT (id) ON acme.stray TO {app}", "DROP TABLE acme.stray"},
	{"GRANT ALL ON acme.tenantry_migrations TO {app}", "REVOKE ALL ON acme.tenantry_migrations FROM {app}; GRANT SELECT ON acme.tenantry_migrations TO {app}"},
	{"GRANT REFERENCES ON acme.tenantry_migrations TO PUBLIC", "REVOKE ALL ON acme.tenantry_migrations FROM PUBLIC"},
	{"ALTER ROLE {app} NOLOGIN", "ALTER ROLE {app} LOGIN"},
	{"ALTER ROLE {app} VALID UNTIL '2020-01-01'", "ALTER ROLE {app} VALID UNTIL 'infinity'"},
	{"ALTER ROLE {set} NOLOGIN", "ALTER ROLE {set} LOGIN"},
	{"REVOKE CONNECT ON DATABASE {db} FROM {group}, {set}, {all}", "GRANT CONNECT ON DATABASE {db} TO {group}, {set}, {all}"},
	{"ALTER ROLE {app} SUPERUSER", "ALTER ROLE {app} NOSUPERUSER"},
	{"ALTER ROLE {second} SUPERUSER", "ALTER ROLE {second} NOSUPERUSER"},
	{"GRANT USAGE ON SCHEMA other TO {second}", "REVOKE USAGE ON SCHEMA other FROM {second}"},
	{"GRANT USAGE ON SCHEMA other TO {set}; GRANT USAGE ON SCHEMA other TO {all}", "REVOKE USAGE ON SCHEMA other FROM {set}, {all}"},
	{"GRANT pg_read_all_data TO {set}, {all}", "REVOKE pg_read_all_data FROM {set}, {all}"},
	{"GRANT {other_owner} TO {set}, {all}, {second}", "REVOKE {other_owner} FROM {set}, {all}, {second}"},
	{"CREATE ROLE between_{db}; GRANT between_{db} TO {app}; GRANT USAGE ON SCHEMA other TO between_{db}", "DROP OWNED BY between_{db}; DROP ROLE between_{db}"},
	{"CREATE ROLE between_{db}; GRANT between_{db} TO {group}; GRANT pg_read_all_data TO between_{db}", "DROP OWNED BY between_{db}; DROP ROLE between_{db}"},
	{"ALTER TABLE acme.item OWNER TO {second}", "ALTER TABLE acme.item OWNER TO {owner}"},
	{"ALTER ROLE {set} INHERIT; GRANT USAGE ON SCHEMA acme TO {set}", "ALTER ROLE {set} NOINHERIT; REVOKE USAGE ON SCHEMA acme FROM {set}"},
	{"GRANT SELECT ON shared.word TO {app}", "REVOKE SELECT ON shared.word FROM {app}"},
	{"GRANT SELECT ON LARGE OBJECT 4711 TO {app}", "REVOKE SELECT ON LARGE OBJECT 4711 FROM {app}"},
	{"GRANT CONNECT ON DATABASE {db} TO {app}", "REVOKE CONNECT ON DATABASE {db} FROM {app}"},
	{"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {app}", "ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM {app}"},
}

// The operator's session is told of a login just what the login is told itself, whichever way it works for
// the tenant and whatever somebody did to its rights, on the oldest server and the newest.
func TestOperatorIsToldWhatTheLoginIsTold(t *testing.T) {
	for name, s := range map[string]*platform.Postgres{"newest": server, "oldest": oldest(t)} {
		t.Run(name, func(t *testing.T) { testRights(t, s) })
	}
}

func testRights(t *testing.T, s *platform.Postgres) {
	t.Helper()
	db := on(t, s)
	database := db.Config().Database()
	set, all := postgres.ClassLogin{UID: "u", Class: "c"}, postgres.ClassLogin{UID: "u", Class: "c", All: true}
	bySet, byAll := classLogin(t, db, set), classLogin(t, db, all)
	acme := classTenant(t, db, "acme", set)
	acme.ClassLogin, acme.ClassLoginInherits = byAll.User(), true
	must(db.Provision(t.Context(), acme))(t)
	app := setPassword(t, db, acme)
	second := secondLogin(t, db, acme)
	other, _ := newTenant(t, db, "other")
	super := must(pgx.Connect(t.Context(), inDatabase(t, must(postgres.ParseDSN(s.AdminDSN()))(t), database).URI()))(t)
	t.Cleanup(func() { _ = super.Close(context.WithoutCancel(t.Context())) })
	b := boundsOf(db, acme)
	theirs := postgres.TenantRoles(database, other.Schema)
	names := strings.NewReplacer("{app}", quote(app.User()), "{second}", quote(second.User()), "{set}", quote(bySet.User()), "{all}", quote(byAll.User()),
		"{owner}", quote(b.Roles.Owner), "{group}", quote(b.Group), "{db}", database, "{other_owner}", quote(theirs.Owner), "{other_app}", quote(theirs.App))
	run := func(sql string) {
		t.Helper()
		if _, err := super.Exec(t.Context(), names.Replace(sql)); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	asOwner(t, db, acme, "DROP TABLE item", "CREATE TABLE item (id serial)", "CREATE VIEW v AS SELECT 1 AS one", "CREATE TYPE colour AS ENUM ('red')",
		"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE TABLE tenantry_migrations (version text)",
		"REVOKE ALL ON tenantry_migrations FROM "+quote(app.User()), "GRANT SELECT ON tenantry_migrations TO "+quote(app.User()))
	run(`CREATE SCHEMA legacy; CREATE TABLE legacy.orders (id int); CREATE SEQUENCE legacy.number; GRANT USAGE ON SCHEMA legacy TO PUBLIC;
		CREATE TABLE shared.word (id int); SELECT lo_create(4711)`)
	exec(t, app, "SELECT lo_create(0)")

	migrator := must(pgx.Connect(t.Context(), must(db.EnsureMigrator(t.Context(), "a/b"))(t).URI()))(t)
	t.Cleanup(func() { _ = migrator.Close(context.WithoutCancel(t.Context())) })
	logins := map[string]asking{
		"own": {app, b, "", false, migrator}, "second": {second, b, "", false, migrator},
		"SetRole": {bySet, b, bySet.User(), false, nil}, "Shared": {byAll, b, byAll.User(), true, nil},
	}
	for login, l := range logins {
		if r := l.compare(t, db, "as made, "+login); !r.Opens || len(r.Excess) > 0 || !r.SchemaUsage {
			t.Fatalf("as made, %s: %+v", login, r)
		}
	}
	cases := changes
	for _, e := range excesses {
		if !strings.Contains(e.give, "tenantry_migrations") { // There is one here.
			cases = append(cases, [2]string{e.give, e.undo + "; DROP TABLE IF EXISTS acme.mine"})
		}
	}
	for _, c := range cases {
		run(c[0])
		var mends []string
		for login, l := range logins {
			for _, e := range l.compare(t, db, c[0]+", "+login).Excess {
				mends = append(mends, e.Mend)
			}
		}
		for _, undo := range append(mends, c[1]) {
			if _, err := super.Exec(t.Context(), names.Replace(undo)); err != nil && undo == c[1] {
				t.Fatalf("%s: %v", undo, err)
			}
		}
		for login, l := range logins {
			if r := must(l.told(t, db))(t); !r.Opens || len(r.Excess) > 0 || unusable(r) {
				t.Fatalf("behind %s, %s: %+v", c[0], login, r)
			}
		}
	}
}

// asking is a login that is asked, and that others are asked about.
type asking struct {
	cfg   postgres.Config
	b     postgres.Bounds
	first string
	all   bool
	// by is a session of a migrator's that is asked too.
	by *pgx.Conn
}

// told is what the operator's session is told.
func (l asking) told(t *testing.T, db *postgres.DB) (postgres.Rights, error) {
	t.Helper()
	if l.first == "" {
		return db.Examine(t.Context(), l.cfg.User(), l.b, 0)
	}
	return db.ExamineShared(t.Context(), l.cfg.User(), l.b, l.first, l.all, 0)
}

func unusable(r postgres.Rights) bool {
	return !r.SchemaUsage || len(r.LackingTables)+len(r.LackingInsert)+len(r.LackingSequences)+len(r.LackingFunctions) > 0
}

// compare asks both ways. Whoever cannot begin a session must be known to be unable to.
func (l asking) compare(t *testing.T, db *postgres.DB, what string) postgres.Rights {
	t.Helper()
	var want postgres.Rights
	var refused error
	if l.first == "" {
		want.ProbeResult, want.Excess, refused = postgres.Examine(t.Context(), l.cfg, l.b)
	} else {
		want.ProbeResult, want.Excess, refused = postgres.ExamineShared(t.Context(), l.cfg, l.b, l.first, l.all)
	}
	got, err := l.told(t, db)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if refused != nil {
		if got.Opens {
			t.Errorf("%s: the login is refused (%v), and said to work", what, refused)
		}
		return got
	}
	want.Opens = true
	if l.by != nil {
		l.compareQuestion(t, db, what, got)
	}
	if len(want.Excess)+len(got.Excess) == 0 {
		want.Excess, got.Excess = nil, nil
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-login is told +operator is told):\n%s", what, diff)
	}
	return got
}

// compareQuestion asks by the question that migrations ask.
func (l asking) compareQuestion(t *testing.T, db *postgres.DB, what string, want postgres.Rights) {
	t.Helper()
	q := postgres.AskRights(l.cfg.User(), l.b)
	args := make([][]byte, len(q.Args))
	for i, arg := range q.Args {
		args[i] = []byte(arg)
	}
	answer := l.by.PgConn().ExecParams(t.Context(), q.SQL, args, nil, nil, nil).Read()
	if answer.Err != nil {
		t.Fatalf("%s: %v", what, answer.Err)
	}
	got, err := db.Answered(t.Context(), l.cfg.User(), l.b, answer.Rows[0], 0)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-operator is told +migrator is told):\n%s", what, diff)
	}
}

// What all tenants' logins have may be told as it was a while ago; what one has is told as it is.
func TestTenantsShareALook(t *testing.T) {
	db := newDB(t)
	acme, login := newTenant(t, db, "acme")
	newTenant(t, db, "other")
	root := admin(t, login.Database())
	excess := func(within time.Duration) string {
		t.Helper()
		var what []string
		for _, e := range must(db.Examine(t.Context(), login.User(), boundsOf(db, acme), within))(t).Excess {
			what = append(what, e.What)
		}
		return fmt.Sprint(what)
	}
	if got := excess(time.Hour); got != "[]" {
		t.Fatalf("an untouched login has %s", got)
	}
	exec(t, root, "GRANT USAGE ON SCHEMA other TO PUBLIC")
	if got := excess(time.Hour); got != "[]" {
		t.Errorf("a look that is not old enough is made again: %s", got)
	}
	if got := excess(0); !strings.Contains(got, "USAGE on schema other") {
		t.Errorf("a new look shows %s", got)
	}
	exec(t, root, "REVOKE USAGE ON SCHEMA other FROM PUBLIC")
	if got := excess(time.Hour); got != "[]" {
		t.Errorf("an old look at all is blamed on one: %s", got)
	}
	excess(0)
	exec(t, root, "GRANT USAGE ON SCHEMA other TO "+quote(login.User()))
	if got := excess(time.Hour); !strings.Contains(got, "USAGE on schema other") {
		t.Errorf("a right of its own is not seen: %s", got)
	}
}
