package controllers_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/google/go-cmp/cmp"
	miekg "github.com/miekg/dns"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/dns"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/test/nameserver"
	"github.com/tenantry/tenantry/test/operator"
)

// zone is a bench whose class wants proof of control, with a name server and a clock of its own.
type zone struct {
	*bench
	dns *nameserver.Server
	now time.Time
}

func newZone(t *testing.T) *zone {
	t.Helper()
	z := &zone{bench: newBench(t), dns: nameserver.Start(t), now: time.Now()}
	z.Class.Spec.Domains = &v1alpha1.DomainPolicy{Custom: &v1alpha1.CustomDomains{Verification: v1alpha1.VerifyByDNS}}
	z.restart(t)
	return z
}

// restart is that of the bench, with the zone's name server and clock.
func (z *zone) restart(t *testing.T) {
	t.Helper()
	z.bench.restart(t)
	resolver, err := dns.New(z.dns.Address)
	if err != nil {
		t.Fatal(err)
	}
	z.by.DomainClaim.DNS = resolver
	z.by.DomainClaim.Clock = func() time.Time { return z.now }
}

// beside is another world under the same operator.
func (z *zone) beside(t *testing.T) *zone {
	t.Helper()
	other := &zone{bench: newBench(t), dns: z.dns}
	other.by = z.by
	other.Class.Spec.Domains = z.Class.Spec.Domains.DeepCopy()
	return other
}

// wants creates a Tenant that wants hosts, and passes over it.
func (z *zone) wants(t *testing.T, name string, hosts ...string) *v1alpha1.Tenant {
	t.Helper()
	tenant := z.Tenant(name, hosts...)
	z.Create(t, tenant)
	z.pass(t, tenant)
	return tenant
}

// look passes over the claim on a host.
func (z *zone) look(t *testing.T, host string) *v1alpha1.DomainClaim {
	t.Helper()
	c := &v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: domains.ClaimName(host)}}
	z.pass(t, c)
	return c
}

// later lets time pass and looks again.
func (z *zone) later(t *testing.T, host string, after time.Duration) *v1alpha1.DomainClaim {
	t.Helper()
	z.now = z.now.Add(after)
	return z.look(t, host)
}

// challenge is the record for a host, by the word of the Tenant's status.
func challenge(t *testing.T, tenant *v1alpha1.Tenant, host string) v1alpha1.DNSRecord {
	t.Helper()
	for _, d := range tenant.Status.Domains {
		if d.Host == host && d.Record != nil {
			return *d.Record
		}
	}
	t.Fatalf("Tenant %s shows no record for %s: %+v", tenant.Name, host, tenant.Status.Domains)
	return v1alpha1.DNSRecord{}
}

// publish does what a customer does with the record.
func (z *zone) publish(record v1alpha1.DNSRecord) { z.dns.TXT(record.Name, record.Value) }

func proved() operator.Want {
	return operator.Want{Condition: v1alpha1.ConditionVerified, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded}
}

func unproved(reason string, says ...string) operator.Want {
	return operator.Want{Condition: v1alpha1.ConditionVerified, Reason: reason, Message: says}
}

func kept(reason string, says ...string) operator.Want {
	return operator.Want{Condition: v1alpha1.ConditionVerified, Status: metav1.ConditionTrue, Reason: reason, Message: says}
}

func (b *bench) clusterUID(t *testing.T) types.UID {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system"}}
	b.Get(t, ns)
	return ns.UID
}

