package postgres_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

func TestSharedSchema(t *testing.T) {
	db := newDB(t)
	database := db.Config().Database()
	acme, login := newTenant(t, db, "acme")
	migrator := must(db.EnsureMigrator(t.Context(), "team/shared"))(t)
	made, changed, err := db.EnsureShared(t.Context(), "shared", "team/shared")
	owner := made.Owner
	if err != nil || !changed || owner != postgres.SharedOwnerRole(database, "shared") {
		t.Fatalf("EnsureShared = %s, %v, %v", owner, changed, err)
	}
	exec(t, migrator, "SET ROLE "+quote(owner), "SET search_path = shared",
		"CREATE TABLE plan (id serial PRIMARY KEY, name text, price int)", "CREATE TABLE secret (x int)",
		"CREATE TABLE tenantry_migrations (version text)", "CREATE VIEW plans AS SELECT name FROM plan",
		"INSERT INTO plan (name) VALUES ('gold')", "GRANT ALL ON secret TO PUBLIC", "GRANT SELECT (price) ON plan TO "+quote(postgres.GroupRole(database)))
	if err := tryExec(t, login, "SELECT * FROM shared.plan"); postgres.CauseOf(err) != postgres.InsufficientPrivilege {
		t.Errorf("before any grant: %v", err)
	}
	grants := []postgres.TableGrant{
		{Table: "plan", Privileges: []string{"SELECT", "INSERT", "REFERENCES"}},
		{Table: "plans", Privileges: []string{"SELECT"}},
	}
	for _, want := range []bool{true, false} {
		if changed := must(db.SetSharedGrants(t.Context(), "shared", grants))(t); changed != want {
			t.Errorf("SetSharedGrants changed = %v, want %v", changed, want)
		}
	}
	exec(t, login, "INSERT INTO plan (name) VALUES ('silver')", "SELECT * FROM plan, plans")
	asOwner(t, db, acme, "CREATE TABLE subscription (plan int REFERENCES shared.plan)")
	for _, sql := range []string{"UPDATE shared.plan SET name = 'x'", "SELECT * FROM shared.secret", "SELECT * FROM shared.tenantry_migrations", "TRUNCATE shared.plan"} {
		if err := tryExec(t, login, sql); postgres.CauseOf(err) != postgres.InsufficientPrivilege {
			t.Errorf("%s: %v", sql, err)
		}
	}
	must(db.SetSharedGrants(t.Context(), "shared", grants[1:]))(t)
	for _, sql := range []string{"SELECT name FROM shared.plan", "SELECT price FROM shared.plan", "SELECT nextval('shared.plan_id_seq')"} {
		if err := tryExec(t, login, sql); postgres.CauseOf(err) != postgres.InsufficientPrivilege {
			t.Errorf("taken, and still %s: %v", sql, err)
		}
	}

	if _, changed, err := db.EnsureShared(t.Context(), "shared", "team/other"); err == nil {
		t.Errorf("a set without a login: %v", changed)
	}
	must(db.EnsureMigrator(t.Context(), "team/other"))(t)
	if _, changed, err := db.EnsureShared(t.Context(), "shared", "team/other"); err != nil || !changed {
		t.Errorf("another set: %v, %v", changed, err)
	}
	if err := tryExec(t, migrator, "SET ROLE "+quote(owner)); err == nil {
		t.Error("the old set may still act as owner")
	}
	if _, changed, err := db.EnsureShared(t.Context(), "shared", ""); err != nil || changed {
		t.Errorf("no set: %v, %v", changed, err)
	}
}

// What another role granted is taken by whom has its rights, and else reported with the statement that takes it. Nothing
// is written over and over.
func TestSharedSchemaOfAnotherOperator(t *testing.T) {
	db := newDB(t)
	if !isPostgres16(t, db) { // before, whoever manages a role takes all memberships in it
		return
	}
	must(db.EnsureMigrator(t.Context(), "team/other"))(t)
	migrator := must(db.EnsureMigrator(t.Context(), "team/shared"))(t)
	made, _, err := db.EnsureShared(t.Context(), "shared", "team/shared")
	if err != nil {
		t.Fatal(err)
	}
	super, owner, old := admin(t, db.Config().Database()), quote(made.Owner), quote(db.Config().Database()+"_old")
	byOld := "GRANT " + owner + " TO " + quote(migrator.User()) + " WITH INHERIT FALSE, SET TRUE GRANTED BY " + old
	exec(t, super, "CREATE ROLE "+old, "GRANT "+owner+" TO "+old+" WITH ADMIN OPTION", byOld,
		"REVOKE "+owner+" FROM "+quote(migrator.User())+" GRANTED BY "+quote(db.Config().User()))
	ensure := func(foreign int) (found []postgres.Excess) {
		t.Helper()
		for _, want := range []bool{true, false} {
			shared, changed, err := db.EnsureShared(t.Context(), "shared", "team/other")
			if err != nil || changed != want || len(shared.Foreign) != foreign {
				t.Errorf("EnsureShared = %+v, %v, %v, want %d foreign, and %v", shared, changed, err, foreign, want)
			}
			found = shared.Foreign
		}
		return found
	}
	for _, e := range ensure(1) {
		exec(t, migrator, "SET ROLE "+owner)
		exec(t, super, e.Mend)
	}
	if err := tryExec(t, migrator, "SET ROLE "+owner); err == nil {
		t.Error("the statement leaves the old set its right")
	}
	exec(t, super, byOld, "GRANT "+old+" TO "+quote(db.Config().User())+" WITH INHERIT TRUE")
	ensure(0)
	if err := tryExec(t, migrator, "SET ROLE "+owner); err == nil {
		t.Error("the old set may still act as owner")
	}
	exec(t, super, "DROP ROLE "+old)
}

