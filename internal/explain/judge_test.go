package explain

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/routing"
)

// situation is an inquiry that has read all it can, just before the verdict.
type situation struct {
	*inquiry

	wish routing.Wish
	// unrouted : the tenant has no route.
	unrouted bool
}

// say sets a condition of the tenant.
func (s *situation) condition(kind string, status metav1.ConditionStatus, reason, message string) {
	s.tenant.Status.Conditions = append(s.tenant.Status.Conditions, metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message})
	if kind == v1alpha1.ConditionReady {
		s.answer.Tenant.Ready, s.answer.Tenant.Reason, s.answer.Tenant.Message = string(status), reason, message
	}
}

func (s *situation) state(state v1alpha1.DomainState, message string) {
	s.tenant.Status.Domains = []v1alpha1.TenantDomainStatus{{Host: "acme.example.com", Claim: "acme.example.com", State: state, Message: message}}
	s.answer.Tenant.State = state
}

// ready is a tenant that is served on acme.example.com, and redirects www.acme.com.
func ready() *situation {
	tenant, class := acme()
	s := &situation{
		inquiry: &inquiry{query: Query{Host: "acme.example.com", Path: "/"}, tenant: tenant, class: class, claim: &v1alpha1.DomainClaim{}},
		wish:    routing.Wish{Tenant: tenant, Routing: class.Spec.Routing, Hosts: []string{"acme.example.com", "www.acme.com"}},
	}
	s.claim.Spec.Host = "acme.example.com"
	s.routes.onHTTP.everything, s.routes.onIngress.everything = true, true
	s.answer.Class, s.answer.Role = "standard", v1alpha1.HostTenant
	s.answer.Tenant = &Tenant{Namespace: "shop", Name: "acme"}
	s.state(v1alpha1.DomainServing, "")
	s.answer.Routes = []Route{{Kind: "HTTPRoute", Namespace: "shop", Name: "acme", Parents: []Parent{{Kind: "Gateway", Accepted: true}}}}
	return s
}

func (s *situation) judge() Answer {
	var rules []rule
	if !s.unrouted && s.wish.Routing != nil {
		for _, r := range routing.HTTPRoutes(s.wish) {
			rules = append(rules, rulesOfHTTPRoute(&r)...)
		}
	}
	if s.tenant == nil {
		s.judgeByState()
	} else {
		s.judgeTenant(choose(rules, s.query))
	}
	return s.answer
}