// Which records prove control of a host, and which do not.
func TestProofOfControl(t *testing.T) {
	t.Parallel()
	z := newZone(t)
	z.Class.Spec.Domains.Custom.CNAMETarget = "{name}.{namespace}.edge.example"
	z.settle(t)
	cluster := z.clusterUID(t)
	other := func(cluster types.UID, namespace, name, host string) string {
		return domains.Challenge(cluster, types.NamespacedName{Namespace: namespace, Name: name}, host).Value
	}
	parted := func(r v1alpha1.DNSRecord) miekg.RR {
		return nameserver.TXT(r.Name, r.Value[:9], r.Value[9:20], r.Value[20:])
	}
	fail := func(code int) func(v1alpha1.DNSRecord, string, string) {
		return func(r v1alpha1.DNSRecord, host, _ string) { z.dns.Fail(r.Name, code); z.dns.A(host) }
	}
	edge := func(name string) string { return name + "." + z.Namespace + ".edge.example" }
	for name, tt := range map[string]struct {
		given func(r v1alpha1.DNSRecord, host, tenant string)
		want  v1alpha1.VerificationMethod
		why   string
	}{
		"txt":    {given: func(r v1alpha1.DNSRecord, _, _ string) { z.publish(r) }, want: v1alpha1.VerifiedTXT},
		"parted": {given: func(r v1alpha1.DNSRecord, _, _ string) { z.dns.Set(r.Name, parted(r)) }, want: v1alpha1.VerifiedTXT},
		"quoted": {given: func(r v1alpha1.DNSRecord, _, _ string) { z.dns.TXT(r.Name, `"`+r.Value+`" `) }, want: v1alpha1.VerifiedTXT},
		"many":   {given: func(r v1alpha1.DNSRecord, _, _ string) { z.dns.TXT(r.Name, append(noise(80), r.Value)...) }, want: v1alpha1.VerifiedTXT},
		"delegated": {given: func(r v1alpha1.DNSRecord, _, tn string) {
			z.dns.CNAME(r.Name, tn+".dns.example")
			z.dns.TXT(tn+".dns.example", r.Value)
		}, want: v1alpha1.VerifiedTXT},
		"alias": {given: func(_ v1alpha1.DNSRecord, host, tn string) { z.dns.CNAME(host, strings.ToUpper(edge(tn))) }, want: v1alpha1.VerifiedCNAME},
		"alias-servfail": {
			given: func(r v1alpha1.DNSRecord, host, tn string) {
				z.dns.Fail(r.Name, miekg.RcodeServerFailure)
				z.dns.CNAME(host, edge(tn))
			},
			want: v1alpha1.VerifiedCNAME,
		},

		"nothing":    {given: func(v1alpha1.DNSRecord, string, string) {}},
		"address":    {given: func(_ v1alpha1.DNSRecord, host, _ string) { z.dns.A(host) }},
		"garbage":    {given: func(r v1alpha1.DNSRecord, _, _ string) { z.dns.TXT(r.Name, noise(3)...) }},
		"part":       {given: func(r v1alpha1.DNSRecord, _, _ string) { z.dns.TXT(r.Name, r.Value[:len(r.Value)-1], r.Value+"x") }},
		"other-name": {given: func(r v1alpha1.DNSRecord, host, _ string) { z.dns.TXT(host, r.Value) }},
		"other-tenant": {given: func(r v1alpha1.DNSRecord, host, _ string) {
			z.dns.TXT(r.Name, other(cluster, z.Namespace, "else", host))
		}},
		"other-namespace": {given: func(r v1alpha1.DNSRecord, host, tn string) { z.dns.TXT(r.Name, other(cluster, "else", tn, host)) }},
		"other-host": {given: func(r v1alpha1.DNSRecord, host, tn string) {
			z.dns.TXT(r.Name, other(cluster, z.Namespace, tn, "www."+host))
		}},
		"other-wildcard": {given: func(r v1alpha1.DNSRecord, host, tn string) {
			z.dns.TXT(r.Name, other(cluster, z.Namespace, tn, "*."+host))
		}},
		"other-cluster": {given: func(r v1alpha1.DNSRecord, host, tn string) {
			z.dns.TXT(r.Name, other("another", z.Namespace, tn, host))
		}},
		"other-alias": {given: func(_ v1alpha1.DNSRecord, host, _ string) { z.dns.CNAME(host, edge("else")) }},
		"alias-of-alias": {given: func(_ v1alpha1.DNSRecord, host, tn string) {
			z.dns.CNAME(host, tn+".cdn.example")
			z.dns.CNAME(tn+".cdn.example", edge(tn))
		}},
		"alias-below": {given: func(_ v1alpha1.DNSRecord, host, tn string) { z.dns.CNAME("www."+host, edge(tn)) }},

		"servfail": {given: fail(miekg.RcodeServerFailure), why: "SERVFAIL"},
		"refused":  {given: fail(miekg.RcodeRefused), why: "REFUSED"},
		"servfail-of-alias": {
			given: func(_ v1alpha1.DNSRecord, host, _ string) { z.dns.Fail(host, miekg.RcodeServerFailure) }, why: "SERVFAIL",
		},
	} {
		t.Run(name, func(t *testing.T) {
			host := z.Host(name)
			tenant := z.wants(t, name, host)
			record := challenge(t, tenant, host)
			tt.given(record, host, name)
			claim := z.look(t, host)
			if tt.want != "" {
				z.Expect(t, claim, operator.Ready(), proved())
				if diff := cmp.Diff(&v1alpha1.ClaimVerification{Method: tt.want}, claim.Status.Verification); diff != "" {
					t.Errorf("status.verification (-want +got):\n%s", diff)
				}
				z.pass(t, tenant)
				z.Expect(t, tenant, operator.Ready())
				return
			}
			if tt.why != "" {
				z.Expect(t, claim, unproved(v1alpha1.ReasonDNSUnanswered, tt.why, z.dns.Address))
			} else {
				z.Expect(t, claim, unproved(v1alpha1.ReasonDomainUnverified, record.Name, record.Value, edge(name)))
			}
			if claim.Status.Verification != nil {
				t.Errorf("status.verification = %+v of what nobody proved", claim.Status.Verification)
			}
			if claim.Status.Serving.State != v1alpha1.DomainUnverified {
				t.Errorf("status.serving.state = %s, want Unverified", claim.Status.Serving.State)
			}
			z.pass(t, tenant)
			z.Expect(t, tenant, operator.Waiting(v1alpha1.ConditionReady, v1alpha1.ReasonDomainUnverified, record.Value))

			// The customer then does what the status says.
			z.dns.Heal(host)
			z.publish(record)
			z.Expect(t, z.later(t, host, 5*time.Minute), proved())
			z.pass(t, tenant)
			z.Expect(t, tenant, operator.Ready())
		})
	}
}

