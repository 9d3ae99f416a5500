package scenarios

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/controllers"
	"github.com/tenantry/tenantry/hack/demo/setup"
	"github.com/tenantry/tenantry/internal/explain"
	"github.com/tenantry/tenantry/test/operator"
	"github.com/tenantry/tenantry/test/platform"
)

// town is a world with a tenant for every verdict.
type town struct{ *operator.World }

func service(namespace, name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 8080}}},
	}
}

// newTown makes the world's class, which routes by the Gateway that all tests share, and others like it.
func newTown(t *testing.T) town {
	w := town{servers.World(t)}
	fallback := v1alpha1.ServiceBackend{Namespace: w.Namespace, Name: "fallback", Port: 8080}
	w.Class.Spec.Routing = &v1alpha1.Routing{
		Gateway: &v1alpha1.GatewayRouting{ParentRefs: []v1alpha1.GatewayReference{{
			NamespacedReference: v1alpha1.NamespacedReference{Namespace: "gateways", Name: "edge"},
		}}},
		Backend:     v1alpha1.ServiceBackend{Name: "web", Port: 8080},
		PublicPaths: []v1alpha1.PublicPath{{Path: "/healthz"}},
	}
	own := w.Class.DeepCopy()
	w.Class.Spec.Routing.PublicHosts = []v1alpha1.PublicHost{{Host: w.Host("www"), Backend: fallback}}
	w.Class.Spec.Routing.SharedHosts = []v1alpha1.SharedHost{
		{Host: w.Host("api"), Header: &v1alpha1.SharedHeader{Name: "X-Tenant", Value: "{name}"}, Fallback: fallback},
		{Host: w.Host("app"), PathPrefix: &v1alpha1.SharedPathPrefix{Value: "/{name}"}, Fallback: fallback},
	}
	w.Create(t, service(w.Namespace, "web"), service(w.Namespace, "holding"), service(w.Namespace, "fallback"))
	w.Make(t)
	for name, change := range map[string]func(*v1alpha1.TenantClassSpec){
		"holding": func(c *v1alpha1.TenantClassSpec) {
			c.Routing.Holding = &v1alpha1.ServiceBackend{Name: "holding", Port: 8080}
		},
		"proof":    func(c *v1alpha1.TenantClassSpec) { c.Domains = nil },
		"unrouted": func(c *v1alpha1.TenantClassSpec) { c.Routing = nil },
		"narrow":   func(c *v1alpha1.TenantClassSpec) { c.Routing.Gateway.ParentRefs[0].Name = w.narrowGateway(t) },
		"broken": func(c *v1alpha1.TenantClassSpec) {
			c.Routing.Gateway.ParentRefs[0].Name = w.brokenGateway(t)
			c.Routing.Probe = &v1alpha1.ReachabilityProbe{IntervalSeconds: 5, TimeoutSeconds: 5}
		},
		"offering": func(c *v1alpha1.TenantClassSpec) {
			c.Domains = &v1alpha1.DomainPolicy{Platform: []v1alpha1.PlatformDomain{{DomainSuffix: "platform." + w.Namespace + ".example"}}}
		},
	} {
		class := own.DeepCopy()
		class.Name = w.Namespace + "-" + name
		change(&class.Spec)
		w.Create(t, class)
	}
	return w
}

// narrowGateway makes a Gateway that takes other hosts only.
func (w town) narrowGateway(t *testing.T) string {
	return w.gateway(t, "narrow", gatewayv1.Listener{Port: 80, Hostname: new(gatewayv1.Hostname("*.elsewhere.example"))}).Name
}

// brokenGateway makes a Gateway whose data plane has lost its backends: it answers 502 to all.
func (w town) brokenGateway(t *testing.T) string {
	edge := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, _ *http.Request) {
		response.WriteHeader(http.StatusBadGateway)
	}))
	t.Cleanup(edge.Close)
	at := netip.MustParseAddrPort(edge.Listener.Addr().String())
	g := w.gateway(t, "broken", gatewayv1.Listener{Port: int32(at.Port())})
	before := g.DeepCopy()
	g.Status.Addresses = []gatewayv1.GatewayStatusAddress{{Value: at.Addr().String()}}
	if err := w.Admin.Status().Patch(t.Context(), g, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	return g.Name
}

