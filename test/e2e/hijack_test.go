package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
	"github.com/tenantry/tenantry/test/platform"
)

// attempt tries to get at another's host. It tells who has it in the end, and what shows that.
type attempt func(t *testing.T, a *arena) (winner, proof string)

// attempts are by what the attacker can write: Tenants, requests, routes and other objects.
var attempts = map[string]map[string]attempt{
	"tenants": tenantAttempts, "requests": requestAttempts, "routes": routeAttempts,
}

// arena is where the attempts are made: a site with hosts of all roles, and one more namespace from which
// strangers try.
type arena struct {
	*site
	strangers string
	// byIngress is a class like the site's that routes by Ingress.
	byIngress *v1alpha1.TenantClass
}

func newArena(t *testing.T) *arena {
	t.Helper()
	a := &arena{}
	a.site = newSite(t, platformHosts, func(w *operator.World) {
		w.Database.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesAll}
		w.Set.Spec.AllowedNamespaces = w.Database.Spec.AllowedNamespaces
		w.Class.Spec.Routing.Backend.Namespace = w.Namespace
		r := w.Class.Spec.Routing
		r.SharedHosts = append(r.SharedHosts, v1alpha1.SharedHost{
			Host: w.Host("stripped"), PathPrefix: &v1alpha1.SharedPathPrefix{Value: "/t/{name}", Strip: true}, Fallback: r.SharedHosts[0].Fallback,
		})
	})
	a.stands(t)
	a.strangers = a.namespace(t, "strangers")
	a.stand(t, a.strangers, "evil", 200)
	for _, service := range []string{"web", "status", "holding"} {
		grant := a.grant(a.Namespace, service)
		grant.Name, grant.Spec.From[0].Namespace = "strangers-to-"+service, gatewayv1.Namespace(a.strangers)
		a.Create(t, grant)
	}
	a.byIngress = a.ingressClass()
	a.Create(t, a.byIngress)
	return a
}

// ingressClass offers the same by Ingress, with a shared host of its own.
func (a *arena) ingressClass() *v1alpha1.TenantClass {
	class := &v1alpha1.TenantClass{ObjectMeta: metav1.ObjectMeta{Name: a.Namespace + "-ingress"}, Spec: *a.Class.Spec.DeepCopy()}
	class.Spec.Routing = &v1alpha1.Routing{
		Ingress: &v1alpha1.IngressRouting{ClassName: platform.TraefikClass}, Backend: v1alpha1.ServiceBackend{Name: "web", Port: 8080},
		SharedHosts: []v1alpha1.SharedHost{{
			Host: a.Host("app-ingress"), PathPrefix: &v1alpha1.SharedPathPrefix{Value: "/t/{name}"},
			Fallback: v1alpha1.ServiceBackend{Name: "fallback", Namespace: a.Namespace, Port: 8080},
		}},
	}
	return class
}

// stranger is a Tenant in the strangers' namespace.
func (a *arena) stranger(name string, domains ...string) *v1alpha1.Tenant {
	tenant := a.Tenant(name, domains...)
	tenant.Namespace = a.strangers
	return tenant
}

// whoami asks a host for its tenant.
func (a *arena) whoami(host string) func(context.Context) (reply, error) {
	return func(ctx context.Context) (reply, error) { return get(ctx, host, "/whoami") }
}

// full is how a tenant is named in answers.
func full(t *v1alpha1.Tenant) string { return t.Namespace + "/" + t.Name }

// serve creates a Tenant and waits until it answers on its first domain.
func (a *arena) serve(t testing.TB, tenant *v1alpha1.Tenant) {
	t.Helper()
	a.Create(t, tenant)
	a.AwaitReady(t, tenant)
	awaitWho(t, full(tenant), a.whoami(tenant.Status.PrimaryDomain))
}

// undisturbed runs an attack on a host, which is asked before, all the time, and after: one alone must
// answer.
func undisturbed(t testing.TB, who string, ask func(context.Context) (reply, error), attack func()) (proof string) {
	t.Helper()
	awaitWho(t, who, ask)
	stop := census(t, ask)
	attack()
	awaitWho(t, who, ask)
	seen := stop()
	seen.only(t, who)
	return seen.String()
}

