package controllers_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/test/operator"
)

// holder says who holds a host.
func (b *bench) holder(t *testing.T, host string) string {
	t.Helper()
	c := &v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: domains.ClaimName(host)}}
	err := b.Admin.Get(t.Context(), client.ObjectKeyFromObject(c), c)
	if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	if err != nil {
		return "nobody"
	}
	return c.Spec.Holder.Namespace + "/" + c.Spec.Holder.Name
}

// rivals are two worlds under one operator: the owner's, and that of somebody who was faster.
type rivals struct{ owner, squatter *zone }

func newRivals(t *testing.T, target string) rivals {
	t.Helper()
	owner := newZone(t)
	owner.Class.Spec.Domains.Custom.CNAMETarget = target
	owner.settle(t)
	squatter := owner.beside(t)
	squatter.settle(t)
	return rivals{owner, squatter}
}

// A claim that nobody proved locks nobody out who can: it passes to whoever has his record in DNS, over
// wildcards and hosts below too. The one who was faster learns that, and nothing of the owner.
func TestUnprovedClaimsPass(t *testing.T) {
	t.Parallel()
	r := newRivals(t, "{name}.{namespace}.edge.example")
	for name, tt := range map[string]struct {
		squatted, wanted []string // before the host of the row, or alone
		prove            func(record v1alpha1.DNSRecord, host string)
	}{
		"txt": {squatted: []string{""}, wanted: []string{""}},
		"alias": {squatted: []string{""}, wanted: []string{""}, prove: func(_ v1alpha1.DNSRecord, host string) {
			r.owner.dns.CNAME(host, "alias."+r.owner.Namespace+".edge.example")
		}},
		"below":    {squatted: []string{"*."}, wanted: []string{"www."}},
		"deep":     {squatted: []string{"*.", "*.b."}, wanted: []string{"a.b."}},
		"wildcard": {squatted: []string{"a.", "b.c.", "*.d."}, wanted: []string{"*."}},
	} {
		t.Run(name, func(t *testing.T) {
			squat := r.squatter.wants(t, name, r.hosts(r.squatter, name, tt.squatted)...)
			squatted := squat.Spec.Domains[1:]
			for _, h := range squatted {
				r.squatter.Expect(t, r.owner.look(t, h), unproved(v1alpha1.ReasonDomainUnverified))
			}
			owner := r.owner.wants(t, name, r.hosts(r.owner, name, tt.wanted)...)
			host := owner.Spec.Domains[1]
			record := challenge(t, owner, host)
			r.owner.Expect(t, owner, operator.Want{
				Condition: v1alpha1.ConditionDomainsClaimed, Reason: v1alpha1.ReasonDomainUnverified,
				Message: []string{host, record.Name, record.Value, "whoever proves it first gets it"},
			})
			if got := states(owner)[host]; got != v1alpha1.DomainStateTaken {
				t.Errorf("state %s before the proof, want Taken", got)
			}
			r.owner.look(t, squatted[0])
			if got := r.owner.holder(t, squatted[0]); got != r.squatter.Namespace+"/"+name {
				t.Fatalf("%s has the host before anybody proved it", got)
			}

			if tt.prove != nil {
				tt.prove(record, host)
			} else {
				r.owner.publish(record)
			}
			r.owner.later(t, squatted[0], 5*time.Minute)
			r.owner.Expect(t, r.owner.look(t, host), proved())
			if got := r.owner.holder(t, host); got != r.owner.Namespace+"/"+name {
				t.Errorf("%s has the host that the owner proved", got)
			}
			r.squatter.pass(t, squat)
			r.owner.pass(t, owner)
			if got := states(owner)[host]; got != v1alpha1.DomainClaimed {
				t.Errorf("state %s after the proof, want Claimed", got)
			}
			r.wantOut(t, squat, host)
		})
	}
}

