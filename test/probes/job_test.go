package probes

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/frameworks"
	"github.com/tenantry/tenantry/internal/postgres"
)

// jobsLogin is in the Secret of a Job that migrates a tenant: who writes the product's program, or reads
// Secrets where it runs, has it as long as it runs.
var jobsLogin = otherLogin{
	by: byJob, own: byAJob,
	make: func(t *testing.T, s *stage) postgres.Config { t.Helper(); return s.job(t, own).Config },
	differs: map[string]probe{
		"SET ROLE to its own owner":     {want: harmless("that is what it is for")},
		"hide from the operator's look": {want: refused(denied)},
	},
}

const theTenantsOwn = "it is the tenant's own"

// byAJob are attempts of a program that a Job runs.
var byAJob = group{"By a Job's login", []probe{
	{name: "leave the owner's role", by: byJob, tries: "`SET ROLE NONE`, then another tenant's table", sql: "SET ROLE NONE; SELECT * FROM globex.item", want: refused(denied)},
	{name: "be somebody else by a reset", by: byJob, tries: "`DISCARD ALL` and `RESET ROLE`", before: []string{"DISCARD ALL"}, sql: "RESET ROLE; SELECT current_user = {own_owner_text}", gives: "t", want: harmless("the login's own setting makes it the owner again")},
	{
		name: "the tenant's rows without the owner's role", by: byJob, tries: "`SET ROLE NONE`, then its own tenant's table", sql: "SET ROLE NONE; SELECT secret FROM acme.item", gives: "secret of acme", want: refused(denied),
		want15: harmless("on 15 a membership inherits; " + theTenantsOwn),
	},
	{name: "give its owner away", by: byJob, tries: "`GRANT` of its owner to another tenant's login", sql: "GRANT {own_owner} TO {sibling_app}", want: refused(denied)},
	{name: "give itself away", by: byJob, tries: "`GRANT` of the Job's login to another tenant's login", sql: "SET ROLE NONE; GRANT {own_job} TO {sibling_app}", want: refused(denied)},
	{name: "let the owner log in", by: byJob, tries: "`ALTER ROLE` of the owner `LOGIN`", sql: "ALTER ROLE CURRENT_USER LOGIN", want: refused(denied)},
	{name: "the owner's password", by: byJob, tries: "`ALTER ROLE` of the owner `PASSWORD`", sql: "ALTER ROLE CURRENT_USER PASSWORD 'x'", after: func(t *testing.T, s *stage) {
		exec(t, s.admin, s.names().Replace("ALTER ROLE {own_owner} PASSWORD NULL"))
	}, want: harmless("the owner cannot log in")},
	{name: "give itself more time", by: byJob, tries: "`ALTER ROLE ... VALID UNTIL 'infinity'` of itself", sql: "SET ROLE NONE; ALTER ROLE CURRENT_USER VALID UNTIL 'infinity'", want: refused(denied)},
	{name: "more sessions than a Job may have", by: byJob, tries: "as many connections as the server lets it", do: manySessions, want: refused("53300")},
	{name: "its own password, for later", by: byJob, tries: "`ALTER ROLE ... PASSWORD` of itself", sql: "SET ROLE NONE; ALTER ROLE CURRENT_USER PASSWORD 'of its own'", after: anotherJob, want: harmless("it ends with the Job, and the next one gets another")},
	{name: "its own settings, for later", by: byJob, tries: "`ALTER ROLE ... IN DATABASE ... SET` of itself", sql: "SET ROLE NONE; ALTER ROLE CURRENT_USER IN DATABASE {database} SET search_path = globex", after: anotherJob, want: harmless("a path gives no rights; the next Job gets its own")},
	{name: "its tenant's login", by: byJob, tries: "`ALTER ROLE ... PASSWORD` of its own tenant's login", sql: "ALTER ROLE {own_app} PASSWORD 'x'", want: refused(denied)},
	{name: "go on after the end", by: byJob, tries: "a session that stays when the Job has ended", do: goOn(finish), want: refused("57P01")},
	{name: "go on beside the next Job", by: byJob, tries: "a session that stays when the tenant's next Job begins", do: goOn(nextJob), want: refused("57P01")},
	{name: "log in after the end", by: byJob, tries: "the password when the Job has ended", do: comeBack(finish), want: refused("28P01")},
	{name: "log in beside the next Job", by: byJob, tries: "the password when the tenant's next Job has begun", do: comeBack(nextJob), want: refused("28P01")},
	{name: "log in after its time", by: byJob, tries: "the password when its time is over and nobody ended it", do: comeLate, want: refused("28P01")},
	{name: "a tenant of another set", by: byJob, tries: "a Job of one MigrationSet for a tenant of another", do: foreignJob, want: refused(postgres.ReasonNotOwner)},
	{name: "a tenant that is gone", by: byJob, tries: "a Job for a tenant whose schema is retained", do: retainedJob, want: refused(postgres.ReasonSchemaRetained)},
	{name: "the schema for all, by a Job", by: byJob, tries: "`GRANT` of its schema and tables to PUBLIC", do: jobOpens, gives: "taken back", want: harmless(theTenantsOwn + "; the operator takes the schema back at its next pass")},
	{name: "what it makes as itself", by: byJob, tries: "a large object, and rights to come for PUBLIC, after `SET ROLE NONE`", do: jobLeaves, gives: "0 left", want: harmless("what it owns becomes the owner's, and the rest goes with it")},
	{name: "hold up its end", by: byJob, tries: "a transaction that stays open, with locks", do: holdEnd, want: harmless("its sessions are ended")},
	{name: "hold up its end from elsewhere", by: byJob, tries: "a large object of its own in `postgres`", do: holdFromElsewhere, gives: "no login, no owner", want: harmless("the role stays, without login and rights, until that is gone")},
	{name: "a view in its ledger's place", by: byJob, tries: "a view that runs a function of the Job's as whoever reads the framework's table", do: falseTable, gives: frameworks.ReasonLedgerUnusable, want: harmless("only the plain table of the owner is read")},
	{name: "hold up another tenant's Job by a grant", tries: "`GRANT` on a large object of its own to the login of another tenant's Job", do: holdJobByGrant, gives: "no login, no owner", want: harmless("such rights go, or the role stays without login and rights")},
	{name: "hold up another tenant's Job by a lock", tries: "a transaction that stays open after `ALTER DEFAULT PRIVILEGES ... TO` the login of another tenant's Job", do: holdJobByLock, gives: "no login, no owner", want: harmless("the role stays, without login and rights, until that session ends")},
}}