func TestSharedRefusals(t *testing.T) {
	db := newDB(t)
	newTenant(t, db, "acme")
	exec(t, db.Config(), "CREATE SCHEMA legacy")
	for schema, want := range map[string]string{
		"acme": postgres.ReasonSchemaNameTaken, "legacy": postgres.ReasonSchemaNameTaken, "public": postgres.ReasonInvalidSchemaName,
		"tenantry": postgres.ReasonInvalidSchemaName, "pg_x": postgres.ReasonInvalidSchemaName, `x"y`: postgres.ReasonInvalidSchemaName,
	} {
		if _, _, err := db.EnsureShared(t.Context(), schema, ""); fault.ReasonOf(err) != want || fault.KindOf(err) != fault.Invalid {
			t.Errorf("EnsureShared(%s) = %v", schema, err)
		}
	}
	before := snapshot(t, db)
	for name, grant := range map[string]postgres.TableGrant{
		"unknown table":     {Table: "nothing", Privileges: []string{"SELECT"}},
		"unknown privilege": {Table: "plan", Privileges: []string{"TRUNCATE"}},
		"injection":         {Table: "plan", Privileges: []string{"SELECT ON x TO y; --"}},
		"the ledger":        {Table: "tenantry_migrations", Privileges: []string{"SELECT"}},
		"hostile table":     {Table: `x" TO PUBLIC; --`, Privileges: []string{"SELECT"}},
	} {
		if _, err := db.SetSharedGrants(t.Context(), "shared", []postgres.TableGrant{grant}); fault.ReasonOf(err) != postgres.ReasonInvalidGrant {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := db.SetSharedGrants(t.Context(), "acme", nil); fault.ReasonOf(err) != postgres.ReasonNotProvisioned {
		t.Errorf("grants on a tenant's schema: %v", err)
	}
	if diff := cmp.Diff(before, snapshot(t, db)); diff != "" {
		t.Errorf("refusals changed something:\n%s", diff)
	}
}

func TestRecords(t *testing.T) {
	db := newDB(t)
	acme, _ := newTenant(t, db, "acme")
	other, _ := newTenant(t, db, "other")
	for _, want := range []bool{true, false} {
		if changed := must(db.SetVersion(t.Context(), acme.UID, "acme", "12", "d"))(t); changed != want {
			t.Errorf("SetVersion changed = %v, want %v", changed, want)
		}
		if changed := must(db.SetDomains(t.Context(), acme.UID, "acme", []string{"b.com", "a.com"}))(t); changed != want {
			t.Errorf("SetDomains changed = %v, want %v", changed, want)
		}
	}
	must(db.SetDomains(t.Context(), acme.UID, "acme", []string{"a.com", "b.com", "c.com"}))(t)
	if _, err := db.SetDomains(t.Context(), other.UID, "other", []string{"x.com", "c.com"}); fault.ReasonOf(err) != postgres.ReasonDomainTaken {
		t.Errorf("a taken domain: %v", err)
	}
	for name, err := range map[string]error{
		"SetVersion":  second(db.SetVersion(t.Context(), "uid", "nothing", "1", "d")),
		"SetDomains":  second(db.SetDomains(t.Context(), "uid", "nothing", nil)),
		"GrantOwner":  second(db.GrantOwner(t.Context(), "uid", "nothing", "team/set")),
		"SetPassword": db.SetPassword(t.Context(), "uid", "nothing", must(postgres.SCRAMVerifier("x"))(t)),
	} {
		if fault.ReasonOf(err) != postgres.ReasonNotProvisioned || fault.KindOf(err) != fault.Waiting {
			t.Errorf("%s of nothing = %v", name, err)
		}
	}
	rows := must(db.Tenants(t.Context()))(t)
	database := db.Config().Database()
	want := []postgres.RegistryRow{
		{
			Schema: "acme", UID: acme.UID, Namespace: "customers", Name: "acme", Roles: postgres.TenantRoles(database, "acme"), State: "active",
			Version: "12", Digest: "d", Domains: []string{"a.com", "b.com", "c.com"},
		},
		{Schema: "other", UID: other.UID, Namespace: "customers", Name: "other", Roles: postgres.TenantRoles(database, "other"), State: "active", Domains: []string{}},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}

	one, two := postgres.AppliedFile{Version: "1", Name: "1_a.sql", Checksum: "c1"}, postgres.AppliedFile{Version: "2", Name: "2_b.sql", Checksum: "c2"}
	changedTwo := one
	changedTwo.Checksum = "other"
	for _, step := range []struct {
		files []postgres.AppliedFile
		want  bool
	}{{[]postgres.AppliedFile{one}, true}, {[]postgres.AppliedFile{one, two}, true}, {[]postgres.AppliedFile{changedTwo, two}, false}, {nil, false}} {
		if changed := must(db.RecordFiles(t.Context(), "team/set", step.files))(t); changed != step.want {
			t.Errorf("RecordFiles(%v) = %v", step.files, changed)
		}
	}
	if diff := cmp.Diff([]postgres.AppliedFile{one, two}, must(db.AppliedFiles(t.Context(), "team/set"))(t)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func second[T any](_ T, err error) error { return err }
