package probes

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/test/operator"
)

// bench is a world, and an operator that works when it is told to.
type bench struct {
	*operator.World
	by *operator.Reconcilers
	// texts are those that a JSON document can hold.
	texts []string
}

// What the API lets through is used as exactly that, or refused by a condition that says why. The
// controllers are real, under the shipped roles, one pass at a time.
func TestInjectionUse(t *testing.T) {
	for i, row := range []struct {
		name, want string
		use        func(t *testing.T, b *bench) (got string, wrong []string)
	}{
		{"domains of a Tenant", "a claim of the canonical host, or Invalid", useDomains},
		{"tables of shared grants", "rights on exactly these tables", useGrants},
		{"keys of a MigrationSet", "SourceNotFound that names the key", useKeys},
		{"values of annotations of an Ingress", "exactly the text", useAnnotations},
		{"keys of annotations of an Ingress", "exactly the text, or a condition", useAnnotationKeys},
		{"selectors of a class", "NamespaceNotAllowed, no schema", useSelectors},
		{"connection strings in a Secret", "InvalidConnection that does not show the text", useSecrets},
		{"annotations of Tenantry's own", "nothing changes", useOwnAnnotations},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := result{table: injection, where: "operator", name: row.name, want: row.want, got: "the probe failed", unexpected: true}
			defer func() { results.add(t, r) }()
			servers := clusterOf(t)
			b := &bench{World: servers.WorldOn(t, serverOf(t, majors[len(majors)-1])), by: servers.Reconcilers(t)}
			for _, text := range sample(hostile, i) {
				if utf8.ValidString(text) {
					b.texts = append(b.texts, text)
				}
			}
			got, wrong := row.use(t, b)
			if t.Failed() {
				return
			}
			if r.got, r.unexpected = got, len(wrong) > 0; r.unexpected {
				r.got += "; " + strings.Join(wrong, "; ")
			}
		})
	}
}

// pass runs one pass and reads the object again. An error is for the operator's log.
func (b *bench) pass(t *testing.T, obj conditions.Object) {
	t.Helper()
	if _, err := b.by.Reconcile(t.Context(), obj); err != nil {
		t.Logf("%s: %v", obj.GetName(), err)
	}
	b.Get(t, obj)
}

// settle makes the world ready for tenants.
func (b *bench) settle(t *testing.T) {
	t.Helper()
	b.Make(t)
	for _, obj := range []conditions.Object{b.Set, b.Database, b.Class} {
		b.pass(t, obj)
		b.Expect(t, obj, operator.Ready())
	}
}

// accepted says whether the API took what was written. Only that a value is invalid is a refusal; any other error is
// none of the text's.
func accepted(t *testing.T, err error) bool {
	t.Helper()
	if err != nil && !apierrors.IsInvalid(err) {
		t.Fatalf("the API server answers %v", err)
	}
	return err == nil
}

// some fails a row of which no text came through the API: it would show nothing.
func some(t *testing.T, n int) {
	t.Helper()
	if n == 0 {
		t.Error("no text passes the API")
	}
}

func useDomains(t *testing.T, b *bench) (string, []string) {
	b.settle(t)
	var lists [][]string
	seen := map[string]bool{}
	for _, text := range b.texts {
		lower := strings.ToLower(text)
		trial := b.Tenant("trial", "primary.example.com", text)
		if !seen[lower] && accepted(t, b.Admin.Create(t.Context(), trial, client.DryRunAll)) {
			seen[lower] = true
			lists = append(lists, []string{text})
		}
	}
	var wrong []string
	claimed := 0
	for i, chunk := range slices.Collect(slices.Chunk(slices.Concat(lists...), 40)) {
		primary := b.Host(fmt.Sprintf("t%d", i))
		tenant := b.Tenant(fmt.Sprintf("t%d", i), append([]string{primary}, chunk...)...)
		b.Create(t, tenant)
		b.pass(t, tenant)
		want := map[string]bool{primary: true}
		for _, text := range chunk {
			host, err := domains.Canonical(text)
			state := domainState(tenant, text, host)
			if err == nil {
				want[host] = true
			}
			if (err != nil) != (state == v1alpha1.DomainInvalid) {
				wrong = append(wrong, fmt.Sprintf("%q (%q) is %q", text, host, state))
			}
		}
		got := claimsOf(t, b, tenant)
		if !maps.Equal(want, got) {
			wrong = append(wrong, fmt.Sprintf("claims %v, want %v", got, want))
		}
		claimed += len(got) - 1
	}
	some(t, len(seen))
	return fmt.Sprintf("%d texts pass the API: %d claimed, %d invalid", len(seen), claimed, len(seen)-claimed), wrong
}

