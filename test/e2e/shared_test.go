package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
	"github.com/tenantry/tenantry/test/platform"
)

// platformHosts gives a site's class two shared hosts, one by header and one by path, with a fallback that answers
// 404, a public host, public paths and a holding backend. The stands behind them run.
func platformHosts(w *operator.World) {
	here := func(name string) v1alpha1.ServiceBackend {
		return v1alpha1.ServiceBackend{Name: name, Namespace: w.Namespace, Port: 8080}
	}
	r := w.Class.Spec.Routing
	r.SharedHosts = []v1alpha1.SharedHost{
		{Host: w.Host("api"), Header: &v1alpha1.SharedHeader{Name: "X-Org", Value: "{name}"}, Fallback: here("fallback")},
		{Host: w.Host("app"), PathPrefix: &v1alpha1.SharedPathPrefix{Value: "/t/{name}"}, Fallback: here("fallback")},
	}
	r.PublicHosts = []v1alpha1.PublicHost{{Host: w.Host("www"), Backend: here("marketing")}}
	r.PublicPaths = []v1alpha1.PublicPath{
		{Path: "/status", Backend: new(here("status"))},
		{Path: "/robots.txt", Match: v1alpha1.PathExact, Backend: new(here("status"))},
	}
	r.Holding = new(here("holding"))
}

// byFirstSegment is a shared host whose tenants are named by the first segment of the path.
func byFirstSegment(w *operator.World) v1alpha1.SharedHost {
	return v1alpha1.SharedHost{
		Host: w.Host("first"), PathPrefix: &v1alpha1.SharedPathPrefix{Value: "/{name}"},
		Fallback: v1alpha1.ServiceBackend{Name: "fallback", Namespace: w.Namespace, Port: 8080},
	}
}

// shortPaths are public paths short enough to lose to "/" where a data plane ranks rules by their length.
func shortPaths(w *operator.World) []v1alpha1.PublicPath {
	status := &v1alpha1.ServiceBackend{Name: "status", Namespace: w.Namespace, Port: 8080}
	return []v1alpha1.PublicPath{{Path: "/api", Backend: status}, {Path: "/ok", Match: v1alpha1.PathExact, Backend: status}}
}

// stands runs what platformHosts names, and a backend that shows what tenants' backends see.
func (s *site) stands(t testing.TB) {
	t.Helper()
	s.stand(t, s.Namespace, "fallback", http.StatusNotFound)
	s.stand(t, s.Namespace, "marketing", http.StatusOK)
	s.stand(t, s.Namespace, "status", http.StatusOK)
	s.stand(t, s.Namespace, "holding", http.StatusServiceUnavailable)
	s.stand(t, s.Namespace, "mirror", http.StatusOK)
}

// mirrored is a Tenant whose own backend is a stand that shows what it sees.
func (s *site) mirrored(name string, domains ...string) *v1alpha1.Tenant {
	tenant := s.Tenant(name, domains...)
	tenant.Spec.Backend = &v1alpha1.ServiceBackend{Name: "mirror", Port: 8080}
	return tenant
}

// forgery is a client's own word of who it is, in every line that might be taken for it.
func forgery(tenant string) []string {
	return []string{header + ": " + tenant, strings.ToLower(header) + ": " + tenant, "X_Tenantry_Tenant: " + tenant}
}

