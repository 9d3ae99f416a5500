package scenarios

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// What a tenant depends on reaches it by a watch, long before any re-check. New files of a
// MigrationSet, released claims and labels of namespaces are in the tables of bad input.
func TestChangesReachTenants(t *testing.T) {
	t.Parallel()
	limit := func(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant) func() error {
		return func() error {
			got := operator.Query[int](t, w.AdminDSN, "SELECT rolconnlimit FROM pg_roles WHERE rolname LIKE $1", "%"+tenant.Status.Schema+"_app")
			return differs("connection limit", 7, got)
		}
	}
	for name, tt := range map[string]struct {
		change func(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant)
		want   func(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant)
	}{
		"limits of the class": {
			change: func(t *testing.T, w *operator.World, _ *v1alpha1.Tenant) {
				operator.Update(t, w.Servers, w.Class, func(c *v1alpha1.TenantClass) { c.Spec.Limits = &v1alpha1.TenantLimits{Connections: 7} })
			},
			want: func(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant) {
				operator.Poll(t, operator.Soon, limit(t, w, tenant))
			},
		},
		"the class forbids the namespace": {
			change: func(t *testing.T, w *operator.World, _ *v1alpha1.Tenant) {
				operator.Update(t, w.Servers, w.Class, func(c *v1alpha1.TenantClass) { c.Spec.AllowedNamespaces = selector() })
			},
			want: func(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant) {
				w.AwaitWant(t, operator.Soon, tenant, operator.Stalled("Ready", v1alpha1.ReasonNamespaceNotAllowed))
			},
		},
		"a new file": {
			change: func(t *testing.T, w *operator.World, _ *v1alpha1.Tenant) { write(t, w, operator.Migrations(4)) },
			want: func(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant) {
				w.Await(t, operator.Soon, tenant, func(bool) error { return differs("version", "4", tenant.Status.Version) })
			},
		},
		"another certificate authority": {
			change: func(t *testing.T, w *operator.World, _ *v1alpha1.Tenant) {
				operator.Update(t, w.Servers, w.Secret, func(s *corev1.Secret) { s.Data["ca.crt"] = w.Plane.Config.CAData })
			},
			want: func(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant) {
				secret := secretOf(tenant)
				w.Await(t, operator.Soon, secret, func(bool) error {
					return differs("ca.crt", strings.TrimSpace(string(w.Plane.Config.CAData)), strings.TrimSpace(string(secret.Data["ca.crt"])))
				})
			},
		},
		"another sslmode": {
			change: func(t *testing.T, w *operator.World, _ *v1alpha1.Tenant) {
				operator.Update(t, w.Servers, w.Secret, func(s *corev1.Secret) {
					s.Data["uri"] = []byte(strings.Replace(w.DSN, "sslmode=disable", "sslmode=prefer", 1))
				})
			},
			want: func(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant) {
				secret := secretOf(tenant)
				w.Await(t, operator.Soon, secret, func(bool) error {
					return differs("sslmode in the URI", true, strings.Contains(string(secret.Data["uri"]), "sslmode=prefer"))
				})
			},
		},
		"an endpoint for tenants": {
			change: func(t *testing.T, w *operator.World, _ *v1alpha1.Tenant) {
				operator.Update(t, w.Servers, w.Database, func(d *v1alpha1.TenantDatabase) {
					d.Spec.Endpoint = &v1alpha1.DatabaseEndpoint{Host: "pooler.example", Port: 6432}
				})
			},
			want: func(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant) {
				secret := secretOf(tenant)
				w.Await(t, operator.Soon, secret, func(bool) error {
					return differs("host and port", "pooler.example:6432", string(secret.Data["host"])+":"+string(secret.Data["port"]))
				})
			},
		},
		"the database's Secret is deleted": {
			change: func(t *testing.T, w *operator.World, _ *v1alpha1.Tenant) { w.Delete(t, w.Secret) },
			want: func(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant) {
				w.AwaitWant(t, operator.Soon, w.Database, operator.Waiting("Reachable", v1alpha1.ReasonSecretNotFound))
				w.AwaitWant(t, operator.Soon, tenant, operator.Waiting("DatabaseReady", v1alpha1.ReasonDatabaseNotReady, "SecretNotFound"))
				w.Create(t, w.ConnectionSecret("db", w.DSN))
				w.AwaitWant(t, operator.Soon, tenant, operator.Ready())
			},
		},
		"the database's password changes": {
			change: func(t *testing.T, w *operator.World, _ *v1alpha1.Tenant) {
				operator.Exec(t, w.AdminDSN, "ALTER ROLE "+w.Name+"_operator PASSWORD 'another-password'")
				operator.Exec(t, w.AdminDSN, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", w.Name+"_operator")
				w.Nudge(t, w.Database)
			},
			want: func(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant) {
				w.AwaitWant(t, operator.Soon, w.Database, operator.Waiting("Reachable", v1alpha1.ReasonAuthenticationFailed))
				w.AwaitWant(t, operator.Soon, tenant, operator.Waiting("DatabaseReady", v1alpha1.ReasonDatabaseNotReady, "AuthenticationFailed"))
				operator.Update(t, w.Servers, w.Secret, func(s *corev1.Secret) {
					s.Data["uri"] = []byte(operator.Login(t, w.DSN, w.Name+"_operator", "another-password", ""))
				})
				w.AwaitWant(t, operator.Soon, w.Database, operator.Ready())
				w.AwaitWant(t, operator.Soon, tenant, operator.Ready())
			},
		},
		"the tenant's Secret is deleted": {
			change: func(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant) { w.Delete(t, secretOf(tenant)) },
			want: func(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant) {
				secret := secretOf(tenant)
				w.Await(t, operator.Soon, secret, func(gone bool) error { return differs("gone", false, gone) })
				operator.Poll(t, operator.Soon, func() error { return operator.LogsIn(t, string(secret.Data["uri"])) })
			},
		},
		"a key of the tenant's Secret is removed": {
			change: func(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant) {
				operator.Update(t, w.Servers, secretOf(tenant), func(s *corev1.Secret) { delete(s.Data, "username") })
			},
			want: func(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant) {
				secret := secretOf(tenant)
				w.Await(t, operator.Soon, secret, func(bool) error {
					return differs("username ends in _app", true, strings.HasSuffix(string(secret.Data["username"]), "_app"))
				})
			},
		},
		"domains of the tenant": {
			change: func(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant) {
				operator.Update(t, w.Servers, tenant, func(tn *v1alpha1.Tenant) { tn.Spec.Domains = []string{w.Host("new"), w.Host("acme")} })
			},
			want: func(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant) {
				w.AwaitWant(t, operator.Soon, tenant, operator.Ready())
				operator.Poll(t, operator.Soon, func() error {
					got := operator.Query[[]string](t, w.AdminDSN, "SELECT array_agg(host ORDER BY position) FROM tenantry.domain")
					return differs("domains in the registry", []string{w.Host("new"), w.Host("acme")}, got)
				})
			},
		},
		"no domains any more": {
			change: func(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant) {
				operator.Update(t, w.Servers, tenant, func(tn *v1alpha1.Tenant) { tn.Spec.Domains = nil })
			},
			want: func(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant) {
				w.AwaitGone(t, operator.Soon, claimOf(w.Host("acme")))
				w.AwaitWant(t, operator.Soon, tenant, operator.Ready())
			},
		},
		"another MigrationSet": {
			change: func(t *testing.T, w *operator.World, _ *v1alpha1.Tenant) {
				other := w.Set.DeepCopy()
				other.ResourceVersion, other.Name = "", "other"
				w.Create(t, other)
				operator.Update(t, w.Servers, w.Class, func(c *v1alpha1.TenantClass) { c.Spec.MigrationSetRef.Name = "other" })
			},
			want: func(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant) {
				w.AwaitWant(t, operator.Soon, tenant, operator.Ready(),
					operator.Want{Condition: "Migrated", Status: "True", Reason: v1alpha1.ReasonSucceeded, Message: []string{"MigrationSet other"}})
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := servers.World(t)
			tenant := acme(t, w).(*v1alpha1.Tenant)
			w.AwaitReady(t, tenant, w.Database)
			tt.change(t, w, tenant)
			tt.want(t, w, tenant)
		})
	}
}
