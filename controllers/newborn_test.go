package controllers_test

import (
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/logins"
	"github.com/tenantry/tenantry/test/operator"
)

// held creates a Tenant that has the finalizer from the start, as config/finalizer makes them.
func (b *bench) held(t *testing.T, name string) *v1alpha1.Tenant {
	t.Helper()
	tenant := b.Tenant(name, b.Host(name))
	tenant.Finalizers = []string{v1alpha1.Finalizer}
	b.Create(t, tenant)
	return tenant
}

// An operator that is killed behind any of its writes for a new Tenant leaves what the next one goes on from:
// one schema, on one database, and a Secret whose password works and is never changed.
func TestKilledWhileATenantIsMade(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(b *bench, t *testing.T, name string) *v1alpha1.Tenant{
		"found without the finalizer": func(b *bench, t *testing.T, name string) *v1alpha1.Tenant {
			tenant := b.Tenant(name, b.Host(name))
			b.Create(t, tenant)
			return tenant
		},
		"held from the start": (*bench).held,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			second := b.second(t, 0)
			b.settle(t)
			b.pass(t, second)
			for n := 0; ; n++ {
				tenant := make(b, t, fmt.Sprint("acme-", n))
				_, err := servers.KilledReconcilers(t, n).Reconcile(t.Context(), tenant)
				password := b.passwordOf(t, tenant)
				b.restart(t)
				b.pass(t, tenant)
				b.Expect(t, tenant, operator.Ready())
				if now := b.passwordOf(t, tenant); password != "" && now != password {
					t.Errorf("killed behind write %d: the password was replaced", n)
				}
				if err := operator.LogsIn(t, keys(b.secret(t, tenant))["uri"]); err != nil {
					t.Errorf("killed behind write %d: %v", n, err)
				}
				b.expectOneSchema(t, tenant, second)
				if err == nil {
					return
				}
				if n > 20 {
					t.Fatalf("making a tenant does not end: %v", err)
				}
			}
		})
	}
}

// passwordOf returns the password in a Tenant's Secret, "" where there is none.
func (b *bench) passwordOf(t *testing.T, tenant *v1alpha1.Tenant) string {
	t.Helper()
	secret, err := (&logins.Keeper{Client: b.Admin, Live: b.Admin}).Read(t.Context(), client.ObjectKey{Namespace: tenant.Namespace, Name: tenant.Name + "-db"})
	if apierrors.IsNotFound(err) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(secret.Data["password"])
}

// expectOneSchema wants just one of the world's two databases to know a Tenant.
func (b *bench) expectOneSchema(t *testing.T, tenant *v1alpha1.Tenant, second *v1alpha1.TenantDatabase) {
	t.Helper()
	other := strings.Replace(b.AdminDSN, "/"+b.Name+"?", "/"+b.Name+"b?", 1)
	const count = "SELECT count(*) FROM tenantry.tenant WHERE tenant_uid = $1"
	here, there := operator.Query[int](t, b.AdminDSN, count, string(tenant.UID)), operator.Query[int](t, other, count, string(tenant.UID))
	if here+there != 1 || (there == 1) != (tenant.Status.Database.Name == second.Name) {
		t.Errorf("%s says it lives on %s; the databases know it %d and %d times", tenant.Name, tenant.Status.Database.Name, here, there)
	}
}

// A Tenant that has the finalizer from the start costs one write less; it is not taken for one whose first pass
// was lost.
func TestHeldFromTheStart(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme := b.held(t, "acme")
	writes := b.Writes(t)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	for _, w := range writes.API(t) {
		if strings.HasPrefix(w, "patch tenants/ "+b.Namespace+"/acme:") {
			t.Errorf("the pass wrote %q", w)
		}
	}
	// Whoever comes while a database of the class is away was made nowhere, which its status tells a moment later.
	c := newBench(t)
	second := c.second(t, 0)
	c.settle(t)
	c.pass(t, second)
	c.connection(t, map[string]string{"uri": "postgres://" + c.login() + ":x@127.0.0.1:1/" + c.Name})
	c.pass(t, c.Database)
	c.Expect(t, c.Database, operator.Waiting("Reachable", v1alpha1.ReasonUnreachable))
	globex := c.held(t, "globex")
	if result := c.pass(t, globex); result.RequeueAfter.Seconds() != 1 {
		t.Errorf("looked at again in %s, want a second", result.RequeueAfter)
	}
	c.pass(t, globex)
	c.Expect(t, globex, operator.Ready())
	if got := globex.Status.Database.Name; got != "second" {
		t.Errorf("placed on %s, want second", got)
	}
}
