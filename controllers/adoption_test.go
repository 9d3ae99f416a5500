package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

// legacy makes the schema shop as a product without an operator has it: at version 2 of the world's migrations, with
// rows, made by a login of the product.
func (b *bench) legacy(t *testing.T) (product string) {
	t.Helper()
	product = "product_" + b.Name
	b.script(t, strings.NewReplacer("$P", product, "$S", "shop").Replace(`
		DO $$BEGIN IF to_regrole('$P') IS NULL THEN CREATE ROLE $P; END IF; END$$;
		CREATE SCHEMA $S AUTHORIZATION $P; SET ROLE $P;
		CREATE TABLE $S.note (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL, c2 integer);
		INSERT INTO $S.note (body, c2) SELECT 'row ' || i, i FROM generate_series(1, 300) i`))
	return product
}

// notes is a fingerprint of the rows that legacy made, whatever columns came since.
func (b *bench) notes(t *testing.T) string {
	t.Helper()
	return operator.Query[string](t, b.AdminDSN, "SELECT count(*) || md5(string_agg(id || body || c2, ',' ORDER BY id)) FROM shop.note")
}

// adopt lists schemas in the spec of the world's database and lets it see them.
func (b *bench) adopt(t *testing.T, entries ...v1alpha1.SchemaAdoption) {
	t.Helper()
	operator.Update(t, b.Servers, b.Database, func(tdb *v1alpha1.TenantDatabase) { tdb.Spec.Adoptions = entries })
	b.pass(t, b.Database)
}

func (b *bench) entry(schema, baseline string) v1alpha1.SchemaAdoption {
	return v1alpha1.SchemaAdoption{
		SchemaName: schema, TenantRef: v1alpha1.NamespacedReference{Namespace: b.Namespace, Name: "acme"}, BaselineVersion: baseline,
	}
}

// shop is a Tenant that wants the schema of that name.
func (b *bench) shop(t *testing.T, name string) *v1alpha1.Tenant {
	t.Helper()
	tenant := b.Tenant(name, b.Host(name))
	tenant.Spec.SchemaName = "shop"
	b.Create(t, tenant)
	return tenant
}

// asked runs the statements that the Tenant's condition asks a superuser for.
func (b *bench) asked(t *testing.T, tenant *v1alpha1.Tenant) {
	t.Helper()
	c := conditions.Get(tenant, v1alpha1.ConditionSchemaReady)
	_, statements, ok := strings.Cut(c.Message, "Run as a superuser: ")
	if !ok {
		t.Fatalf("no statements in %q", c.Message)
	}
	b.script(t, statements)
}

const baselineRows = `SELECT string_agg(version || ' ' || runner, ', ' ORDER BY version) FROM shop.tenantry_migrations`

// wantLedger : up to the baseline nothing ran, and the file above it did.
func (b *bench) wantLedger(t *testing.T) {
	t.Helper()
	const want = "1 baseline, 2 baseline, 3 "
	if got := operator.Query[string](t, b.AdminDSN, baselineRows); got != want {
		t.Errorf("the ledger is %q, want %q", got, want)
	}
}

// A schema that is there becomes the Tenant's that the database names, row for row, and goes on from its
// baseline. Once it is so, the consent is needed no more, and nothing is written.
func TestAdoptSchema(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	product := b.legacy(t)
	before := b.notes(t)
	acme := b.shop(t, "acme")
	b.pass(t, acme)
	b.Expect(t, acme, operator.Stalled("SchemaReady", v1alpha1.ReasonSchemaNameTaken, `schema "shop" exists and is no Tenant's`))
	b.adopt(t, b.entry("shop", "0002"))
	if diff := cmp.Diff(&v1alpha1.AdoptionStatus{Listed: 1, Waiting: []string{"shop"}}, b.Database.Status.Adoptions); diff != "" {
		t.Errorf("status.adoptions (-want +got):\n%s", diff)
	}
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("SchemaReady", v1alpha1.ReasonAdoptionBlocked, "role "+product+" owns", `GRANT "`+product+`" TO "`+b.login()+`"`))
	b.asked(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready(), operator.Want{
		Condition: "SchemaReady", Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded, Message: []string{"adopted with what was in it, baseline 2"},
	})
	b.script(t, fmt.Sprintf("REVOKE %q FROM %q", product, b.login()))
	if got := b.notes(t); got != before {
		t.Errorf("the rows are %s, were %s", got, before)
	}
	b.wantLedger(t)
	if diff := cmp.Diff([]string{"id", "body", "c2", "c3"}, operator.Columns(t, b.AdminDSN, "shop", "note")); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	uri := keys(b.secret(t, acme))["uri"]
	operator.Exec(t, uri, "INSERT INTO note (body) VALUES ('by the tenant itself')")
	if acme.Status.Version != "3" || acme.Status.Schema != "shop" {
		t.Errorf("status: version %q, schema %q", acme.Status.Version, acme.Status.Schema)
	}
	b.pass(t, b.Database)
	if diff := cmp.Diff(&v1alpha1.AdoptionStatus{Listed: 1, Adopted: 1}, b.Database.Status.Adoptions); diff != "" {
		t.Errorf("status.adoptions (-want +got):\n%s", diff)
	}
	b.pass(t, b.Set)
	b.adopt(t)
	b.restart(t)
	for _, obj := range []conditions.Object{b.Set, b.Database, acme} {
		b.pass(t, obj)
		b.Expect(t, obj, operator.Ready())
	}
	if got := operator.Query[int](t, uri, "SELECT count(*) FROM note"); got != 301 {
		t.Errorf("the tenant's login sees %d rows, want 301", got)
	}
	b.remove(t, acme)
	if got := operator.Query[int](t, b.AdminDSN, "SELECT count(*) FROM shop.note"); got != 301 {
		t.Errorf("after Retain there are %d rows, want 301", got)
	}
}