// Many tenants on one host: the header or the path says which, and who names none, or one that is not
// there, gets a clear refusal and nobody's data. A client's own tenant header never counts.
func TestSharedHosts(t *testing.T) {
	t.Parallel()
	s := newSite(t, platformHosts)
	s.stands(t)
	acme, beta := s.mirrored("acme", s.Host("acme")), s.mirrored("acme2", s.Host("acme2"))
	s.Create(t, acme, beta)
	s.AwaitReady(t, acme, beta)
	toAcme, toBeta := "mirror "+s.Namespace+"/acme", "mirror "+s.Namespace+"/acme2"
	api, app := s.Host("api"), s.Host("app")
	for name, who := range map[string]string{"acme": toAcme, "acme2": toBeta} {
		awaitWho(t, who, func(ctx context.Context) (reply, error) { return get(ctx, api, "/", "X-Org: "+name) })
		awaitWho(t, who, func(ctx context.Context) (reply, error) { return get(ctx, app, "/t/"+name) })
		awaitWho(t, who, func(ctx context.Context) (reply, error) { return get(ctx, s.Host(name), "/") })
	}
	awaitWho(t, "marketing", func(ctx context.Context) (reply, error) { return get(ctx, s.Host("www"), "/") })
	for name, tt := range map[string]struct {
		host, path string
		headers    []string
		want       string
		status     int
		sees       string
	}{
		"by header":                         {api, "/a?b=c", []string{"X-Org: acme"}, toAcme, 200, "/a?b=c"},
		"another by header":                 {api, "/", []string{"X-Org: acme2"}, toBeta, 200, "/"},
		"header in lower case":              {api, "/", []string{"x-org: acme"}, toAcme, 200, "/"},
		"no header":                         {api, "/", nil, "fallback", 404, "/"},
		"empty header":                      {api, "/", []string{"X-Org: "}, "fallback", 404, "/"},
		"unknown value":                     {api, "/", []string{"X-Org: nobody"}, "fallback", 404, "/"},
		"value in other case":               {api, "/", []string{"X-Org: ACME"}, "fallback", 404, "/"},
		"beginning of a value":              {api, "/", []string{"X-Org: acm"}, "fallback", 404, "/"},
		"value and more":                    {api, "/", []string{"X-Org: acme,acme2"}, "fallback", 404, "/"},
		"by header, forged":                 {api, "/", append(forgery(s.Namespace+"/acme2"), "X-Org: acme"), toAcme, 200, "/"},
		"no header, forged":                 {api, "/", forgery(s.Namespace + "/acme"), "fallback", 404, "/"},
		"by path":                           {app, "/t/acme/a/b?c=d", nil, toAcme, 200, "/t/acme/a/b?c=d"},
		"by path alone":                     {app, "/t/acme", nil, toAcme, 200, "/t/acme"},
		"another whose name begins like it": {app, "/t/acme2/a", nil, toBeta, 200, "/t/acme2/a"},
		"nobody whose name begins like it":  {app, "/t/acme3/a", nil, "fallback", 404, "/t/acme3/a"},
		"path in other case":                {app, "/t/ACME", nil, "fallback", 404, "/t/ACME"},
		"no tenant's path":                  {app, "/", nil, "fallback", 404, "/"},
		"by path, forged":                   {app, "/t/acme", forgery(s.Namespace + "/acme2"), toAcme, 200, "/t/acme"},
		"no tenant's path, forged":          {app, "/", forgery(s.Namespace + "/acme"), "fallback", 404, "/"},
		"a public path":                     {s.Host("acme"), "/status/db", nil, "status", 200, "/status/db"},
		"a public path, forged":             {s.Host("acme"), "/status", forgery(s.Namespace + "/acme2"), "status", 200, "/status"},
		"a path like a public one":          {s.Host("acme"), "/statuses", nil, toAcme, 200, "/statuses"},
		"a public path, exactly":            {s.Host("acme"), "/robots.txt", nil, "status", 200, "/robots.txt"},
		"below a public path, exactly":      {s.Host("acme"), "/robots.txt/x", nil, toAcme, 200, "/robots.txt/x"},
		"a public host":                     {s.Host("www"), "/anything", nil, "marketing", 200, "/anything"},
		"a public host, forged":             {s.Host("www"), "/", append(forgery(s.Namespace+"/acme"), "X-Org: acme"), "marketing", 200, "/"},
		"a host of nobody":                  {s.Host("nobody"), "/", append(forgery(s.Namespace+"/acme"), "X-Org: acme"), "404", 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := get(t.Context(), tt.host, tt.path, tt.headers...)
			if err != nil {
				t.Fatal(err)
			}
			if r.who() != tt.want || r.Status != tt.status || r.Path != tt.sees {
				t.Errorf("answered by %q with %d, who saw %q; want %q, %d, %q", r.who(), r.Status, r.Path, tt.want, tt.status, tt.sees)
			}
		})
	}
}

