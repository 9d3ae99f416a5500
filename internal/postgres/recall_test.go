package postgres_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tenantry/tenantry/internal/postgres"
)

// fleet makes tenants of every sort, some of which somebody damaged, and returns what each should be.
func fleet(t *testing.T, db *postgres.DB) []postgres.Tenant {
	t.Helper()
	for _, set := range []string{"a/b", "c/d"} {
		must(db.EnsureMigrator(t.Context(), set))(t)
	}
	must(db.Bootstrap(t.Context(), "marker", "shared"))(t)
	var all []postgres.Tenant
	for i, damage := range []string{
		"", "", "ALTER ROLE APP NOLOGIN", "ALTER ROLE APP VALID UNTIL '2020-01-01'", "ALTER ROLE OWNER LOGIN", "DROP SCHEMA SCHEMA",
		"ALTER ROLE APP IN DATABASE DB SET search_path = public", "ALTER ROLE APP RESET ALL; GRANT USAGE ON SCHEMA SCHEMA TO PUBLIC",
		"CREATE ROLE stranger_DB; GRANT APP TO stranger_DB; GRANT USAGE ON SCHEMA SCHEMA TO stranger_DB", "REVOKE OWNER FROM MIGRATOR",
		"ALTER DEFAULT PRIVILEGES FOR ROLE OWNER REVOKE SELECT ON TABLES FROM APP", "ALTER SCHEMA SCHEMA OWNER TO postgres",
		"UPDATE tenantry.tenant SET state = 'retained' WHERE schema_name = 'SCHEMA'", "DELETE FROM tenantry.domain WHERE schema_name = 'SCHEMA'",
	} {
		tn := tenant(fmt.Sprintf("fleet_%d", i))
		tn.SharedSchema, tn.MigrationSet, tn.ConnectionLimit = "shared", []string{"a/b", "c/d"}[i%2], i%3
		must(db.Provision(t.Context(), tn))(t)
		setPassword(t, db, tn)
		must(db.SetDomains(t.Context(), tn.UID, tn.Schema, []string{tn.Schema + ".example.com", "www." + tn.Schema + ".example.com"}))(t)
		must(db.SetVersion(t.Context(), tn.UID, tn.Schema, fmt.Sprint(i), "digest"))(t)
		roles := observe(t, db, tn).Roles
		if i%4 == 1 {
			verifier := must(postgres.SCRAMVerifier(postgres.NewPassword()))(t)
			if err := db.SetLogin(t.Context(), tn.UID, tn.Schema, roles.Second(), verifier); err != nil {
				t.Fatal(err)
			}
		}
		if damage != "" {
			exec(t, admin(t, db.Config().Database()), strings.NewReplacer("APP", quote(roles.App), "OWNER TO", "OWNER TO", "OWNER", quote(roles.Owner),
				"DB", db.Config().Database(), "SCHEMA SCHEMA", "SCHEMA "+tn.Schema, "'SCHEMA'", "'"+tn.Schema+"'",
				"MIGRATOR", quote(postgres.MigratorRole(db.Config().Database(), tn.MigrationSet))).Replace(damage))
		}
		all = append(all, tn)
	}
	return all
}

// What is seen of all tenants at once is what is seen of each by itself, whatever somebody did to it.
func TestRecallSeesWhatObserveSees(t *testing.T) {
	db := newDB(t)
	all := fleet(t, db)
	other := open(t, db.Config())
	for _, tn := range all {
		want := observe(t, db, tn)
		got := must(other.Recall(t.Context(), tn, time.Hour))(t)
		sorted := cmpopts.SortSlices(func(a, b string) bool { return a < b })
		if diff := cmp.Diff(want, got, sorted); diff != "" {
			t.Errorf("%s (-by itself +among all):\n%s", tn.Schema, diff)
		}
	}
	wider := all[0]
	wider.SharedSchema = ""
	if got := must(other.Recall(t.Context(), wider, time.Hour))(t); len(got.Drift) == 0 {
		t.Error("a login that should search another schema is seen as it was seen for others")
	}
	if got := must(other.Recall(t.Context(), tenant("nobody"), time.Hour))(t); got.Registered || got.SchemaExists {
		t.Errorf("a tenant that is not there is seen as %+v", got)
	}
}

