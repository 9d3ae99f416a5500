package scenarios

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/controllers"
	"github.com/tenantry/tenantry/test/operator"
)

// stage is where somebody who may write Tenants in one namespace, and nothing else, tries to reach those
// of another through the operator, which may do more.
type stage struct {
	*operator.World
	victim  *v1alpha1.Tenant
	home    string        // the attacker's namespace
	mallory client.Client // the attacker
	code    string        // what an approval of the version that waits says
}

// newStage makes a victim with a row that nobody else may see or take, and an attacker.
func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{World: servers.World(t)}
	s.home = s.Namespace + "-mallory"
	s.Database.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesAll}
	s.Set.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesAll}
	s.Make(t)
	s.victim = s.Tenant("victim", s.Host("victim"))
	s.victim.Spec.SchemaName = "victim_" + strings.ReplaceAll(s.Namespace, "-", "_")
	s.Create(t, s.victim, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.home}},
		&rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.home, Name: "tenants"},
			Rules: []rbacv1.PolicyRule{{
				APIGroups: []string{"tenantry.dev"}, Resources: []string{"tenants"},
				Verbs: []string{"get", "create", "update", "patch", "delete"},
			}},
		},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.home, Name: "tenants"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "tenants"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "mallory"}},
		})
	s.AwaitReady(t, s.victim, s.Set)
	operator.Exec(t, s.uri(t, s.victim), "INSERT INTO note (body) VALUES ('precious')")
	config := rest.CopyConfig(s.Plane.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "mallory"}
	var err error
	if s.mallory, err = client.New(config, client.Options{Scheme: controllers.Scheme()}); err != nil {
		t.Fatal(err)
	}
	return s
}

// propose has a version wait for somebody's approval, which would take a column from the victim.
func (s *stage) propose(t *testing.T) {
	t.Helper()
	operator.Update(t, s.Servers, s.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Lint = &v1alpha1.Lint{Policy: v1alpha1.LintRequireApproval} })
	s.AwaitReady(t, s.Set)
	write(t, s.World, map[string]string{"0004_c4.sql": "ALTER TABLE note DROP COLUMN c2;\n"})
	s.AwaitWant(t, operator.Eventually, s.Set, awaitsApproval)
	s.code = s.Set.Status.Proposed.Approve
}

var awaitsApproval = operator.Want{Condition: v1alpha1.ConditionApproved, Reason: v1alpha1.ReasonApprovalRequired}

func (s *stage) uri(t *testing.T, tenant *v1alpha1.Tenant) string {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: tenant.Namespace, Name: tenant.Status.Binding.Name}}
	s.Get(t, secret)
	return string(secret.Data["uri"])
}

// own is a Tenant of the attacker.
func (s *stage) own(name string) *v1alpha1.Tenant {
	tenant := s.Tenant(name, s.Host(name))
	tenant.Namespace = s.home
	tenant.Spec.DeletionPolicy = v1alpha1.DeletionDelete
	return tenant
}

// attempt is one way in which the attacker tries it.
type attempt struct {
	// write is what the attacker writes. The error is the API server's.
	write func(t *testing.T, s *stage, tenant *v1alpha1.Tenant) error
	// refused: the API server does.
	refused func(error) bool
	// reason of the condition that says no; Ready where nothing is wrong and nothing was gained.
	reason string
}

func create(t *testing.T, s *stage, tenant *v1alpha1.Tenant) error {
	t.Helper()
	return s.mallory.Create(t.Context(), tenant)
}

func changed(change func(s *stage, tenant *v1alpha1.Tenant)) func(*testing.T, *stage, *v1alpha1.Tenant) error {
	return func(t *testing.T, s *stage, tenant *v1alpha1.Tenant) error {
		change(s, tenant)
		return create(t, s, tenant)
	}
}

// other has the attacker create something that is no Tenant.
func other(obj func(s *stage) client.Object) func(*testing.T, *stage, *v1alpha1.Tenant) error {
	return func(t *testing.T, s *stage, _ *v1alpha1.Tenant) error {
		return s.mallory.Create(t.Context(), obj(s))
	}
}

