// Package namespaced tests the installation whose operator has rights in some namespaces only
// (config/namespaced), under its own service account.
package namespaced

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/controllers"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/internal/namespaces"
	"github.com/tenantry/tenantry/test/operator"
)

const manifests = "config/namespaced"

// watched are the namespaces of config/namespaced, as its flag names them.
var watched = namespaces.Set{"tasklane", "tasklane-data", "gateway-system"}

var servers *operator.Servers

func TestMain(m *testing.M) { os.Exit(operator.MainOf(m, &servers, manifests)) }

// A Tenant in a namespace of the operator's becomes Ready with what is in others of them; one elsewhere
// is left alone; a reference to elsewhere is told; claims of others are nobody's business; and the
// operator is forbidden nothing that it asks for.
func TestNamespacedInstallation(t *testing.T) {
	product, data := servers.WorldIn(t, watched[0]), servers.WorldIn(t, watched[1])
	outside := servers.WorldIn(t, "elsewhere")
	foreign := claimOfNobody(t, outside)
	process, err := servers.Run(controllers.Options{DatabaseConnections: 3, Namespaces: watched})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := process.Stop(); err != nil {
			t.Error(err)
		}
	})
	data.Database.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesAll}
	product.Class.Spec.Databases[0].Namespace = data.Namespace
	product.Create(t, data.Secret, data.Database, product.Files, product.Set, product.Class)
	acme := product.Tenant("acme", product.Host("acme"), "*."+product.Host("acme"))
	acme.Spec.DeletionPolicy = v1alpha1.DeletionDelete
	product.Create(t, acme)
	product.AwaitReady(t, acme, data.Database, product.Set, product.Class)

	outside.Make(t)
	stranger := outside.Tenant("stranger", outside.Host("stranger"))
	stranger.Spec.ClassName = product.Class.Name
	lost := product.Tenant("lost")
	lost.Spec.ClassName = outside.Class.Name
	product.Create(t, stranger, lost)
	product.AwaitWant(t, operator.Eventually, lost,
		operator.Stalled(v1alpha1.ConditionReady, v1alpha1.ReasonNamespaceNotWatched, "elsewhere", "tasklane, tasklane-data, gateway-system"))

	expectReferencesTold(t, product, data, outside, acme)

	product.Delete(t, acme, lost)
	product.AwaitGone(t, operator.Eventually, acme)
	product.AwaitGone(t, operator.Eventually, lost)
	for _, untouched := range []conditions.Object{stranger, outside.Database, outside.Set} {
		product.Get(t, untouched)
		if c := *untouched.GetConditions(); len(c)+len(untouched.GetFinalizers()) > 0 {
			t.Errorf("%T outside was touched: %v %v", untouched, c, untouched.GetFinalizers())
		}
	}
	before := foreign.ResourceVersion
	product.Get(t, foreign)
	if foreign.ResourceVersion != before {
		t.Error("a claim of a Tenant elsewhere was touched")
	}
	_, forbidden, err := servers.Used()
	if err != nil || len(forbidden) > 0 {
		t.Errorf("the operator was forbidden %q, %v", forbidden, err)
	}
}