// gateway makes a Gateway of the world's own with one listener for the routes of all namespaces.
func (w town) gateway(t *testing.T, name string, listener gatewayv1.Listener) *gatewayv1.Gateway {
	listener.Name, listener.Protocol = "web", gatewayv1.HTTPProtocolType
	listener.AllowedRoutes = &gatewayv1.AllowedRoutes{Namespaces: &gatewayv1.RouteNamespaces{From: new(gatewayv1.NamespacesFromAll)}}
	g := &gatewayv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: "gateways", Name: w.Namespace + "-" + name}}
	g.Spec.GatewayClassName, g.Spec.Listeners = "edge", []gatewayv1.Listener{listener}
	w.Create(t, g)
	return g
}

// tenant creates a Tenant on the host of its own name; class is the world's, or one of the others.
func (w town) tenant(t *testing.T, name, class string, change ...func(*v1alpha1.Tenant)) *v1alpha1.Tenant {
	t.Helper()
	tenant := w.Tenant(name, w.Host(name))
	if class != "" {
		tenant.Spec.ClassName = w.Namespace + "-" + class
	}
	for _, f := range change {
		f(tenant)
	}
	w.Create(t, tenant)
	return tenant
}

// await says of the routes of an owner what a data plane says that serves them, until the owner is as it is
// to be.
func (w town) await(t *testing.T, owner object, want operator.Want) {
	t.Helper()
	operator.Poll(t, operator.Eventually, func() error {
		var list gatewayv1.HTTPRouteList
		if err := w.Admin.List(t.Context(), &list, client.InNamespace(w.Namespace)); err != nil {
			return err
		}
		for _, route := range list.Items {
			if metav1.IsControlledBy(&route, owner) {
				w.accept(t, &route)
			}
		}
		w.Get(t, owner)
		return want.Check(owner)
	})
}

func (w town) accept(t *testing.T, route *gatewayv1.HTTPRoute) {
	t.Helper()
	if len(route.Status.Parents) > 0 && route.Status.Parents[0].Conditions[0].ObservedGeneration == route.Generation {
		return
	}
	var verdict []metav1.Condition
	for _, kind := range []string{"Accepted", "ResolvedRefs"} {
		verdict = append(verdict, metav1.Condition{
			Type: kind, Status: metav1.ConditionTrue, Reason: kind, ObservedGeneration: route.Generation, LastTransitionTime: metav1.Now(),
		})
	}
	before := route.DeepCopy()
	route.Status.Parents = []gatewayv1.RouteParentStatus{{ParentRef: route.Spec.ParentRefs[0], ControllerName: "example.com/edge", Conditions: verdict}}
	if err := w.Admin.Status().Patch(t.Context(), route, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
}

// populate creates the tenants and brings each to where it is to be.
func (w town) populate(t *testing.T) {
	suspended := func(tn *v1alpha1.Tenant) { tn.Spec.Suspended = true }
	acme := w.tenant(t, "acme", "", func(tn *v1alpha1.Tenant) {
		tn.Spec.Domains = append(tn.Spec.Domains, w.Host("alias"), "*."+w.Host("wild"))
	})
	paused, held := w.tenant(t, "paused", "", suspended), w.tenant(t, "held", "holding", suspended)
	pinned := w.tenant(t, "pinned", "", func(tn *v1alpha1.Tenant) { tn.Spec.Migrations = &v1alpha1.TenantMigrations{TargetVersion: "99"} })
	unproved, plain := w.tenant(t, "unproved", "proof"), w.tenant(t, "plain", "unrouted")
	narrow, fresh, dead := w.tenant(t, "narrow", "narrow"), w.tenant(t, "fresh", "holding"), w.tenant(t, "dead", "broken")
	greedy := w.tenant(t, "greedy", "offering")
	going := w.tenant(t, "going", "holding", func(tn *v1alpha1.Tenant) {
		tn.Spec.ClassName, tn.Spec.DeletionPolicy = w.Class.Name, v1alpha1.DeletionDelete
	})
	thief := &gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "thief"}}
	thief.Spec.ParentRefs = []gatewayv1.ParentReference{{Namespace: new(gatewayv1.Namespace("gateways")), Name: "edge"}}
	thief.Spec.Hostnames = []gatewayv1.Hostname{gatewayv1.Hostname(w.Host("stolen"))}
	w.Create(t, thief)

	w.await(t, w.Class, operator.Ready())
	for _, tenant := range []*v1alpha1.Tenant{acme, going} {
		w.await(t, tenant, operator.Ready())
	}
	w.await(t, narrow, operator.Waiting(v1alpha1.ConditionRouted, v1alpha1.ReasonListenerNotFound))
	w.await(t, paused, operator.Waiting(v1alpha1.ConditionReady, v1alpha1.ReasonSuspended))
	w.await(t, held, operator.Want{Condition: v1alpha1.ConditionRouted, Reason: v1alpha1.ReasonSuspended})
	w.await(t, dead, operator.Waiting(v1alpha1.ConditionReachable, v1alpha1.ReasonProbeFailed))
	w.AwaitWant(t, operator.Eventually, pinned, operator.Want{Condition: v1alpha1.ConditionMigrated, Reason: v1alpha1.ReasonUnknownVersion})
	w.AwaitWant(t, operator.Eventually, unproved, operator.Want{Condition: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonDomainUnverified})
	w.AwaitReady(t, plain)
	w.AwaitWant(t, operator.Eventually, fresh, operator.Want{Condition: v1alpha1.ConditionRouted, Reason: v1alpha1.ReasonRouteNotAccepted})
	w.AwaitWant(t, operator.Eventually, greedy, operator.Want{Condition: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonDomainNotAllowed})
	stolen := w.tenant(t, "stolen", "")
	w.await(t, stolen, operator.Want{Condition: v1alpha1.ConditionRouted, Reason: v1alpha1.ReasonHostShadowed})

	// Somebody's view keeps the schema from being dropped.
	operator.Exec(t, w.AdminDSN, "CREATE VIEW public.report AS SELECT * FROM "+going.Status.Schema+".note")
	w.Delete(t, going)
	w.AwaitWant(t, operator.Eventually, going, operator.Want{Condition: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonDependentObjects})
}