var attempts = map[string]attempt{
	"the victim's schema": {reason: v1alpha1.ReasonSchemaNameTaken, write: changed(func(s *stage, tn *v1alpha1.Tenant) {
		tn.Spec.SchemaName = s.victim.Spec.SchemaName
	})},
	"the victim's domain": {reason: v1alpha1.ReasonDomainTaken, write: changed(func(s *stage, tn *v1alpha1.Tenant) {
		tn.Spec.Domains = append(tn.Spec.Domains, s.Host("victim"))
	})},
	"a wildcard over the victim's domain": {reason: v1alpha1.ReasonDomainTaken, write: changed(func(s *stage, tn *v1alpha1.Tenant) {
		tn.Spec.Domains = append(tn.Spec.Domains, "*."+s.Namespace+".example")
	})},
	"the name of the victim": {reason: v1alpha1.ReasonReady, write: changed(func(s *stage, tn *v1alpha1.Tenant) {
		tn.Name = "victim"
	})},
	"a forged status": {reason: v1alpha1.ReasonReady, write: changed(func(s *stage, tn *v1alpha1.Tenant) {
		s.victim.Status.DeepCopyInto(&tn.Status)
	})},
	"the status of its own Tenant": {refused: apierrors.IsForbidden, write: func(t *testing.T, s *stage, tn *v1alpha1.Tenant) error {
		if err := create(t, s, tn); err != nil {
			return err
		}
		tn.Status.Schema = s.victim.Status.Schema
		return s.mallory.Status().Update(t.Context(), tn)
	}},
	"labels of the victim": {reason: v1alpha1.ReasonReady, write: changed(func(s *stage, tn *v1alpha1.Tenant) {
		tn.Labels = map[string]string{"tenantry.dev/tenant-uid": string(s.victim.UID), "tenantry.dev/tenant": "victim", "app.kubernetes.io/managed-by": "tenantry"}
	})},
	"the victim as owner": {reason: "", write: changed(func(s *stage, tn *v1alpha1.Tenant) {
		tn.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: "tenantry.dev/v1alpha1", Kind: "Tenant", Name: "victim", UID: s.victim.UID, Controller: new(true),
		}}
	})},
	"finalizers of others": {reason: v1alpha1.ReasonReady, write: changed(func(_ *stage, tn *v1alpha1.Tenant) {
		tn.Finalizers = []string{"example.com/mine"}
	})},
	"the adoption of the victim": {reason: v1alpha1.ReasonSchemaNameTaken, write: changed(func(s *stage, tn *v1alpha1.Tenant) {
		tn.Spec.SchemaName = s.victim.Spec.SchemaName
		tn.Annotations = map[string]string{v1alpha1.AnnotationAdopt: string(s.victim.UID)}
	})},
	"the victim's schema made anew": {reason: v1alpha1.ReasonSchemaNameTaken, write: changed(func(s *stage, tn *v1alpha1.Tenant) {
		tn.Spec.SchemaName = s.victim.Spec.SchemaName
		tn.Annotations = map[string]string{v1alpha1.AnnotationRecreate: string(s.victim.UID)}
	})},
	"the registry's schema": {refused: apierrors.IsInvalid, write: changed(func(_ *stage, tn *v1alpha1.Tenant) {
		tn.Spec.SchemaName = "tenantry"
	})},
	"the adoption of her namesake": {reason: v1alpha1.ReasonSchemaNameTaken, write: changed(func(s *stage, tn *v1alpha1.Tenant) {
		tn.Name, tn.Spec.SchemaName = "victim", s.victim.Spec.SchemaName
		tn.Annotations = map[string]string{v1alpha1.AnnotationAdopt: string(s.victim.UID)}
	})},
	"whether the victim has a Service": {reason: v1alpha1.ReasonRouteNotAccepted, write: func(t *testing.T, s *stage, tn *v1alpha1.Tenant) error {
		class := s.Class.DeepCopy()
		class.ObjectMeta = metav1.ObjectMeta{Name: s.Namespace + "-routed"}
		class.Spec.Routing = &v1alpha1.Routing{
			Gateway: &v1alpha1.GatewayRouting{ParentRefs: []v1alpha1.GatewayReference{{NamespacedReference: v1alpha1.NamespacedReference{Namespace: s.Namespace, Name: "edge"}}}},
			Backend: v1alpha1.ServiceBackend{Namespace: s.Namespace, Name: "web", Port: 80},
		}
		s.Create(t, class)
		tn.Spec.ClassName, tn.Spec.Backend = class.Name, &v1alpha1.ServiceBackend{Namespace: s.Namespace, Name: "not-there", Port: 80}
		return create(t, s, tn)
	}},
	"a class for others": {reason: v1alpha1.ReasonNamespaceNotAllowed, write: func(t *testing.T, s *stage, tn *v1alpha1.Tenant) error {
		class := s.Class.DeepCopy()
		class.ObjectMeta = metav1.ObjectMeta{Name: s.Namespace + "-closed"}
		class.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{
			From: v1alpha1.NamespacesSelector, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": s.Namespace}},
		}
		s.Create(t, class)
		tn.Spec.ClassName = class.Name
		return create(t, s, tn)
	}},
	"a Secret that is somebody else's": {reason: v1alpha1.ReasonSecretNameTaken, write: func(t *testing.T, s *stage, tn *v1alpha1.Tenant) error {
		s.Create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.home, Name: tn.Name + "-db"}, StringData: map[string]string{"password": "not-for-mallory"}})
		return create(t, s, tn)
	}},
	"a namespace of the class's own": {refused: apierrors.IsForbidden, write: changed(func(s *stage, tn *v1alpha1.Tenant) {
		tn.Namespace = s.Namespace
	})},
	"a class of her own": {refused: apierrors.IsForbidden, write: other(func(s *stage) client.Object {
		class := s.Class.DeepCopy()
		class.ObjectMeta = metav1.ObjectMeta{Name: "mallorys"}
		return class
	})},
	"a claim of her own": {refused: apierrors.IsForbidden, write: other(func(s *stage) client.Object {
		return &v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: s.Host("new")}, Spec: v1alpha1.DomainClaimSpec{
			Host: s.Host("new"), Role: v1alpha1.HostTenant, Holder: v1alpha1.ClaimHolder{Kind: "Tenant", Namespace: s.home, Name: "x", UID: "x"},
		}}
	})},
	"a database of her own": {refused: apierrors.IsForbidden, write: other(func(s *stage) client.Object {
		return &v1alpha1.TenantDatabase{ObjectMeta: metav1.ObjectMeta{Namespace: s.home, Name: "x"}, Spec: s.Database.Spec}
	})},
	"migrations of her own": {refused: apierrors.IsForbidden, write: other(func(s *stage) client.Object {
		return &v1alpha1.MigrationSet{ObjectMeta: metav1.ObjectMeta{Namespace: s.home, Name: "x"}, Spec: s.Set.Spec}
	})},
	"an approval of what waits": {reason: v1alpha1.ReasonReady, write: changed(func(s *stage, tn *v1alpha1.Tenant) {
		tn.Annotations = map[string]string{v1alpha1.AnnotationApprove: s.code, v1alpha1.AnnotationApprovedBy: "mallory"}
	})},
	"a rollout resumed": {reason: v1alpha1.ReasonReady, write: changed(func(s *stage, tn *v1alpha1.Tenant) {
		tn.Annotations = map[string]string{v1alpha1.AnnotationResume: s.Set.Status.Digest, v1alpha1.AnnotationRetry: "victim"}
	})},
	"a forged rotation": {reason: v1alpha1.ReasonReady, write: changed(func(_ *stage, tn *v1alpha1.Tenant) {
		tn.Annotations = map[string]string{v1alpha1.AnnotationRotated: "victim", v1alpha1.AnnotationLoginSince: "2020-01-01T00:00:00Z"}
	})},
	"the identity of the database": {reason: v1alpha1.ReasonReady, write: changed(func(s *stage, tn *v1alpha1.Tenant) {
		tn.Annotations = map[string]string{v1alpha1.AnnotationAcceptIdentity: s.Name}
	})},
	"PostgreSQL's own schema": {refused: apierrors.IsInvalid, write: changed(func(_ *stage, tn *v1alpha1.Tenant) {
		tn.Spec.SchemaName = "pg_catalog"
	})},
	"a class by a path": {refused: apierrors.IsInvalid, write: changed(func(s *stage, tn *v1alpha1.Tenant) {
		tn.Spec.ClassName = "../tenantclasses/" + s.Class.Name
	})},
	"the victim's Secret": {refused: apierrors.IsForbidden, write: func(t *testing.T, s *stage, _ *v1alpha1.Tenant) error {
		return s.mallory.Get(t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: s.victim.Status.Binding.Name}, &corev1.Secret{})
	}},
	"an approval of the victim's migrations": {refused: apierrors.IsForbidden, write: func(t *testing.T, s *stage, _ *v1alpha1.Tenant) error {
		set := s.Set.DeepCopy()
		set.Annotations = map[string]string{v1alpha1.AnnotationApprove: s.code, v1alpha1.AnnotationApprovedBy: "mallory"}
		return s.mallory.Patch(t.Context(), set, client.MergeFrom(s.Set))
	}},
	"a login Secret of her own": {refused: apierrors.IsForbidden, write: other(func(s *stage) client.Object {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "mallory-db", Labels: map[string]string{"tenantry.dev/tenant": "victim"}}}
	})},
	"a version that is SQL": {refused: apierrors.IsInvalid, write: changed(func(_ *stage, tn *v1alpha1.Tenant) {
		tn.Spec.Migrations = &v1alpha1.TenantMigrations{TargetVersion: "1'; DROP SCHEMA tenantry CASCADE; --"}
	})},
}

