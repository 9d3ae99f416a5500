package postgres_test

import (
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
	} {
		tn := tenant(name)
		change(&tn)
		said, begun, err := db.Begin(t.Context(), tn)
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
		verifier := must(postgres.SCRAMVerifier(postgres.NewPassword()))(t)
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
	for what, tn := range map[string]postgres.Tenant{
		"again": tn, "rival": rival, "moved": moved, "schema": tenant("planted"), "roles": tenant("roles"), "shared": tenant("shared_2"),
	} {
		if _, begun, err := db.Begin(t.Context(), tn); begun || err != nil {
			t.Errorf("%s: begun = %v, %v", what, begun, err)
		}
		if o := observe(t, db, tn); o.OwnerUID == tn.UID && what != "again" {
			t.Errorf("%s is in the registry", what)
		}
	}
	full := tenant("full")
	full.MaxTenants = 1
	unprepared := tenant("unprepared")
	unprepared.MigrationSet = "no/login"
	for reason, tn := range map[string]postgres.Tenant{
		postgres.ReasonDatabaseFull: full, postgres.ReasonNotProvisioned: unprepared,
	} {
		if _, begun, err := db.Begin(t.Context(), tn); begun || fault.ReasonOf(err) != reason {
			t.Errorf("%s: begun = %v, %v, want %s", tn.Schema, begun, err, reason)
		}
		if observe(t, db, tn).Registered {
			t.Errorf("%s is in the registry", tn.Schema)
		}
	}
}
