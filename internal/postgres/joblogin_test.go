package postgres_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

func jobTerms() postgres.JobTerms {
	return postgres.JobTerms{MigrationSet: "team/set", SharedSchema: "shared", LockTimeout: 2 * time.Second, StatementTimeout: time.Minute, Until: time.Now().Add(time.Hour)}
}

func enableJob(t *testing.T, db *postgres.DB, tn postgres.Tenant) postgres.JobLogin {
	t.Helper()
	must(db.EnsureMigrator(t.Context(), "team/set"))(t)
	if _, err := db.GrantOwner(t.Context(), tn.UID, tn.Schema, "team/set"); err != nil {
		t.Fatal(err)
	}
	return must(db.EnableJobLogin(t.Context(), tn.UID, jobTerms()))(t)
}

// A Job of one set gets no login for another set's tenant, whatever names it.
func TestJobLoginIsOfOneSet(t *testing.T) {
	db := newDB(t)
	acme, _ := newTenant(t, db, "acme")
	enableJob(t, db, acme)
	terms := jobTerms()
	terms.MigrationSet = "rival/set"
	if _, err := db.EnableJobLogin(t.Context(), acme.UID, terms); fault.ReasonOf(err) != postgres.ReasonNotOwner {
		t.Errorf("another set's Job: %v", err)
	}
}

// A program that never heard of SET ROLE works in the tenant's schema and makes what the owner owns and
// the app role can use.
func TestJobLoginIsTheOwner(t *testing.T) {
	db := newDB(t)
	acme, app := newTenant(t, db, "acme")
	job := enableJob(t, db, acme)
	for what, tt := range map[string]struct{ sql, want string }{
		"role":              {"current_user", job.Owner},
		"login":             {"session_user", job.Config.User()},
		"search_path":       {"current_setting('search_path')", "acme, shared"},
		"lock timeout":      {"current_setting('lock_timeout')", "2s"},
		"statement timeout": {"current_setting('statement_timeout')", "1min"},
		"sessions":          {"(SELECT rolconnlimit FROM pg_roles WHERE rolname = session_user)::text", "20"},
	} {
		if got := query(t, job.Config, tt.sql); got != tt.want {
			t.Errorf("%s is %q, want %q", what, got, tt.want)
		}
	}
	exec(t, job.Config, "CREATE TABLE note (id serial PRIMARY KEY, body text)", "RESET ROLE", "CREATE TABLE again (id int)", "DISCARD ALL", "ALTER TABLE note ADD COLUMN extra int")
	if got := query(t, admin(t, db.Config().Database()), "SELECT string_agg(tableowner, ',') FROM pg_tables WHERE schemaname = 'acme'"); got != job.Owner+","+job.Owner {
		t.Errorf("the tables belong to %q, want %q", got, job.Owner)
	}
	exec(t, app, "INSERT INTO note (body) VALUES ('hello')")
	if o := observe(t, db, acme); !o.JobLogin || len(o.Drift)+len(o.Foreign) > 0 {
		t.Errorf("with a Job's login: JobLogin %t, drift %q, foreign %v", o.JobLogin, o.Drift, o.Foreign)
	}
}

// What a Job's login may not do, also when it leaves the owner's role.
func TestJobLoginIsOfOneTenant(t *testing.T) {
	db := newDB(t)
	acme, _ := newTenant(t, db, "acme")
	globex, _ := newTenant(t, db, "globex")
	asOwner(t, db, globex, "CREATE TABLE secret (body text)")
	other := postgres.TenantRoles(db.Config().Database(), "globex")
	job := enableJob(t, db, acme)
	if !strings.HasPrefix(server.Version, "15.") { // There every member can become the group; it owns nothing.
		if err := tryExec(t, job.Config, "SET ROLE "+quote(postgres.GroupRole(db.Config().Database()))); err == nil {
			t.Error("a Job's login can become the group role")
		}
	}
	for _, first := range []string{"SELECT 1", "SET ROLE NONE", "RESET ROLE", "SET SESSION AUTHORIZATION DEFAULT"} {
		for _, sql := range []string{
			"SELECT * FROM globex.secret", "SET ROLE " + quote(other.Owner), "SET ROLE " + quote(other.App),
			"SET SESSION AUTHORIZATION " + quote(other.Owner), "CREATE SCHEMA mine", "CREATE ROLE mine", "CREATE TABLE shared.mine (id int)",
			"SELECT * FROM tenantry.tenant", "SET ROLE " + quote(db.Config().User()), "SET ROLE " + quote(postgres.KeeperRole(db.Config().Database(), "acme")),
			"GRANT " + quote(job.Owner) + " TO " + quote(other.App),
			"ALTER ROLE " + quote(job.Config.User()) + " CREATEDB",
		} {
			if err := tryExec(t, job.Config, first, sql); err == nil {
				t.Errorf("a Job's login can %s after %s", sql, first)
			}
		}
	}
}