// Each verdict, on real objects of a running operator.
func TestExplain(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.populate(t)
	header := func(value string) map[string]string { return map[string]string{"x-tenant": value} }
	tests := map[string]struct {
		query  explain.Query
		want   explain.Verdict
		tenant string
		says   string // part of summary or advice
	}{
		"served":               {explain.Query{Host: "https://" + strings.ToUpper(w.Host("acme")) + ".:443/x"}, explain.Served, "acme", "is served by Tenant"},
		"below a wildcard":     {explain.Query{Host: w.Host("a.b.wild")}, explain.Served, "acme", "is served by Tenant"},
		"redirected":           {explain.Query{Host: w.Host("alias")}, explain.Redirected, "acme", "is redirected to " + w.Host("acme")},
		"public path":          {explain.Query{Host: w.Host("acme"), Path: "/healthz/live"}, explain.Public, "acme", "/healthz is one of the public paths"},
		"public host":          {explain.Query{Host: w.Host("www")}, explain.Public, "", "Service " + w.Namespace + "/fallback:8080 answers"},
		"shared by header":     {explain.Query{Host: w.Host("api"), Headers: header("acme")}, explain.Served, "acme", "with X-Tenant: acme is served"},
		"shared by path":       {explain.Query{Host: w.Host("app"), Path: "/acme/x"}, explain.Served, "acme", "/acme/x is served"},
		"fallback, no header":  {explain.Query{Host: w.Host("api")}, explain.Fallback, "", "Send the header X-Tenant"},
		"fallback, bad header": {explain.Query{Host: w.Host("api"), Headers: header("nobody")}, explain.Fallback, "", "with X-Tenant: nobody names no tenant"},
		"fallback, half path":  {explain.Query{Host: w.Host("app"), Path: "/acmex"}, explain.Fallback, "", "Begin the path with one that a tenant holds; held: /acme"},
		"shared, suspended":    {explain.Query{Host: w.Host("api"), Headers: header("paused")}, explain.Suspended, "paused", "The host's fallback answers"},
		"suspended":            {explain.Query{Host: w.Host("paused")}, explain.Suspended, "paused", "Take spec.suspended away"},
		"holding":              {explain.Query{Host: w.Host("held")}, explain.Holding, "held", "Service " + w.Namespace + "/holding:8080"},
		"not Ready":            {explain.Query{Host: w.Host("pinned")}, explain.NotReady, "pinned", "(UnknownVersion)"},
		"deleting":             {explain.Query{Host: w.Host("going")}, explain.Deleting, "going", "report"},
		"unverified":           {explain.Query{Host: w.Host("unproved")}, explain.Unverified, "unproved", "_tenantry-challenge." + w.Host("unproved")},
		"no route":             {explain.Query{Host: w.Host("plain")}, explain.RouteMissing, "plain", "asks for no routes"},
		"not looked at":        {explain.Query{Host: w.Host("fresh")}, explain.RouteNotAccepted, "fresh", "has not looked at the route yet"},
		"no listener":          {explain.Query{Host: w.Host("narrow")}, explain.RouteNotAccepted, "narrow", "has no listener for this host, but web for *.elsewhere.example"},
		"shadowed":             {explain.Query{Host: w.Host("stolen")}, explain.Shadowed, "stolen", "HTTPRoute " + w.Namespace + "/thief"},
		"unreachable":          {explain.Query{Host: w.Host("dead")}, explain.Unreachable, "dead", "status 502, want status 200"},
		"nobody wants it":      {explain.Query{Host: w.Host("nobody")}, explain.Unclaimed, "", "nobody wants it"},
		"wanted in vain":       {explain.Query{Host: w.Host("greedy")}, explain.Unclaimed, "", "Tenant " + w.Namespace + "/greedy wants it"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := explain.Explain(t.Context(), w.Admin, tt.query)
			if err != nil {
				t.Fatal(err)
			}
			if got.Verdict != tt.want || !strings.Contains(got.Summary+". "+got.Advice, tt.says) {
				t.Errorf("verdict %s: %s. %s\nwant %s with %q", got.Verdict, got.Summary, got.Advice, tt.want, tt.says)
			}
			tenant := ""
			if got.Tenant != nil {
				tenant = got.Tenant.Name
			}
			if tenant != tt.tenant {
				t.Errorf("the request is for tenant %q, want %q", tenant, tt.tenant)
			}
			if len(got.NotRead) > 0 {
				t.Errorf("an administrator could not read %q", got.NotRead)
			}
		})
	}
	t.Run("by few rights", w.byFewRights)
	t.Run("by the program", w.byTheProgram)
}

