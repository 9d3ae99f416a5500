package e2e

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// grant lets HTTPRoutes of the site's namespace reach one Service of another.
func (s *site) grant(namespace, service string) *gatewayv1.ReferenceGrant {
	return &gatewayv1.ReferenceGrant{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "tenants"},
		Spec: gatewayv1.ReferenceGrantSpec{
			From: []gatewayv1.ReferenceGrantFrom{{Group: gatewayv1.GroupName, Kind: "HTTPRoute", Namespace: gatewayv1.Namespace(s.Namespace)}},
			To:   []gatewayv1.ReferenceGrantTo{{Kind: "Service", Name: new(gatewayv1.ObjectName(service))}},
		},
	}
}

// namespace makes one more namespace, named after the site.
func (s *site) namespace(t testing.TB, suffix string) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace + "-" + suffix}}
	s.Create(t, ns)
	return ns.Name
}

// A backend in another namespace serves a tenant only while that namespace's owner allows it. All else
// is said at the Tenant, and its requests are refused; they never reach the Service.
func TestReferenceGrants(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	denied := operator.Waiting(v1alpha1.ConditionRouted, v1alpha1.ReasonReferenceNotPermitted)
	for name, tt := range map[string]struct {
		// grant changes the right one; nil makes none.
		grant  func(*gatewayv1.ReferenceGrant)
		revoke bool
		served bool
	}{
		"absent": {},
		"right":  {grant: func(*gatewayv1.ReferenceGrant) {}, served: true},
		"for every Service": {served: true, grant: func(g *gatewayv1.ReferenceGrant) {
			g.Spec.To[0].Name = nil
		}},
		"wrong namespace": {grant: func(g *gatewayv1.ReferenceGrant) { g.Spec.From[0].Namespace = "elsewhere" }},
		"wrong kind of route": {grant: func(g *gatewayv1.ReferenceGrant) {
			g.Spec.From[0].Kind = "GRPCRoute"
		}},
		"wrong kind of backend": {grant: func(g *gatewayv1.ReferenceGrant) {
			g.Spec.To[0].Kind, g.Spec.To[0].Name = "Secret", nil
		}},
		"wrong name": {grant: func(g *gatewayv1.ReferenceGrant) { g.Spec.To[0].Name = new(gatewayv1.ObjectName("other")) }},
		"in the tenant's namespace": {grant: func(g *gatewayv1.ReferenceGrant) {
			g.Namespace = s.Namespace
		}},
		"revoked while served": {grant: func(*gatewayv1.ReferenceGrant) {}, served: true, revoke: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := identifier(name)
			there := s.namespace(t, id)
			s.stand(t, there, "shop", http.StatusOK)
			grant := s.grant(there, "shop")
			if tt.grant != nil {
				tt.grant(grant)
				s.Create(t, grant)
			}
			tenant := s.Tenant(id, s.Host(id))
			tenant.Spec.Backend = &v1alpha1.ServiceBackend{Name: "shop", Namespace: there, Port: 8080}
			s.Create(t, tenant)
			ask := func(ctx context.Context) (reply, error) { return get(ctx, s.Host(id), "/") }
			const refused = "500"
			served := "shop " + s.Namespace + "/" + id
			if tt.served {
				s.AwaitReady(t, tenant)
				awaitWho(t, served, ask)
			}
			if tt.revoke {
				s.Delete(t, grant)
			}
			if !tt.served || tt.revoke {
				s.AwaitWant(t, operator.Eventually, tenant, denied, operator.Want{Condition: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonReferenceNotPermitted})
				if got := tenant.Status.Domains[0]; got.State != v1alpha1.DomainClaimed || got.Message == "" {
					t.Errorf("the domain is %s (%q), want Claimed and why", got.State, got.Message)
				}
				awaitWho(t, refused, ask)
				stop := census(t, ask)
				s.mend(t, grant, s.grant(there, "shop"))
				s.AwaitReady(t, tenant)
				awaitWho(t, served, ask)
				seen := stop()
				seen.only(t, refused, served)
				if !slices.Equal(seen.order, []string{refused, served}) && !slices.Equal(seen.order, []string{served}) {
					t.Errorf("answered one after the other %v, want %s and then %s", seen.order, refused, served)
				}
			}
		})
	}
}

// mend puts the right grant in the place of whatever there is.
func (s *site) mend(t testing.TB, is, right *gatewayv1.ReferenceGrant) {
	t.Helper()
	if is.UID == "" || is.Namespace != right.Namespace {
		s.Create(t, right)
		return
	}
	found := &gatewayv1.ReferenceGrantList{}
	if err := s.Admin.List(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	for _, g := range found.Items {
		if g.UID == is.UID {
			operator.Update(t, s.Servers, &g, func(g *gatewayv1.ReferenceGrant) { g.Spec = right.Spec })
			return
		}
	}
	s.Create(t, right)
}

// identifier makes a label of a test's name.
func identifier(name string) string {
	id := []byte(strings.ToLower(name))
	for i, c := range id {
		if c < 'a' || c > 'z' {
			id[i] = '-'
		}
	}
	return string(id)
}