// When the Job has ended, its password and sessions are no more, and nothing of it is left.
func TestJobLoginEnds(t *testing.T) {
	db := newDB(t)
	acme, _ := newTenant(t, db, "acme")
	job := enableJob(t, db, acme)
	exec(t, job.Config, "SELECT lo_create(0)", "SET ROLE NONE", "SELECT lo_create(0)", "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC")
	conn, err := pgx.Connect(t.Context(), job.Config.URI())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for range 2 { // the second time there is nothing to do
		if err := db.FinishJobLogin(t.Context(), acme.UID, "acme"); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("a session of the Job still works")
	}
	if err := tryExec(t, job.Config, "SELECT 1"); err == nil {
		t.Error("the Job's login still works")
	}
	if got := query(t, admin(t, db.Config().Database()), "SELECT count(*) FROM pg_roles WHERE rolname = $1", job.Config.User()); got != "0" {
		t.Error("the Job's role is still there")
	}
	if got := query(t, admin(t, db.Config().Database()), "SELECT count(*) FROM pg_largeobject_metadata WHERE pg_get_userbyid(lomowner) = $1", job.Owner); got != "2" {
		t.Errorf("%s large objects belong to the owner, want 2", got)
	}
	if o := observe(t, db, acme); o.JobLogin || len(o.Drift)+len(o.Foreign) > 0 {
		t.Errorf("after the Job: JobLogin %t, drift %q, foreign %v", o.JobLogin, o.Drift, o.Foreign)
	}
}

// Whoever holds on to a Job's login from outside holds up neither its end nor the next Job: the role stays
// until it can go, and nobody can use it.
func TestJobEndsWhileOthersNameItsLogin(t *testing.T) {
	db := newDB(t)
	acme, _ := newTenant(t, db, "acme")
	_, other := newTenant(t, db, "other")
	job := enableJob(t, db, acme)
	exec(t, other, "SELECT lo_create(4711)", "GRANT SELECT ON LARGE OBJECT 4711 TO "+quote(job.Config.User()))
	holder := connect(t, other)
	for _, sql := range []string{"BEGIN", "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO " + quote(job.Config.User())} {
		if _, err := holder.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.FinishJobLogin(t.Context(), acme.UID, "acme"); err != nil {
		t.Fatal(err)
	}
	if err := tryExec(t, job.Config, "SELECT 1"); err == nil {
		t.Error("the Job's login still works")
	}
	if got := query(t, admin(t, db.Config().Database()), "SELECT rolcanlogin::text || pg_has_role(rolname, $1, 'MEMBER') FROM pg_roles WHERE rolname = $2", job.Owner, job.Config.User()); got != "falsefalse" {
		t.Errorf("what is left of the role: %s", got)
	}
	if o := observe(t, db, acme); o.JobLogin || len(o.Drift)+len(o.Foreign) > 0 {
		t.Errorf("after the Job: JobLogin %t, drift %q, foreign %v", o.JobLogin, o.Drift, o.Foreign)
	}
	next := enableJob(t, db, acme)
	exec(t, next.Config, "CREATE TABLE note (id int)")
	if _, err := holder.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := db.Drop(t.Context(), acme.UID, "acme"); err != nil {
		t.Fatal(err)
	}
	if got := query(t, admin(t, db.Config().Database()), "SELECT count(*) FROM pg_roles WHERE rolname = $1", job.Config.User()); got != "0" {
		t.Error("the role outlives its tenant")
	}
}

// A second Job of a tenant ends the sessions of the first: two never work on one schema.
func TestSecondJobEndsTheFirst(t *testing.T) {
	db := newDB(t)
	acme, _ := newTenant(t, db, "acme")
	first := enableJob(t, db, acme)
	conn, err := pgx.Connect(t.Context(), first.Config.URI())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	second := enableJob(t, db, acme)
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("the first Job's session still works")
	}
	if err := tryExec(t, first.Config, "SELECT 1"); err == nil {
		t.Error("the first Job's password still works")
	}
	exec(t, second.Config, "CREATE TABLE note (id int)")
}

// A tenant goes although a Job is at work, and takes the login along; a kept one has none either.
func TestTenantGoesWithItsJobLogin(t *testing.T) {
	for what, leave := range map[string]func(*postgres.DB, context.Context, string, string) error{
		"dropped": (*postgres.DB).Drop, "retained": (*postgres.DB).Retain,
	} {
		t.Run(what, func(t *testing.T) {
			db := newDB(t)
			acme, _ := newTenant(t, db, "acme")
			job := enableJob(t, db, acme)
			exec(t, job.Config, "CREATE TABLE note (id int)")
			if err := leave(db, t.Context(), acme.UID, "acme"); err != nil {
				t.Fatal(err)
			}
			if got := query(t, admin(t, db.Config().Database()), "SELECT string_agg(rolname, ',') FROM pg_roles WHERE rolname = $1", job.Config.User()); got != "" {
				t.Errorf("%s is still there", got)
			}
			_, err := db.EnableJobLogin(t.Context(), acme.UID, jobTerms())
			if reason := fault.ReasonOf(err); reason != postgres.ReasonNotProvisioned && reason != postgres.ReasonSchemaRetained {
				t.Errorf("a tenant that is %s gets a Job's login: %v", what, err)
			}
		})
	}
}

// The password is in no statement, and ends by itself.
func TestJobPasswordIsNotSent(t *testing.T) {
	db := newDB(t)
	acme, _ := newTenant(t, db, "acme")
	job := enableJob(t, db, acme)
	if log := must(os.ReadFile(server.LogPath))(t); strings.Contains(string(log), job.Config.Password()) {
		t.Error("the server's log has the password of a Job")
	}
	terms := jobTerms()
	terms.Until = time.Now().Add(-time.Hour)
	late := must(db.EnableJobLogin(t.Context(), acme.UID, terms))(t)
	if err := tryExec(t, late.Config, "SELECT 1"); err == nil {
		t.Error("a password works after its time")
	}
}
