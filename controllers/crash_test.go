package controllers_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// What an operator leaves that dies between two of its writes: the next one goes on from there.
func TestCrashBetweenWrites(t *testing.T) {
	t.Parallel()
	lostStatus := func(s *v1alpha1.TenantStatus) { *s = v1alpha1.TenantStatus{ObservedGeneration: -1} }
	for name, tt := range map[string]struct {
		sql    string // APP stands for the tenant's login
		secret func(*corev1.Secret)
		status func(*v1alpha1.TenantStatus)
	}{
		"before the password":       {sql: "ALTER ROLE APP NOLOGIN PASSWORD NULL", status: lostStatus},
		"before the migrations":     {sql: "UPDATE tenantry.tenant SET version = '', digest = ''; DELETE FROM tenantry.migration_file; DROP TABLE SCHEMA.note; DELETE FROM SCHEMA.tenantry_migrations", status: lostStatus},
		"before files are recorded": {sql: "UPDATE tenantry.tenant SET version = '', digest = ''; DELETE FROM tenantry.migration_file", status: lostStatus},
		"before the version is":     {sql: "UPDATE tenantry.tenant SET version = '', digest = ''", status: lostStatus},
		"before the domains are":    {sql: "DELETE FROM tenantry.domain", status: lostStatus},
		"before the status":         {status: lostStatus},
		"in the middle of a Secret": {secret: func(s *corev1.Secret) { delete(s.Data, "uri"); delete(s.Data, "port") }},
		"before a new password":     {secret: func(s *corev1.Secret) { s.Data["password"] = []byte("the-next-password") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t).settle(t)
			acme := b.tenant(t, "acme")
			schema := acme.Status.Schema
			if tt.sql != "" {
				app := "tn_" + b.Name + "__" + schema + "_app"
				b.script(t, strings.NewReplacer("APP", app, "SCHEMA", schema).Replace(tt.sql))
			}
			if tt.secret != nil {
				operator.Update(t, b.Servers, b.secret(t, acme), tt.secret)
			}
			if tt.status != nil {
				b.forge(t, acme, tt.status)
			}
			b.restart(t)
			b.pass(t, b.Set)
			b.pass(t, b.Database)
			b.pass(t, acme)
			b.Expect(t, acme, operator.Ready())
			operator.Exec(t, keys(b.secret(t, acme))["uri"], "INSERT INTO note (body, c3) VALUES ('works', 3)")
			files := operator.Query[[]string](t, b.AdminDSN, "SELECT array_agg(name ORDER BY version) FROM tenantry.migration_file")
			if diff := cmp.Diff([]string{"0001_note.sql", "0002_c2.sql", "0003_c3.sql"}, files); diff != "" {
				t.Errorf("recorded files (-want +got):\n%s", diff)
			}
			hosts := operator.Query[[]string](t, b.AdminDSN, "SELECT array_agg(host) FROM tenantry.domain")
			if diff := cmp.Diff([]string{b.Host("acme")}, hosts); diff != "" {
				t.Errorf("recorded domains (-want +got):\n%s", diff)
			}
		})
	}
}
