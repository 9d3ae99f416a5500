package scenarios

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// From YAML to a customer who can work: every condition of every kind, and what generic tools say.
func TestReady(t *testing.T) {
	w := servers.World(t).Make(t)
	acme := w.Tenant("acme", w.Host("acme"), w.Host("www"))
	w.Create(t, acme)
	w.AwaitReady(t, acme)

	if diff := cmp.Diff(map[string]string{
		"DomainsClaimed": "True Succeeded", "DatabaseReady": "True Succeeded", "SchemaReady": "True Succeeded",
		"CredentialsReady": "True Succeeded", "Migrated": "True Succeeded", "Verified": "True Succeeded", "Isolated": "True Succeeded",
		"Routed": "True NotRequested", "Reachable": "True NotRequested", "Ready": "True Ready",
	}, verdicts(acme.Status.Conditions)); diff != "" {
		t.Errorf("conditions of the Tenant (-want +got):\n%s", diff)
	}
	schema := schemaOf(w, "acme")
	want := v1alpha1.TenantStatus{
		ObservedGeneration: acme.Generation, Schema: schema, Version: "3", PrimaryDomain: w.Host("acme"),
		Database: &v1alpha1.NamespacedReference{Namespace: w.Namespace, Name: "main"},
		Binding:  &v1alpha1.LocalReference{Name: "acme-db"},
		Domains: []v1alpha1.TenantDomainStatus{
			{Host: w.Host("acme"), State: v1alpha1.DomainClaimed, Claim: w.Host("acme")},
			{Host: w.Host("www"), State: v1alpha1.DomainClaimed, Claim: w.Host("www")},
		},
	}
	got := acme.Status
	got.Conditions = nil
	if got.Digest == "" || got.Credentials == nil || got.Credentials.Since == nil {
		t.Errorf("status has no digest or no login: %+v", got)
	}
	got.Digest, got.Credentials = "", nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status of the Tenant (-want +got):\n%s", diff)
	}
	claim := &v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: w.Host("acme")}}
	for _, wish := range []struct {
		obj  object
		want map[string]string
	}{
		{w.Database, map[string]string{
			"Ready": "True Ready", "Reachable": "True Succeeded", "Privileged": "True Succeeded",
			"Bootstrapped": "True Succeeded", "SharedMigrated": "True Succeeded",
		}},
		{w.Set, map[string]string{"Ready": "True Ready", "RolledOut": "True Succeeded"}},
		{w.Class, map[string]string{"Ready": "True Ready"}},
		{claim, map[string]string{"Ready": "True Ready", "Verified": "True Succeeded"}},
	} {
		w.AwaitReady(t, wish.obj)
		if diff := cmp.Diff(wish.want, verdicts(*wish.obj.GetConditions())); diff != "" {
			t.Errorf("conditions of %T (-want +got):\n%s", wish.obj, diff)
		}
	}
}

// The Secret is what the Service Binding specification says, and its uri is all that a client needs.
func TestSecret(t *testing.T) {
	t.Parallel()
	w := servers.World(t).Make(t)
	acme := w.Tenant("acme")
	w.Create(t, acme)
	w.AwaitReady(t, acme)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: acme.Status.Binding.Name}}
	w.Get(t, secret)
	if got, want := secret.Type, corev1.SecretType("servicebinding.io/postgresql"); got != want {
		t.Errorf("type of the Secret is %s, want %s", got, want)
	}
	keys := map[string]string{}
	for key, value := range secret.Data {
		keys[key] = string(value)
	}
	u, err := url.Parse(w.DSN)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"type": "postgresql", "provider": "tenantry", "host": u.Hostname(), "port": u.Port(), "database": w.Name,
		"username": "tn_" + w.Name + "__" + acme.Status.Schema + "_app", "schema": acme.Status.Schema,
		"password": keys["password"], "uri": keys["uri"],
	}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("keys of the Secret (-want +got):\n%s", diff)
	}
	if len(keys["password"]) < 22 {
		t.Errorf("the password has %d characters, too few for 128 bits", len(keys["password"]))
	}
	operator.Exec(t, keys["uri"], "INSERT INTO note (body) VALUES ('hello')")
	if got := operator.Query[int](t, w.AdminDSN, "SELECT count(*) FROM "+acme.Status.Schema+".note"); got != 1 {
		t.Errorf("%d rows in the tenant's own table, want 1", got)
	}
}
