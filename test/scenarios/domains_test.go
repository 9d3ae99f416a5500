package scenarios

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/test/operator"
)

// byDNS makes a world whose class wants custom domains to be proved.
func byDNS(t *testing.T) *operator.World {
	t.Helper()
	w := servers.World(t)
	w.Class.Spec.Domains = nil
	return w.Make(t)
}

// recordOf waits until a Tenant says which record proves a host.
func recordOf(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant, host string) (record v1alpha1.DNSRecord) {
	t.Helper()
	w.Await(t, operator.Eventually, tenant, func(bool) error {
		for _, d := range tenant.Status.Domains {
			if d.Host == host && d.Record != nil {
				record = *d.Record
				return nil
			}
		}
		return fmt.Errorf("no record for %s", host)
	})
	return record
}

func claimOn(host string) *v1alpha1.DomainClaim {
	return &v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: domains.ClaimName(host)}}
}

// A customer brings a domain: the Tenant says which record to create, the customer creates it, and the
// host is the tenant's; whoever asks about the host then learns from its claim what answers there.
func TestCustomerAddsARecord(t *testing.T) {
	t.Parallel()
	w := byDNS(t)
	shop, wild := w.Host("shop"), "*."+w.Host("shop")
	acme := w.Tenant("acme", shop, wild)
	w.Create(t, acme)
	first, second := recordOf(t, w, acme, shop), recordOf(t, w, acme, wild)
	w.AwaitWant(t, operator.Eventually, acme, operator.Waiting(v1alpha1.ConditionReady, v1alpha1.ReasonDomainUnverified, first.Name, first.Value))
	w.AwaitWant(t, operator.Eventually, claimOn(shop), operator.Ready(), operator.Want{
		Condition: v1alpha1.ConditionVerified, Reason: v1alpha1.ReasonDomainUnverified, Message: []string{first.Value},
	})

	// Nobody asks for it: the operator looks by itself.
	dns.TXT(first.Name, "v=spf1 -all", first.Value, second.Value)
	w.AwaitReady(t, acme)
	for _, host := range []string{shop, wild} {
		claim := claimOn(host)
		want := &v1alpha1.ClaimServing{State: v1alpha1.DomainClaimed, Database: acme.Status.Database, Schema: acme.Status.Schema, Version: "3", Secret: "acme-db"}
		w.Await(t, operator.Bookkeeping, claim, func(bool) error {
			if diff := cmp.Diff(want, claim.Status.Serving); diff != "" {
				return fmt.Errorf("serving (-want +got):\n%s", diff)
			}
			return operator.Want{Condition: v1alpha1.ConditionVerified, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded}.Check(claim)
		})
	}
	// An upgrade reaches the lookup by a watch; so does a new reading of the claim of the wildcard, which
	// is looked at in a cache.
	operator.Update(t, w.Servers, w.Files, func(cm *corev1.ConfigMap) {
		name, text := operator.MigrationFile(4)
		cm.Data[name] = text
	})
	claim := claimOn(shop)
	w.Await(t, operator.Bookkeeping, claim, func(bool) error {
		if claim.Status.Serving == nil || claim.Status.Serving.Version != "4" {
			return fmt.Errorf("serving is %+v", claim.Status.Serving)
		}
		return nil
	})
	w.AwaitPass(t, operator.Eventually, acme, operator.Ready())
}

// Somebody in another namespace was faster with a domain that is not his. The owner's record decides, also
// over a wildcard, and he need not wait for a re-check: his annotation is enough.
func TestOwnerGetsASquattedDomain(t *testing.T) {
	t.Parallel()
	theirs, ours := byDNS(t), byDNS(t)
	for name, squatted := range map[string]string{"same": ours.Host("same"), "above": "*." + ours.Host("above")} {
		host := ours.Host(name)
		if name == "above" {
			host = "www." + host
		}
		squatter := theirs.Tenant(name, theirs.Host(name), squatted)
		theirs.Create(t, squatter)
		recordOf(t, theirs, squatter, squatted)
		owner := ours.Tenant(name, host)
		ours.Create(t, owner)
		record := recordOf(t, ours, owner, host)
		ours.AwaitWant(t, operator.Eventually, owner, operator.Waiting(v1alpha1.ConditionReady, v1alpha1.ReasonDomainTaken, "whoever proves it first", record.Value))

		dns.TXT(record.Name, record.Value)
		ours.Nudge(t, owner)
		ours.AwaitReady(t, owner)
		claim := claimOn(host)
		ours.Get(t, claim)
		if claim.Spec.Holder.UID != string(owner.UID) {
			t.Errorf("%s is held by %+v", host, claim.Spec.Holder)
		}
		theirs.Await(t, operator.Eventually, squatter, func(bool) error {
			for _, d := range squatter.Status.Domains {
				if d.Host == squatted && d.State == v1alpha1.DomainStateTaken {
					return nil
				}
			}
			return fmt.Errorf("the squatter's %s is not taken: %+v", squatted, squatter.Status.Domains)
		})
	}
}
