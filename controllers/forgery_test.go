package controllers_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// Who may write a Tenant's status must reach no other tenant by it: what may be changed or dropped is
// decided by the UID in the registry. Nor does a forged status keep what is the tenant's own from
// being taken away with it.
func TestForgedStatus(t *testing.T) {
	t.Parallel()
	v := newBench(t).settle(t)
	victim := v.tenant(t, "victim", func(tn *v1alpha1.Tenant) { tn.Spec.SchemaName = "victim" })
	operator.Exec(t, keys(v.secret(t, victim))["uri"], "INSERT INTO note (body) VALUES ('precious')")
	before := v.traces(t, "victim")
	for name, forge := range map[string]func(victim *v1alpha1.Tenant) func(*v1alpha1.TenantStatus){
		"schema of another": func(victim *v1alpha1.Tenant) func(*v1alpha1.TenantStatus) {
			return func(s *v1alpha1.TenantStatus) { s.Schema = victim.Status.Schema }
		},
		"schema and database of another": func(victim *v1alpha1.Tenant) func(*v1alpha1.TenantStatus) {
			return func(s *v1alpha1.TenantStatus) {
				s.Schema, s.Database = victim.Status.Schema, victim.Status.Database
			}
		},
		"database of another": func(victim *v1alpha1.Tenant) func(*v1alpha1.TenantStatus) {
			return func(s *v1alpha1.TenantStatus) { s.Database = victim.Status.Database }
		},
		"a database that is not there": func(*v1alpha1.Tenant) func(*v1alpha1.TenantStatus) {
			return func(s *v1alpha1.TenantStatus) {
				s.Database = &v1alpha1.NamespacedReference{Namespace: "nowhere", Name: "main"}
			}
		},
		"all of another": func(victim *v1alpha1.Tenant) func(*v1alpha1.TenantStatus) {
			return func(s *v1alpha1.TenantStatus) { *s = *victim.Status.DeepCopy() }
		},
		"the registry": func(*v1alpha1.Tenant) func(*v1alpha1.TenantStatus) {
			return func(s *v1alpha1.TenantStatus) { s.Schema = "tenantry" }
		},
		"nothing at all": func(*v1alpha1.Tenant) func(*v1alpha1.TenantStatus) {
			return func(s *v1alpha1.TenantStatus) { *s = v1alpha1.TenantStatus{ObservedGeneration: -1} }
		},
	} {
		for _, passes := range []string{"deleted at once", "reconciled first"} {
			t.Run(name+", "+passes, func(t *testing.T) {
				t.Parallel()
				testForgery(t, v, forge(victim), passes == "reconciled first")
				if diff := cmp.Diff(before, v.traces(t, "victim")); diff != "" {
					t.Errorf("of the victim (-before +after):\n%s", diff)
				}
				if got := operator.Query[string](t, keys(v.secret(t, victim))["uri"], "SELECT body FROM note"); got != "precious" {
					t.Errorf("the victim's row is %q", got)
				}
			})
		}
	}
}

// testForgery lets a Tenant of another world forge its status and go.
func testForgery(t *testing.T, v *bench, forge func(*v1alpha1.TenantStatus), reconciled bool) {
	t.Helper()
	f := newBench(t)
	f.by = v.by // one operator
	f.settle(t)
	forger := f.tenant(t, "forger", func(tn *v1alpha1.Tenant) { tn.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
	f.forge(t, forger, forge)
	if reconciled {
		if _, err := f.by.Reconcile(t.Context(), forger); err != nil {
			t.Logf("the pass over the forged status: %v", err)
		}
	}
	f.Delete(t, forger)
	f.finish(t, forger)
	wantTraces(t, "of the forger", traces{}, f.traces(t, "forger"))
}

// A Tenant cannot take another's claims, Secrets or routes by labels and names that anybody can set.
func TestForgedLabels(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Routing = gatewayRouting()
	b.Create(t, b.backend())
	b.settle(t)
	victim := b.Tenant("victim", b.Host("victim"))
	b.Create(t, victim)
	b.pass(t, victim)
	routes := b.routes(t)
	if len(routes) != 1 {
		t.Fatalf("%d routes, want 1", len(routes))
	}
	stranger := routes[0].DeepCopy()
	stranger.ObjectMeta = metav1.ObjectMeta{Namespace: b.Namespace, Name: "stranger", Labels: routes[0].Labels}
	b.CreateUnguarded(t, stranger)
	operator.Update(t, b.Servers, victim, func(tn *v1alpha1.Tenant) { tn.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
	b.remove(t, victim)
	if left := b.routes(t); len(left) != 1 || left[0].Name != "stranger" {
		t.Errorf("%d routes are left, want the stranger's", len(left))
	}
}
