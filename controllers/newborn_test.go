package controllers_test

import (
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
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
// one schema, on one database, and a Secret whose password works and is never changed. Status or Secret tell at
// any time that something was made, should that database be away.
func TestKilledWhileATenantIsMade(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		held  bool
		class func(*bench)
	}{
		"found without the finalizer":         {class: func(*bench) {}},
		"held from the start":                 {held: true, class: func(*bench) {}},
		"with a shared login":                 {class: func(b *bench) { b.sharedLogin(v1alpha1.LoginSetRole) }},
		"held from the start, a shared login": {held: true, class: func(b *bench) { b.sharedLogin(v1alpha1.LoginShared) }},
		"held from the start, reports wanted": {held: true, class: (*bench).wantsReaders},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			tt.class(b)
			second := b.second(t, 0)
			b.Make(t)
			for _, o := range []conditions.Object{b.Set, b.Database, second, b.Class} {
				b.pass(t, o)
				b.Expect(t, o, operator.Ready())
			}
			for n := 0; ; n++ {
				tenant := b.Tenant(fmt.Sprint("acme-", n), b.Host(fmt.Sprint("acme-", n)))
				if tt.held {
					tenant.Finalizers = []string{v1alpha1.Finalizer}
				}
				b.Create(t, tenant)
				_, err := servers.KilledReconcilers(t, n).Reconcile(t.Context(), tenant)
				password := b.passwordOf(t, tenant)
				b.Get(t, tenant)
				if here, there := b.knownBy(t, tenant); here+there > 0 && tenant.Status.Database == nil && password == "" {
					t.Errorf("killed behind write %d: neither status nor Secret tell of what was made", n)
				}
				b.restart(t)
				b.pass(t, tenant)
				b.Expect(t, tenant, operator.Ready())
				if now := b.passwordOf(t, tenant); password != "" && now != password {
					t.Errorf("killed behind write %d: the password was replaced", n)
				}
				b.expectLogin(t, tenant)
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
	here, there := b.knownBy(t, tenant)
	if here+there != 1 || (there == 1) != (tenant.Status.Database.Name == second.Name) {
		t.Errorf("%s says it lives on %s; the databases know it %d and %d times", tenant.Name, tenant.Status.Database.Name, here, there)
	}
}

// expectLogin wants the login in a Tenant's own Secret to work, if it has one: a shared one is its class's.
func (b *bench) expectLogin(t *testing.T, tenant *v1alpha1.Tenant) {
	t.Helper()
	if uri := keys(b.secret(t, tenant))["uri"]; uri != "" {
		if err := operator.LogsIn(t, uri); err != nil {
			t.Errorf("%s: %v", tenant.Name, err)
		}
	} else if b.Class.Spec.Logins == nil {
		t.Errorf("%s has no login", tenant.Name)
	}
}

// knownBy counts a Tenant in the registries of the world's two databases.
func (b *bench) knownBy(t *testing.T, tenant *v1alpha1.Tenant) (here, there int) {
	t.Helper()
	other := strings.Replace(b.AdminDSN, "/"+b.Name+"?", "/"+b.Name+"b?", 1)
	const count = "SELECT count(*) FROM tenantry.tenant WHERE tenant_uid = $1"
	return operator.Query[int](t, b.AdminDSN, count, string(tenant.UID)), operator.Query[int](t, other, count, string(tenant.UID))
}

func (b *bench) wantsReaders() {
	b.Class.Spec.Logins = &v1alpha1.LoginPolicy{Reader: &v1alpha1.ReaderPolicy{Default: v1alpha1.SwitchEnabled}}
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
}

// Whoever comes while a database of the class is away, or is another one than it was, was made nowhere, which its
// status tells a moment later.
func TestNewTenantsPassADatabaseThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		harm func(b *bench, t *testing.T)
		want operator.Want
	}{
		"away": {func(b *bench, t *testing.T) {
			b.connection(t, map[string]string{"uri": "postgres://" + b.login() + ":x@127.0.0.1:1/" + b.Name})
		}, operator.Waiting("Reachable", v1alpha1.ReasonUnreachable)},
		"emptied": {func(b *bench, t *testing.T) {
			b.script(t, "DROP SCHEMA tenantry CASCADE")
		}, operator.Stalled("Bootstrapped", v1alpha1.ReasonIdentityChanged)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			second := b.second(t, 0)
			b.settle(t)
			b.pass(t, second)
			tt.harm(b, t)
			b.pass(t, b.Database)
			b.Expect(t, b.Database, tt.want)
			acme := b.held(t, "acme")
			if result := b.pass(t, acme); result.RequeueAfter.Seconds() != 1 {
				t.Errorf("looked at again in %s, want a second", result.RequeueAfter)
			}
			b.Expect(t, acme, operator.Waiting("DatabaseReady", v1alpha1.ReasonDatabaseNotReady))
			b.pass(t, acme)
			b.Expect(t, acme, operator.Ready())
			if got := acme.Status.Database.Name; got != "second" {
				t.Errorf("placed on %s, want second", got)
			}
		})
	}
}

// A database that went since its TenantDatabase was looked at gets no tenants: what it could not be asked, nobody
// is placed on it by what its status still says.
func TestNoPlaceOnADatabaseThatHasJustGone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	second := b.second(t, 0)
	b.settle(t)
	b.pass(t, second)
	operator.Update(t, b.Servers, second, func(d *v1alpha1.TenantDatabase) { d.Spec.MaxTenants = new(int32(1)) }) // the other has more room
	b.pass(t, second)
	operator.Exec(t, b.Server.AdminDSN(), fmt.Sprintf("DROP DATABASE %q WITH (FORCE)", b.Name))
	acme := b.held(t, "acme")
	for range 3 {
		_, _ = b.by.Reconcile(t.Context(), acme) // an error of the connection is one
		b.Get(t, acme)
		if acme.Status.Database != nil {
			t.Fatalf("placed on %s, which is gone", acme.Status.Database.Name)
		}
	}
	b.pass(t, b.Database)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	if got := acme.Status.Database.Name; got != "second" {
		t.Errorf("placed on %s, want second", got)
	}
}
