package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/test/operator"
)

// fleetReady bounds how long a fleet may take on a busy machine of two cores.
const fleetReady = 5 * time.Minute

// order creates n Tenants at once, each with a domain.
func (s *site) order(t *testing.T, n int, change func(i int, tenant *v1alpha1.Tenant)) []*v1alpha1.Tenant {
	t.Helper()
	var tenants []*v1alpha1.Tenant
	for i := range n {
		name := fmt.Sprintf("tenant-%03d", i)
		tenant := s.Tenant(name, s.Host(name))
		if change != nil {
			change(i, tenant)
		}
		tenants = append(tenants, tenant)
		s.Create(t, tenant)
	}
	return tenants
}

// list reads the site's Tenants.
func (s *site) list(ctx context.Context) ([]v1alpha1.Tenant, error) {
	var list v1alpha1.TenantList
	err := s.Admin.List(ctx, &list, client.InNamespace(s.Namespace))
	return list.Items, err
}

// awaitFleet waits until so many of the site's Tenants are Ready.
func (s *site) awaitFleet(t testing.TB, ready int) {
	t.Helper()
	s.awaitFleetWithin(t, ready, fleetReady)
}

func (s *site) awaitFleetWithin(t testing.TB, ready int, limit time.Duration) {
	t.Helper()
	operator.Poll(t, limit, func() error {
		tenants, err := s.list(t.Context())
		if err != nil {
			return err
		}
		count, example := 0, ""
		for i := range tenants {
			if conditions.Current(&tenants[i], v1alpha1.ConditionReady) {
				count++
			} else {
				example = fmt.Sprintf("%s: %v", tenants[i].Name, conditions.Get(&tenants[i], v1alpha1.ConditionReady))
			}
		}
		if count < ready {
			return fmt.Errorf("%d of %d Tenants are Ready, not so %s", count, len(tenants), example)
		}
		return nil
	})
}

// consistent checks that registry, schemas and roles hold exactly the given tenants, and that each
// of them can log in and is what its Secret says.
func (s *site) consistent(t *testing.T, tenants []*v1alpha1.Tenant) {
	t.Helper()
	var schemas, roles, rows []string
	for _, tenant := range tenants {
		s.Get(t, tenant)
		names := postgres.TenantRoles(s.Name, tenant.Status.Schema)
		schemas = append(schemas, tenant.Status.Schema)
		roles = append(roles, names.App, names.Owner)
		rows = append(rows, fmt.Sprintf("%s %s active 3 %s", tenant.Status.Schema, tenant.UID, tenant.Spec.Domains[0]))
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: tenant.Status.Binding.Name}}
		s.Get(t, secret)
		who := operator.Query[string](t, string(secret.Data["uri"]), "SELECT current_user || ' ' || current_schema()")
		if want := names.App + " " + tenant.Status.Schema; who != want {
			t.Errorf("Tenant %s logs in as %s, want %s", tenant.Name, who, want)
		}
	}
	slices.Sort(schemas)
	slices.Sort(roles)
	slices.Sort(rows)
	registered := operator.Query[[]string](t, s.AdminDSN, `SELECT coalesce(array_agg(
		concat_ws(' ', schema_name, tenant_uid, state, version, host) ORDER BY schema_name COLLATE "C"), '{}')
		FROM tenantry.tenant LEFT JOIN tenantry.domain USING (schema_name)`)
	for what, pair := range map[string][2][]string{
		"schemas":  {schemas, slices.Sorted(slices.Values(operator.Schemas(t, s.AdminDSN)))},
		"roles":    {roles, s.tenantRoles(t)},
		"registry": {rows, registered},
	} {
		if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}

// tenantRoles returns the roles of tenants of the site's database.
func (s *site) tenantRoles(t *testing.T) []string {
	t.Helper()
	return slices.Sorted(slices.Values(operator.Roles(t, s.AdminDSN, "tn_"+s.Name+"__")))
}