func TestVerdicts(t *testing.T) {
	const yes, no, unsure = metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown
	isReady := func(s *situation) { s.condition(v1alpha1.ConditionReady, yes, "Ready", "The tenant can work") }
	tests := map[string]struct {
		do     func(*situation)
		want   Verdict
		advice string
	}{
		"served": {isReady, Served, "Nothing is to be done"},
		"served, and not Ready": {func(s *situation) {
			s.condition(v1alpha1.ConditionReady, no, "MigrationFailed", "0004_x.sql line 1")
		}, Served, "(MigrationFailed): 0004_x.sql line 1"},
		"served, and just suspended": {func(s *situation) { s.answer.Tenant.Suspended = true }, Served, "spec.suspended is set"},
		"served, and just deleted":   {func(s *situation) { s.answer.Tenant.Deleting = true }, Served, "is being deleted"},
		"alias":                      {func(s *situation) { s.query.Host, s.claim.Spec.Host = "www.acme.com", "www.acme.com" }, Redirected, "ask for acme.example.com"},
		"public path":                {func(s *situation) { s.query.Path = "/healthz" }, Public, "/healthz is one of the public paths of class standard"},
		"holding, suspended": {func(s *situation) {
			s.wish.Held, s.answer.Tenant.Suspended = true, true
		}, Holding, "take spec.suspended away"},
		"holding, in the making": {func(s *situation) {
			s.wish.Held = true
			s.condition(v1alpha1.ConditionReady, no, "DatabaseFull", "no room")
		}, Holding, "(DatabaseFull): no room"},
		"holding, deleted": {func(s *situation) {
			s.wish.Held, s.answer.Tenant.Deleting = true, true
			s.condition(v1alpha1.ConditionReady, no, "DependentObjects", "view x")
		}, Holding, "view x"},
		"unreachable": {func(s *situation) { s.state(v1alpha1.DomainUnreachable, "GET / answers 502") }, Unreachable, "GET / answers 502"},
		"not accepted": {func(s *situation) {
			s.answer.Routes[0].Parents[0] = Parent{Message: "Gateway gateways/edge refuses it"}
		}, RouteNotAccepted, "refuses it"},
		"backend missing behind an Ingress": {func(s *situation) {
			s.condition(v1alpha1.ConditionRouted, no, v1alpha1.ReasonBackendNotFound, "Service web does not exist")
		}, RouteNotAccepted, "Service web does not exist"},
		"shadowed": {func(s *situation) {
			s.addOther(Other{Kind: "HTTPRoute", Namespace: "evil", Name: "thief", Host: "acme.example.com"})
		}, Shadowed, "Delete that HTTPRoute"},
		"shadowed by what may not be read": {func(s *situation) {
			s.routes.onHTTP = extent{namespaces: []string{"shop"}}
			s.condition(v1alpha1.ConditionRouted, no, v1alpha1.ReasonHostShadowed, "another HTTPRoute asks for this host too")
		}, Shadowed, "another HTTPRoute asks"},

		"suspended": {func(s *situation) {
			s.unrouted, s.answer.Tenant.Suspended = true, true
			s.state(v1alpha1.DomainClaimed, "")
		}, Suspended, "Take spec.suspended away"},
		"deleting": {func(s *situation) {
			s.unrouted, s.answer.Tenant.Deleting = true, true
			s.condition(v1alpha1.ConditionReady, no, "SessionsRemain", "2 sessions")
		}, Deleting, "2 sessions"},
		"deleting, just now": {func(s *situation) {
			s.unrouted, s.answer.Tenant.Deleting = true, true
			isReady(s)
		}, Deleting, "free for others"},
		"unverified": {func(s *situation) {
			s.unrouted = true
			s.state(v1alpha1.DomainUnverified, "create the TXT record")
		}, Unverified, "create the TXT record"},
		"not looked at": {func(s *situation) { s.unrouted = true }, NotReady, "whether the operator runs"},
		"a step behind": {func(s *situation) {
			s.unrouted = true
			s.condition(v1alpha1.ConditionDatabaseReady, yes, "Succeeded", "")
			s.condition(v1alpha1.ConditionSchemaReady, no, "SchemaLost", "the schema is gone")
			s.condition(v1alpha1.ConditionReady, no, "DomainTaken", "another domain")
		}, NotReady, "the schema is gone"},
		"no class": {func(s *situation) {
			s.unrouted, s.class = true, nil
			s.condition(v1alpha1.ConditionDatabaseReady, unsure, "Pending", "Waits for the class")
			s.condition(v1alpha1.ConditionReady, no, "ClassNotFound", "no such class")
		}, NotReady, "no such class"},
		"may not have it any more": {func(s *situation) {
			s.unrouted = true
			s.state(v1alpha1.DomainNotAllowed, "the class does not offer it")
		}, NotReady, "does not offer it"},
		"class without routing": {func(s *situation) {
			s.unrouted = true
			s.class.Spec.Routing = nil
			isReady(s)
		}, RouteMissing, "Set spec.routing"},
		"no route, and the operator says why": {func(s *situation) {
			s.unrouted = true
			for _, kind := range beforeRoutes {
				s.condition(kind, yes, "Succeeded", "")
			}
			s.condition(v1alpha1.ConditionRouted, no, "RouteNameTaken", "a route named acme exists")
			s.condition(v1alpha1.ConditionReady, no, "RouteNameTaken", "a route named acme exists")
		}, RouteMissing, "a route named acme exists"},
		"no route any more": {func(s *situation) {
			s.unrouted = true
			isReady(s)
		}, RouteMissing, "whether the operator runs"},
		"no longer wanted": {func(s *situation) {
			s.unrouted = true
			s.tenant.Status.Domains = nil
			isReady(s)
		}, RouteMissing, "being released"},

		"routes unread, serving": {func(s *situation) {
			s.unrouted = true
			s.routes.onHTTP = extent{}
		}, Served, "learns more"},
		"routes unread, alias": {func(s *situation) {
			s.unrouted = true
			s.routes.onHTTP = extent{}
			s.query.Host, s.claim.Spec.Host = "www.acme.com", "www.acme.com"
		}, Redirected, "learns more"},
		"routes unread, suspended": {func(s *situation) {
			s.unrouted, s.answer.Tenant.Suspended = true, true
			s.routes.onHTTP = extent{}
			s.state(v1alpha1.DomainClaimed, "")
		}, Suspended, "Take spec.suspended away"},
		"Tenant unread, serving":     {func(s *situation) { s.tenant = nil }, Served, "learns more"},
		"Tenant unread, holding":     {func(s *situation) { s.tenant, s.answer.Tenant.State = nil, v1alpha1.DomainHolding }, Holding, "learns more"},
		"Tenant unread, unverified":  {func(s *situation) { s.tenant, s.answer.Tenant.State = nil, v1alpha1.DomainUnverified }, Unverified, "DNS record"},
		"Tenant unread, unreachable": {func(s *situation) { s.tenant, s.answer.Tenant.State = nil, v1alpha1.DomainUnreachable }, Unreachable, "learns more"},
		"Tenant unread, claimed":     {func(s *situation) { s.tenant, s.answer.Tenant.State = nil, v1alpha1.DomainClaimed }, NotReady, "learns more"},
		"Tenant unread, no state":    {func(s *situation) { s.tenant, s.answer.Tenant.State = nil, "" }, Unknown, "learns more"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := ready()
			tt.do(s)
			got := s.judge()
			if got.Verdict != tt.want || !strings.Contains(got.Advice, tt.advice) {
				t.Errorf("verdict is %s (%s: %s), want %s with advice %q", got.Verdict, got.Summary, got.Advice, tt.want, tt.advice)
			}
			if !strings.HasPrefix(got.Summary, s.query.Host) {
				t.Errorf("the summary does not begin with the host: %q", got.Summary)
			}
		})
	}
}

