package controllers_test

import (
	"os"
	"testing"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

// These tests call Reconcile directly: what one pass does, when it wants to come back, and what it
// does not do. Nothing happens between two passes. Tests of the manager are in test/scenarios.

var servers *operator.Servers

func TestMain(m *testing.M) { os.Exit(operator.MainThen(m, &servers, rights)) }

// bench is a world and an operator that works only when it is told to.
type bench struct {
	*operator.World
	by *operator.Reconcilers
}

func newBench(t *testing.T) *bench {
	t.Helper()
	return &bench{servers.World(t), servers.Reconcilers(t)}
}

// restart forgets what an operator forgets when it is restarted.
func (b *bench) restart(t *testing.T) {
	t.Helper()
	b.by = servers.Reconcilers(t)
}

// pass runs one pass, which must not fail, and reads the object again.
func (b *bench) pass(t *testing.T, obj conditions.Object) ctrl.Result {
	t.Helper()
	result, err := b.by.Reconcile(t.Context(), obj)
	if err != nil {
		t.Fatalf("%T %s: %v", obj, obj.GetName(), err)
	}
	if err := client.IgnoreNotFound(b.Admin.Get(t.Context(), client.ObjectKeyFromObject(obj), obj)); err != nil {
		t.Fatal(err)
	}
	return result
}

// settle makes the world Ready for tenants: set and class need the database's word, and it needs the
// set's for its shared schema.
func (b *bench) settle(t *testing.T) *bench {
	t.Helper()
	b.Make(t)
	b.pass(t, b.Set)
	b.pass(t, b.Database)
	b.pass(t, b.Class)
	b.Expect(t, b.Set, operator.Ready())
	b.Expect(t, b.Database, operator.Ready())
	b.Expect(t, b.Class, operator.Ready())
	return b
}

// tenant creates a Tenant and brings it to Ready in one pass.
func (b *bench) tenant(t *testing.T, name string, change ...func(*v1alpha1.Tenant)) *v1alpha1.Tenant {
	t.Helper()
	tenant := b.Tenant(name, b.Host(name))
	for _, f := range change {
		f(tenant)
	}
	b.Create(t, tenant)
	b.pass(t, tenant)
	b.Expect(t, tenant, operator.Ready())
	return tenant
}
