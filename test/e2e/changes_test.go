package e2e

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// A new version of the product reaches every tenant while it is in use. A bad one reaches nobody,
// says so at each, and takes nobody's service away; when it is mended, all go on.
func TestNewVersionReachesTenantsAtWork(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var tenants []*v1alpha1.Tenant
	var witnesses []func() []string
	for i := range 3 {
		name := fmt.Sprintf("tenant-%d", i)
		tenants = append(tenants, s.Tenant(name, s.Host(name)))
		s.Create(t, tenants[i])
	}
	for i, tenant := range tenants {
		s.AwaitReady(t, tenant)
		awaitAnswer(t, tenant.Spec.Domains[0], s.Namespace+"/"+tenant.Name)
		witnesses = append(witnesses, witness(t, tenants[i].Spec.Domains[0]))
	}
	awaitVersion := func(version string) {
		t.Helper()
		for _, tenant := range tenants {
			s.Await(t, operator.Eventually, tenant, func(bool) error {
				if tenant.Status.Version != version {
					return fmt.Errorf("Tenant %s is at version %q, not %s", tenant.Name, tenant.Status.Version, version)
				}
				return operator.Ready().Check(tenant)
			})
		}
	}
	awaitVersion("3")
	operator.Update(t, s.Servers, s.Files, func(files *corev1.ConfigMap) { add(files, 4) })
	awaitVersion("4")
	s.noWarnings(t)

	files := map[string]string{"0005_bad.sql": "ALTER TABLE note ADD COLUMN c5 integer;\nALTER TABLE nowhere ADD COLUMN c5 integer;\n"}
	operator.Update(t, s.Servers, s.Files, func(cm *corev1.ConfigMap) { maps.Copy(cm.Data, files) })
	// The dry run stops it before any tenant; without one the tenants themselves stop at it.
	s.AwaitWant(t, operator.Eventually, s.Set, operator.Stalled(v1alpha1.ConditionReady, v1alpha1.ReasonDryRunFailed, "0005_bad.sql line 2"))
	awaitVersion("4")
	operator.Update(t, s.Servers, s.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.DryRun = v1alpha1.DryRunDisabled })
	for _, tenant := range tenants {
		s.AwaitWant(t, operator.Eventually, tenant,
			operator.Want{Condition: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonMigrationFailed, Message: []string{"0005_bad.sql", "line 2", "version 4"}})
		if got := operator.Columns(t, s.AdminDSN, tenant.Status.Schema, "note"); len(got) != 5 {
			t.Errorf("half of a bad migration is left: columns %v", got)
		}
	}

	operator.Update(t, s.Servers, s.Files, func(files *corev1.ConfigMap) {
		delete(files.Data, "0005_bad.sql")
		add(files, 5)
	})
	awaitVersion("5")
	for i, stop := range witnesses {
		if diff := cmp.Diff([]string{s.Namespace + "/" + tenants[i].Name}, stop()); diff != "" {
			t.Errorf("meanwhile answered (-want +got):\n%s", diff)
		}
	}
}

func add(files *corev1.ConfigMap, i int) {
	name, text := operator.MigrationFile(i)
	files.Data[name] = text
}

// A Secret is lost: there is a new one with a new password, the old password is worth nothing, and
// the customers go on.
func TestLostSecretIsReplaced(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	acme := s.Tenant("acme", s.Host("acme"))
	s.Create(t, acme)
	s.AwaitReady(t, acme)
	awaitAnswer(t, s.Host("acme"), s.Namespace+"/acme")
	stop := witness(t, s.Host("acme"))
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: acme.Status.Binding.Name}}
	s.Get(t, secret)
	old := secret.DeepCopy()

	s.Delete(t, secret)
	s.Await(t, operator.Eventually, secret, func(gone bool) error {
		if gone || secret.UID == old.UID {
			return fmt.Errorf("no new Secret")
		}
		return nil
	})
	if string(secret.Data["password"]) == string(old.Data["password"]) {
		t.Error("the new Secret holds the old password")
	}
	operator.Poll(t, operator.Eventually, func() error { return operator.LogsIn(t, string(secret.Data["uri"])) })
	if operator.LogsIn(t, string(old.Data["uri"])) == nil {
		t.Error("the old password still logs in")
	}
	awaitAnswer(t, s.Host("acme"), s.Namespace+"/acme")
	// There may have been a moment without a Secret.
	seen := slices.DeleteFunc(stop(), func(who string) bool { return who == "503 TenantNotReady" })
	if diff := cmp.Diff([]string{s.Namespace + "/acme"}, slices.Compact(seen)); diff != "" {
		t.Errorf("meanwhile answered (-want +got):\n%s", diff)
	}
	// Sessions of the old password are ended as by a failover: who comes then needs the new one.
	operator.Exec(t, s.AdminDSN, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", string(old.Data["username"]))
	awaitAnswer(t, s.Host("acme"), s.Namespace+"/acme")
	// A probe of the operator's own may have been among the sessions.
	s.AwaitReady(t, acme)
}
