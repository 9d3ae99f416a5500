package e2e

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// requestAttempts are made by who may send requests: the victim and the attacker are both tenants, and
// the attacker sends what it likes.
var requestAttempts = map[string]attempt{
	"a spoofed tenant header": func(t *testing.T, a *arena) (string, string) {
		return a.spoofed(t, "spoof", forgery(a.Namespace + "/t-spoof")[:1])
	},
	"a spoofed tenant header, twice": func(t *testing.T, a *arena) (string, string) {
		return a.spoofed(t, "twice", slices.Repeat(forgery(a.Namespace + "/t-twice")[:1], 2))
	},
	"a spoofed tenant header in other cases": func(t *testing.T, a *arena) (string, string) {
		line := header + ": " + a.Namespace + "/t-cases"
		return a.spoofed(t, "cases", []string{strings.ToLower(line), strings.ToUpper(header) + line[len(header):]})
	},
	"a spoofed tenant header with underscores": func(t *testing.T, a *arena) (string, string) {
		to := ": " + a.Namespace + "/t-under"
		return a.spoofed(t, "under", []string{"X_Tenantry_Tenant" + to, "X-Tenantry_Tenant" + to, "x_tenantry-tenant" + to, "X_TENANTRY_TENANT" + to})
	},
	"a spoofed tenant header that the connection drops": func(t *testing.T, a *arena) (string, string) {
		return a.spoofed(t, "hop", []string{"Connection: " + header, "Keep-Alive: x"})
	},
	"a spoofed tenant header on Ingress": func(t *testing.T, a *arena) (string, string) {
		victim, thief := a.pair(t, "ingress-spoof", func(tn *v1alpha1.Tenant) { tn.Spec.ClassName = a.byIngress.Name })
		seen := newTally()
		for _, lines := range [][]string{
			{header + ": " + full(thief)},
			{header + ": " + full(victim), header + ": " + full(thief)},
			{strings.ToLower(header) + ": " + full(thief)},
			{"X_Tenantry_Tenant: " + full(thief)},
		} {
			seen.ask(t, func(ctx context.Context) (reply, error) {
				return get(ctx, victim.Spec.Domains[0], "/whoami", lines...)
			})
		}
		// An Ingress sets no header: the backend goes by the host, and refuses what contradicts it.
		seen.only(t, full(victim), "421 WrongHost", "400 AmbiguousTenant")
		return full(victim) + " or nobody", seen.String()
	},
	"the value of another on a shared host": func(t *testing.T, a *arena) (string, string) {
		victim, thief := a.mirrors(t, "value")
		return a.asked(t, thief, a.Host("api"), func(lines ...string) []string {
			return append(lines, "X-Org: "+thief.Name)
		}, forgery(full(victim)))
	},
	"two values on a shared host": func(t *testing.T, a *arena) (string, string) {
		victim, thief := a.mirrors(t, "values")
		seen := newTally()
		for _, lines := range [][]string{
			{"X-Org: " + victim.Name + ", " + thief.Name},
			{"X-Org: " + victim.Name + "\t" + thief.Name},
			{"X-Org: " + strings.ToUpper(victim.Name)},
			{"X-Org: " + victim.Name + "x"},
			{"X_Org: " + victim.Name},
			{"X-Org : " + victim.Name},
		} {
			seen.ask(t, func(ctx context.Context) (reply, error) { return get(ctx, a.Host("api"), "/", lines...) })
		}
		seen.only(t, "fallback", "400")
		return "nobody", seen.String()
	},
	"a shared host's header on a tenant's own host": func(t *testing.T, a *arena) (string, string) {
		victim, thief := a.mirrors(t, "own")
		return a.asked(t, victim, victim.Spec.Domains[0], func(lines ...string) []string { return lines }, []string{"X-Org: " + thief.Name})
	},
	"tricks with the path on a shared host": func(t *testing.T, a *arena) (string, string) {
		return a.pathTricks(t, "path", a.Host("app"), false)
	},
	"tricks with the path where the prefix is stripped": func(t *testing.T, a *arena) (string, string) {
		return a.pathTricks(t, "strip", a.Host("stripped"), true)
	},
	"tricks with the path on Ingress": func(t *testing.T, a *arena) (string, string) {
		return a.pathTricks(t, "ingpath", a.Host("app-ingress"), false, func(tn *v1alpha1.Tenant) { tn.Spec.ClassName = a.byIngress.Name })
	},
	"other spellings of the host": func(t *testing.T, a *arena) (string, string) {
		victim, thief := a.pair(t, "spelling")
		host := victim.Spec.Domains[0]
		return a.requests(t, victim, thief, []string{"400", "404"}, map[string][]string{
			"a port":            {"GET /whoami HTTP/1.1", "Host: " + host + ":80"},
			"another port":      {"GET /whoami HTTP/1.1", "Host: " + host + ":65535"},
			"capitals":          {"GET /whoami HTTP/1.1", "Host: " + strings.ToUpper(host)},
			"capitals and port": {"GET /whoami HTTP/1.1", "Host: " + strings.ToUpper(host) + ":80"},
			"a trailing dot":    {"GET /whoami HTTP/1.1", "Host: " + host + "."},
			"two dots":          {"GET /whoami HTTP/1.1", "Host: " + host + ".."},
			"a user":            {"GET /whoami HTTP/1.1", "Host: " + thief.Spec.Domains[0] + "@" + host},
			"another's behind":  {"GET /whoami HTTP/1.1", "Host: " + host + " " + thief.Spec.Domains[0]},
			"a list":            {"GET /whoami HTTP/1.1", "Host: " + host + "," + thief.Spec.Domains[0]},
			"an older protocol": {"GET /whoami HTTP/1.0", "Host: " + host},
		})
	},
	"two hosts in one request": func(t *testing.T, a *arena) (string, string) {
		victim, thief := a.pair(t, "hosts")
		host, other := victim.Spec.Domains[0], thief.Spec.Domains[0]
		return a.requests(t, victim, thief, []string{"400"}, map[string][]string{
			"an absolute URI":                {"GET http://" + host + "/whoami HTTP/1.1", "Host: " + other},
			"an absolute URI, capitals":      {"GET http://" + strings.ToUpper(host) + "/whoami HTTP/1.1", "Host: " + other},
			"an absolute URI, no host":       {"GET http://" + host + "/whoami HTTP/1.1", "Host:"},
			"two Host headers":               {"GET /whoami HTTP/1.1", "Host: " + host, "Host: " + other},
			"a folded Host header":           {"GET /whoami HTTP/1.1", "Host: " + host, " " + other},
			"X-Forwarded-Host":               {"GET /whoami HTTP/1.1", "Host: " + host, "X-Forwarded-Host: " + other},
			"Forwarded":                      {"GET /whoami HTTP/1.1", "Host: " + host, "Forwarded: host=" + other},
			"X-Original-Host and X-Host":     {"GET /whoami HTTP/1.1", "Host: " + host, "X-Original-Host: " + other, "X-Host: " + other},
			"X-Original-URL":                 {"GET /whoami HTTP/1.1", "Host: " + host, "X-Original-URL: http://" + other + "/whoami", "X-Rewrite-URL: /whoami"},
			"X-HTTP-Host-Override":           {"GET /whoami HTTP/1.1", "Host: " + host, "X-HTTP-Host-Override: " + other},
			"X-Forwarded-Host on own, twice": {"GET /whoami HTTP/1.1", "Host: " + host, "X-Forwarded-Host: " + other, "X-Forwarded-Host: " + other},
		})
	},
	"a second request behind the first": func(t *testing.T, a *arena) (string, string) {
		victim, thief := a.pair(t, "smuggle")
		host, other := victim.Spec.Domains[0], thief.Spec.Domains[0]
		smuggled := "GET /whoami HTTP/1.1\r\nHost: " + other + "\r\n\r\n"
		return a.requests(t, victim, thief, []string{"400", "501"}, map[string][]string{
			"two lengths":          {"GET /whoami HTTP/1.1", "Host: " + host, "Content-Length: 0", fmt.Sprintf("Content-Length: %d", len(smuggled))},
			"a length and chunks":  {"GET /whoami HTTP/1.1", "Host: " + host, "Content-Length: 6", "Transfer-Encoding: chunked", "", "0\r\n\r\n" + smuggled},
			"chunks in disguise":   {"GET /whoami HTTP/1.1", "Host: " + host, "Transfer-Encoding: xchunked", "", "0\r\n\r\n" + smuggled},
			"a body that is a GET": {"GET /whoami HTTP/1.1", "Host: " + host, fmt.Sprintf("Content-Length: %d", len(smuggled)), "", smuggled},
		})
	},
}

