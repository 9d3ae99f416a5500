package scenarios

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// One host has one holder, however it is spelled. The loser is told nothing of the holder, works
// with its other domains, and gets the host when the holder lets go.
func TestTakenDomain(t *testing.T) {
	t.Parallel()
	spellings := map[string]struct{ holder, loser string }{
		"same":            {"shop.HOST", "shop.HOST"},
		"case":            {"shop.HOST", "SHOP.HOST"},
		"trailing dot":    {"shop.HOST", "shop.HOST."},
		"punycode":        {"bücher.HOST", "xn--bcher-kva.HOST"},
		"IDN case":        {"xn--bcher-kva.HOST", "BÜCHER.HOST"},
		"full width":      {"shop.HOST", "ｓｈｏｐ.HOST"},
		"ideographic dot": {"shop.HOST", "shop。HOST"},
	}
	for name, tt := range spellings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := servers.World(t).Make(t)
			spell := func(s string) string { return strings.ReplaceAll(s, "HOST", w.Namespace+".example") }
			holder := w.Tenant("holder", spell(tt.holder))
			w.Create(t, holder)
			w.AwaitReady(t, holder)
			loser := w.Tenant("loser", w.Host("own"), spell(tt.loser))
			w.Create(t, loser)
			w.AwaitWant(t, operator.Eventually, loser,
				operator.Stalled("DomainsClaimed", v1alpha1.ReasonDomainTaken, "is held by another tenant"),
				operator.Stalled("Ready", v1alpha1.ReasonDomainTaken),
				operator.Want{Condition: "Verified", Status: "True", Reason: v1alpha1.ReasonSucceeded})
			for _, c := range loser.Status.Conditions {
				if strings.Contains(c.Message, "holder") && !strings.Contains(c.Message, "let the holder give it up") {
					t.Errorf("%s tells who holds the host: %q", c.Type, c.Message)
				}
			}
			if got, want := loser.Status.PrimaryDomain, w.Host("own"); got != want {
				t.Errorf("primary domain is %q, want %q", got, want)
			}
			if got, want := loser.Status.Domains[1].State, v1alpha1.DomainStateTaken; got != want {
				t.Errorf("state of the taken domain is %s, want %s", got, want)
			}
			w.Expect(t, holder, operator.Ready())
			operator.Update(t, w.Servers, holder, func(h *v1alpha1.Tenant) { h.Spec.Domains = []string{w.Host("other")} })
			w.AwaitWant(t, operator.Soon, loser, operator.Ready())
			w.AwaitReady(t, holder)
		})
	}
}

// The loser's end changes nothing for the winner.
func TestDeletedLoser(t *testing.T) {
	t.Parallel()
	w := servers.World(t).Make(t)
	winner, loser := w.Tenant("winner", w.Host("shop")), w.Tenant("loser", w.Host("shop"))
	loser.Spec.DeletionPolicy = v1alpha1.DeletionDelete
	w.Create(t, winner)
	w.AwaitReady(t, winner)
	w.Create(t, loser)
	w.AwaitWant(t, operator.Eventually, loser, operator.Stalled("Ready", v1alpha1.ReasonDomainTaken))
	w.Delete(t, loser)
	w.AwaitGone(t, operator.Eventually, loser)
	w.Expect(t, winner, operator.Ready())
	claim := claimOf(w.Host("shop"))
	w.Get(t, claim)
	if got, want := claim.Spec.Holder.UID, string(winner.UID); got != want {
		t.Errorf("the claim's holder is %s, want the winner %s", got, want)
	}
	if diff := cmp.Diff([]string{schemaOf(w, "winner")}, operator.Schemas(t, w.AdminDSN)); diff != "" {
		t.Errorf("schemas (-want +got):\n%s", diff)
	}
}

// Domains that the API lets through and that are none.
func TestInvalidDomain(t *testing.T) {
	t.Parallel()
	with := func(domains ...string) func(t *testing.T, w *operator.World) object {
		return func(t *testing.T, w *operator.World) object {
			w.Make(t)
			tenant := w.Tenant("acme", w.Host("acme"))
			for _, d := range domains {
				tenant.Spec.Domains = append(tenant.Spec.Domains, strings.ReplaceAll(d, "HOST", w.Namespace+".example"))
			}
			w.Create(t, tenant)
			return tenant
		}
	}
	mend := func(t *testing.T, w *operator.World, obj object) {
		operator.Update(t, w.Servers, obj.(*v1alpha1.Tenant), func(tenant *v1alpha1.Tenant) { tenant.Spec.Domains = tenant.Spec.Domains[:1] })
	}
	rows := map[string]bad{}
	for name, tt := range map[string]struct{ domain, says string }{
		"no dot":            {"localhost", `"localhost" needs a dot`},
		"address":           {"10.0.0.1", "is an IP address"},
		"short address":     {"10.1", "is an IP address"},
		"hyphen first":      {"-shop.HOST", "is no valid host name"},
		"underscore":        {"sh_op.HOST", "is no valid host name"},
		"empty label":       {"shop..HOST", "is no valid host name"},
		"label too long":    {strings.Repeat("a", 64) + ".HOST", "is no valid host name"},
		"mixed directions":  {"aא.HOST", "is no valid host name"},
		"another spelling":  {"acme.HOST.", "is another spelling of"},
		"broken punycode":   {"xn--zzzzzzzz-.HOST", "is no valid host name"},
		"zero width joiner": {"sh\u200dop.HOST", "is no valid host name"},
	} {
		rows[name] = bad{
			do:   with(tt.domain),
			want: []operator.Want{operator.Stalled("DomainsClaimed", v1alpha1.ReasonInvalidDomain, "spec.domains", tt.says), operator.Stalled("Ready", v1alpha1.ReasonInvalidDomain)},
			mend: mend,
		}
	}
	runBad(t, rows)
}