// byFewRights asks as people who may read little: the answer gets smaller and says so.
func (w town) byFewRights(t *testing.T) {
	w.Create(t,
		&rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "reader"},
			Rules: []rbacv1.PolicyRule{
				{APIGroups: []string{"tenantry.dev"}, Resources: []string{"tenants"}, Verbs: []string{"get", "list"}},
				{APIGroups: []string{"gateway.networking.k8s.io"}, Resources: []string{"httproutes"}, Verbs: []string{"get", "list"}},
				{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"ingresses"}, Verbs: []string{"get", "list"}},
			},
		},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "reader"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "developer-" + w.Namespace}},
		})
	tests := map[string]struct {
		user, host string
		want       explain.Verdict
		notRead    []string // beginnings
	}{
		"of one namespace": {"developer-" + w.Namespace, w.Host("acme"), explain.Served, []string{
			"DomainClaims", "TenantClasses", "Tenants of all namespaces", "TenantClass " + w.Class.Name, "Secret " + w.Namespace + "/acme-db",
			"HTTPRoutes of all namespaces", "Ingresses of all namespaces", "Gateway gateways/edge",
		}},
		"of one namespace, an alias": {"developer-" + w.Namespace, w.Host("alias"), explain.Redirected, nil},
		"of one namespace, unproved": {"developer-" + w.Namespace, w.Host("unproved"), explain.Unverified, nil},
		"none":                       {"nobody", w.Host("acme"), explain.Unknown, []string{"DomainClaims", "TenantClasses", "Tenants", "HTTPRoutes", "Ingresses"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			config, err := w.Plane.User(tt.user)
			if err != nil {
				t.Fatal(err)
			}
			reader, err := client.New(config, client.Options{Scheme: controllers.Scheme()})
			if err != nil {
				t.Fatal(err)
			}
			got, err := explain.Explain(t.Context(), reader, explain.Query{Host: tt.host, Namespace: w.Namespace})
			if err != nil {
				t.Fatal(err)
			}
			if got.Verdict != tt.want || len(got.NotRead) == 0 {
				t.Errorf("verdict %s: %s, not read: %q; want %s", got.Verdict, got.Summary, got.NotRead, tt.want)
			}
			for _, begin := range tt.notRead {
				if !slices.ContainsFunc(got.NotRead, func(what string) bool { return strings.HasPrefix(what, begin) }) {
					t.Errorf("%q does not name %q", got.NotRead, begin)
				}
			}
		})
	}
}