// loses waits until a Tenant is told that a host is not to be had, without a word of who has it, and is
// served on its own first domain all the same.
func (a *arena) loses(t testing.TB, loser *v1alpha1.Tenant, host string, holder *v1alpha1.Tenant) {
	t.Helper()
	a.AwaitWant(t, operator.Eventually, loser, operator.Stalled(v1alpha1.ConditionReady, v1alpha1.ReasonDomainTaken, host))
	message := conditions.Get(loser, v1alpha1.ConditionReady).Message
	if holder != nil && (strings.Contains(message, holder.Name) || strings.Contains(message, string(holder.UID))) {
		t.Errorf("the loser is told who holds the host: %s", message)
	}
	if own := loser.Status.PrimaryDomain; own != "" && own != host {
		awaitWho(t, full(loser), a.whoami(own))
	}
}

// Every way that we know to get at another's host ends with one winner, and requests show who: before
// the attempt, all the time, and after.
func TestHijacks(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	type row struct{ winner, proof string }
	var mu sync.Mutex
	rows := map[string]row{}
	t.Run("attempts", func(t *testing.T) {
		for kind, list := range attempts {
			for name, try := range list {
				t.Run(kind+"/"+name, func(t *testing.T) {
					t.Parallel()
					winner, proof := try(t, a)
					mu.Lock()
					defer mu.Unlock()
					rows[kind+": "+name] = row{strings.ReplaceAll(winner, a.Namespace, "shop"), strings.ReplaceAll(proof, a.Namespace, "shop")}
				})
			}
		}
	})
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", name, rows[name].winner, rows[name].proof)
	}
	_ = w.Flush()
	t.Logf("%d attempts:\n%s", len(rows), table.String())
}