// By Ingress the path alone says which tenant: as short as it is, no other tenant and no fallback answers.
func TestSharedHostByIngress(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(w *operator.World) {
		platformHosts(w)
		r := w.Class.Spec.Routing
		r.Gateway, r.Ingress = nil, &v1alpha1.IngressRouting{ClassName: platform.TraefikClass}
		r.SharedHosts = []v1alpha1.SharedHost{byFirstSegment(w)}
		r.PublicPaths = append(r.PublicPaths, shortPaths(w)...)
	})
	s.stands(t)
	var tenants []conditions.Object
	for _, name := range []string{"x", "xy"} {
		s.stand(t, s.Namespace, name+"-app", http.StatusOK) // An Ingress does not tell a backend for whom it asks.
		tenant := s.Tenant(name, s.Host(name))
		tenant.Spec.Backend = &v1alpha1.ServiceBackend{Name: name + "-app", Port: 8080}
		s.Create(t, tenant)
		tenants = append(tenants, tenant)
	}
	s.AwaitReady(t, tenants...)
	first := s.Host("first")
	for name, tt := range map[string]struct{ host, path, want string }{
		"a path alone":              {first, "/x", "x-app"},
		"below it":                  {first, "/x/a", "x-app"},
		"a path that begins like":   {first, "/xy", "xy-app"},
		"below that":                {first, "/xy/a", "xy-app"},
		"a path of nobody":          {first, "/xyz", "fallback"},
		"no path":                   {first, "/", "fallback"},
		"a public path on a host":   {s.Host("x"), "/status", "status"},
		"a short one":               {s.Host("x"), "/api", "status"},
		"below a short one":         {s.Host("x"), "/api/a", "status"},
		"a short one, exactly":      {s.Host("x"), "/ok", "status"},
		"below a short one, exact":  {s.Host("x"), "/ok/a", "x-app"},
		"a path like a public path": {s.Host("x"), "/apis", "x-app"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			awaitWho(t, tt.want, func(ctx context.Context) (reply, error) { return get(ctx, tt.host, tt.path) })
		})
	}
}

