package controllers_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

// lose makes objects be no more, as if their cluster was lost: no finalizer has its way.
func (b *bench) lose(t *testing.T, objs ...client.Object) {
	t.Helper()
	for _, obj := range objs {
		b.UpdateUnguarded(t, obj, func(o client.Object) { o.SetFinalizers(nil) })
		if err := b.Unguarded.Delete(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
}

// A cluster is lost, and its manifests are applied to another one: nothing is made over what is there, and
// each Tenant has its data again when it says so.
func TestLostCluster(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	second := b.second(t, 0) // emptier than the one with the data
	b.settle(t)
	b.pass(t, second)
	acme, globex := b.tenant(t, "acme"), b.tenant(t, "globex")
	uri, first := keys(b.secret(t, acme))["uri"], string(acme.UID)
	home := acme.Status.Database.Name
	operator.Exec(t, uri, "INSERT INTO note (body) VALUES ('precious')")
	// The Secrets before the Tenants, for whom the garbage collector would take them.
	b.lose(t, b.secret(t, acme), b.secret(t, globex), acme, globex, b.Database, second, b.Set, b.Class)
	for _, host := range []string{"acme", "globex"} {
		claim := &v1alpha1.DomainClaim{}
		claim.Name = b.Host(host)
		b.lose(t, claim)
	}

	b.restart(t)
	b.Database, second = b.TenantDatabase("main", "db"), b.TenantDatabase("second", "db-second")
	b.Set.ObjectMeta, b.Class.ObjectMeta = anew(b.Set), anew(b.Class)
	b.Create(t, b.Database, second, b.Set, b.Class)
	again := b.Tenant("acme", b.Host("acme"))
	b.Create(t, again)
	// Whichever database is accepted first, nobody is placed while the other one's registry is not.
	accept := []*v1alpha1.TenantDatabase{second, b.Database}
	for i, tdb := range accept {
		b.pass(t, tdb)
		b.accept(t, tdb, asked(t, tdb))
		b.pass(t, tdb)
		b.Expect(t, tdb, operator.Ready())
		if i == 0 {
			b.pass(t, b.Set)
			b.pass(t, b.Class)
			b.pass(t, again)
			b.Expect(t, again, operator.Waiting("DatabaseReady", v1alpha1.ReasonDatabaseNotReady, "Nobody knows yet", "/main", "was not looked at yet"))
			b.pass(t, b.Database)
			b.pass(t, again)
			b.Expect(t, again, operator.Waiting("DatabaseReady", v1alpha1.ReasonDatabaseNotReady, "Nobody knows yet", v1alpha1.ReasonIdentityMismatch))
		}
	}
	b.pass(t, b.Set)
	b.pass(t, b.Class)
	b.pass(t, again)
	b.Expect(t, again, operator.Stalled("SchemaReady", v1alpha1.ReasonSchemaRetained, "lost with its cluster", v1alpha1.AnnotationAdopt+"="+first))
	if got := again.Status.Database.Name; got != home {
		t.Errorf("placed on %s, its data are on %s", got, home)
	}
	operator.Update(t, b.Servers, again, func(tn *v1alpha1.Tenant) {
		tn.Annotations = map[string]string{v1alpha1.AnnotationAdopt: first}
	})
	b.pass(t, again)
	b.Expect(t, again, operator.Ready())
	fresh := keys(b.secret(t, again))["uri"]
	if got := operator.Query[string](t, fresh, "SELECT body FROM note"); got != "precious" {
		t.Errorf("the row is %q", got)
	}
	if err := operator.LogsIn(t, uri); err == nil {
		t.Error("the password of the lost cluster works")
	}
}

// anew is what a manifest says of an object.
func anew(o client.Object) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: o.GetNamespace(), Name: o.GetName()}
}

// A Tenant that went without the operator lets go of nothing in the registry. Its host goes to whoever holds the
// claim by now; its data stay where they are, for whoever adopts them. The test does not run beside others.
func TestHostOfAVanishedTenant(t *testing.T) {
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	host, schema := b.Host("acme"), acme.Status.Schema
	operator.Exec(t, keys(b.secret(t, acme))["uri"], "INSERT INTO note (body) VALUES ('precious')")
	claim := &v1alpha1.DomainClaim{}
	claim.Name = host
	b.lose(t, b.secret(t, acme), acme, claim)
	globex := b.Tenant("globex", host)
	b.Create(t, globex)
	b.pass(t, globex)
	b.Expect(t, globex, operator.Ready())
	if got := operator.Query[string](t, b.AdminDSN, "SELECT schema_name FROM tenantry.domain WHERE host = $1", host); got != globex.Status.Schema {
		t.Errorf("the registry has the host for schema %s", got)
	}
	if n := operator.Query[int](t, b.AdminDSN, "SELECT count(*) FROM "+schema+".note"); n != 1 {
		t.Errorf("the vanished tenant's table has %d rows", n)
	}
	b.pass(t, b.Set)
	b.steady(t, "passes behind it", []conditions.Object{globex})

	// One that is there is waited for.
	other := b.tenant(t, "other")
	b.sql(t, "INSERT INTO tenantry.domain (host, schema_name, position) VALUES ($1, $2, 7)", b.Host("late"), other.Status.Schema)
	operator.Update(t, b.Servers, globex, func(tn *v1alpha1.Tenant) { tn.Spec.Domains = append(tn.Spec.Domains, b.Host("late")) })
	b.pass(t, globex)
	b.Expect(t, globex, operator.Waiting("Routed", v1alpha1.ReasonDomainTaken, b.Host("late"), "another Tenant in the database's registry"))
}
