package postgres_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// What Begin says of a tenant is what there is, also after the writes that usually follow.
func TestBeginSaysWhatObserveSays(t *testing.T) {
	db := newDB(t)
	must(db.EnsureMigrator(t.Context(), "a/b"))(t)
	for name, change := range map[string]func(*postgres.Tenant){
		"plain":   func(*postgres.Tenant) {},
		"limits":  func(tn *postgres.Tenant) { tn.ConnectionLimit, tn.StatementTimeout = 3, time.Minute },
		"set":     func(tn *postgres.Tenant) { tn.MigrationSet = "a/b" },
		"alone":   func(tn *postgres.Tenant) { tn.SharedSchema = "" },
		"bounded": func(tn *postgres.Tenant) { tn.MaxTenants = 100 },
		"off":     func(*postgres.Tenant) {},
	} {
		tn := tenant(name)
		change(&tn)
		verifier, asked := must(postgres.SCRAMVerifier(postgres.NewPassword()))(t), 0
		said, begun, err := db.Begin(t.Context(), tn, func(names postgres.RoleNames) (string, error) {
			if asked++; asked > 1 || names != postgres.TenantRoles(db.Config().Database(), tn.Schema) {
				t.Errorf("%s: asked %d times, for %v", name, asked, names)
			}
			return map[bool]string{true: verifier}[name != "off"], nil
		})
		if err != nil || !begun {
			t.Fatalf("%s: begun = %v, %v", name, begun, err)
		}
		other := open(t, db.Config())
		compare := func(what string, got postgres.Observation) {
			t.Helper()
			if diff := cmp.Diff(observe(t, other, tn), got); diff != "" {
				t.Errorf("%s, %s (-there is +said):\n%s", name, what, diff)
			}
		}
		compare("begun", said)
		if said.AppCanLogin != (name != "off") {
			t.Errorf("%s: can log in = %v", name, said.AppCanLogin)
		}
		if err := db.SetPassword(t.Context(), tn.UID, tn.Schema, verifier); err != nil {
			t.Fatal(err)
		}
		must(db.SetVersion(t.Context(), tn.UID, tn.Schema, "7", "digest"))(t)
		must(db.SetDomains(t.Context(), tn.UID, tn.Schema, []string{name + ".example.com"}))(t)
		compare("recalled", must(db.Recall(t.Context(), tn, time.Hour))(t))
		if o := observe(t, db, tn); len(o.Drift) > 0 {
			t.Errorf("%s: drift %q", name, o.Drift)
		}
	}
}

// What is there already is not begun, whoever's it is, and stays as it is.
func TestBeginIsForNewTenants(t *testing.T) {
	db := newDB(t)
	tn, _ := newTenant(t, db, "acme")
	exec(t, admin(t, db.Config().Database()), "CREATE SCHEMA planted",
		"INSERT INTO tenantry.shared_schema (schema_name, owner_role) VALUES ('shared_2', 'x')", `CREATE ROLE "`+postgres.TenantRoles(db.Config().Database(), "roles").Second()+`"`)
	rival, moved := tn, tn
	rival.UID, moved.Schema = "rival", "elsewhere"
	full := tenant("full")
	full.MaxTenants = 1
	unasked := func(postgres.RoleNames) (string, error) { t.Error("a password was asked for"); return "", nil }
	for what, tn := range map[string]postgres.Tenant{
		"again": tn, "rival": rival, "moved": moved, "schema": tenant("planted"), "roles": tenant("roles"), "shared": tenant("shared_2"), "full": full,
	} {
		password := unasked
		if what == "full" {
			password = nil // is found behind the look
		}
		if _, begun, err := db.Begin(t.Context(), tn, password); begun || err != nil {
			t.Errorf("%s: begun = %v, %v", what, begun, err)
		}
		if o := observe(t, db, tn); o.OwnerUID == tn.UID && what != "again" {
			t.Errorf("%s is in the registry", what)
		}
	}
	unprepared := tenant("unprepared")
	unprepared.MigrationSet = "no/login"
	if _, begun, err := db.Begin(t.Context(), unprepared, unasked); begun || fault.ReasonOf(err) != postgres.ReasonNotProvisioned {
		t.Errorf("without the set's login: begun = %v, %v", begun, err)
	}
	if observe(t, db, unprepared).Registered {
		t.Error("a tenant whose set has no login is in the registry")
	}
	plain := func(postgres.RoleNames) (string, error) { return "hunter2-clear-text", nil }
	if _, begun, err := db.Begin(t.Context(), tenant("clear"), plain); begun || err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a password in clear text: begun = %v, %v", begun, err)
	}
	refused, none := errors.New("no Secret"), tenant("refused")
	if _, begun, err := db.Begin(t.Context(), none, func(postgres.RoleNames) (string, error) { return "", refused }); begun || !errors.Is(err, refused) {
		t.Errorf("without an answer about the password: begun = %v, %v", begun, err)
	}
	if observe(t, db, none).Registered {
		t.Error("a tenant was made without an answer about its password")
	}
}

// What comes between the look and the making takes the making back, all of it.
func TestBeginLosesARace(t *testing.T) {
	db := newDB(t)
	super := admin(t, db.Config().Database())
	for what, between := range map[string]func(tn postgres.Tenant){
		"schema": func(tn postgres.Tenant) { exec(t, super, `CREATE SCHEMA "`+tn.Schema+`"`) },
		"role": func(tn postgres.Tenant) {
			exec(t, super, `CREATE ROLE "`+postgres.TenantRoles(db.Config().Database(), tn.Schema).App+`"`)
		},
		"row": func(tn postgres.Tenant) { tn.UID = "rival"; must(db.Provision(t.Context(), tn))(t) },
	} {
		tn := tenant("race_" + what)
		verifier := must(postgres.SCRAMVerifier(postgres.NewPassword()))(t)
		_, begun, err := db.Begin(t.Context(), tn, func(postgres.RoleNames) (string, error) { between(tn); return verifier, nil })
		if begun || err != nil {
			t.Errorf("%s: begun = %v, %v", what, begun, err)
		}
		if o := observe(t, db, tn); o.OwnerUID == tn.UID || o.AppCanLogin || o.OwnerRoleExists != (what == "row") {
			t.Errorf("%s: something was made: %+v", what, o)
		}
	}
}
