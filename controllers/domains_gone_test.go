package controllers_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	miekg "github.com/miekg/dns"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

const day = 24 * time.Hour

// acme is a Tenant with one custom domain that it has proved.
func (z *zone) acme(t *testing.T) (acme *v1alpha1.Tenant, host string, record v1alpha1.DNSRecord) {
	t.Helper()
	host = z.Host("acme")
	acme = z.wants(t, "acme", host)
	record = challenge(t, acme, host)
	z.publish(record)
	z.Expect(t, z.look(t, host), proved())
	z.pass(t, acme)
	z.Expect(t, acme, operator.Ready())
	return acme, host, record
}

// What was proved survives name servers that fail, however they do and for however long; the claim says
// since when, once.
func TestServersThatFail(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*zone, string){
		"SERVFAIL": func(z *zone, record string) { z.dns.Fail(record, miekg.RcodeServerFailure) },
		"REFUSED":  func(z *zone, record string) { z.dns.Fail(record, miekg.RcodeRefused) },
		"silence":  func(z *zone, record string) { z.dns.Silence(record) },
		"gone":     func(z *zone, _ string) { z.dns.Stop() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z := newZone(t).settled(t)
			acme, host, record := z.acme(t)
			z.now = z.now.Add(time.Hour)
			since := z.now.UTC().Format(time.RFC3339)
			fail(z, record.Name)
			claim := z.look(t, host)
			z.Expect(t, claim, operator.Ready(), kept(v1alpha1.ReasonDNSUnanswered, "keeps the host", since, record.Name, z.dns.Address))
			if v := claim.Status.Verification; v == nil || v.Method != v1alpha1.VerifiedTXT || v.MissingSince != nil {
				t.Errorf("status.verification = %+v, want TXT", v)
			}
			before, asked := claim.ResourceVersion, z.dns.Asked(record.Name)
			for range 2 {
				claim = z.later(t, host, 5*day)
			}
			if name != "gone" && z.dns.Asked(record.Name) == asked {
				t.Error("DNS was not asked again")
			}
			if claim.ResourceVersion != before {
				t.Errorf("a re-check wrote: %+v", claim.Status)
			}
			z.restart(t)
			z.pass(t, z.Database)
			z.pass(t, z.Set)
			if claim = z.look(t, host); claim.ResourceVersion != before {
				t.Errorf("the first look after a restart wrote: %+v", claim.Status)
			}
			z.pass(t, acme)
			z.Expect(t, acme, operator.Ready())
			if name == "gone" {
				return
			}
			z.dns.Heal(record.Name)
			z.Expect(t, z.later(t, host, time.Hour), proved())
		})
	}
}