// tenantAttempts are made by who may write Tenants.
var tenantAttempts = map[string]attempt{
	"the same host": func(t *testing.T, a *arena) (string, string) {
		return a.claimedTwice(t, "same", a.Host("same"), a.Host("same"))
	},
	"the same host in capitals": func(t *testing.T, a *arena) (string, string) {
		return a.claimedTwice(t, "capitals", a.Host("capitals"), strings.ToUpper(a.Host("capitals")))
	},
	"the same host with a trailing dot": func(t *testing.T, a *arena) (string, string) {
		return a.claimedTwice(t, "dot", a.Host("dot"), a.Host("dot")+".")
	},
	"punycode of a host in Unicode": func(t *testing.T, a *arena) (string, string) {
		return a.claimedTwice(t, "unicode", a.Host("bücher"), a.Host("xn--bcher-kva"))
	},
	"Unicode of a host in punycode": func(t *testing.T, a *arena) (string, string) {
		return a.claimedTwice(t, "punycode", a.Host("xn--strae-oqa"), a.Host("STRAßE"))
	},
	"full-width letters of a host": func(t *testing.T, a *arena) (string, string) {
		return a.claimedTwice(t, "wide", a.Host("wide"), a.Host("ｗide"))
	},
	"a wildcard over another's host": func(t *testing.T, a *arena) (string, string) {
		return a.claimedTwice(t, "covered", a.Host("a.covered"), "*."+a.Host("covered"))
	},
	"a host below another's wildcard": func(t *testing.T, a *arena) (string, string) {
		victim := a.Tenant("v-wild", a.Host("wild"), "*."+a.Host("wild"))
		a.serve(t, victim)
		host := a.Host("deep.child.wild")
		thief := a.stranger("t-wild", a.Host("t-wild"), host)
		proof := undisturbed(t, full(victim), a.whoami(host), func() {
			a.Create(t, thief)
			a.loses(t, thief, host, victim)
		})
		return full(victim), proof
	},
	"eight creates at once":               simultaneous(false),
	"wildcards and children, all at once": simultaneous(true),
	"delete and claim anew": func(t *testing.T, a *arena) (string, string) {
		host := a.Host("passed")
		first, second := a.Tenant("v-passed", host), a.stranger("t-passed", host)
		a.serve(t, first)
		a.Create(t, second)
		a.loses(t, second, host, first)
		stop := census(t, a.whoami(host))
		a.Delete(t, first)
		a.AwaitReady(t, second)
		awaitWho(t, full(second), a.whoami(host))
		return full(second), inOrder(t, stop(), full(first), full(second))
	},
	"a move from one Tenant to another": func(t *testing.T, a *arena) (string, string) {
		host := a.Host("moved")
		from, to := a.Tenant("v-moved", host, a.Host("from")), a.stranger("t-moved", a.Host("to"))
		a.serve(t, from)
		a.serve(t, to)
		stop := census(t, a.whoami(host))
		operator.Update(t, a.Servers, to, func(tn *v1alpha1.Tenant) { tn.Spec.Domains = []string{host, a.Host("to")} })
		operator.Update(t, a.Servers, from, func(tn *v1alpha1.Tenant) { tn.Spec.Domains = tn.Spec.Domains[1:] })
		a.AwaitReady(t, from, to)
		awaitWho(t, full(to), a.whoami(host))
		awaitWho(t, full(from), a.whoami(a.Host("from")))
		return full(to), inOrder(t, stop(), full(from), full(to))
	},
	"a Tenant of the same name, data dropped": func(t *testing.T, a *arena) (string, string) {
		return a.reborn(t, "dropped", v1alpha1.DeletionDelete)
	},
	"a Tenant of the same name, data kept": func(t *testing.T, a *arena) (string, string) {
		return a.reborn(t, "kept", v1alpha1.DeletionRetain)
	},
	"a public host of the platform": func(t *testing.T, a *arena) (string, string) {
		host := a.Host("www")
		return a.wantsPlatformHost(t, "t-public", host, "marketing", func(ctx context.Context) (reply, error) { return get(ctx, host, "/") })
	},
	"a shared host of the platform": func(t *testing.T, a *arena) (string, string) {
		host := a.Host("api")
		return a.wantsPlatformHost(t, "t-shared", host, "fallback", func(ctx context.Context) (reply, error) { return get(ctx, host, "/") })
	},
	"a wildcard over hosts of the platform": func(t *testing.T, a *arena) (string, string) {
		host := a.Host("www")
		// It also covers hosts of tenants, any of which may be named.
		return a.wantsPlatformHost(t, "t-over", "*."+strings.TrimPrefix(host, "www."), "marketing", func(ctx context.Context) (reply, error) { return get(ctx, host, "/") })
	},
	"another's name on a shared host": func(t *testing.T, a *arena) (string, string) {
		victim := a.mirrored("twin", a.Host("twin"))
		a.Create(t, victim)
		a.AwaitReady(t, victim)
		ask := func(ctx context.Context) (reply, error) { return get(ctx, a.Host("api"), "/", "X-Org: twin") }
		thief := a.stranger("twin", a.Host("t-twin"))
		proof := undisturbed(t, "mirror "+full(victim), ask, func() {
			a.Create(t, thief)
			a.AwaitWant(t, operator.Eventually, thief, operator.Stalled(v1alpha1.ConditionDomainsClaimed, v1alpha1.ReasonDomainTaken, `"twin"`, a.Host("api")))
			awaitWho(t, full(thief), a.whoami(a.Host("t-twin")))
		})
		return full(victim), proof
	},
	"a backend in another's namespace": func(t *testing.T, a *arena) (string, string) {
		thief := a.stranger("t-backend", a.Host("t-backend"))
		thief.Spec.Backend = &v1alpha1.ServiceBackend{Name: "mirror", Namespace: a.Namespace, Port: 8080}
		stop := census(t, a.whoami(a.Host("t-backend")))
		a.Create(t, thief)
		a.AwaitWant(t, operator.Eventually, thief, operator.Waiting(v1alpha1.ConditionRouted, v1alpha1.ReasonReferenceNotPermitted))
		awaitWho(t, "500", a.whoami(a.Host("t-backend")))
		seen := stop()
		seen.only(t, "404", "500", "holding")
		return "nobody", seen.String()
	},
}

// claimedTwice lets a stranger ask for a host in another spelling than its holder did.
func (a *arena) claimedTwice(t *testing.T, id, spelling, other string) (winner, proof string) {
	t.Helper()
	victim, thief := a.Tenant("v-"+id, spelling), a.stranger("t-"+id, a.Host("t-"+id), other)
	a.serve(t, victim)
	host := victim.Status.PrimaryDomain
	proof = undisturbed(t, full(victim), a.whoami(host), func() {
		a.Create(t, thief)
		a.loses(t, thief, "", victim)
	})
	if d := thief.Status.Domains[1]; d.State != v1alpha1.DomainStateTaken {
		t.Errorf("the stranger's %s is %s", d.Host, d.State)
	}
	return full(victim), proof
}