// expectReferencesTold has classes name what is elsewhere, each in another field. A class says which field it
// is; it makes nothing for that, and a Tenant that works goes on. Such a class can be mended, and deleted.
func expectReferencesTold(t *testing.T, product, data, outside *operator.World, acme *v1alpha1.Tenant) {
	t.Helper()
	told := func(class *v1alpha1.TenantClass, what string) {
		t.Helper()
		product.AwaitWant(t, operator.Eventually, class, operator.Stalled(v1alpha1.ConditionReady, v1alpha1.ReasonNamespaceNotWatched,
			what, "tasklane, tasklane-data, gateway-system", "--namespaces"))
	}
	told(outside.Class, "spec.databases: TenantDatabase elsewhere/main")

	setLogins := func(mode v1alpha1.LoginMode, namespace string) {
		t.Helper()
		operator.Update(t, product.Servers, product.Class, func(c *v1alpha1.TenantClass) {
			c.Spec.Logins = &v1alpha1.LoginPolicy{Mode: mode}
			if namespace != "" {
				c.Spec.Logins.SecretRef = &v1alpha1.LoginSecretReference{Namespace: namespace, Name: "login"}
			}
		})
	}
	setLogins(v1alpha1.LoginSetRole, outside.Namespace)
	told(product.Class, "spec.logins.secretRef: Secret elsewhere/login-*")
	late := product.Tenant("late")
	product.Create(t, late)
	product.AwaitWant(t, operator.Eventually, late, operator.Waiting(v1alpha1.ConditionCredentialsReady, v1alpha1.ReasonSharedLoginNotReady, product.Class.Name))
	product.AwaitPass(t, operator.Eventually, acme, operator.Ready())
	if n := operator.Query[int](t, data.AdminDSN, "SELECT count(*) FROM tenantry.login"); n != 0 {
		t.Errorf("%d shared logins were made for a Secret that cannot be written", n)
	}
	setLogins(v1alpha1.LoginDedicated, "")
	product.AwaitReady(t, product.Class)
	setLogins(v1alpha1.LoginSetRole, watched[1])
	product.AwaitReady(t, product.Class, acme, late)

	for field, spoil := range map[string]func(*v1alpha1.TenantClassSpec){
		"spec.migrationSetRef: MigrationSet": func(c *v1alpha1.TenantClassSpec) { c.MigrationSetRef.Namespace = outside.Namespace },
		"spec.logins.secretRef: Secret": func(c *v1alpha1.TenantClassSpec) {
			c.Logins = &v1alpha1.LoginPolicy{Mode: v1alpha1.LoginShared, SecretRef: &v1alpha1.LoginSecretReference{Namespace: outside.Namespace, Name: "x"}}
		},
		"spec.routing.gateway.parentRefs: Gateway": func(c *v1alpha1.TenantClassSpec) { c.Routing.Gateway.ParentRefs[0].Namespace = outside.Namespace },
		"spec.routing.backend: Service":            func(c *v1alpha1.TenantClassSpec) { c.Routing.Backend.Namespace = outside.Namespace },
		"spec.routing.publicHosts: Service": func(c *v1alpha1.TenantClassSpec) {
			c.Routing.PublicHosts = []v1alpha1.PublicHost{{Host: product.Host("www"), Backend: v1alpha1.ServiceBackend{Namespace: outside.Namespace, Name: "web", Port: 80}}}
		},
	} {
		class := &v1alpha1.TenantClass{Spec: *product.Class.Spec.DeepCopy()}
		class.GenerateName, class.Spec.Logins = "spoiled-", nil
		class.Spec.Routing = &v1alpha1.Routing{
			Gateway: &v1alpha1.GatewayRouting{ParentRefs: []v1alpha1.GatewayReference{{NamespacedReference: v1alpha1.NamespacedReference{Namespace: watched[2], Name: "edge"}}}},
			Backend: v1alpha1.ServiceBackend{Namespace: watched[0], Name: "web", Port: 80},
		}
		spoil(&class.Spec)
		product.Create(t, class)
		told(class, field+" elsewhere/")
		product.Delete(t, class)
		product.AwaitGone(t, operator.Eventually, class)
	}
	product.Delete(t, late)
	product.AwaitGone(t, operator.Eventually, late)
}

// claimOfNobody is a claim whose holder is in a namespace elsewhere, and cannot be found there: another
// operator's, or one that was left when the list of namespaces became shorter.
func claimOfNobody(t *testing.T, w *operator.World) *v1alpha1.DomainClaim {
	t.Helper()
	host := w.Host("held")
	claim := &v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: domains.ClaimName(host)}, Spec: v1alpha1.DomainClaimSpec{
		Host: host, Role: v1alpha1.HostTenant, Holder: v1alpha1.ClaimHolder{Kind: "Tenant", Namespace: w.Namespace, Name: "gone", UID: "gone"},
	}}
	if err := w.Unguarded.Create(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	return claim
}

// The service account reads Secrets where it was given rights, and nowhere else.
func TestSecretsElsewhereAreForbidden(t *testing.T) {
	by, err := client.New(servers.Operator, client.Options{Scheme: controllers.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	granted, err := servers.GrantedInCluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for right := range granted {
		if slices.Contains([]string{"secrets", "configmaps", "services", "ingresses", "httproutes", "gateways"}, right.Resource) {
			t.Errorf("in the whole cluster: %s", right)
		}
	}
	// The API server honours roles a moment after they were made: until then nothing is allowed anywhere.
	poll(t, func(ctx context.Context) error {
		return by.List(ctx, &corev1.SecretList{}, client.InNamespace(watched[0]))
	})
	for _, namespace := range []string{"kube-system", "default", ""} {
		if err := by.List(t.Context(), &corev1.SecretList{}, client.InNamespace(namespace)); !apierrors.IsForbidden(err) {
			t.Errorf("a list of Secrets in %q is answered by %v, want Forbidden", namespace, err)
		}
	}
}

func poll(t *testing.T, try func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	operator.Poll(t, time.Minute, func() error {
		if err := try(ctx); err != nil {
			return fmt.Errorf("lists no Secrets in %s: %w", watched[0], err)
		}
		return nil
	})
}