// hosts are a host of the zone's own, since a wildcard cannot be the first, and others of the row.
func (r rivals) hosts(z *zone, row string, prefixes []string) []string {
	all := []string{z.Host("own-" + row)}
	for _, p := range prefixes {
		all = append(all, p+r.owner.Host(row))
	}
	return all
}

// wantOut wants who was faster to have nothing that keeps the owner from a host, and to know that.
func (r rivals) wantOut(t *testing.T, squat *v1alpha1.Tenant, host string) {
	t.Helper()
	squatted := squat.Spec.Domains[1:]
	for _, h := range squatted {
		excludes := h != host && (domains.Covers(h, host) || domains.Covers(host, h))
		if got := r.owner.holder(t, h); excludes && got != "nobody" {
			t.Errorf("%s still has %s", got, h)
		}
	}
	r.squatter.Expect(t, squat, operator.Want{
		Condition: v1alpha1.ConditionDomainsClaimed, Reason: v1alpha1.ReasonDomainUnverified, Message: []string{squatted[0], "another tenant"},
	})
	for _, d := range squat.Status.Domains[1:] {
		if d.State != v1alpha1.DomainStateTaken || d.Record != nil || d.Claim != "" {
			t.Errorf("who was faster is told %+v", d)
		}
	}
}

// Who may edit a Tenant in one namespace gains nothing over the hosts of another: no edit, no record of his
// own, no class that trusts him, moves a host that he did not prove.
func TestClaimsThatStay(t *testing.T) {
	t.Parallel()
	r := newRivals(t, "")
	thieves := r.squatter
	platform, closed, trusting := thieves.Class.DeepCopy(), thieves.Class.DeepCopy(), thieves.Class.DeepCopy()
	for name, c := range map[string]*v1alpha1.TenantClass{"platform": platform, "closed": closed, "trusting": trusting} {
		c.ObjectMeta = metav1.ObjectMeta{Name: thieves.Namespace + "-" + name}
	}
	platform.Spec.Domains = &v1alpha1.DomainPolicy{Platform: []v1alpha1.PlatformDomain{{DomainSuffix: thieves.Namespace + ".platform.example"}}}
	trusting.Spec.Domains.Custom.Verification = v1alpha1.VerifyNothing
	closed.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{
		From: v1alpha1.NamespacesSelector, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"never": "true"}},
	}
	thieves.Create(t, platform, closed, trusting)
	cluster := r.owner.clusterUID(t)
	record := func(tenant *v1alpha1.Tenant, host string) v1alpha1.DNSRecord {
		return domains.Challenge(cluster, client.ObjectKeyFromObject(tenant), host)
	}
	for name, tt := range map[string]struct {
		// ownerProves before the thief comes.
		ownerProves bool
		class       *v1alpha1.TenantClass
		// does what the thief can do; he has all of DNS but the owner's names.
		does func(thief, owner *v1alpha1.Tenant, host string) []v1alpha1.DNSRecord
		want string // what the thief's Tenant says
	}{
		"wants":  {does: nothing, want: v1alpha1.ReasonDomainTaken},
		"proved": {ownerProves: true, does: own(record), want: v1alpha1.ReasonDomainTaken},
		"foreign": {does: func(thief, owner *v1alpha1.Tenant, host string) []v1alpha1.DNSRecord {
			return []v1alpha1.DNSRecord{record(owner, "www."+host), record(thief, "www."+host), record(thief, "*."+host)}
		}, want: v1alpha1.ReasonDomainTaken},
		"elsewhere": {does: func(thief, _ *v1alpha1.Tenant, host string) []v1alpha1.DNSRecord {
			theirs := record(thief, host)
			theirs.Name = "_tenantry-challenge.thief.example"
			return []v1alpha1.DNSRecord{theirs}
		}, want: v1alpha1.ReasonDomainTaken},
		// These prove the host, and may not have it all the same.
		"platform": {class: platform, does: own(record), want: v1alpha1.ReasonDomainNotAllowed},
		"closed":   {class: closed, does: own(record), want: v1alpha1.ReasonNamespaceNotAllowed},
		"trusting": {class: trusting, does: own(record), want: v1alpha1.ReasonDomainTaken},
	} {
		t.Run(name, func(t *testing.T) {
			host := r.owner.Host(name)
			owner := r.owner.wants(t, name, host)
			if tt.ownerProves {
				r.owner.publish(record(owner, host))
			}
			claim := r.owner.look(t, host)
			before := claim.UID
			thief := thieves.Tenant(name, host)
			if tt.class != nil {
				thief.Spec.ClassName = tt.class.Name
			}
			thieves.Create(t, thief)
			thieves.pass(t, thief)
			values := map[string][]string{record(owner, host).Name: {"v=spf1 -all"}}
			if tt.ownerProves {
				values[record(owner, host).Name] = []string{record(owner, host).Value}
			}
			for _, rec := range tt.does(thief, owner, host) {
				values[rec.Name] = append(values[rec.Name], rec.Value)
			}
			for name, texts := range values {
				r.owner.dns.TXT(name, texts...)
			}
			for range 3 {
				thieves.Nudge(t, thief)
				claim = r.owner.later(t, host, 5*time.Minute)
				thieves.pass(t, thief)
			}
			if claim.UID != before || r.owner.holder(t, host) != r.owner.Namespace+"/"+name {
				t.Errorf("the claim went to %s", r.owner.holder(t, host))
			}
			thieves.Expect(t, thief, operator.Want{Condition: v1alpha1.ConditionReady, Reason: tt.want})
			if !tt.ownerProves {
				r.owner.publish(record(owner, host))
				r.owner.Expect(t, r.owner.later(t, host, 5*time.Minute), proved())
			}
			r.owner.pass(t, owner)
			r.owner.Expect(t, owner, operator.Ready())
		})
	}
}