// jobTime is when the passwords of these Jobs end, at the same moment for all, as a snapshot shows it.
var jobTime = time.Now().Add(2 * time.Hour)

// job begins a Job for a tenant, as its MigrationSet's does.
func (s *stage) job(t *testing.T, schema string) postgres.JobLogin {
	t.Helper()
	return must(s.beginJob(t, schema, ownSet, jobTime))(t)
}

func (s *stage) beginJob(t *testing.T, schema, set string, until time.Time) (postgres.JobLogin, error) {
	t.Helper()
	return s.db.EnableJobLogin(t.Context(), "uid-"+schema, postgres.JobTerms{MigrationSet: set, SharedSchema: sharedSchema, Until: until})
}

// endJob ends the Job of a tenant and says what is left of its login.
func (s *stage) endJob(t *testing.T, schema string) (string, error) {
	t.Helper()
	if err := s.db.FinishJobLogin(t.Context(), "uid-"+schema, schema); err != nil {
		return "", err
	}
	login := postgres.TenantRoles(s.db.Config().Database(), schema).Job()
	var canLogin, acts bool
	err := s.eyes.QueryRow(t.Context(), `SELECT coalesce(bool_or(rolcanlogin OR rolpassword IS NOT NULL), false),
		coalesce(bool_or(EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles o ON o.oid = m.roleid AND o.rolname ~ '_owner$' WHERE m.member = a.oid)), false)
		FROM pg_authid a WHERE rolname = $1`, login).Scan(&canLogin, &acts)
	if err != nil {
		return "", err
	}
	return map[bool]string{true: "a login", false: "no login"}[canLogin] + map[bool]string{true: ", an owner", false: ", no owner"}[acts], nil
}