// Who may write Tenants in one namespace gains nothing in another, in whatever way she asks the
// operator for it.
func TestConfusedDeputy(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.propose(t)
	precious := s.uri(t, s.victim)
	n, held := 0, []string{}
	for name, tt := range attempts {
		n++
		tenant := s.own("mallory-" + strings.Repeat("i", n))
		t.Run(name, func(t *testing.T) {
			err := tt.write(t, s, tenant)
			switch {
			case tt.refused != nil && !tt.refused(err):
				t.Fatalf("the API server answers %v", err)
			case tt.refused == nil && err != nil:
				t.Fatal(err)
			case tt.refused == nil && tt.reason == v1alpha1.ReasonReady:
				s.AwaitReady(t, tenant)
			case tt.refused == nil && tt.reason != "":
				s.AwaitWant(t, operator.Eventually, tenant, operator.Want{Condition: v1alpha1.ConditionReady, Reason: tt.reason})
			}
			s.tellsNothing(t, tenant)
			s.untouched(t, precious)
			s.end(t, tenant)
			s.untouched(t, precious)
			held = append(held, name)
		})
	}
	printDeputy(os.Stdout, held)
	if n < 25 {
		t.Errorf("%d attempts, want at least 25", n)
	}
}

// printDeputy shows the table of `make probes`, which asks for it. An attempt that came out otherwise has
// failed the test, and said why.
func printDeputy(w io.Writer, held []string) {
	if os.Getenv("TENANTRY_PROBES_IN_FULL") == "" {
		return
	}
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(tab, "\nConfused deputy\n\n\tTRIED\tGOT")
	for _, name := range slices.Sorted(maps.Keys(attempts)) {
		mark, got := "UNEXPECTED", "not what is written down"
		if slices.Contains(held, name) {
			mark, got = "ok", cmp.Or(attempts[name].reason, "refused by the API server")
			if attempts[name].refused == nil && attempts[name].reason == "" {
				got = "no reason to be given: garbage collection takes it"
			}
		}
		_, _ = fmt.Fprintf(tab, "%s\t%s\t%s, and the victim untouched\n", mark, name, got)
	}
	_ = tab.Flush()
	_, _ = fmt.Fprintf(w, "\nprobes: confused deputy %d; %d unexpected\n", len(attempts), len(attempts)-len(held))
}