// On a shared host, the routes choose the tenant; a tenant that holds the value and is not routed is found
// by its claim, and nobody else by half of a value.
func TestTenantOnSharedHost(t *testing.T) {
	claim := func(uid, value string) v1alpha1.DomainClaim {
		return v1alpha1.DomainClaim{Spec: v1alpha1.DomainClaimSpec{Host: "api.example.com", Value: value, Holder: v1alpha1.ClaimHolder{Name: uid, UID: uid}}}
	}
	byHeader := []v1alpha1.SharedHost{{Host: "api.example.com", Header: &v1alpha1.SharedHeader{Name: "X-Tenant"}}}
	byPath := []v1alpha1.SharedHost{{Host: "api.example.com", PathPrefix: &v1alpha1.SharedPathPrefix{}}}
	tests := map[string]struct {
		ways   []v1alpha1.SharedHost
		values []v1alpha1.DomainClaim
		query  Query
		want   string
	}{
		"header":              {byHeader, []v1alpha1.DomainClaim{claim("a", "shop/a"), claim("b", "shop/b")}, Query{Headers: map[string]string{"X-Tenant": "shop/b"}}, "b"},
		"header, other case":  {byHeader, []v1alpha1.DomainClaim{claim("a", "shop/a")}, Query{Headers: map[string]string{"X-Tenant": "Shop/A"}}, ""},
		"no header":           {byHeader, []v1alpha1.DomainClaim{claim("a", "shop/a")}, Query{Path: "shop/a"}, ""},
		"path":                {byPath, []v1alpha1.DomainClaim{claim("a", "/shop/a"), claim("b", "/shop/b")}, Query{Path: "/shop/a/x"}, "a"},
		"longest path":        {byPath, []v1alpha1.DomainClaim{claim("a", "/a"), claim("b", "/a/b"), claim("c", "/a/b/c")}, Query{Path: "/a/b/x"}, "b"},
		"half a segment":      {byPath, []v1alpha1.DomainClaim{claim("a", "/shop/a")}, Query{Path: "/shop/ab"}, ""},
		"path in the header":  {byPath, []v1alpha1.DomainClaim{claim("a", "/shop/a")}, Query{Path: "/", Headers: map[string]string{"X-Tenant": "/shop/a"}}, ""},
		"nobody holds values": {byPath, nil, Query{Path: "/shop/a"}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in := &inquiry{query: tt.query, values: tt.values}
			got := ""
			if c := in.pick(tt.ways); c != nil {
				got = c.Spec.Holder.Name
			}
			if got != tt.want {
				t.Errorf("picked %q, want %q", got, tt.want)
			}
		})
	}
}

// The values that are named are bounded.
func TestFallbackNamesSomeValues(t *testing.T) {
	in := &inquiry{query: Query{Host: "api.example.com", Path: "/"}, answer: Answer{Shared: &Shared{Header: "X-Tenant"}}}
	for name := range strings.SplitSeq("a b c d e f g h i j k l", " ") {
		in.values = append(in.values, v1alpha1.DomainClaim{Spec: v1alpha1.DomainClaimSpec{Value: name, Holder: v1alpha1.ClaimHolder{UID: string(types.UID(name))}}})
	}
	in.judgeFallback(&rule{})
	if got, want := in.answer.Advice, "Send the header X-Tenant with a value that a tenant holds; held: a, b, c, d, e, f, g, h, i, j and 2 more"; got != want {
		t.Errorf("advice is %q, want %q", got, want)
	}
}