func noise(n int) (texts []string) {
	for range n {
		texts = append(texts, "v=spf1 include:_spf.mail.example -all")
	}
	return texts
}

// A wildcard is proved where it begins, by a value of its own; a proof of the base is none.
func TestWildcardProof(t *testing.T) {
	t.Parallel()
	z := newZone(t).settled(t)
	base, wild := z.Host("acme"), "*."+z.Host("acme")
	acme := z.wants(t, "acme", base, wild)
	first, second := challenge(t, acme, base), challenge(t, acme, wild)
	if want := "_tenantry-challenge." + base; first.Name != want || second.Name != want || first.Value == second.Value {
		t.Fatalf("the records are %+v and %+v", first, second)
	}
	z.publish(first)
	z.Expect(t, z.look(t, base), proved())
	z.Expect(t, z.look(t, wild), unproved(v1alpha1.ReasonDomainUnverified, second.Value))
	z.dns.TXT(first.Name, first.Value, second.Value)
	z.Expect(t, z.later(t, wild, time.Minute), proved())
	z.pass(t, acme)
	z.Expect(t, acme, operator.Ready())
}

// settled is settle of the bench, on the zone.
func (z *zone) settled(t *testing.T) *zone {
	t.Helper()
	z.settle(t)
	return z
}

// What the platform offers or trusts needs no question to DNS, and says so.
func TestNoQuestions(t *testing.T) {
	t.Parallel()
	z := newZone(t)
	suffix := z.Namespace + ".platform.example"
	z.Class.Spec.Domains.Platform = []v1alpha1.PlatformDomain{{DomainSuffix: suffix}}
	z.Class.Spec.Routing = sharedRouting()
	r := z.Class.Spec.Routing
	r.SharedHosts[0].Host, r.SharedHosts[1].Host, r.PublicHosts[0].Host = z.Host("api"), z.Host("app"), z.Host("www")
	z.settleWithRoutes(t)
	trusting := z.beside(t)
	trusting.Class.Spec.Domains.Custom.Verification = v1alpha1.VerifyNothing
	trusting.settle(t)
	z.wants(t, "acme", "acme."+suffix)
	trusting.wants(t, "globex", trusting.Host("globex"))

	value := domains.ValueClaimName(z.Host("api"), "acme")
	for name, want := range map[string]v1alpha1.VerificationMethod{
		"acme." + suffix: v1alpha1.VerifiedPlatform, trusting.Host("globex"): v1alpha1.VerifiedTrusted,
		z.Host("api"): v1alpha1.VerifiedTrusted, z.Host("www"): v1alpha1.VerifiedTrusted, value: v1alpha1.VerifiedTrusted,
	} {
		for range 3 {
			c := &v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: name}}
			z.pass(t, c)
			z.Expect(t, c, operator.Ready(), proved())
			if c.Status.Verification == nil || c.Status.Verification.Method != want {
				t.Errorf("%s: status.verification = %+v, want %s", name, c.Status.Verification, want)
			}
			z.now = z.now.Add(2 * time.Hour)
		}
	}
	if n := z.dns.AskedBelow("."); n != 0 {
		t.Errorf("DNS was asked %d times", n)
	}
}

