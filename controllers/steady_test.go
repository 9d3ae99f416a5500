package controllers_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

// A pass over what is as it should be writes nothing, in the API or in SQL, however often it comes,
// and also when the operator has just been started. This test does not run beside others: it counts
// what the whole server did.
func TestSteadyPassesWriteNothing(t *testing.T) {
	b := newBench(t)
	b.Class.Spec.Routing = gatewayRouting()
	b.Database.Spec.Shared = &v1alpha1.SharedSchema{
		SchemaName: "shared", MigrationSetRef: v1alpha1.LocalReference{Name: "app"},
		Grants: []v1alpha1.SharedGrant{{Table: "note", Privileges: []v1alpha1.TablePrivilege{"SELECT", "REFERENCES"}}},
	}
	b.Class.Spec.Limits = &v1alpha1.TenantLimits{Connections: 5, StatementTimeoutSeconds: 30, IdleInTransactionTimeoutSeconds: 90}
	b.Database.Spec.MaxTenants = new(int32(100))
	b.Create(t, b.backend())
	b.settle(t)
	acme := b.Tenant("acme", b.Host("acme"), b.Host("www"), b.Host("old"))
	plain := b.Tenant("plain")
	plain.Spec.Migrations = &v1alpha1.TenantMigrations{TargetVersion: "2"}
	b.Create(t, acme, plain)
	b.pass(t, plain)
	b.pass(t, acme)
	b.acceptRoutes(t, acme)
	b.pass(t, acme)
	claim := &v1alpha1.DomainClaim{}
	claim.Name = b.Host("acme")
	all := []conditions.Object{b.Set, b.Database, b.Class, acme, plain, claim}
	for _, obj := range all { // the counts of tenants
		b.pass(t, obj)
	}
	for _, obj := range all {
		b.Expect(t, obj, operator.Ready())
	}
	b.steady(t, "passes", all)
	b.restart(t)
	// A new operator sets a new password for the login that runs migrations: nobody knows the old one.
	writes := b.Writes(t)
	for _, obj := range all {
		b.pass(t, obj)
	}
	if got := writes.API(t); len(got) > 0 {
		t.Errorf("the first passes after a restart write to the API: %q", got)
	}
	if n, statements := writes.SQL(t); n > 2 {
		t.Errorf("%d transactions after a restart write, want the migrator's password alone: %q", n, statements)
	}
	b.steady(t, "passes after a restart", all)

	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) {
		c.Spec.Routing.Gateway, c.Spec.Routing.Ingress = nil, &v1alpha1.IngressRouting{ClassName: "edge", Annotations: map[string]string{"team": "blue"}}
	})
	b.pass(t, b.Class)
	b.pass(t, acme)
	b.acceptIngress(t, acme)
	for _, obj := range all {
		b.pass(t, obj)
		b.Expect(t, obj, operator.Ready())
	}
	b.steady(t, "passes with an Ingress", all)
}

// steady passes over objects several times and wants no write at all.
func (b *bench) steady(t *testing.T, what string, all []conditions.Object) {
	t.Helper()
	writes := b.Writes(t)
	for range 4 {
		for _, obj := range all {
			b.pass(t, obj)
		}
	}
	if got := writes.API(t); len(got) > 0 {
		t.Errorf("%s write to the API: %q", what, got)
	}
	if n, statements := writes.SQL(t); n > 0 {
		t.Errorf("%d transactions of %s write; the server logged %q", n, what, statements)
	}
}

// A count that cannot count proves nothing.
func TestWritesAreCounted(t *testing.T) {
	b := newBench(t).settle(t)
	writes := b.Writes(t)
	acme := b.tenant(t, "acme")
	if got := writes.API(t); len(got) < 4 {
		t.Errorf("a new Tenant's writes are %q; finalizer, claim, Secret and status are missing", got)
	}
	if n, statements := writes.SQL(t); n < 3 || len(statements) == 0 {
		t.Errorf("a new Tenant wrote in %d transactions: %q", n, statements)
	}
	// No log of statements shows a row that a query locks.
	writes = b.Writes(t)
	b.sql(t, "SELECT FROM tenantry.tenant WHERE tenant_uid = $1 FOR UPDATE", string(acme.UID))
	if n, _ := writes.SQL(t); n != 1 {
		t.Errorf("a lock on a row counts as %d writes, want 1", n)
	}
	secret := &corev1.Secret{}
	secret.Namespace, secret.Name = b.Namespace, "acme-db"
	writes = b.Writes(t)
	operator.Update(t, b.Servers, secret, func(s *corev1.Secret) { delete(s.Data, "host") })
	b.pass(t, acme)
	if got := writes.API(t); len(got) != 1 {
		t.Errorf("a Secret that lacks a key is mended by %q, want one write", got)
	}
	if n, statements := writes.SQL(t); n != 1 {
		t.Errorf("a Secret that lacks a key costs %d writes in SQL, want the proof that the new Secret works: %q", n, statements)
	}
}