// domainState is what a tenant's status says of a domain.
func domainState(tenant *v1alpha1.Tenant, text, host string) v1alpha1.DomainState {
	for _, d := range tenant.Status.Domains {
		if d.Host == text && d.State == v1alpha1.DomainInvalid || d.Host == host && d.State != v1alpha1.DomainInvalid {
			return d.State
		}
	}
	return "missing"
}

func claimsOf(t *testing.T, b *bench, tenant *v1alpha1.Tenant) map[string]bool {
	t.Helper()
	var list v1alpha1.DomainClaimList
	if err := b.Admin.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	hosts := map[string]bool{}
	for _, claim := range list.Items {
		if claim.Spec.Holder.UID == string(tenant.UID) {
			hosts[claim.Spec.Host] = true
		}
	}
	return hosts
}

func useGrants(t *testing.T, b *bench) (string, []string) {
	shared := &v1alpha1.SharedSchema{SchemaName: "shared", MigrationSetRef: v1alpha1.LocalReference{Name: "app"}}
	var sql strings.Builder
	var want []string
	for _, text := range b.texts {
		// The reader of migrations takes line breaks of Windows for line breaks, in names too.
		if nameable(text) && !strings.Contains(text, "\r") && len(want) < 128 {
			want = append(want, text)
			_, _ = fmt.Fprintf(&sql, "CREATE TABLE %s (id int);\n", quoted(text))
			shared.Grants = append(shared.Grants, v1alpha1.SharedGrant{Table: text, Privileges: []v1alpha1.TablePrivilege{"INSERT"}})
		}
	}
	b.Files.Data = map[string]string{"0001_tables.sql": sql.String()}
	b.Database.Spec.Shared = shared
	b.settle(t)
	got := rowsOf(t, operator.Hold(t, b.AdminDSN), `SELECT relname::text FROM pg_class, aclexplode(relacl) x
		WHERE relnamespace = 'shared'::regnamespace AND x.grantee = '`+postgres.GroupRole(b.Name)+`'::regrole AND x.privilege_type = 'INSERT'`)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(want, got) {
		return "", []string{fmt.Sprintf("rights on %q, want %q", got, want)}
	}
	return fmt.Sprintf("%d tables", len(got)), nil
}

func useKeys(t *testing.T, b *bench) (string, []string) {
	b.Make(t)
	tried := 0
	var wrong []string
	for _, text := range b.texts {
		b.Get(t, b.Set)
		b.Set.Spec.Source.ConfigMaps[0].Keys = []string{text}
		if !accepted(t, b.Admin.Update(t.Context(), b.Set)) {
			continue
		}
		tried++
		b.pass(t, b.Set)
		if c := conditions.Get(b.Set, v1alpha1.ConditionReady); c.Reason != v1alpha1.ReasonSourceNotFound || !strings.Contains(c.Message, fmt.Sprintf("no key %q", text)) {
			wrong = append(wrong, fmt.Sprintf("%q: %s %s", text, c.Reason, c.Message))
		}
	}
	some(t, tried)
	return fmt.Sprintf("%d texts pass the API: all named", tried), wrong
}