// ask sends a request once and counts who answered.
func (c *tally) ask(t testing.TB, ask func(context.Context) (reply, error)) reply {
	t.Helper()
	r, err := ask(t.Context())
	if err != nil {
		t.Error(err)
		return r
	}
	c.add(r.who())
	return r
}

// pair serves a victim and a thief from the sample backend, which knows whose a host is.
func (a *arena) pair(t testing.TB, id string, change ...func(*v1alpha1.Tenant)) (victim, thief *v1alpha1.Tenant) {
	t.Helper()
	for _, name := range []string{"v-" + id, "t-" + id} {
		tenant := a.Tenant(name, a.Host(name))
		for _, f := range change {
			f(tenant)
		}
		a.serve(t, tenant)
		victim, thief = thief, tenant
	}
	return victim, thief
}

// mirrors serves a victim and a thief from a stand that shows what it sees. An Ingress tells no backend of the tenant:
// there each has a stand of its own, which goes by its name.
func (a *arena) mirrors(t testing.TB, id string, change ...func(*v1alpha1.Tenant)) (victim, thief *v1alpha1.Tenant) {
	t.Helper()
	for _, name := range []string{"v-" + id, "t-" + id} {
		tenant := a.mirrored(name, a.Host(name))
		for _, f := range change {
			f(tenant)
		}
		want := "mirror " + full(tenant)
		if a.isByIngress(tenant) {
			a.stand(t, a.Namespace, name, http.StatusOK)
			tenant.Spec.Backend.Name, want = name, name
		}
		a.Create(t, tenant)
		a.AwaitReady(t, tenant)
		if !a.isByIngress(tenant) {
			awaitWho(t, want, func(ctx context.Context) (reply, error) { return get(ctx, a.Host("api"), "/", "X-Org: "+name) })
		}
		awaitWho(t, want, func(ctx context.Context) (reply, error) { return get(ctx, a.Host(name), "/") })
		victim, thief = thief, tenant
	}
	return victim, thief
}