// anotherJob is the Job that follows.
func anotherJob(t *testing.T, s *stage) { s.logins[own] = s.job(t, own).Config }

// manySessions opens more sessions than any program that migrates needs, and fewer than the server has.
func manySessions(t *testing.T, s *stage) (string, error) {
	t.Helper()
	for range 40 {
		conn, err := pgx.Connect(t.Context(), s.uri(own))
		if err != nil {
			return "", err
		}
		defer hangUp(t, conn)
	}
	return "all of them", nil
}

// end is a way in which a Job's login ends.
type end func(ctx context.Context, db *postgres.DB, uid, schema string) error

func finish(ctx context.Context, db *postgres.DB, uid, schema string) error {
	return db.FinishJobLogin(ctx, uid, schema)
}

func nextJob(ctx context.Context, db *postgres.DB, uid, _ string) error {
	_, err := db.EnableJobLogin(ctx, uid, postgres.JobTerms{MigrationSet: ownSet, SharedSchema: sharedSchema, Until: jobTime})
	return err
}

// withMallory makes a tenant for one attempt, with a Job.
func withMallory(try func(t *testing.T, s *stage, job postgres.JobLogin) (string, error)) func(*testing.T, *stage) (string, error) {
	return func(t *testing.T, s *stage) (string, error) {
		t.Helper()
		s.add(t, attacker, ownSet)
		defer s.leave(t, attacker)
		return try(t, s, s.job(t, attacker))
	}
}

func goOn(by end) func(*testing.T, *stage) (string, error) {
	return withMallory(func(t *testing.T, s *stage, job postgres.JobLogin) (string, error) {
		t.Helper()
		conn := must(pgx.Connect(t.Context(), job.Config.URI()))(t)
		defer hangUp(t, conn)
		if err := by(t.Context(), s.db, job.UID, attacker); err != nil {
			t.Fatal(err)
		}
		return lastValue(t, conn, "SELECT current_user")
	})
}

func comeBack(after end) func(*testing.T, *stage) (string, error) {
	return withMallory(func(t *testing.T, s *stage, job postgres.JobLogin) (string, error) {
		t.Helper()
		if err := after(t.Context(), s.db, job.UID, attacker); err != nil {
			t.Fatal(err)
		}
		return s.session(t, job.Config.URI(), nil, "SELECT current_user")
	})
}

func comeLate(t *testing.T, s *stage) (string, error) {
	t.Helper()
	s.add(t, attacker, ownSet)
	defer s.leave(t, attacker)
	job := must(s.beginJob(t, attacker, ownSet, time.Now().Add(-time.Hour)))(t)
	return s.session(t, job.Config.URI(), nil, "SELECT current_user")
}

func foreignJob(t *testing.T, s *stage) (string, error) {
	t.Helper()
	_, err := s.beginJob(t, stranger, ownSet, jobTime)
	return "", err
}

func retainedJob(t *testing.T, s *stage) (string, error) {
	t.Helper()
	s.add(t, attacker, ownSet)
	defer s.leave(t, attacker)
	if err := s.db.Retain(t.Context(), "uid-"+attacker, attacker); err != nil {
		t.Fatal(err)
	}
	_, err := s.beginJob(t, attacker, ownSet, jobTime)
	return "", err
}