// A record that is gone is missed for three days. Then the host is taken off, but only on the word of a
// server that knows.
func TestRecordGone(t *testing.T) {
	t.Parallel()
	z := newZone(t)
	z.Class.Spec.Routing = gatewayRouting()
	z.Create(t, z.backend())
	z.settle(t)
	host, own := z.Host("acme"), z.Host("own")
	acme := z.wants(t, "acme", host, own)
	record := challenge(t, acme, host)
	z.publish(record)
	z.publish(challenge(t, acme, own))
	for _, h := range []string{host, own} {
		z.Expect(t, z.look(t, h), proved())
	}
	z.pass(t, acme)
	z.acceptRoutes(t, acme)
	z.pass(t, acme)
	z.Expect(t, acme, operator.Ready())

	z.dns.Set(record.Name)
	if claim := z.later(t, host, 59*time.Minute); conditions.Get(claim, v1alpha1.ConditionVerified).Reason != v1alpha1.ReasonSucceeded {
		t.Error("a verified claim was asked about before its hour")
	}
	missed := z.now.Add(time.Minute)
	claim := z.later(t, host, time.Minute)
	end := missed.Add(3 * day)
	z.Expect(t, claim, operator.Ready(), kept(v1alpha1.ReasonRecordMissing,
		missed.UTC().Format(time.RFC3339), end.UTC().Format(time.RFC3339), record.Name, record.Value))
	if v := claim.Status.Verification; v == nil || v.Method != v1alpha1.VerifiedTXT || v.MissingSince == nil || v.MissingSince.Unix() != missed.Unix() {
		t.Fatalf("status.verification = %+v, want it missing since %s", v, missed)
	}

	// Back in time, and gone again: a new grace.
	z.publish(record)
	claim = z.later(t, host, 15*time.Minute)
	z.Expect(t, claim, proved())
	if diff := cmp.Diff(&v1alpha1.ClaimVerification{Method: v1alpha1.VerifiedTXT}, claim.Status.Verification); diff != "" {
		t.Errorf("status.verification (-want +got):\n%s", diff)
	}
	z.dns.Set(record.Name)
	claim = z.later(t, host, time.Hour)
	z.Expect(t, claim, kept(v1alpha1.ReasonRecordMissing))
	before := claim.ResourceVersion
	start := claim.Status.Verification.MissingSince.Time

	// Nothing is written in the grace, and no trouble ends it.
	for range 5 {
		z.later(t, host, 15*time.Minute)
	}
	z.now = start.Add(3*day - time.Minute)
	z.look(t, host)
	z.dns.Fail(record.Name, miekg.RcodeServerFailure)
	z.later(t, host, 10*day)
	z.restart(t)
	z.pass(t, z.Database)
	z.pass(t, z.Set)
	claim = z.look(t, host)
	if claim.ResourceVersion != before {
		t.Errorf("the grace wrote: %+v", claim.Status)
	}
	z.pass(t, acme)
	z.Expect(t, acme, operator.Ready())

	z.dns.Set(record.Name)
	claim = z.later(t, host, 15*time.Minute)
	z.Expect(t, claim, operator.Ready(), unproved(v1alpha1.ReasonRecordMissing, start.UTC().Format(time.RFC3339), record.Name, record.Value))
	if claim.Status.Verification != nil {
		t.Errorf("status.verification = %+v, want none", claim.Status.Verification)
	}
	z.pass(t, acme)
	z.acceptRoutes(t, acme)
	z.pass(t, acme)
	z.Expect(t, acme, operator.Waiting(v1alpha1.ConditionReady, v1alpha1.ReasonDomainUnverified, host, record.Value))
	if diff := cmp.Diff(map[string]v1alpha1.DomainState{host: v1alpha1.DomainUnverified, own: v1alpha1.DomainServing}, states(acme)); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	for _, route := range z.routes(t) {
		for _, h := range route.Spec.Hostnames {
			if string(h) == host {
				t.Errorf("route %s still serves %s", route.Name, host)
			}
		}
	}
	before = z.look(t, host).ResourceVersion // which shows the Tenant's word
	if claim = z.later(t, host, time.Hour); claim.ResourceVersion != before {
		t.Errorf("a re-check of what was lost wrote: %+v", claim.Status)
	}
	z.publish(record)
	z.Expect(t, z.later(t, host, time.Hour), proved())
}