func (a *arena) isByIngress(tenant *v1alpha1.Tenant) bool {
	return tenant.Spec.ClassName == a.byIngress.Name
}

// spoofed sends lines that name the thief to the victim's host: its backend, of which servers there are
// many kinds, must be told of the victim alone.
func (a *arena) spoofed(t *testing.T, id string, lines []string) (winner, proof string) {
	t.Helper()
	victim, _ := a.mirrors(t, id)
	return a.asked(t, victim, victim.Spec.Domains[0], func(lines ...string) []string { return lines }, lines)
}

// asked sends headers to a host one by one and all at once; a mirror must be told of one tenant alone.
func (a *arena) asked(t *testing.T, want *v1alpha1.Tenant, host string, with func(...string) []string, lines []string) (winner, proof string) {
	t.Helper()
	seen := newTally()
	for i := range lines {
		seen.ask(t, func(ctx context.Context) (reply, error) { return get(ctx, host, "/", with(lines[i])...) })
	}
	seen.ask(t, func(ctx context.Context) (reply, error) { return get(ctx, host, "/", with(lines...)...) })
	seen.only(t, "mirror "+full(want))
	return full(want), seen.String()
}

// requests sends raw requests that are for the victim, if for anybody.
func (a *arena) requests(t *testing.T, victim, thief *v1alpha1.Tenant, refusals []string, requests map[string][]string) (winner, proof string) {
	t.Helper()
	seen := newTally()
	for _, name := range slices.Sorted(maps.Keys(requests)) {
		r := seen.ask(t, func(ctx context.Context) (reply, error) { return exchange(ctx, requests[name]...) })
		if who := r.who(); who != full(victim) && !slices.Contains(refusals, who) {
			t.Errorf("%s: answered by %q, want %s or one of %q", name, who, full(victim), refusals)
		}
	}
	awaitWho(t, full(thief), a.whoami(thief.Spec.Domains[0]))
	return full(victim), seen.String()
}