var jobOpens = withMallory(func(t *testing.T, s *stage, job postgres.JobLogin) (string, error) {
	t.Helper()
	exec(t, job.Config.URI(), "GRANT USAGE ON SCHEMA mallory TO PUBLIC", "GRANT SELECT ON mallory.item TO PUBLIC")
	opened := s.names().Replace("SELECT has_schema_privilege({sibling_app_text}, 'mallory', 'USAGE')")
	if value(t, s.admin, opened) != "true" {
		return "nothing was given", nil
	}
	if _, err := s.endJob(t, attacker); err != nil {
		return "", err
	}
	provision(t, s.db, tenantOf(attacker, ownSet))
	if value(t, s.admin, opened) != "false" {
		return "still given", nil
	}
	return "taken back", nil
})

var jobLeaves = withMallory(func(t *testing.T, s *stage, job postgres.JobLogin) (string, error) {
	t.Helper()
	exec(t, job.Config.URI(), "SET ROLE NONE", "SELECT lo_create(4714)", "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC")
	if _, err := s.endJob(t, attacker); err != nil {
		return "", err
	}
	if got := value(t, s.admin, "SELECT pg_get_userbyid(lomowner) FROM pg_largeobject_metadata WHERE oid = 4714"); got != job.Owner {
		t.Errorf("the large object belongs to %q, want %q", got, job.Owner)
	}
	return value(t, s.admin, "SELECT count(*) FROM pg_roles WHERE rolname = '"+job.Config.User()+"'") + " left", nil
})

var holdEnd = withMallory(func(t *testing.T, s *stage, job postgres.JobLogin) (string, error) {
	t.Helper()
	conn := must(pgx.Connect(t.Context(), job.Config.URI()))(t)
	defer hangUp(t, conn)
	if _, err := lastValue(t, conn, "BEGIN; LOCK TABLE mallory.item; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO "+pgx.Identifier{job.Config.User()}.Sanitize()); err != nil {
		t.Fatal(err)
	}
	return "", s.db.FinishJobLogin(t.Context(), job.UID, attacker)
})

func holdFromElsewhere(t *testing.T, s *stage) (string, error) {
	t.Helper()
	s.add(t, attacker, ownSet)
	job := s.job(t, attacker)
	exec(t, inDatabase(t, job.Config, "postgres").URI(), "SELECT lo_create(4715)")
	left, err := s.endJob(t, attacker)
	exec(t, s.server.AdminDSN(), "DROP OWNED BY "+pgx.Identifier{job.Config.User()}.Sanitize())
	s.leave(t, attacker)
	return left, err
}

var falseTable = withMallory(func(t *testing.T, s *stage, job postgres.JobLogin) (string, error) {
	t.Helper()
	exec(t, job.Config.URI(), "CREATE FUNCTION mallory.trap() RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trapped''; END'",
		"CREATE VIEW mallory.schema_migrations AS SELECT mallory.trap() AS version")
	_, err := frameworks.Read(t.Context(), s.migrator(t, ownSet).Pool(), frameworks.Rails, attacker, job.Owner)
	return fault.ReasonOf(err), nil
})

func holdJobByGrant(t *testing.T, s *stage) (string, error) {
	t.Helper()
	s.add(t, victim, ownSet)
	job := s.job(t, victim)
	exec(t, s.uri(sibling), "SELECT lo_create(4716)", "GRANT SELECT ON LARGE OBJECT 4716 TO "+pgx.Identifier{job.Config.User()}.Sanitize())
	left, err := s.endJob(t, victim)
	exec(t, s.uri(sibling), "SELECT lo_unlink(4716)")
	s.leave(t, victim)
	return left, err
}

func holdJobByLock(t *testing.T, s *stage) (string, error) {
	t.Helper()
	s.add(t, victim, ownSet)
	job := s.job(t, victim)
	conn := must(pgx.Connect(t.Context(), s.uri(sibling)))(t)
	_, held := lastValue(t, conn, fmt.Sprintf("BEGIN; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO %s", pgx.Identifier{job.Config.User()}.Sanitize()))
	if held != nil {
		t.Fatal(held)
	}
	left, err := s.endJob(t, victim)
	hangUp(t, conn)
	s.leave(t, victim)
	return left, err
}
