package controllers_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// forge writes what it likes into a Tenant's status, as somebody with rights on the subresource can.
func (b *bench) forge(t *testing.T, tenant *v1alpha1.Tenant, change func(*v1alpha1.TenantStatus)) {
	t.Helper()
	b.Get(t, tenant)
	before := tenant.DeepCopy()
	change(&tenant.Status)
	if err := b.Admin.Status().Patch(t.Context(), tenant, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// A schema belongs to one Tenant. The other says so and gets the name when it is free.
func TestSchemaNameTaken(t *testing.T) {
	t.Parallel()
	named := func(tn *v1alpha1.Tenant) {
		tn.Spec.SchemaName, tn.Spec.DeletionPolicy = "shop", v1alpha1.DeletionDelete
	}
	for name, tt := range map[string]struct {
		do   func(t *testing.T, b *bench) (mend func())
		says string
	}{
		"by another Tenant": {
			do: func(t *testing.T, b *bench) func() {
				first := b.tenant(t, "first", named)
				return func() { b.remove(t, first) }
			},
			says: `schema "shop" is taken; choose another schemaName`,
		},
		"by a schema that nobody knows": {
			do: func(t *testing.T, b *bench) func() {
				b.sql(t, "CREATE SCHEMA shop; CREATE TABLE shop.precious (id int)")
				return func() { b.sql(t, "DROP TABLE shop.precious; DROP SCHEMA shop") }
			},
			says: `schema "shop" exists and is no Tenant's`,
		},
		"by a role that nobody knows": {
			do: func(t *testing.T, b *bench) func() {
				b.sql(t, "CREATE ROLE tn_"+b.Name+"__shop_app")
				return func() { b.sql(t, "DROP ROLE tn_"+b.Name+"__shop_app") }
			},
			says: `are left from something else`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t).settle(t)
			mend := tt.do(t, b)
			before := operator.Schemas(t, b.AdminDSN)
			second := b.Tenant("second", b.Host("second"))
			named(second)
			b.Create(t, second)
			result := b.pass(t, second)
			b.Expect(t, second,
				operator.Stalled("SchemaReady", v1alpha1.ReasonSchemaNameTaken, tt.says),
				operator.Stalled("Ready", v1alpha1.ReasonSchemaNameTaken, tt.says))
			if result.RequeueAfter > mendedSoon {
				t.Errorf("it looks again after %s, want at most %s", result.RequeueAfter, mendedSoon)
			}
			if strings.Contains(second.Status.Conditions[0].Message, "first") {
				t.Errorf("the message names the holder: %q", second.Status.Conditions[0].Message)
			}
			if diff := cmp.Diff(before, operator.Schemas(t, b.AdminDSN)); diff != "" {
				t.Errorf("schemas (-before +after):\n%s", diff)
			}
			mend()
			b.pass(t, second)
			b.Expect(t, second, operator.Ready())
			// The name has gone to the second; nothing of the first is in it.
			if diff := cmp.Diff([]string{"id", "body", "c2", "c3"}, operator.Columns(t, b.AdminDSN, "shop", "note")); diff != "" {
				t.Errorf("columns (-want +got):\n%s", diff)
			}
		})
	}
}

// A name in the status, reserved or another's, has no say in which schema a tenant gets; what names the
// API lets through is tested with the API, and what the SQL layer refuses with it.
func TestNamesInStatus(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	want := acme.Status.Schema
	for _, schema := range []string{
		"public", "tenantry", "pg_catalog", "information_schema", "Upper", "with space", `qu"ote`, "tenantry.tenant", strings.Repeat("a", 63),
	} {
		b.forge(t, acme, func(s *v1alpha1.TenantStatus) { s.Schema = schema })
		b.restart(t)
		b.pass(t, b.Database)
		b.pass(t, b.Set)
		b.pass(t, acme)
		b.Expect(t, acme, operator.Ready())
		if got := acme.Status.Schema; got != want {
			t.Errorf("status.schema is %q after %q, want %q", got, schema, want)
		}
	}
	if diff := cmp.Diff([]string{want}, operator.Schemas(t, b.AdminDSN)); diff != "" {
		t.Errorf("schemas (-want +got):\n%s", diff)
	}
}

// A schema that an earlier operator named otherwise stays the tenant's.
func TestSchemaOfEarlierName(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme", func(tn *v1alpha1.Tenant) { tn.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
	b.sql(t, "ALTER SCHEMA "+acme.Status.Schema+" RENAME TO earlier")
	b.sql(t, "DELETE FROM tenantry.domain; UPDATE tenantry.tenant SET schema_name = 'earlier'")
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	if got := acme.Status.Schema; got != "earlier" {
		t.Errorf("status.schema is %q, want %q", got, "earlier")
	}
	if diff := cmp.Diff([]string{"earlier"}, operator.Schemas(t, b.AdminDSN)); diff != "" {
		t.Errorf("schemas (-want +got):\n%s", diff)
	}
	b.remove(t, acme)
	wantTraces(t, "left behind", traces{}, b.traces(t, "acme"))
}

// Long names, and pairs of names that would meet after their characters are changed, get schemas of
// their own that fit.
func TestLongAndSimilarNames(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	long := strings.Repeat("n", 50-len(b.Namespace)) + b.Namespace
	spaces := []string{long, b.Namespace + "--a", b.Namespace + "-a"}
	b.Database.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesAll}
	b.Set.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesAll}
	b.settle(t)
	for _, ns := range spaces {
		b.Create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})
	}
	schemas := map[string]string{}
	for _, key := range []client.ObjectKey{
		{Namespace: long, Name: strings.Repeat("t", 63)},
		{Namespace: long, Name: strings.Repeat("t", 62)},
		{Namespace: b.Namespace, Name: "a.b"},
		{Namespace: b.Namespace, Name: "a-b"},
		{Namespace: b.Namespace, Name: "a--b"},
		{Namespace: b.Namespace + "-a", Name: "b"},
		{Namespace: b.Namespace + "--a", Name: "b"},
		{Namespace: b.Namespace, Name: "1"},
	} {
		tenant := b.Tenant(key.Name)
		tenant.Namespace = key.Namespace
		b.Create(t, tenant)
		b.pass(t, tenant)
		b.Expect(t, tenant, operator.Ready())
		schema := tenant.Status.Schema
		if len(schema) > 50 {
			t.Errorf("schema %s of %s has %d bytes, at most 50 are allowed", schema, key, len(schema))
		}
		if other, taken := schemas[schema]; taken {
			t.Errorf("%s and %s share schema %s", key, other, schema)
		}
		schemas[schema] = key.String()
	}
	for _, role := range operator.Roles(t, b.AdminDSN, "tn_") {
		if len(role) > 63 {
			t.Errorf("role %s has %d bytes", role, len(role))
		}
	}
	tooLong := b.Tenant(strings.Repeat("t", 64))
	if err := b.Admin.Create(t.Context(), tooLong); err == nil {
		t.Error("a Tenant with a name of 64 characters is let in")
	}
}