// This test counts writes and does not run beside others.
func TestAdoptedSchemaCostsNoWritesAtRest(t *testing.T) {
	b := newBench(t).settle(t)
	product := b.legacy(t)
	b.script(t, fmt.Sprintf("GRANT %q TO %q", product, b.login()))
	b.adopt(t, b.entry("shop", "2"))
	acme := b.shop(t, "acme")
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	all := []conditions.Object{b.Set, b.Database, acme}
	for _, obj := range all {
		b.pass(t, obj)
	}
	b.steady(t, "passes over an adopted tenant", all)
}

// The consent names one Tenant. Who has no consent is told what everybody is told, and nothing of whose the
// schema is, before the adoption and after it.
func TestAdoptionIsNobodyElses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Database.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesAll}
	b.Set.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesAll}
	b.settle(t)
	b.script(t, fmt.Sprintf("GRANT %q TO %q", b.legacy(t), b.login()))
	before := b.notes(t)
	b.adopt(t, b.entry("shop", "2"))
	elsewhere := b.Namespace + "-evil"
	b.Create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: elsewhere}})
	namesake := b.Tenant("acme")
	namesake.Namespace, namesake.Spec.SchemaName = elsewhere, "shop"
	b.Create(t, namesake)
	b.pass(t, namesake)
	b.Expect(t, namesake, operator.Stalled("SchemaReady", v1alpha1.ReasonSchemaNameTaken, `schema "shop" exists and is no Tenant's; choose another schemaName`))
	other := b.shop(t, "other")
	b.pass(t, other)
	b.Expect(t, other, operator.Stalled("SchemaReady", v1alpha1.ReasonSchemaNameTaken, `schema "shop" exists and is no Tenant's; choose another schemaName`))
	acme := b.shop(t, "acme")
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	for _, tn := range []*v1alpha1.Tenant{namesake, other} {
		b.pass(t, tn)
		b.Expect(t, tn, operator.Stalled("SchemaReady", v1alpha1.ReasonSchemaNameTaken, `schema "shop" is taken; choose another schemaName`))
	}
	if got := b.notes(t); got != before {
		t.Errorf("the rows are %s, were %s", got, before)
	}
}

