package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/explain"
	"github.com/tenantry/tenantry/test/operator"
)

// agrees holds what is said of a request against what it got.
func agrees(said explain.Answer, got reply) error {
	want := fmt.Sprint(http.StatusNotFound) // the data plane's own: no route
	if said.Shared != nil {
		want = "fallback" // of a tenant that is not served
	}
	switch said.Verdict {
	case explain.Served:
		want = said.Backend.Name
		if said.Routes[0].Kind == "HTTPRoute" { // An Ingress cannot tell the backend about the tenant.
			want += " " + said.Tenant.Namespace + "/" + said.Tenant.Name
		}
	case explain.Public, explain.Fallback, explain.Holding:
		want = said.Backend.Name
	case explain.Redirected:
		to, err := url.Parse(got.Location)
		if err != nil || got.Status != http.StatusMovedPermanently || to.Hostname() != said.Location {
			return fmt.Errorf("is sent to %q with %d, not to %s", got.Location, got.Status, said.Location)
		}
		return nil
	}
	if got.who() != want {
		return fmt.Errorf("is answered by %q, not by %q", got.who(), want)
	}
	return nil
}

// What the objects say of a request is what a client gets, through Gateway API and Ingress.
func TestExplanationsAreTrue(t *testing.T) {
	t.Parallel()
	s := newSite(t, platformHosts)
	s.stands(t)
	byIngress, bare := s.Class.DeepCopy(), s.Class.DeepCopy()
	byIngress.ObjectMeta.Reset()
	bare.ObjectMeta.Reset()
	byIngress.Name, bare.Name = s.Namespace+"-ingress", s.Namespace+"-bare"
	r := byIngress.Spec.Routing
	r.Gateway, r.Ingress = nil, &v1alpha1.IngressRouting{ClassName: "traefik"}
	r.SharedHosts, r.PublicHosts = []v1alpha1.SharedHost{byFirstSegment(s.World)}, nil
	r.PublicPaths = append(r.PublicPaths, shortPaths(s.World)...)
	bare.Spec.Routing.Holding, bare.Spec.Routing.SharedHosts, bare.Spec.Routing.PublicHosts = nil, nil, nil
	s.Create(t, byIngress, bare)

	acme := s.mirrored("acme", s.Host("acme"), s.Host("alias"), "*."+s.Host("wild"))
	pi := s.mirrored("pi", s.Host("pi"), s.Host("second"))
	pi.Spec.ClassName = byIngress.Name
	held, off := s.mirrored("held", s.Host("held")), s.mirrored("off", s.Host("off"))
	held.Spec.Suspended, off.Spec.Suspended, off.Spec.ClassName = true, true, bare.Name
	s.Create(t, acme, pi, held, off)
	s.AwaitReady(t, acme, pi)
	for _, suspended := range []*v1alpha1.Tenant{held, off} {
		s.AwaitWant(t, operator.Eventually, suspended, operator.Want{Condition: v1alpha1.ConditionRouted, Reason: v1alpha1.ReasonSuspended})
	}

	for name, tt := range map[string]struct {
		host, path, org string
		want            explain.Verdict
	}{
		"a tenant's host":                     {s.Host("acme"), "/a/b", "", explain.Served},
		"below its wildcard":                  {"x.y." + s.Host("wild"), "/", "", explain.Served},
		"its alias":                           {s.Host("alias"), "/a?b=c", "", explain.Redirected},
		"a public path of its alias":          {s.Host("alias"), "/status", "", explain.Redirected},
		"a public path":                       {s.Host("acme"), "/status/db", "", explain.Public},
		"a path like a public one":            {s.Host("acme"), "/statuses", "", explain.Served},
		"a public path, exactly":              {s.Host("acme"), "/robots.txt", "", explain.Public},
		"below it":                            {s.Host("acme"), "/robots.txt/x", "", explain.Served},
		"a public host":                       {s.Host("www"), "/a", "", explain.Public},
		"shared, by header":                   {s.Host("api"), "/", "acme", explain.Served},
		"shared, no header":                   {s.Host("api"), "/", "", explain.Fallback},
		"shared, another header":              {s.Host("api"), "/", "ACME", explain.Fallback},
		"shared, suspended":                   {s.Host("api"), "/", "held", explain.Suspended},
		"shared, by path":                     {s.Host("app"), "/t/acme/x", "", explain.Served},
		"shared, half a path":                 {s.Host("app"), "/t/acmes", "", explain.Fallback},
		"shared, the header on the path's":    {s.Host("app"), "/", "acme", explain.Fallback},
		"by Ingress":                          {s.Host("pi"), "/a", "", explain.Served},
		"by Ingress, its second host":         {s.Host("second"), "/a", "", explain.Served},
		"by Ingress, a public path":           {s.Host("pi"), "/status", "", explain.Public},
		"by Ingress, below a public path":     {s.Host("pi"), "/status/x", "", explain.Public},
		"by Ingress, a path like it":          {s.Host("pi"), "/statuses", "", explain.Served},
		"by Ingress, a short public path":     {s.Host("pi"), "/api", "", explain.Public},
		"by Ingress, below it":                {s.Host("pi"), "/api/x", "", explain.Public},
		"by Ingress, a path like the short":   {s.Host("pi"), "/apis", "", explain.Served},
		"by Ingress, a short one, exactly":    {s.Host("pi"), "/ok", "", explain.Public},
		"by Ingress, below the exact one":     {s.Host("pi"), "/ok/x", "", explain.Served},
		"by Ingress, shared, its path alone":  {s.Host("first"), "/pi", "", explain.Served},
		"by Ingress, shared, below its path":  {s.Host("first"), "/pi/x", "", explain.Served},
		"by Ingress, shared, half a path":     {s.Host("first"), "/pie", "", explain.Fallback},
		"by Ingress, shared, no path":         {s.Host("first"), "/", "", explain.Fallback},
		"suspended, with a holding backend":   {s.Host("held"), "/", "", explain.Holding},
		"suspended, without":                  {s.Host("off"), "/", "", explain.Suspended},
		"a host of nobody":                    {s.Host("nobody"), "/", "acme", explain.Unclaimed},
		"the base of a wildcard, of nobody":   {s.Host("wild"), "/", "", explain.Unclaimed},
		"a host of nobody, beside a tenant's": {"x" + s.Host("acme"), "/", "", explain.Unclaimed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			query := explain.Query{Host: tt.host, Path: tt.path, Headers: map[string]string{}}
			var headers []string
			if tt.org != "" {
				query.Headers["X-Org"], headers = tt.org, []string{"X-Org: " + tt.org}
			}
			said, err := explain.Explain(t.Context(), s.Admin, query)
			if err != nil {
				t.Fatal(err)
			}
			if said.Verdict != tt.want {
				t.Fatalf("verdict %s: %s. %s; want %s", said.Verdict, said.Summary, said.Advice, tt.want)
			}
			// The data plane serves what it has accepted a moment later.
			operator.Poll(t, operator.Soon, func() error {
				got, err := get(t.Context(), tt.host, tt.path, headers...)
				if err != nil {
					return err
				}
				return agrees(said, got)
			})
		})
	}
}