// ingressed makes a class whose Ingresses have annotations, and a tenant of it.
func (b *bench) ingressed(t *testing.T, name string, annotations map[string]string) (*v1alpha1.Tenant, *networkingv1.Ingress, error) {
	t.Helper()
	class := b.Class.DeepCopy()
	class.ObjectMeta = metav1.ObjectMeta{Name: b.Namespace + "-" + name}
	class.Spec.Routing = &v1alpha1.Routing{
		Ingress: &v1alpha1.IngressRouting{ClassName: "traefik", Annotations: annotations}, Backend: v1alpha1.ServiceBackend{Name: "web", Port: 80},
	}
	if err := b.Admin.Create(t.Context(), class); err != nil {
		return nil, nil, err
	}
	tenant := b.Tenant(name, b.Host(name))
	tenant.Spec.ClassName = class.Name
	b.Create(t, tenant)
	b.pass(t, class)
	b.pass(t, tenant)
	ingress := &networkingv1.Ingress{}
	return tenant, ingress, b.Admin.Get(t.Context(), client.ObjectKeyFromObject(tenant), ingress)
}

func useAnnotations(t *testing.T, b *bench) (string, []string) {
	b.web(t)
	b.settle(t)
	var wrong []string
	for i, chunk := range slices.Collect(slices.Chunk(b.texts, 32)) {
		want := map[string]string{}
		for j, text := range chunk {
			if len(text) <= 4096 {
				want[fmt.Sprintf("example.com/a%d", j)] = text
			}
		}
		_, ingress, err := b.ingressed(t, fmt.Sprintf("i%d", i), want)
		if err != nil || !maps.Equal(want, ingress.Annotations) {
			wrong = append(wrong, fmt.Sprintf("%v: %q, want %q", err, ingress.Annotations, want))
		}
	}
	return fmt.Sprintf("%d texts", len(b.texts)), wrong
}

// web is the Service of the classes.
func (b *bench) web(t *testing.T) {
	t.Helper()
	b.Create(t, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: "web"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	})
}

func useAnnotationKeys(t *testing.T, b *bench) (string, []string) {
	b.web(t)
	b.settle(t)
	var wrong []string
	used, refusals := 0, 0
	var bad []string
	for _, text := range b.texts {
		if len(text) <= 253 && len(validation.IsQualifiedName(strings.ToLower(text))) > 0 {
			bad = append(bad, text)
		} else if len(text) <= 253 {
			used++
		}
	}
	// One at a time is enough for the first of each kind; the rest goes together.
	for i, keys := range append(slices.Collect(slices.Chunk(bad[:min(len(bad), 10)], 1)), slices.Collect(slices.Chunk(bad[min(len(bad), 10):], 32))...) {
		annotations := map[string]string{}
		for _, key := range keys {
			annotations[key] = "x"
		}
		tenant, _, err := b.ingressed(t, fmt.Sprintf("k%d", i), annotations)
		if tenant == nil && !accepted(t, err) {
			refusals += len(keys) // by the API already
			continue
		}
		c := conditions.Get(tenant, v1alpha1.ConditionRouted)
		if err == nil || c == nil || c.Status != metav1.ConditionFalse {
			wrong = append(wrong, fmt.Sprintf("%q: %v", keys, c))
		}
		refusals += len(keys)
	}
	return fmt.Sprintf("%d keys that are none: %d refused by a condition", len(bad), refusals), wrong
}

func useSelectors(t *testing.T, b *bench) (string, []string) {
	b.settle(t)
	tenant := b.Tenant("acme", b.Host("acme"))
	b.Class.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesSelector, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"no": "body"}}}
	if err := b.Admin.Update(t.Context(), b.Class); err != nil {
		t.Fatal(err)
	}
	b.Create(t, tenant)
	var wrong []string
	tried := 0
	for _, text := range b.texts {
		for _, selector := range []metav1.LabelSelector{
			{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "no", Operator: metav1.LabelSelectorOperator(text), Values: []string{"body"}}}},
			{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: text, Operator: "Exists"}}},
			{MatchLabels: map[string]string{"no": text}},
		} {
			b.Get(t, b.Class)
			b.Class.Spec.AllowedNamespaces.Selector = &selector
			if !accepted(t, b.Admin.Update(t.Context(), b.Class)) {
				continue
			}
			tried++
			b.pass(t, tenant)
			if c := conditions.Get(tenant, v1alpha1.ConditionReady); c.Reason != v1alpha1.ReasonNamespaceNotAllowed || tenant.Status.Schema != "" {
				wrong = append(wrong, fmt.Sprintf("%v: %s %s", selector, c.Reason, c.Message))
			}
		}
	}
	some(t, tried)
	return fmt.Sprintf("%d selectors: none lets the namespace in", tried), wrong
}