// The operator is killed while it makes thirty tenants, again and again. In the end there are thirty
// tenants, and nothing else. Then a namespace ends that was deleted while no operator ran.
func TestKilledOperator(t *testing.T) {
	s := newSite(t)
	tenants := s.order(t, 30, nil)
	for ready := range 3 {
		s.awaitFleet(t, 1+8*ready)
		if err := tenantd.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := startOperator(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.awaitFleet(t, len(tenants))
	s.consistent(t, tenants)

	if err := tenantd.Kill(); err != nil {
		t.Fatal(err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}}
	s.Delete(t, namespace)
	if err := startOperator(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitNamespaceGone(t, namespace)
	awaitNoClaims(t, s.Namespace)
}

// Two hundred tenants at once become Ready and answer, without a warning. When they are deleted,
// what is left is the data of those whose policy is Retain, and nothing else.
func TestTwoHundredTenants(t *testing.T) {
	s := newSite(t, func(w *operator.World) { w.Class.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
	began := time.Now()
	tenants := s.order(t, 200, func(i int, tenant *v1alpha1.Tenant) {
		if i%2 == 0 {
			tenant.Spec.DeletionPolicy = v1alpha1.DeletionRetain
		}
	})
	s.awaitFleet(t, len(tenants))
	t.Logf("%d Tenants were Ready after %s", len(tenants), time.Since(began).Round(100*time.Millisecond))
	s.consistent(t, tenants)
	s.noWarnings(t)
	var kept []string
	for i, tenant := range tenants {
		a := awaitAnswer(t, tenant.Spec.Domains[0], s.Namespace+"/"+tenant.Name)
		if a.Schema != tenant.Status.Schema {
			t.Errorf("Tenant %s is served from schema %s, want %s", tenant.Name, a.Schema, tenant.Status.Schema)
		}
		if i%2 == 0 {
			kept = append(kept, tenant.Status.Schema)
			operator.Exec(t, s.AdminDSN, "INSERT INTO "+tenant.Status.Schema+".note (body) VALUES ($1)", tenant.Name)
		}
	}

	began = time.Now()
	if err := s.Admin.DeleteAllOf(t.Context(), &v1alpha1.Tenant{}, client.InNamespace(s.Namespace)); err != nil {
		t.Fatal(err)
	}
	operator.Poll(t, fleetReady, func() error {
		left, err := s.list(t.Context())
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("%d Tenants are left, among them %s: %v", len(left), left[0].Name, conditions.Get(&left[0], v1alpha1.ConditionReady))
		}
		return err
	})
	t.Logf("%d Tenants were gone after %s", len(tenants), time.Since(began).Round(100*time.Millisecond))
	s.onlyDataIsLeft(t, kept)
	s.noWarnings(t)
}

// onlyDataIsLeft checks that of all tenants nothing is left but the given schemas with their rows,
// and that nobody can log in to these.
func (s *site) onlyDataIsLeft(t *testing.T, kept []string) {
	t.Helper()
	awaitNoClaims(t, s.Namespace)
	for _, list := range []client.ObjectList{&gatewayv1.HTTPRouteList{}, &networkingv1.IngressList{}, &corev1.SecretList{}} {
		if err := s.Admin.List(t.Context(), list, client.InNamespace(s.Namespace), client.HasLabels{v1alpha1.LabelTenant}); err != nil {
			t.Fatal(err)
		}
		if n := lengthOf(t, list); n > 0 {
			t.Errorf("%d of %T are left", n, list)
		}
	}
	var roles []string
	for _, schema := range kept {
		names := postgres.TenantRoles(s.Name, schema)
		roles = append(roles, names.Owner, names.App)
		name := schema[strings.LastIndex(schema, "tenant_"):]
		rows := operator.Query[[]string](t, s.AdminDSN, "SELECT array_agg(body) FROM "+schema+".note")
		if diff := cmp.Diff([]string{strings.ReplaceAll(name, "_", "-")}, rows); diff != "" {
			t.Errorf("rows of %s (-want +got):\n%s", schema, diff)
		}
	}
	slices.Sort(roles)
	if diff := cmp.Diff(kept, slices.Sorted(slices.Values(operator.Schemas(t, s.AdminDSN)))); diff != "" {
		t.Errorf("schemas (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(roles, s.tenantRoles(t)); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
	s.noLogins(t)
}

// noLogins checks that no role of a tenant of the site may log in.
func (s *site) noLogins(t *testing.T) {
	t.Helper()
	n := operator.Query[int](t, s.AdminDSN, "SELECT count(*) FROM pg_roles WHERE rolcanlogin AND starts_with(rolname, $1)", "tn_"+s.Name+"__")
	if n > 0 {
		t.Errorf("%d logins of deleted tenants still work", n)
	}
}

// noWarnings checks that no event of the site is a warning.
func (s *site) noWarnings(t *testing.T) {
	t.Helper()
	var events corev1.EventList
	if err := s.Admin.List(t.Context(), &events, client.InNamespace(s.Namespace)); err != nil {
		t.Fatal(err)
	}
	if len(events.Items) == 0 {
		t.Error("there are no events at all")
	}
	for _, event := range events.Items {
		if event.Type != corev1.EventTypeNormal {
			t.Errorf("event %s of %s %s: %s", event.Type, event.InvolvedObject.Kind, event.InvolvedObject.Name, event.Message)
		}
	}
}