// A tenant that is not served is answered for by the holding backend, which learns nothing about it;
// on shared hosts it is as if it were not there. Its own backend gets no request meanwhile.
func TestHolding(t *testing.T) {
	t.Parallel()
	s := newSite(t, platformHosts)
	s.stands(t)
	host := func(name string) func(context.Context) (reply, error) {
		return func(ctx context.Context) (reply, error) { return get(ctx, s.Host(name), "/") }
	}
	shared := func(name string) func(context.Context) (reply, error) {
		return func(ctx context.Context) (reply, error) { return get(ctx, s.Host("api"), "/", "X-Org: "+name) }
	}
	tenant := func(name string) string { return "mirror " + s.Namespace + "/" + name }

	t.Run("provisioning", func(t *testing.T) {
		t.Parallel()
		stuck := s.mirrored("stuck", s.Host("stuck"), s.Host("alias-of-stuck"))
		stuck.Spec.Migrations = &v1alpha1.TenantMigrations{TargetVersion: "99"}
		s.Create(t, stuck)
		s.AwaitWant(t, operator.Eventually, stuck, operator.Want{Condition: v1alpha1.ConditionMigrated, Reason: v1alpha1.ReasonUnknownVersion})
		awaitWho(t, "holding", host("stuck"))
		awaitWho(t, "holding", host("alias-of-stuck"))
		awaitWho(t, "fallback", shared("stuck"))
		wantState(t, s, stuck, v1alpha1.DomainHolding)

		stop := census(t, host("stuck"))
		operator.Update(t, s.Servers, stuck, func(tn *v1alpha1.Tenant) { tn.Spec.Migrations = nil })
		s.AwaitReady(t, stuck)
		awaitWho(t, tenant("stuck"), host("stuck"))
		awaitWho(t, tenant("stuck"), shared("stuck"))
		if diff := cmp.Diff([]string{"holding", tenant("stuck")}, stop().order); diff != "" {
			t.Errorf("who answered (-want +got):\n%s", diff)
		}
		wantState(t, s, stuck, v1alpha1.DomainServing)
	})
	t.Run("suspended", func(t *testing.T) {
		t.Parallel()
		late := s.mirrored("late", s.Host("late"), s.Host("alias-of-late"))
		s.Create(t, late)
		s.AwaitReady(t, late)
		awaitWho(t, tenant("late"), host("late"))
		stop := census(t, host("late"))
		operator.Update(t, s.Servers, late, func(tn *v1alpha1.Tenant) { tn.Spec.Suspended = true })
		s.AwaitWant(t, operator.Eventually, late, operator.Want{Condition: v1alpha1.ConditionRouted, Reason: v1alpha1.ReasonSuspended})
		awaitWho(t, "holding", host("late"))
		awaitWho(t, "holding", host("alias-of-late"))
		awaitWho(t, "fallback", shared("late"))
		// Public paths are the tenant's, too: they are held with the rest.
		awaitWho(t, "holding", func(ctx context.Context) (reply, error) { return get(ctx, s.Host("late"), "/status") })
		wantState(t, s, late, v1alpha1.DomainHolding)
		operator.Update(t, s.Servers, late, func(tn *v1alpha1.Tenant) { tn.Spec.Suspended = false })
		s.AwaitReady(t, late)
		awaitWho(t, tenant("late"), host("late"))
		if diff := cmp.Diff([]string{tenant("late"), "holding", tenant("late")}, stop().order); diff != "" {
			t.Errorf("who answered (-want +got):\n%s", diff)
		}
	})
	t.Run("deleting", func(t *testing.T) {
		t.Parallel()
		gone := s.mirrored("gone", s.Host("gone"))
		s.Create(t, gone)
		s.AwaitReady(t, gone)
		awaitWho(t, tenant("gone"), host("gone"))
		stop := census(t, host("gone"))
		release := s.lock(t, gone)
		s.Delete(t, gone)
		awaitWho(t, "holding", host("gone"))
		awaitWho(t, "fallback", shared("gone"))
		release()
		awaitWho(t, "404", host("gone"))
		if diff := cmp.Diff([]string{tenant("gone"), "holding", "404"}, stop().order); diff != "" {
			t.Errorf("who answered (-want +got):\n%s", diff)
		}
	})
}

// wantState waits until the status says what requests show: it follows the data plane's word.
func wantState(t testing.TB, s *site, tenant *v1alpha1.Tenant, want v1alpha1.DomainState) {
	t.Helper()
	s.Await(t, operator.Eventually, tenant, func(bool) error {
		if len(tenant.Status.Domains) == 0 {
			return fmt.Errorf("the status has no domains, want %s", want)
		}
		for _, d := range tenant.Status.Domains {
			if d.State != want {
				return fmt.Errorf("%s is %s (%s), not %s", d.Host, d.State, d.Message, want)
			}
		}
		return nil
	})
}

// lock holds the tenant's row of the registry, for which every change of its schema waits.
func (s *site) lock(t testing.TB, tenant *v1alpha1.Tenant) (release func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.AdminDSN)
	if err != nil {
		t.Fatal(err)
	}
	release = func() {
		if err := conn.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(release)
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT FROM tenantry.tenant WHERE tenant_uid = $1 FOR UPDATE", string(tenant.UID)); err != nil {
		t.Fatal(err)
	}
	return release
}
