package scenarios

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// bad is one row of the table of bad input: what somebody did, what the object then says, and that
// it heals by a watch when the cause goes.
type bad struct {
	// do makes the world's objects, wrong, and returns the one to look at.
	do func(t *testing.T, w *operator.World) object
	// want is what the object says.
	want []operator.Want
	// mend takes the cause away.
	mend func(t *testing.T, w *operator.World, obj object)
}

func runBad(t *testing.T, rows map[string]bad) {
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := servers.World(t)
			obj := row.do(t, w)
			w.AwaitWant(t, operator.Eventually, obj, row.want...)
			row.mend(t, w, obj)
			w.AwaitWant(t, operator.Soon, obj, operator.Ready())
		})
	}
}

// acme makes the world, and its one Tenant.
func acme(t *testing.T, w *operator.World) object {
	w.Make(t)
	tenant := w.Tenant("acme", w.Host("acme"))
	w.Create(t, tenant)
	return tenant
}

// selector allows the namespaces that carry the label team=blue.
func selector() *v1alpha1.AllowedNamespaces {
	return &v1alpha1.AllowedNamespaces{
		From: v1alpha1.NamespacesSelector, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "blue"}},
	}
}

// label gives the world's namespace the label team=blue.
func label(t *testing.T, w *operator.World, _ object) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}}
	operator.Update(t, w.Servers, ns, func(ns *corev1.Namespace) {
		if ns.Labels == nil {
			ns.Labels = map[string]string{}
		}
		ns.Labels["team"] = "blue"
	})
}

// Who may use what, and what is not there at all.
func TestBadReferences(t *testing.T) {
	t.Parallel()
	runBad(t, map[string]bad{
		"unknown class": {
			do: func(t *testing.T, w *operator.World) object {
				w.Create(t, w.Secret, w.Database, w.Files, w.Set)
				tenant := w.Tenant("acme", w.Host("acme"))
				w.Create(t, tenant)
				return tenant
			},
			want: []operator.Want{
				operator.Waiting("Ready", v1alpha1.ReasonClassNotFound, "spec.className", "does not exist"),
				{Condition: "SchemaReady", Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonPending},
			},
			mend: func(t *testing.T, w *operator.World, _ object) { w.Create(t, w.Class) },
		},
		"class does not allow the namespace": {
			do: func(t *testing.T, w *operator.World) object {
				w.Class.Spec.AllowedNamespaces = selector()
				return acme(t, w)
			},
			want: []operator.Want{operator.Stalled("Ready", v1alpha1.ReasonNamespaceNotAllowed, "TenantClass", "does not allow namespace", "spec.allowedNamespaces")},
			mend: label,
		},
		"database does not allow the namespace": {
			do: func(t *testing.T, w *operator.World) object {
				w.Database.Spec.AllowedNamespaces = selector()
				return acme(t, w)
			},
			want: []operator.Want{
				operator.Stalled("DatabaseReady", v1alpha1.ReasonNamespaceNotAllowed, "main does not allow namespace", "spec.allowedNamespaces"),
				operator.Stalled("Ready", v1alpha1.ReasonNamespaceNotAllowed),
			},
			mend: label,
		},
		"database then allows the namespace": {
			do: func(t *testing.T, w *operator.World) object {
				w.Database.Spec.AllowedNamespaces = selector()
				return acme(t, w)
			},
			want: []operator.Want{operator.Stalled("Ready", v1alpha1.ReasonNamespaceNotAllowed)},
			mend: func(t *testing.T, w *operator.World, _ object) {
				operator.Update(t, w.Servers, w.Database, func(d *v1alpha1.TenantDatabase) {
					d.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesAll}
				})
			},
		},
		"MigrationSet does not allow the namespace": {
			do: func(t *testing.T, w *operator.World) object {
				w.Set.Spec.AllowedNamespaces = selector()
				return acme(t, w)
			},
			want: []operator.Want{operator.Stalled("Migrated", v1alpha1.ReasonNamespaceNotAllowed, "MigrationSet", "spec.allowedNamespaces")},
			mend: label,
		},
		"unknown database": {
			do: func(t *testing.T, w *operator.World) object {
				w.Create(t, w.Secret, w.Files, w.Set, w.Class)
				tenant := w.Tenant("acme", w.Host("acme"))
				w.Create(t, tenant)
				return tenant
			},
			want: []operator.Want{operator.Waiting("DatabaseReady", v1alpha1.ReasonDatabaseNotFound, "main does not exist")},
			mend: func(t *testing.T, w *operator.World, _ object) { w.Create(t, w.Database) },
		},
		"unknown MigrationSet": {
			do: func(t *testing.T, w *operator.World) object {
				w.Create(t, w.Secret, w.Database, w.Files, w.Class)
				tenant := w.Tenant("acme", w.Host("acme"))
				w.Create(t, tenant)
				return tenant
			},
			want: []operator.Want{operator.Waiting("Migrated", v1alpha1.ReasonMigrationSetNotFound, "app, which class", "does not exist")},
			mend: func(t *testing.T, w *operator.World, _ object) { w.Create(t, w.Set) },
		},
		"class names an unknown database": {
			do: func(t *testing.T, w *operator.World) object {
				w.Create(t, w.Secret, w.Files, w.Set, w.Class)
				return w.Class
			},
			want: []operator.Want{operator.Waiting("Ready", v1alpha1.ReasonDatabaseNotReady, "spec.databases", "main does not exist")},
			mend: func(t *testing.T, w *operator.World, _ object) { w.Create(t, w.Database) },
		},
		"class names an unknown MigrationSet": {
			do: func(t *testing.T, w *operator.World) object {
				w.Create(t, w.Secret, w.Database, w.Files, w.Class)
				return w.Class
			},
			want: []operator.Want{operator.Waiting("Ready", v1alpha1.ReasonMigrationSetNotFound, "spec.migrationSetRef", "does not exist")},
			mend: func(t *testing.T, w *operator.World, _ object) { w.Create(t, w.Set) },
		},
		"database full": {
			do: func(t *testing.T, w *operator.World) object {
				w.Database.Spec.MaxTenants = new(int32(1))
				first := acme(t, w)
				w.AwaitReady(t, first)
				second := w.Tenant("second")
				w.Create(t, second)
				return second
			},
			want: []operator.Want{operator.Waiting("DatabaseReady", v1alpha1.ReasonDatabaseFull, "spec.maxTenants")},
			mend: func(t *testing.T, w *operator.World, _ object) {
				operator.Update(t, w.Servers, w.Database, func(d *v1alpha1.TenantDatabase) { d.Spec.MaxTenants = new(int32(2)) })
			},
		},
		"foreign Secret under the tenant's name": {
			do: func(t *testing.T, w *operator.World) object {
				w.Create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "acme-db"}, StringData: map[string]string{"mine": "yes"}})
				return acme(t, w)
			},
			want: []operator.Want{operator.Waiting("CredentialsReady", v1alpha1.ReasonSecretNameTaken, `Secret "acme-db"`, "exists and was not made by Tenantry")},
			mend: func(t *testing.T, w *operator.World, _ object) {
				secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "acme-db"}}
				w.Get(t, secret)
				if string(secret.Data["mine"]) != "yes" || len(secret.Data) != 1 {
					t.Errorf("a foreign Secret was changed; keys are now %d", len(secret.Data))
				}
				w.Delete(t, secret)
			},
		},
	})
}
