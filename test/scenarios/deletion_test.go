package scenarios

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// nothing holds a world against what it should have left: no schema, no role, no claim.
func nothing(t *testing.T, w *operator.World) {
	t.Helper()
	got := map[string][]string{
		"schemas": operator.Schemas(t, w.AdminDSN), "roles": operator.Roles(t, w.AdminDSN, "tn_"+w.Name+"__"), "claims": {},
	}
	var claims v1alpha1.DomainClaimList
	if err := w.Admin.List(t.Context(), &claims); err != nil {
		t.Fatal(err)
	}
	for _, c := range claims.Items {
		if c.Spec.Holder.Namespace == w.Namespace {
			got["claims"] = append(got["claims"], c.Name)
		}
	}
	if diff := cmp.Diff(map[string][]string{"schemas": {}, "roles": {}, "claims": {}}, got); diff != "" {
		t.Errorf("left behind (-want +got):\n%s", diff)
	}
}

// A deletion ends in every order in which people, or the garbage collector, delete.
func TestDeletionInAnyOrder(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]func(w *operator.World, tenants []client.Object) []client.Object{
		"tenants first": func(w *operator.World, tenants []client.Object) []client.Object {
			return append(tenants, w.Class, w.Set, w.Files, w.Database, w.Secret)
		},
		"Secret first": func(w *operator.World, tenants []client.Object) []client.Object {
			return append(append([]client.Object{w.Secret}, tenants...), w.Class, w.Set, w.Files, w.Database)
		},
		"database first": func(w *operator.World, tenants []client.Object) []client.Object {
			return append(append([]client.Object{w.Database}, tenants...), w.Class, w.Set, w.Files, w.Secret)
		},
		"database and Secret first": func(w *operator.World, tenants []client.Object) []client.Object {
			return append(append([]client.Object{w.Database, w.Secret}, tenants...), w.Class, w.Set, w.Files)
		},
		"class first": func(w *operator.World, tenants []client.Object) []client.Object {
			return append(append([]client.Object{w.Class}, tenants...), w.Database, w.Set, w.Files, w.Secret)
		},
		"MigrationSet and files first": func(w *operator.World, tenants []client.Object) []client.Object {
			return append(append([]client.Object{w.Set, w.Files}, tenants...), w.Class, w.Database, w.Secret)
		},
		"all of them, tenants last": func(w *operator.World, tenants []client.Object) []client.Object {
			return append([]client.Object{w.Secret, w.Files, w.Set, w.Class, w.Database}, tenants...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := servers.World(t)
			w.Class.Spec.DeletionPolicy = v1alpha1.DeletionDelete
			w.Make(t)
			var tenants []client.Object
			for i := range 3 {
				tenant := w.Tenant(fmt.Sprintf("t%d", i), w.Host(fmt.Sprintf("t%d", i)))
				w.Create(t, tenant)
				w.AwaitReady(t, tenant)
				tenants = append(tenants, tenant)
			}
			all := order(w, tenants)
			w.Delete(t, all...)
			for _, obj := range all {
				w.AwaitGone(t, operator.Eventually, obj)
			}
			nothing(t, w)
		})
	}
}

// A namespace is deleted as a whole, in an order that nobody chooses.
func TestNamespaceDeletion(t *testing.T) {
	t.Parallel()
	w := servers.World(t)
	w.Class.Spec.DeletionPolicy = v1alpha1.DeletionDelete
	w.Make(t)
	for i := range 5 {
		tenant := w.Tenant(fmt.Sprintf("t%d", i), w.Host(fmt.Sprintf("t%d", i)))
		w.Create(t, tenant)
		w.AwaitReady(t, tenant)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}}
	w.Delete(t, ns)
	w.AwaitGone(t, operator.Eventually, ns)
	w.Delete(t, w.Class)
	w.AwaitGone(t, operator.Eventually, w.Class)
	nothing(t, w)
}

// The namespace of the tenants goes, that of their database stays.
func TestTenantsNamespaceDeletion(t *testing.T) {
	t.Parallel()
	w := servers.World(t)
	w.Database.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesAll}
	w.Set.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesAll}
	w.Make(t)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace + "-customers"}}
	w.Create(t, ns)
	for i := range 3 {
		tenant := w.Tenant(fmt.Sprintf("t%d", i), w.Host(fmt.Sprintf("t%d", i)))
		tenant.Namespace = ns.Name
		w.Create(t, tenant)
		w.AwaitReady(t, tenant)
	}
	w.Delete(t, ns)
	w.AwaitGone(t, operator.Eventually, ns)
	if got := operator.Query[int](t, w.AdminDSN, "SELECT count(*) FROM tenantry.tenant WHERE state = 'retained'"); got != 3 {
		t.Errorf("%d schemas are retained, want 3", got)
	}
	if got := operator.Query[int](t, w.AdminDSN, "SELECT count(*) FROM pg_roles WHERE rolcanlogin AND rolname LIKE $1", "tn\\_"+w.Name+"\\_\\_%"); got != 0 {
		t.Errorf("%d tenants' logins are on, want none", got)
	}
	w.AwaitReady(t, w.Database)
}