// DNS is asked when somebody waits: after 5, 10, 20 ... seconds, as often as every five minutes for a day,
// and then every fifteen. A pass in between asks nothing.
func TestWhenDNSIsAsked(t *testing.T) {
	t.Parallel()
	z := newZone(t).settled(t)
	host := z.Host("acme")
	acme := z.wants(t, "acme", host)
	record := challenge(t, acme, host)
	claim := &v1alpha1.DomainClaim{}
	claim.Name = host
	z.Get(t, claim)
	z.now = claim.CreationTimestamp.Time
	ask := func(what string, after, wantNext time.Duration) {
		t.Helper()
		before := z.dns.Asked(record.Name)
		z.now = z.now.Add(after)
		result := z.pass(t, claim)
		if got := z.dns.Asked(record.Name) - before; got != 1 {
			t.Errorf("%s: DNS was asked %d times, want once", what, got)
		}
		if result.RequeueAfter != min(wantNext, 30*time.Minute) {
			t.Errorf("%s: it is looked at again after %s, want %s", what, result.RequeueAfter, wantNext)
		}
	}
	early := func(what string, after time.Duration) {
		t.Helper()
		before := z.dns.Asked(record.Name)
		z.now = z.now.Add(after)
		result := z.pass(t, claim)
		if got := z.dns.Asked(record.Name) - before; got != 0 || result.RequeueAfter <= 0 {
			t.Errorf("%s: DNS was asked %d times too early; it is looked at again after %s", what, got, result.RequeueAfter)
		}
	}
	ask("new", 0, 5*time.Second)
	for _, s := range []int{5, 10, 20, 40, 80, 160} {
		early("young", time.Duration(s-1)*time.Second)
		ask("young", time.Second, min(2*time.Duration(s)*time.Second, 5*time.Minute))
	}
	ask("an hour old", time.Hour, 5*time.Minute)
	ask("two days old", 2*day, 15*time.Minute)
	early("two days old", 15*time.Minute-time.Second)

	// Who asks for it is heard at once, and waits as a new one does; but not without end.
	z.Nudge(t, acme)
	ask("nudged", 0, 5*time.Second)
	z.Nudge(t, acme)
	early("nudged again", time.Second)
	ask("nudged again", time.Second, 6*time.Second)
	operator.Update(t, z.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.Domains = append(tn.Spec.Domains, z.Host("more")) })
	ask("changed", 2*time.Second, 5*time.Second)

	z.publish(record)
	ask("proved", 5*time.Second, time.Hour)
	before := z.dns.Asked(record.Name)
	z.Nudge(t, acme)
	early("proved and nudged", time.Minute)
	z.restart(t)
	for range 3 {
		z.pass(t, claim)
	}
	if got := z.dns.Asked(record.Name); got != before {
		t.Errorf("a proved host was asked about %d times for a nudge and a restart", got-before)
	}
	z.Expect(t, claim, proved())
	z.now = z.now.Add(time.Hour)
	z.dns.Set(record.Name)
	if result := z.pass(t, claim); result.RequeueAfter != 15*time.Minute {
		t.Errorf("in the grace it is looked at after %s", result.RequeueAfter)
	}
	z.Expect(t, claim, kept(v1alpha1.ReasonRecordMissing))
	z.publish(record)
	z.Nudge(t, acme)
	z.now = z.now.Add(3 * time.Second)
	z.pass(t, claim)
	z.Expect(t, claim, proved())
}

// A question that nobody answers holds up those who need an answer, and no others.
func TestSilentServersHoldUpNobodyElse(t *testing.T) {
	t.Parallel()
	z := newZone(t)
	suffix := z.Namespace + ".platform.example"
	z.Class.Spec.Domains.Platform = []v1alpha1.PlatformDomain{{DomainSuffix: suffix}}
	z.settle(t)
	const waiting = 13 // one more than may ask at a time
	var hosts []string
	for i := range waiting {
		hosts = append(hosts, z.Host("slow"+strings.Repeat("x", i)))
	}
	many := z.Tenant("many", hosts...)
	z.Create(t, many, z.Tenant("acme", "acme."+suffix))
	z.pass(t, many)
	z.pass(t, z.Tenant("acme"))
	for _, h := range hosts {
		z.dns.Silence(challenge(t, many, h).Name)
	}
	results := make(chan time.Duration, waiting)
	for _, h := range hosts {
		go func() {
			c := &v1alpha1.DomainClaim{}
			c.Name = h
			result, err := z.by.Reconcile(t.Context(), c)
			if err != nil {
				t.Error(err)
			}
			results <- result.RequeueAfter
		}()
	}
	// The one without a slot comes back while the others still wait.
	if first := <-results; first != time.Second {
		t.Errorf("the first to come back looks again after %s, want a second", first)
	}
	began := time.Now()
	z.Expect(t, z.look(t, "acme."+suffix), proved())
	if len(results) == waiting-1 {
		t.Errorf("the platform host waited for the others, %s", time.Since(began))
	}
	for range waiting - 1 {
		if after := <-results; after != 5*time.Second {
			t.Errorf("one that asked looks again after %s", after)
		}
	}
}
