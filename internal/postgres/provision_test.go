package postgres_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

func TestProvisionMakesATenant(t *testing.T) {
	db := newDB(t)
	tn := tenant("acme")
	tn.ConnectionLimit, tn.StatementTimeout = 7, 20*time.Second

	before := observe(t, db, tn)
	if before.Registered || before.SchemaExists || len(before.Drift) == 0 {
		t.Fatalf("before = %+v", before)
	}
	if changed := must(db.Provision(t.Context(), tn))(t); !changed {
		t.Error("a new tenant is no change")
	}
	database := db.Config().Database()
	want := postgres.Observation{
		Registered: true, OwnerUID: tn.UID, OwnerNamespace: "customers", OwnerName: "acme", State: postgres.StateActive,
		Roles:        postgres.TenantRoles(database, "acme"),
		SchemaExists: true, SchemaOwnedByOwner: true, OwnerRoleExists: true, AppRoleExists: true,
	}
	got := observe(t, db, tn)
	if want.AppOID = got.AppOID; got.AppOID == 0 {
		t.Error("the login has no number")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("observation (-want +got):\n%s", diff)
	}
	if changed := must(db.Provision(t.Context(), tn))(t); changed {
		t.Error("provisioning again is a change")
	}
	if schema, found, err := db.FindTenant(t.Context(), tn.UID); schema != "acme" || !found || err != nil {
		t.Errorf("FindTenant = %q, %v, %v", schema, found, err)
	}
	if _, found, err := db.FindTenant(t.Context(), "nobody"); found || err != nil {
		t.Errorf("FindTenant(nobody) = %v, %v", found, err)
	}

	cfg := setPassword(t, db, tn)
	asOwner(t, db, tn,
		"CREATE TABLE item (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, old serial, name text)",
		"CREATE VIEW names AS SELECT name FROM item",
		"CREATE FUNCTION double(i int) RETURNS int LANGUAGE sql AS 'SELECT 2 * i'")
	exec(t, cfg, "INSERT INTO item (name) VALUES ('a')", "UPDATE item SET name = 'b'", "SELECT double(1) FROM names", "DELETE FROM item")
	if err := tryExec(t, cfg, "TRUNCATE item"); postgres.CauseOf(err) != postgres.InsufficientPrivilege {
		t.Errorf("TRUNCATE: %v", err)
	}
	if got := query(t, cfg, "current_setting('search_path') || ' ' || current_setting('statement_timeout')"); got != "acme, shared 20s" {
		t.Errorf("settings = %s", got)
	}
	if got := query(t, cfg, "SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user"); got != "7" {
		t.Errorf("connection limit = %s", got)
	}
}