// tellsNothing looks in the attacker's Tenant for what is the victim's.
func (s *stage) tellsNothing(t *testing.T, tenant *v1alpha1.Tenant) {
	t.Helper()
	if err := s.Admin.Get(t.Context(), client.ObjectKeyFromObject(tenant), tenant); apierrors.IsNotFound(err) {
		return
	} else if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(tenant.Status)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{string(s.victim.UID), `"` + s.Namespace + `/victim`, "not-for-mallory"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the status tells %q: %s", secret, text)
		}
	}
}

// untouched looks at all that is the victim's.
func (s *stage) untouched(t *testing.T, uri string) {
	t.Helper()
	if got := operator.Query[string](t, uri, "SELECT string_agg(body, ',') FROM note"); got != "precious" {
		t.Errorf("the victim's rows are %q", got)
	}
	s.Expect(t, s.victim, operator.Ready())
	s.Expect(t, s.Set, awaitsApproval)
	if p := s.Set.Status.Proposed; p == nil || p.Approve != s.code || s.victim.Status.Version != "3" {
		t.Errorf("the victim is at version %s, and %+v waits for approval", s.victim.Status.Version, p)
	}
	claim := claimOf(s.Host("victim"))
	s.Get(t, claim)
	if diff := gocmp.Diff(string(s.victim.UID), claim.Spec.Holder.UID); diff != "" {
		t.Errorf("the holder of the victim's host (-want +got):\n%s", diff)
	}
}

// end deletes the attacker's Tenant with all that is its own.
func (s *stage) end(t *testing.T, tenant *v1alpha1.Tenant) {
	t.Helper()
	err := s.Admin.Get(t.Context(), client.ObjectKeyFromObject(tenant), tenant)
	if apierrors.IsNotFound(err) || tenant.UID == s.victim.UID {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	before := tenant.DeepCopy()
	tenant.Finalizers = without(tenant.Finalizers, "example.com/mine")
	// The garbage collector may take it at any time.
	if err := client.IgnoreNotFound(s.Admin.Patch(t.Context(), tenant, client.MergeFrom(before))); err != nil {
		t.Fatal(err)
	}
	if err := client.IgnoreNotFound(s.Admin.Delete(t.Context(), tenant)); err != nil {
		t.Fatal(err)
	}
	s.AwaitGone(t, operator.Eventually, tenant)
}

func without(list []string, word string) []string {
	var rest []string
	for _, w := range list {
		if w != word {
			rest = append(rest, w)
		}
	}
	return rest
}