// awaitClaims waits until every claim has told what it serves: the first status of a claim lags behind while
// other tenants are made.
func (w town) awaitClaims(t *testing.T) {
	t.Helper()
	operator.Poll(t, operator.Bookkeeping, func() error {
		var claims v1alpha1.DomainClaimList
		if err := w.Admin.List(t.Context(), &claims); err != nil {
			return err
		}
		for _, claim := range claims.Items {
			if claim.Spec.Holder.Namespace == w.Namespace && len(claim.Status.Conditions) == 0 {
				return fmt.Errorf("claim %s has no status yet", claim.Name)
			}
		}
		return nil
	})
}

// byTheProgram asks by the program that people run, as a plugin of kubectl and alone.
func (w town) byTheProgram(t *testing.T) {
	w.awaitClaims(t)
	bin := t.TempDir()
	if err := setup.Build(t.Context(), "./cmd/kubectl-tenant", filepath.Join(bin, "kubectl-tenant")); err != nil {
		t.Fatal(err)
	}
	nobody := filepath.Join(bin, "nobody.kubeconfig")
	config, err := w.Plane.User("nobody")
	if err != nil {
		t.Fatal(err)
	}
	if err := platform.WriteKubeconfig(config, nobody); err != nil {
		t.Fatal(err)
	}
	cache, err := platform.DefaultCache()
	if err != nil {
		t.Fatal(err)
	}
	kubectl, err := cache.Tool(t.Context(), "kubectl")
	if err != nil {
		t.Fatal(err)
	}
	secret := secretOf(&v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "acme"}})
	w.Get(t, secret)
	run := func(program, kubeconfig string, args ...string) (code int, out, notes string) {
		var stdout, stderr bytes.Buffer
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+bin)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			var exit *exec.ExitError
			if !errors.As(err, &exit) {
				t.Fatal(err)
			}
			code = exit.ExitCode()
		}
		if strings.Contains(stdout.String()+stderr.String(), string(secret.Data["password"])) {
			t.Errorf("%q shows a password", args)
		}
		for _, text := range []string{"goroutine", "panic"} {
			if strings.Contains(stderr.String(), text) {
				t.Errorf("%q ends with a stack trace: %s", args, stderr.String())
			}
		}
		return code, stdout.String(), stderr.String()
	}
	plugin := filepath.Join(bin, "kubectl-tenant")
	for name, tt := range map[string]struct {
		args      []string
		code      int
		out, errs string // parts
	}{
		"served":           {[]string{"explain-host", w.Host("acme")}, 0, "is served by Tenant", ""},
		"fallback":         {[]string{"explain-host", w.Host("api"), "--header", "X-Tenant: nobody"}, 0, "names no tenant", ""},
		"by header":        {[]string{"explain-host", w.Host("api"), "--header", "X-Tenant: acme", "-o", "json"}, 0, `"verdict": "Served"`, ""},
		"public path":      {[]string{"explain-host", w.Host("acme"), "--path", "/healthz", "-o", "yaml"}, 0, "verdict: Public", ""},
		"suspended":        {[]string{"explain-host", w.Host("paused")}, 3, "is suspended", ""},
		"unclaimed":        {[]string{"explain-host", w.Host("nobody")}, 3, "nobody wants it", ""},
		"no host":          {[]string{"explain-host", "acme"}, 1, "", `"acme" needs a dot`},
		"no argument":      {[]string{"explain-host"}, 1, "", "accepts 1 arg(s), received 0"},
		"no header":        {[]string{"explain-host", w.Host("api"), "--header", "X"}, 1, "", "write it as 'Name: value'"},
		"no format":        {[]string{"explain-host", w.Host("acme"), "-o", "xml"}, 1, "", `"xml" is no format`},
		"no cluster":       {[]string{"explain-host", w.Host("acme"), "--server", "https://127.0.0.1:1"}, 1, "", "connection refused"},
		"no rights":        {[]string{"explain-host", w.Host("acme"), "--kubeconfig", nobody}, 1, "not yours to read", "could not be explained with your rights"},
		"list":             {[]string{"list-hosts"}, 0, w.Host("acme"), ""},
		"list, no rights":  {[]string{"list-hosts", "--kubeconfig", nobody}, 0, "HOST", "Not yours to read: DomainClaims"},
		"list, structured": {[]string{"list-hosts", "-o", "json"}, 0, `"hosts": [`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, notes := run(plugin, w.Plane.Kubeconfig, tt.args...)
			if code != tt.code || !strings.Contains(out, tt.out) || !strings.Contains(notes, tt.errs) {
				t.Errorf("exit code %d\n%s%s\nwant %d, %q and %q", code, out, notes, tt.code, tt.out, tt.errs)
			}
		})
	}
	if code, out, notes := run(kubectl, w.Plane.Kubeconfig, "tenant", "explain-host", w.Host("paused")); code != 3 || !strings.Contains(out, "is suspended") {
		t.Errorf("kubectl tenant: exit code %d\n%s%s", code, out, notes)
	}
	w.golden(t, func(args ...string) string {
		_, out, _ := run(plugin, w.Plane.Kubeconfig, args...)
		return out
	})
}