// pathTricks asks for one tenant's path by way of another's. Whoever answers must be the one whose path
// the backend sees.
func (a *arena) pathTricks(t *testing.T, id, host string, stripped bool, change ...func(*v1alpha1.Tenant)) (winner, proof string) {
	t.Helper()
	victim, thief := a.mirrors(t, id, change...)
	for _, tenant := range []*v1alpha1.Tenant{victim, thief} {
		awaitAnswerOf(t, host, "/t/"+tenant.Name+"/x", tenant.Spec.Backend.Name)
	}
	own, other := "/t/"+thief.Name, "/t/"+victim.Name
	seen, reached := newTally(), 0
	for _, trick := range []string{
		own + "/../" + victim.Name + "/x", own + "/%2e%2e/" + victim.Name + "/x", own + "/%2E%2E/" + victim.Name, own + "/.%2e/" + victim.Name,
		own + "/..;/" + victim.Name, own + "/%252e%252e/" + victim.Name, own + "//../../" + victim.Name, own + "/./../" + victim.Name,
		"/t//" + victim.Name, "//t/" + victim.Name, "/t/%2f" + victim.Name, "/t%2f" + victim.Name, own + "%2f..%2f" + victim.Name,
		own + "/..%2f" + victim.Name, own + `/..\` + victim.Name, own + "%5c..%5c" + victim.Name, other + "2", other + "-", other + "%20", other + "%00",
		other + ";x", other + ".", strings.ToUpper(other), own + "#/../" + victim.Name, own + "?/../" + victim.Name, "/%74/" + victim.Name,
		"/x/.." + other, "/." + other, "http://" + host + own + "/../" + victim.Name,
	} {
		r := seen.ask(t, func(ctx context.Context) (reply, error) { return get(ctx, host, trick) })
		if r.Stand != victim.Spec.Backend.Name && r.Stand != thief.Spec.Backend.Name {
			if r.Stand != "fallback" && r.Status < 300 {
				t.Errorf("%s: answered by %q with %d", trick, r.who(), r.Status)
			}
			continue
		}
		reached++
		asked := r.Named
		if a.isByIngress(victim) {
			asked = []string{a.Namespace + "/" + r.Stand}
		}
		if why := astray(asked, r.Path, stripped); why != "" {
			t.Errorf("%s: asked as tenants %q, the backend sees %q: %s", trick, asked, r.Path, why)
		}
	}
	if reached == 0 {
		t.Error("no request reached a tenant: the test shows nothing")
	}
	return "who the path names", seen.String()
}

// astray says how the path that a backend sees belongs to another than the tenant as whose it is asked, or "": one by
// the header, or by the stand. A dot may be written as %2e (RFC 3986, section 6.2.2.2); what backends make of other
// escapes is for them to know: they are told the tenant.
func astray(asked []string, uri string, stripped bool) string {
	if len(asked) != 1 {
		return "that is not one tenant"
	}
	seen, _, _ := strings.Cut(uri, "?")
	seen = strings.NewReplacer("%2e", ".", "%2E", ".").Replace(seen)
	if stripped {
		if slices.Contains(strings.Split(seen, "/"), "..") {
			return "dots are left behind the prefix"
		}
		return ""
	}
	_, rest, _ := strings.Cut(path.Clean("/"+seen), "/t/")
	name, _, _ := strings.Cut(rest, "/")
	if !strings.HasSuffix(asked[0], "/"+name) {
		return fmt.Sprintf("it is the path of %q", name)
	}
	return ""
}

// awaitAnswerOf waits until a stand answers.
func awaitAnswerOf(t testing.TB, host, path, stand string) {
	t.Helper()
	awaitStand := func(ctx context.Context) (reply, error) {
		r, err := get(ctx, host, path)
		r.Named = nil
		return r, err
	}
	awaitWho(t, stand, awaitStand)
}