// What does not fit is told before anything is changed, in words that name the field.
func TestAdoptionThatDoesNotFit(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		entry     func(b *bench) v1alpha1.SchemaAdoption
		do        string // SQL, in the place of what legacy makes
		schema    string // of the Tenant
		condition string
		reason    string
		says      string
		waits     bool
	}{
		"no version": {
			entry: func(b *bench) v1alpha1.SchemaAdoption { return b.entry("shop", "") }, schema: "shop",
			condition: "SchemaReady", reason: v1alpha1.ReasonBaselineRequired, says: "Set baselineVersion of shop in spec.adoptions of TenantDatabase",
		},
		"a version that is none": {
			entry: func(b *bench) v1alpha1.SchemaAdoption { return b.entry("shop", "9") }, schema: "shop",
			condition: "SchemaReady", reason: v1alpha1.ReasonUnknownVersion, says: `MigrationSet "app" has no version 9; its newest is 3`,
		},
		"another schema than the Tenant's": {
			entry:     func(b *bench) v1alpha1.SchemaAdoption { return b.entry("shop", "2") },
			condition: "DatabaseReady", reason: v1alpha1.ReasonInvalidAdoption, says: "Create the Tenant anew with spec.schemaName: shop",
		},
		"no such schema": {
			entry: func(b *bench) v1alpha1.SchemaAdoption { return b.entry("depot", "2") }, schema: "depot",
			condition: "SchemaReady", reason: v1alpha1.ReasonAdoptionBlocked, says: "there is none of this name", waits: true,
		},
		"a version of nothing": {
			entry: func(b *bench) v1alpha1.SchemaAdoption { return b.entry("depot", "2") }, schema: "depot", do: "CREATE SCHEMA depot",
			condition: "SchemaReady", reason: v1alpha1.ReasonInvalidAdoption, says: "the schema is empty. Take it out",
		},
		"a ledger and a version": {
			entry: func(b *bench) v1alpha1.SchemaAdoption { return b.entry("depot", "2") }, schema: "depot",
			do:        "CREATE SCHEMA depot; CREATE TABLE depot.tenantry_migrations (version text)",
			condition: "SchemaReady", reason: v1alpha1.ReasonInvalidAdoption, says: "the schema has a record of its own (tenantry_migrations)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t).settle(t)
			b.script(t, fmt.Sprintf("GRANT %q TO %q;", b.legacy(t), b.login())+tt.do)
			b.adopt(t, tt.entry(b))
			acme := b.Tenant("acme")
			acme.Spec.SchemaName = tt.schema
			b.Create(t, acme)
			before := b.traces(t, "acme")
			b.pass(t, acme)
			want := operator.Stalled(tt.condition, tt.reason, tt.says)
			if tt.waits {
				want = operator.Waiting(tt.condition, tt.reason, tt.says)
			}
			b.Expect(t, acme, want)
			if diff := cmp.Diff(before, b.traces(t, "acme")); diff != "" {
				t.Errorf("something was changed (-before +after):\n%s", diff)
			}
		})
	}
}

// A Tenant goes to the database that has its schema, however full the other one is, and waits for it.
func TestAdoptionDecidesThePlace(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	second := b.second(t, 0)
	b.settle(t)
	operator.Update(t, b.Servers, second, func(tdb *v1alpha1.TenantDatabase) {
		tdb.Spec.Adoptions = []v1alpha1.SchemaAdoption{b.entry("shop", "2")}
	})
	acme := b.shop(t, "acme")
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("DatabaseReady", v1alpha1.ReasonDatabaseNotReady))
	b.pass(t, second)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Waiting("SchemaReady", v1alpha1.ReasonAdoptionBlocked, "there is none of this name"))
	if got := operator.Schemas(t, b.AdminDSN); len(got) > 0 {
		t.Errorf("the other database has schemas %v", got)
	}
}