// golden holds the text for two verdicts, and the list, against what they are to be.
func (w town) golden(t *testing.T, run func(args ...string) string) {
	unproved := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "unproved"}}
	w.Get(t, unproved)
	steady := strings.NewReplacer(
		unproved.Status.Domains[0].Record.Value, "VALUE", schemaOf(w.World, ""), "NS__", w.Namespace, "NS", w.Name, "DB")
	for host, want := range map[string]string{
		"acme": `acme.NS.example is served by Tenant NS/acme
  Verdict   Served
  Next      Nothing is to be done; who sees something else is led to another data plane by DNS, or to an older answer by a cache
  Tenant    NS/acme   Class NS   Ready True   State Serving
  Database  NS/main   Schema NS__acme   Version 3
  Login     Secret NS/acme-db   Role tn_DB__NS__acme_app
  Route     HTTPRoute NS/acme via Gateway gateways/edge, listener web (accepted)
  Backend   Service NS/web:8080
  Claim     acme.NS.example   Role Tenant   Held by Tenant NS/acme   Verified by Trusted
`,
		"unproved": `unproved.NS.example is not served: nobody has proved yet that Tenant NS/unproved controls it
  Verdict   Unverified
  Next      spec.domains: nobody has proved yet that this tenant controls unproved.NS.example: create the TXT record _tenantry-challenge.unproved.NS.example with the value "VALUE"
  Record    TXT _tenantry-challenge.unproved.NS.example "VALUE"
  Tenant    NS/unproved   Class NS-proof   Ready False   Reason DomainUnverified   State Unverified
  Database  NS/main   Schema NS__unproved   Version 3
  Login     Secret NS/unproved-db   Role tn_DB__NS__unproved_app
  Claim     unproved.NS.example   Role Tenant   Held by Tenant NS/unproved
`,
	} {
		if diff := cmp.Diff(want, steady.Replace(run("explain-host", w.Host(host)))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", host, diff)
		}
	}
	var got []string
	for line := range strings.Lines(steady.Replace(run("list-hosts", "-n", w.Namespace))) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"HOST ROLE TENANT STATE SCHEMA",
		"*.wild.NS.example Tenant NS/acme Serving NS__acme",
		"acme.NS.example Tenant NS/acme Serving NS__acme",
		"alias.NS.example Tenant NS/acme Serving NS__acme",
		"api.NS.example acme Tenant NS/acme Serving NS__acme",
		"greedy.NS.example Tenant NS/greedy NotAllowed -",
		"unproved.NS.example Tenant NS/unproved Unverified NS__unproved",
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("list-hosts has no line %q:\n%s", line, strings.Join(got, "\n"))
		}
	}
	if all := run("list-hosts"); !strings.Contains(all, fmt.Sprintf("class %s", w.Class.Name)) {
		t.Errorf("list-hosts has no host of class %s:\n%s", w.Class.Name, all)
	}
}