func TestProvisionRefusals(t *testing.T) {
	db := newDB(t)
	acme, _ := newTenant(t, db, "acme")
	exec(t, db.Config(), "CREATE SCHEMA legacy")
	exec(t, admin(t, "postgres"), "CREATE ROLE "+quote(postgres.TenantRoles(db.Config().Database(), "ghost").App))
	other := func(schema string) postgres.Tenant {
		tn := tenant(schema)
		tn.UID, tn.Namespace, tn.Name = "other", "elsewhere", "other"
		return tn
	}
	full := other("full")
	full.MaxTenants = 1
	second := acme
	second.Schema = "acme2"
	noMigrator := other("fresh")
	noMigrator.MigrationSet = "team/unknown"
	tests := map[string]struct {
		tenant     postgres.Tenant
		wantKind   fault.Kind
		wantReason string
	}{
		"another tenant's schema":   {other("acme"), fault.Invalid, postgres.ReasonSchemaNameTaken},
		"a schema that was there":   {other("legacy"), fault.Invalid, postgres.ReasonSchemaNameTaken},
		"the shared schema":         {other("shared"), fault.Invalid, postgres.ReasonInvalidSchemaName},
		"a role that was there":     {other("ghost"), fault.Invalid, postgres.ReasonSchemaNameTaken},
		"a full database":           {full, fault.Waiting, postgres.ReasonDatabaseFull},
		"a second schema of a UID":  {second, fault.Invalid, postgres.ReasonSchemaNameTaken},
		"a set without its login":   {noMigrator, fault.Waiting, postgres.ReasonNotProvisioned},
		"a reserved name":           {other("public"), fault.Invalid, postgres.ReasonInvalidSchemaName},
		"no UID":                    {postgres.Tenant{Schema: "x"}, fault.Invalid, postgres.ReasonNotOwner},
		"its own name as shared":    {postgres.Tenant{UID: "u", Schema: "x", SharedSchema: "x"}, fault.Invalid, postgres.ReasonInvalidSchemaName},
		"public as shared":          {postgres.Tenant{UID: "u", Schema: "x", SharedSchema: "public"}, fault.Invalid, postgres.ReasonInvalidSchemaName},
		"a statement for a schema":  {other(`x"; DROP TABLE tenantry.tenant; --`), fault.Invalid, postgres.ReasonInvalidSchemaName},
		"the registry for a schema": {other("tenantry"), fault.Invalid, postgres.ReasonInvalidSchemaName},
	}
	before := snapshot(t, db)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			changed, err := db.Provision(t.Context(), tt.tenant)
			if changed && err == nil || fault.KindOf(err) != tt.wantKind || fault.ReasonOf(err) != tt.wantReason {
				t.Errorf("Provision = %v, %v (%v %s), want %v %s", changed, err, fault.KindOf(err), fault.ReasonOf(err), tt.wantKind, tt.wantReason)
			}
		})
	}
	if diff := cmp.Diff(before, snapshot(t, db)); diff != "" {
		t.Errorf("refusals changed something:\n%s", diff)
	}
}

// snapshot is all of the database's registry, schemas, and roles with their attributes and members.
func snapshot(t *testing.T, db *postgres.DB) string {
	t.Helper()
	return query(t, admin(t, db.Config().Database()), `SELECT jsonb_pretty(jsonb_build_object(
		'tenants', (SELECT jsonb_agg(t ORDER BY schema_name) FROM tenantry.tenant t),
		'domains', (SELECT jsonb_agg(d ORDER BY host) FROM tenantry.domain d),
		'schemas', (SELECT jsonb_agg(jsonb_build_array(nspname, nspowner::regrole, nspacl) ORDER BY nspname) FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%'),
		'tables', (SELECT jsonb_agg(jsonb_build_array(relname, relacl) ORDER BY relname) FROM pg_class WHERE relnamespace::regnamespace::text NOT LIKE 'pg\_%'),
		'defaults', (SELECT jsonb_agg(jsonb_build_array(defaclrole::regrole, defaclobjtype, defaclacl) ORDER BY defaclrole, defaclobjtype) FROM pg_default_acl),
		'settings', (SELECT jsonb_agg(jsonb_build_array(setrole::regrole, setconfig) ORDER BY setrole) FROM pg_db_role_setting),
		'roles', (SELECT jsonb_agg(to_jsonb(r) - 'oid' ORDER BY rolname) FROM pg_authid r WHERE rolname LIKE '%' || current_database() || '%'),
		'members', (SELECT jsonb_agg(jsonb_build_array(roleid::regrole, member::regrole) ORDER BY roleid, member, grantor) FROM pg_auth_members)))`)
}