// An operator that dies after any of its writes, or between the takeover and the ledger, leaves what the next
// one makes good: the first files never run on the schema, and no row is lost.
func TestCrashesAroundAnAdoption(t *testing.T) {
	t.Parallel()
	prepare := func(t *testing.T) (*bench, string) {
		t.Helper()
		b := newBench(t)
		b.Set.Spec.LockTimeoutMilliseconds = 100
		b.settle(t)
		b.script(t, fmt.Sprintf("GRANT %q TO %q;", b.legacy(t), b.login()))
		b.adopt(t, b.entry("shop", "2"))
		return b, b.notes(t)
	}
	check := func(t *testing.T, b *bench, acme *v1alpha1.Tenant, before string) {
		t.Helper()
		b.pass(t, acme)
		b.Expect(t, acme, operator.Ready())
		b.wantLedger(t)
		if got := b.notes(t); got != before {
			t.Errorf("the rows are %s, were %s", got, before)
		}
	}
	for writes := range 5 {
		t.Run(fmt.Sprint(writes), func(t *testing.T) {
			t.Parallel()
			b, before := prepare(t)
			acme := b.shop(t, "acme")
			dying := servers.DyingReconcilers(t, writes)
			if _, err := dying.Reconcile(t.Context(), acme); err != nil && !errors.Is(err, operator.ErrCrash) {
				t.Log(err)
			}
			check(t, b, acme, before)
		})
	}
	t.Run("before the ledger", func(t *testing.T) {
		t.Parallel()
		b, before := prepare(t)
		acme := b.shop(t, "acme")
		// Whoever makes the ledger waits for the end of this.
		blocker := operator.Hold(t, b.AdminDSN)
		if _, err := blocker.Exec(t.Context(), "BEGIN; CREATE TABLE shop.tenantry_migrations ()"); err != nil {
			t.Fatal(err)
		}
		b.pass(t, acme)
		b.Expect(t, acme, operator.Waiting("Migrated", v1alpha1.ReasonLockTimeout))
		if _, err := blocker.Exec(context.WithoutCancel(t.Context()), "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
		b.adopt(t) // It is the Tenant's by now: nobody has to say so again.
		b.restart(t)
		check(t, b, acme, before)
	})
	t.Run("between the ledger and the registry", func(t *testing.T) {
		t.Parallel()
		b, before := prepare(t)
		acme := b.shop(t, "acme")
		b.pass(t, acme)
		b.script(t, "UPDATE tenantry.tenant SET version = '', digest = ''; DELETE FROM shop.tenantry_migrations WHERE version = '3'; ALTER TABLE shop.note DROP COLUMN c3")
		b.restart(t)
		check(t, b, acme, before)
	})
}

// Of a program's migrations the framework's own table tells.
func TestAdoptionByJob(t *testing.T) {
	t.Parallel()
	b := byJobs(t)
	b.script(t, fmt.Sprintf("GRANT %q TO %q;", b.legacy(t), b.login()))
	b.adopt(t, b.entry("shop", "7"))
	acme := b.shop(t, "acme")
	b.pass(t, acme)
	b.Expect(t, acme, operator.Stalled("SchemaReady", v1alpha1.ReasonInvalidAdoption, "runs a Job, whose framework has a record of its own (schema_migrations). Take it out"))
	b.adopt(t, b.entry("shop", ""))
	b.pass(t, acme)
	b.Expect(t, acme, operator.Stalled("SchemaReady", v1alpha1.ReasonBaselineRequired, "the record of Rails (schema_migrations) is not there or empty"))
	b.script(t, fmt.Sprintf("SET ROLE %q; CREATE TABLE shop.schema_migrations (version varchar PRIMARY KEY)", "product_"+b.Name))
	b.pass(t, acme)
	b.Expect(t, acme, operator.Stalled("Migrated", v1alpha1.ReasonBaselineRequired, "the record of Rails (schema_migrations) is not there or empty"))
	if job := b.theJob(t); job != nil {
		t.Fatalf("Job %s would run the first migrations", job.Name)
	}
	b.script(t, "INSERT INTO shop.schema_migrations VALUES ('7')")
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	if job := b.theJob(t); job != nil || acme.Status.Version != "v1" {
		t.Errorf("version %q, Job %v", acme.Status.Version, job)
	}
}

// A schema that its tool migrated until now, by files of the set's format, tells its version itself; a record
// that tells no version of the set does not.
func TestAdoptionReadsTheToolsTable(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Files.Data = map[string]string{}
	for name, text := range operator.Migrations(3) {
		b.Files.Data[name] = "-- +goose Up\n" + text
	}
	b.settle(t)
	b.script(t, fmt.Sprintf("GRANT %q TO %q; SET ROLE %[1]q;", b.legacy(t), b.login())+
		`CREATE TABLE shop.goose_db_version (id serial, version_id bigint, is_applied boolean, tstamp timestamp);
		INSERT INTO shop.goose_db_version (version_id, is_applied) VALUES (0, true), (1, true), (2, true), (7, true)`)
	b.adopt(t, b.entry("shop", ""))
	acme, before := b.shop(t, "acme"), b.notes(t)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Stalled("Migrated", v1alpha1.ReasonBaselineRequired, "goose_db_version has version 7, and the set has not"))
	b.script(t, "DELETE FROM shop.goose_db_version WHERE version_id = 7")
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	b.wantLedger(t)
	if got := b.notes(t); got != before {
		t.Errorf("the rows are %s, were %s", got, before)
	}
}

// A class that names a MigrationSet only later does not make its adopted tenants begin with the first file.
func TestAdoptedBeforeTheSet(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ref := b.Class.Spec.MigrationSetRef
	b.Class.Spec.MigrationSetRef = nil
	b.settle(t)
	b.script(t, fmt.Sprintf("GRANT %q TO %q;", b.legacy(t), b.login()))
	b.adopt(t, b.entry("shop", ""))
	acme := b.shop(t, "acme")
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { c.Spec.MigrationSetRef = ref })
	b.pass(t, b.Set)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Stalled("Migrated", v1alpha1.ReasonBaselineRequired, "Set baselineVersion of shop"))
	b.adopt(t, b.entry("shop", "2"))
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	b.wantLedger(t)
}