func useSecrets(t *testing.T, b *bench) (string, []string) {
	b.Make(t)
	var wrong []string
	for _, text := range b.texts {
		for _, data := range []map[string][]byte{
			{"uri": []byte(text)},
			{"uri": []byte("postgres://" + text)},
			{"dsn": []byte("host=127.0.0.1 port=1 user=a dbname=b password=" + text + " nonsense")},
			{"host": []byte(text), "username": []byte("a"), "dbname": []byte("b"), "password": []byte(text)},
		} {
			b.Get(t, b.Secret)
			b.Secret.Data = data
			if err := b.Admin.Update(t.Context(), b.Secret); err != nil {
				t.Fatal(err)
			}
			config, err := postgres.ConfigFromKeys(data)
			if err == nil && config.Host() != "" {
				continue // it leads to some host, which is not to be asked
			}
			b.pass(t, b.Database)
			c := conditions.Get(b.Database, v1alpha1.ConditionReachable)
			generic := conditions.Get(b.Database, v1alpha1.ConditionReady).Reason
			if generic != v1alpha1.ReasonInvalidConnection || shows(c.Message, text) {
				wrong = append(wrong, fmt.Sprintf("%q: %s %s", text, c.Reason, c.Message))
			}
		}
	}
	return fmt.Sprintf("%d texts in four places: none shown", len(b.texts)), wrong
}

// shows says whether a message has a text that no message has by itself.
func shows(message, text string) bool {
	return len(strings.TrimSpace(text)) > 5 && text != "default" && text != "postgres" && strings.Contains(message, text)
}

func useOwnAnnotations(t *testing.T, b *bench) (string, []string) {
	b.settle(t)
	tenant := b.Tenant("acme", b.Host("acme"))
	b.Create(t, tenant)
	b.pass(t, tenant)
	b.Expect(t, tenant, operator.Ready())
	want := tenant.Status.Schema
	before := operator.Query[string](t, b.AdminDSN, "SELECT jsonb_agg(t)::text FROM tenantry.tenant t")
	identity := operator.Query[string](t, b.AdminDSN, "SELECT jsonb_agg(i)::text FROM tenantry.identity i")
	var wrong []string
	for _, text := range b.texts {
		for _, obj := range []conditions.Object{tenant, b.Database, b.Set} {
			operator.Update(t, b.Servers, obj, func(o conditions.Object) {
				o.SetAnnotations(map[string]string{
					v1alpha1.AnnotationAdopt: text, v1alpha1.AnnotationRecreate: text, v1alpha1.AnnotationAcceptIdentity: text,
					v1alpha1.AnnotationReconcile: text, v1alpha1.AnnotationRetry: text, v1alpha1.AnnotationResume: text,
				})
			})
			b.pass(t, obj)
		}
		if tenant.Status.Schema != want || conditions.Get(tenant, v1alpha1.ConditionReady).Status != metav1.ConditionTrue {
			wrong = append(wrong, fmt.Sprintf("%q: schema %q, %v", text, tenant.Status.Schema, conditions.Get(tenant, v1alpha1.ConditionReady)))
		}
	}
	if now := operator.Query[string](t, b.AdminDSN, "SELECT jsonb_agg(t)::text FROM tenantry.tenant t"); now != before {
		wrong = append(wrong, "the registry changed: "+now)
	}
	if now := operator.Query[string](t, b.AdminDSN, "SELECT jsonb_agg(i)::text FROM tenantry.identity i"); now != identity {
		wrong = append(wrong, "the identity changed: "+now)
	}
	return fmt.Sprintf("%d texts in six annotations of three kinds", len(b.texts)), wrong
}