func nothing(_, _ *v1alpha1.Tenant, _ string) []v1alpha1.DNSRecord { return nil }

// own publishes the thief's own value for the host, as if he controlled it.
func own(record func(*v1alpha1.Tenant, string) v1alpha1.DNSRecord) func(thief, owner *v1alpha1.Tenant, host string) []v1alpha1.DNSRecord {
	return func(thief, _ *v1alpha1.Tenant, host string) []v1alpha1.DNSRecord {
		return []v1alpha1.DNSRecord{record(thief, host)}
	}
}

// An alias of a target that all tenants share proves the host of the one who asks alone. Of two, it
// proves neither's: a record does.
func TestSharedAliasIsNobodys(t *testing.T) {
	t.Parallel()
	r := newRivals(t, "edge.example")
	alone, both := r.owner.Host("alone"), r.owner.Host("both")
	r.owner.dns.CNAME(alone, "edge.example")
	r.owner.wants(t, "alone", alone)
	claim := r.owner.look(t, alone)
	r.owner.Expect(t, claim, proved())
	if claim.Status.Verification.Method != v1alpha1.VerifiedCNAME {
		t.Errorf("verified by %s", claim.Status.Verification.Method)
	}
	r.squatter.wants(t, "late", alone)
	r.owner.Expect(t, r.owner.later(t, alone, time.Hour), proved()) // It never moves.

	r.squatter.wants(t, "fast", both)
	owner := r.owner.wants(t, "both", both)
	r.owner.dns.CNAME(both, "edge.example")
	r.owner.Expect(t, r.owner.look(t, both), unproved(v1alpha1.ReasonDomainUnverified, "another tenant wants it by the same alias"))
	if got := r.owner.holder(t, both); got != r.squatter.Namespace+"/fast" {
		t.Fatalf("the claim went to %s", got)
	}
	r.owner.publish(challenge(t, owner, both))
	r.owner.later(t, both, 5*time.Minute)
	r.owner.Expect(t, r.owner.look(t, both), proved())
	if got := r.owner.holder(t, both); got != r.owner.Namespace+"/both" {
		t.Errorf("the claim went to %s", got)
	}
}