// Looks at a fleet cost the same number of queries, whatever its size.
func TestRecallCostsTheSameForAll(t *testing.T) {
	db := newDB(t)
	all := fleet(t, db)
	other := open(t, db.Config())
	queries := func(look func()) int {
		t.Helper()
		before := must(os.ReadFile(server.LogPath))(t)
		look()
		log := string(must(os.ReadFile(server.LogPath))(t)[len(before):])
		return strings.Count(log, "SELECT t.schema_name, jsonb_build_object") + strings.Count(log, "WITH reg AS MATERIALIZED")
	}
	everyone := func() {
		for _, tn := range all {
			must(other.Recall(t.Context(), tn, time.Hour))(t)
		}
	}
	if n := queries(everyone); n != 1 {
		t.Errorf("the first look at everyone takes %d queries, want 1", n)
	}
	if n := queries(everyone); n != 0 {
		t.Errorf("another look at everyone soon after takes %d queries, want none", n)
	}
	must(other.SetVersion(t.Context(), all[0].UID, all[0].Schema, "17", "digest"))(t)
	if n := queries(everyone); n != 0 {
		t.Errorf("a look after a version was set takes %d queries, and nothing else can have changed", n)
	}
	if got := must(other.Recall(t.Context(), all[0], time.Hour))(t).Version; got != "17" {
		t.Errorf("the version is recalled as %q, and was just set to 17", got)
	}
	verifier := must(postgres.SCRAMVerifier(postgres.NewPassword()))(t)
	if err := other.SetLogin(t.Context(), all[1].UID, all[1].Schema, observe(t, db, all[1]).Roles.Second(), verifier); err != nil {
		t.Fatal(err)
	}
	if n := queries(everyone); n != 1 {
		t.Errorf("a look after a login was made takes %d queries, want 1", n)
	}
	if got := must(other.Recall(t.Context(), all[1], time.Hour))(t); !got.SecondCanLogin {
		t.Error("a login that was just made is not recalled")
	}
	if n := queries(func() {
		for _, tn := range all[:4] {
			must(other.Recall(t.Context(), tn, time.Nanosecond))(t)
		}
	}); n < 4 {
		t.Errorf("four looks that may not be old take %d queries", n)
	}
}

// A change that a look at all did not see must not be hidden by it.
func TestRecallIsNeverOlderThanOwnWrites(t *testing.T) {
	db := newDB(t)
	tn, _ := newTenant(t, db, "acme")
	for i := range 20 {
		version := fmt.Sprint(i)
		looked := make(chan error)
		go func() {
			_, err := db.Recall(t.Context(), tn, 5*time.Millisecond)
			looked <- err
		}()
		must(db.SetVersion(t.Context(), tn.UID, tn.Schema, version, ""))(t)
		if err := <-looked; err != nil {
			t.Fatal(err)
		}
		if got := must(db.Recall(t.Context(), tn, time.Hour))(t).Version; got != version {
			t.Fatalf("version %q is recalled after %q was written", got, version)
		}
	}
}

// A registry of before gets what it lacks, and works until then.
func TestRegistryIsUpgraded(t *testing.T) {
	db := newDB(t)
	tn, _ := newTenant(t, db, "acme")
	exec(t, db.Config(), "ALTER TABLE tenantry.tenant DROP COLUMN login_proof")
	other := open(t, db.Config())
	if o := must(other.Recall(t.Context(), tn, time.Hour))(t); !o.Registered || o.Proof != "" {
		t.Errorf("the old registry shows %+v", o)
	}
	if _, err := other.Record(t.Context(), tn.UID, tn.Schema, "1", "digest", "proof"); err == nil {
		t.Error("a proof is written where there is no room for it")
	}
	if !must(db.Bootstrap(t.Context(), "marker", ""))(t) || must(db.Bootstrap(t.Context(), "marker", ""))(t) {
		t.Error("Bootstrap does not upgrade once and then find nothing to do")
	}
	record := func(uid, proof string) (bool, error) {
		return other.Record(t.Context(), uid, tn.Schema, "1", "digest", proof)
	}
	if !must(record(tn.UID, "proof"))(t) || must(record(tn.UID, "proof"))(t) {
		t.Error("Record does not write once and then find nothing to do")
	}
	if got := observe(t, other, tn); got.Proof != "proof" || got.Version != "1" || got.Digest != "digest" {
		t.Errorf("the record is read back as %+v", got)
	}
	exec(t, db.Config(), "ALTER TABLE tenantry.shared_schema DROP COLUMN version")
	for _, want := range []bool{true, false} {
		if changed := must(db.Bootstrap(t.Context(), "marker", "shared"))(t); changed != want {
			t.Errorf("Bootstrap of a registry without versions of shared schemas: changed is %v, want %v", changed, want)
		}
	}
	if err := db.RecordShared(t.Context(), "shared", "7"); err != nil {
		t.Fatal(err)
	}
	if is, changed, err := db.EnsureShared(t.Context(), "shared", ""); err != nil || changed || is.Version != "7" {
		t.Errorf("the shared schema is %+v, %v, %v; want version 7", is, changed, err)
	}
	if _, err := record("somebody else", "forged"); !errors.Is(err, postgres.ErrNotOwner) || observe(t, other, tn).Proof != "proof" {
		t.Errorf("another Tenant's proof: %v", err)
	}
}