// A class that changes its mind: what it trusted is asked for, with the grace that a lost record has; what
// it trusts again needs no record. Its tenants' hosts stay on.
func TestClassChangesItsMind(t *testing.T) {
	t.Parallel()
	z := newZone(t).settled(t)
	host := z.Host("acme")
	acme := z.wants(t, "acme", host)
	record := challenge(t, acme, host)
	verification := func(v v1alpha1.DomainVerification) {
		operator.Update(t, z.Servers, z.Class, func(c *v1alpha1.TenantClass) { c.Spec.Domains.Custom.Verification = v })
	}
	z.Expect(t, z.look(t, host), unproved(v1alpha1.ReasonDomainUnverified))
	verification(v1alpha1.VerifyNothing)
	z.Expect(t, z.look(t, host), proved())
	z.pass(t, acme)
	z.Expect(t, acme, operator.Ready())

	verification(v1alpha1.VerifyByDNS)
	claim := z.look(t, host)
	z.Expect(t, claim, kept(v1alpha1.ReasonRecordMissing, record.Value))
	if v := claim.Status.Verification; v == nil || v.Method != v1alpha1.VerifiedTrusted || v.MissingSince == nil {
		t.Errorf("status.verification = %+v, want Trusted and a grace", v)
	}
	z.pass(t, acme)
	z.Expect(t, acme, operator.Ready())
	z.publish(record)
	claim = z.later(t, host, time.Hour)
	z.Expect(t, claim, proved())
	if diff := cmp.Diff(&v1alpha1.ClaimVerification{Method: v1alpha1.VerifiedTXT}, claim.Status.Verification); diff != "" {
		t.Errorf("status.verification (-want +got):\n%s", diff)
	}

	// A class that offers the host no more takes it off.
	operator.Update(t, z.Servers, z.Class, func(c *v1alpha1.TenantClass) {
		c.Spec.Domains = &v1alpha1.DomainPolicy{Platform: []v1alpha1.PlatformDomain{{DomainSuffix: "only." + z.Namespace + ".example"}}}
	})
	z.Expect(t, z.look(t, host), unproved(v1alpha1.ReasonDomainNotAllowed, "platform domains only"))
	z.pass(t, acme)
	z.Expect(t, acme, operator.Stalled(v1alpha1.ConditionReady, v1alpha1.ReasonDomainNotAllowed, host))
	if !z.gone(t, claim) {
		t.Error("the claim is still there")
	}
}