// A domain that was sold: the old tenant's record is gone, the new one's is there. The new one gets the host
// when the grace is over, and not before the old one's route is gone.
func TestSoldDomain(t *testing.T) {
	t.Parallel()
	old := newZone(t)
	old.Class.Spec.Routing = gatewayRouting()
	old.Create(t, old.backend())
	old.settle(t)
	host := old.Host("sold")
	seller := old.wants(t, "seller", host)
	old.publish(challenge(t, seller, host))
	old.look(t, host)
	old.pass(t, seller)
	old.acceptRoutes(t, seller)
	old.pass(t, seller)
	old.Expect(t, seller, operator.Ready())
	fresh := old.beside(t)
	fresh.settle(t)
	buyer := fresh.wants(t, "buyer", host)
	fresh.Expect(t, buyer, operator.Stalled(v1alpha1.ConditionReady, v1alpha1.ReasonDomainTaken, "held by another tenant"))
	if buyer.Status.Domains[0].Record != nil {
		t.Error("the buyer is told to prove a host that is proved")
	}
	old.publish(domains.Challenge(old.clusterUID(t), client.ObjectKeyFromObject(buyer), host))
	old.Expect(t, old.later(t, host, time.Hour), kept(v1alpha1.ReasonRecordMissing))
	old.Expect(t, old.later(t, host, 2*day), kept(v1alpha1.ReasonRecordMissing))
	claim := old.later(t, host, 2*day)
	old.Expect(t, claim, unproved(v1alpha1.ReasonRecordMissing))

	// The seller's route is still there: the claim stays.
	result := old.pass(t, claim)
	old.now = old.now.Add(result.RequeueAfter)
	for range 2 {
		result = old.pass(t, claim)
		if got := old.holder(t, host); got != old.Namespace+"/seller" {
			t.Fatalf("%s has the host while the seller's route serves it", got)
		}
		if result.RequeueAfter != 15*time.Second {
			t.Errorf("it is looked at again after %s", result.RequeueAfter)
		}
		old.now = old.now.Add(result.RequeueAfter)
	}
	old.pass(t, seller)
	old.look(t, host)
	if got := old.holder(t, host); got != fresh.Namespace+"/buyer" {
		t.Fatalf("%s has the host", got)
	}
	old.Expect(t, old.look(t, host), proved())
	fresh.pass(t, buyer)
	fresh.Expect(t, buyer, operator.Ready())
	old.pass(t, seller)
	old.Expect(t, seller, operator.Stalled(v1alpha1.ConditionReady, v1alpha1.ReasonDomainTaken, host))
}