// wantsPlatformHost lets a Tenant ask for a host of the class.
func (a *arena) wantsPlatformHost(t *testing.T, name, host, holder string, ask func(context.Context) (reply, error)) (winner, proof string) {
	t.Helper()
	thief := a.Tenant(name, a.Host(name), host)
	proof = undisturbed(t, holder, ask, func() {
		a.Create(t, thief)
		a.loses(t, thief, "", nil)
	})
	return holder, proof
}

// simultaneous lets eight Tenants ask for one host in the same moment; or four for a wildcard and four for a
// host below it, which exclude each other.
func simultaneous(wild bool) attempt {
	return func(t *testing.T, a *arena) (string, string) {
		id := map[bool]string{false: "race", true: "wildrace"}[wild]
		host := a.Host("a." + id)
		stop := census(t, a.whoami(host))
		var racers []*v1alpha1.Tenant
		var start sync.WaitGroup
		for i := range 8 {
			name := fmt.Sprintf("%s-%d", id, i)
			racer := a.Tenant(name, host)
			switch {
			case wild && i%2 == 0:
				racer.Spec.Domains = []string{a.Host(name), "*." + a.Host(id)}
			case i%2 == 1:
				racer.Namespace = a.strangers
			}
			racers = append(racers, racer)
			start.Go(func() {
				if err := a.Admin.Create(t.Context(), racer); err != nil {
					t.Error(err)
				}
			})
		}
		start.Wait()
		var winners []string
		for _, racer := range racers {
			a.Await(t, operator.Eventually, racer, func(bool) error {
				if operator.Ready().Check(racer) == nil || operator.Stalled(v1alpha1.ConditionReady, v1alpha1.ReasonDomainTaken).Check(racer) == nil {
					return nil
				}
				return fmt.Errorf("%s has neither won nor lost", racer.Name)
			})
			if operator.Ready().Check(racer) == nil {
				winners = append(winners, full(racer))
			}
		}
		if len(winners) != 1 {
			t.Fatalf("%d winners: %q", len(winners), winners)
		}
		awaitWho(t, winners[0], a.whoami(host))
		return winners[0], inOrder(t, stop(), winners[0])
	}
}

// inOrder checks who answered one after the other; refusals in between are right.
func inOrder(t testing.TB, seen *tally, want ...string) (proof string) {
	t.Helper()
	if diff := cmp.Diff(want, seen.served("holding")); diff != "" {
		t.Errorf("who answered (-want +got), of %s:\n%s", seen, diff)
	}
	return seen.String()
}

// reborn deletes a Tenant and makes another one of its name, which must not be taken for the old one: it
// gets an empty schema, or none at all while the old one is kept.
func (a *arena) reborn(t *testing.T, id string, policy v1alpha1.DeletionPolicy) (winner, proof string) {
	t.Helper()
	host := a.Host("reborn-" + id)
	old := a.Tenant("reborn-"+id, host)
	old.Spec.DeletionPolicy = policy
	a.serve(t, old)
	operator.Exec(t, a.AdminDSN, "INSERT INTO "+old.Status.Schema+".note (body) VALUES ('of the first')")
	stop := census(t, a.whoami(host))
	a.Delete(t, old)
	a.AwaitGone(t, operator.Eventually, old)
	again := a.Tenant("reborn-"+id, host)
	a.Create(t, again)
	claim := &v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: host}}
	if policy == v1alpha1.DeletionRetain {
		a.AwaitWant(t, operator.Eventually, again, operator.Want{Condition: v1alpha1.ConditionSchemaReady, Reason: v1alpha1.ReasonSchemaRetained})
		awaitWho(t, "holding", a.whoami(host))
		winner = "nobody"
	} else {
		a.AwaitReady(t, again)
		awaitWho(t, full(again), a.whoami(host))
		if n := operator.Query[int](t, a.AdminDSN, "SELECT count(*) FROM "+again.Status.Schema+".note"); n != 0 {
			t.Errorf("the second Tenant sees %d rows of the first", n)
		}
		winner = full(again) + ", the second"
	}
	if a.Get(t, claim); claim.Spec.Holder.UID != string(again.UID) {
		t.Errorf("the claim is of UID %s, want the second Tenant's", claim.Spec.Holder.UID)
	}
	return winner, inOrder(t, stop(), full(old))
}