// Every call that changes something is tried with a UID that is not the registry's.
func TestFence(t *testing.T) {
	db := newDB(t)
	acme, _ := newTenant(t, db, "acme")
	if _, err := db.SetDomains(t.Context(), acme.UID, "acme", []string{"acme.example.com"}); err != nil {
		t.Fatal(err)
	}
	must(db.EnsureMigrator(t.Context(), "team/set"))(t)
	verifier := must(postgres.SCRAMVerifier("secret"))(t)
	intruder := acme
	intruder.UID, intruder.Name = "intruder", "intruder" // no namesake, who may be the heir
	for _, uid := range []string{"intruder", "", "uid-acme ", "UID-ACME", "uid-acme' OR '1'='1"} {
		calls := map[string]func() error{
			"Provision":     func() error { intruder.UID = uid; _, err := db.Provision(t.Context(), intruder); return err },
			"Adopt":         func() error { intruder.UID = "intruder"; return db.Adopt(t.Context(), intruder, uid) },
			"TakeOver":      func() error { intruder.UID = uid; return db.TakeOver(t.Context(), intruder, "") },
			"Adopt, active": func() error { intruder.UID = "intruder"; return db.Adopt(t.Context(), intruder, acme.UID) },
			"SetPassword":   func() error { return db.SetPassword(t.Context(), uid, "acme", verifier) },
			"SetVersion":    func() error { _, err := db.SetVersion(t.Context(), uid, "acme", "9", "d"); return err },
			"SetDomains":    func() error { _, err := db.SetDomains(t.Context(), uid, "acme", []string{"x.com"}); return err },
			"DisableLogins": func() error { return db.DisableLogins(t.Context(), uid, "acme") },
			"Retain":        func() error { return db.Retain(t.Context(), uid, "acme") },
			"Drop":          func() error { return db.Drop(t.Context(), uid, "acme") },
			"GrantOwner":    func() error { _, err := db.GrantOwner(t.Context(), uid, "acme", "team/set"); return err },
		}
		before := snapshot(t, db)
		for name, call := range calls {
			err := call()
			if err == nil || uid != "" && !errors.Is(err, postgres.ErrNotOwner) || fault.KindOf(err) != fault.Invalid {
				t.Errorf("%s as %q = %v", name, uid, err)
			}
		}
		if diff := cmp.Diff(before, snapshot(t, db)); diff != "" {
			t.Errorf("%q changed something:\n%s", uid, diff)
		}
	}
}

func TestProvisionManyAtOnce(t *testing.T) {
	db := newDB(t)
	const count = 50
	must(db.EnsureMigrator(t.Context(), "team/set"))(t)
	errs := make([]error, count)
	var wg sync.WaitGroup
	for i := range count {
		wg.Go(func() {
			tn := tenant(fmt.Sprintf("t%d", i))
			tn.MaxTenants, tn.MigrationSet = count, "team/set"
			_, errs[i] = db.Provision(t.Context(), tn)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	rows := must(db.Tenants(t.Context()))(t)
	if len(rows) != count {
		t.Errorf("%d tenants, want %d", len(rows), count)
	}
	tn := tenant("onemore")
	tn.MaxTenants = count
	if _, err := db.Provision(t.Context(), tn); fault.ReasonOf(err) != postgres.ReasonDatabaseFull {
		t.Errorf("one more: %v", err)
	}
	for i := range count {
		tn := tenant(fmt.Sprintf("t%d", i))
		tn.MigrationSet = "team/set"
		if o := observe(t, db, tn); len(o.Drift)+len(o.Foreign) > 0 {
			t.Fatalf("drift of %s: %v %v", tn.Schema, o.Drift, o.Foreign)
		}
	}
}

// Nobody may have more tenants than the bound, and one schema goes to one UID.
func TestProvisionRaces(t *testing.T) {
	db := newDB(t)
	const count = 20
	errs := make([]error, count)
	var wg sync.WaitGroup
	for i := range count {
		wg.Go(func() {
			tn := tenant("same")
			tn.UID, tn.Name = fmt.Sprintf("uid-%d", i), fmt.Sprintf("n%d", i)
			if i%2 == 0 {
				tn = tenant(fmt.Sprintf("room%d", i))
			}
			tn.MaxTenants = 4
			_, errs[i] = db.Provision(t.Context(), tn)
		})
	}
	wg.Wait()
	won := map[string]int{}
	for i, err := range errs {
		switch {
		case err == nil:
			won[[]string{"room", "same"}[i%2]]++
		case fault.ReasonOf(err) != postgres.ReasonDatabaseFull && fault.ReasonOf(err) != postgres.ReasonSchemaNameTaken:
			t.Error(err)
		}
	}
	if rows := must(db.Tenants(t.Context()))(t); len(rows) != 4 || won["same"] > 1 || won["room"]+won["same"] != 4 {
		t.Errorf("%d rows, winners %v", len(rows), won)
	}
}