// Whose passes stop at an earlier step loses what is no longer his all the same: the new owner of a domain does
// not wait for the old one to mend his tenant. What is left to the old one leads where it led.
func TestSoldDomainOfATenantInTrouble(t *testing.T) {
	t.Parallel()
	old := newZone(t)
	old.Class.Spec.Routing = gatewayRouting()
	old.Create(t, old.backend())
	old.settle(t)
	own, host := old.Host("own"), old.Host("sold")
	seller := old.seller(t, own, host)
	fresh := old.beside(t)
	fresh.settle(t)
	buyer := fresh.wants(t, "buyer", host)

	old.troubled(t, seller)
	if diff := cmp.Diff([]string{own, host}, old.hostnames(t)); diff != "" {
		t.Errorf("hosts of the routes of a tenant in trouble (-want +got):\n%s", diff)
	}
	rules := old.routes(t)[0].Spec.Rules
	old.publish(domains.Challenge(old.clusterUID(t), client.ObjectKeyFromObject(buyer), host))
	old.later(t, host, time.Hour)
	old.Expect(t, old.later(t, host, 4*day), unproved(v1alpha1.ReasonRecordMissing))
	claim := old.later(t, host, 15*time.Minute)
	if to := claim.Status.PassesTo; to == nil || to.UID != string(buyer.UID) {
		t.Errorf("the claim passes to %+v, want the buyer", to)
	}
	fresh.pass(t, buyer)
	fresh.Expect(t, buyer, operator.Waiting(v1alpha1.ConditionDomainsClaimed, v1alpha1.ReasonDomainTaken, host, "this tenant has proved", "no route of the tenant that holds it"))

	old.pass(t, seller)
	if diff := cmp.Diff([]string{own}, old.hostnames(t)); diff != "" {
		t.Errorf("hosts of the seller's routes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(rules, old.routes(t)[0].Spec.Rules); diff != "" {
		t.Errorf("rules of the seller's route (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff([]string{own}, old.registered(t)); diff != "" {
		t.Errorf("hosts in the registry (-want +got):\n%s", diff)
	}
	old.quietHere(t, "passes over a tenant in trouble", seller)
	old.now = old.now.Add(time.Minute)
	old.look(t, host)
	if got := old.holder(t, host); got != fresh.Namespace+"/buyer" {
		t.Fatalf("%s has the host", got)
	}
	if claim = old.look(t, host); claim.Status.PassesTo != nil {
		t.Errorf("the claim passes to %+v, who has it", claim.Status.PassesTo)
	}
	fresh.pass(t, buyer)
	fresh.Expect(t, buyer, operator.Ready())
}

// hostnames lists the hosts of all HTTPRoutes.
func (b *bench) hostnames(t *testing.T) (hosts []string) {
	t.Helper()
	for _, route := range b.routes(t) {
		for _, h := range route.Spec.Hostnames {
			hosts = append(hosts, string(h))
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// Of many who want hosts below a wildcard that nobody proved, each gets his turn, the one who asks for it
// at once.
func TestRivalsHaveTheirTurn(t *testing.T) {
	t.Parallel()
	r := newRivals(t, "")
	wild := "*." + r.owner.Host("crowd")
	r.squatter.wants(t, "squatter", r.squatter.Host("own"), wild)
	const crowd = 20
	var tenants []*v1alpha1.Tenant
	for i := range crowd {
		tenants = append(tenants, r.owner.Tenant(fmt.Sprintf("crowd-%02d", i), fmt.Sprintf("h%02d.%s", i, r.owner.Host("crowd"))))
		r.owner.Create(t, tenants[i])
	}
	name := func(i int) string { return "_tenantry-challenge." + tenants[i].Spec.Domains[0] }
	r.owner.look(t, wild)
	asked := func() (n int) {
		for i := range tenants {
			n += min(r.owner.dns.Asked(name(i)), 1)
		}
		return n
	}
	if got := asked(); got != 8 {
		t.Errorf("one pass asked about %d rivals, want 8", got)
	}
	for range 2 {
		r.owner.later(t, wild, 5*time.Minute)
	}
	if got := asked(); got != crowd {
		t.Errorf("three passes asked about %d rivals, want all %d", got, crowd)
	}
	before := r.owner.dns.Asked(name(crowd - 1))
	r.owner.Nudge(t, tenants[crowd-1])
	r.owner.later(t, wild, 5*time.Second)
	if got := r.owner.dns.Asked(name(crowd - 1)); got != before+1 {
		t.Errorf("the one who asked for it was asked about %d times", got-before)
	}
	if diff := cmp.Diff(r.squatter.Namespace+"/squatter", r.owner.holder(t, wild)); diff != "" {
		t.Errorf("who holds the wildcard (-want +got):\n%s", diff)
	}
	last := tenants[crowd-2]
	r.owner.publish(domains.Challenge(r.owner.clusterUID(t), client.ObjectKeyFromObject(last), last.Spec.Domains[0]))
	r.owner.Nudge(t, last)
	r.owner.later(t, wild, 5*time.Second)
	if got := r.owner.holder(t, last.Spec.Domains[0]); got != r.owner.Namespace+"/"+last.Name {
		t.Errorf("the host that was proved is %s's", got)
	}
	if got := r.owner.holder(t, wild); got != "nobody" {
		t.Errorf("the wildcard is %s's", got)
	}
}
