package controllers_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/test/operator"
)

// A claim shows what answers on its host, as the Tenant has it: one look, for whoever asks about a host.
func TestServingIsShown(t *testing.T) {
	t.Parallel()
	z := newZone(t)
	suffix := z.Namespace + ".platform.example"
	z.Class.Spec.Domains.Platform = []v1alpha1.PlatformDomain{{DomainSuffix: suffix}}
	z.Class.Spec.Routing = sharedRouting()
	r := z.Class.Spec.Routing
	r.SharedHosts[0].Host, r.SharedHosts[1].Host, r.PublicHosts[0].Host = z.Host("api"), z.Host("app"), z.Host("www")
	r.Holding = nil
	z.settleWithRoutes(t)
	acme := z.wants(t, "acme", "acme."+suffix, z.Host("shop"))
	value := domains.ValueClaimName(z.Host("api"), "acme")
	names := map[string]string{"platform": "acme." + suffix, "custom": z.Host("shop"), "value": value, "shared": z.Host("api"), "public": z.Host("www")}
	expect := func(when string, want map[string]v1alpha1.DomainState) {
		t.Helper()
		z.Get(t, acme)
		for what, name := range names {
			c := &v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: name}}
			z.pass(t, c)
			var serving *v1alpha1.ClaimServing
			if state, ok := want[what]; ok {
				serving = &v1alpha1.ClaimServing{
					State: state, Database: acme.Status.Database, Schema: acme.Status.Schema, Version: acme.Status.Version, Secret: "acme-db",
				}
			}
			if diff := cmp.Diff(serving, c.Status.Serving); diff != "" {
				t.Errorf("%s, the claim on the %s host shows (-want +got):\n%s", when, what, diff)
			}
			before := c.ResourceVersion
			for range 2 {
				z.pass(t, c)
			}
			if c.ResourceVersion != before {
				t.Errorf("%s, a pass over what is as it was writes", when)
			}
		}
	}
	const claimed, serves, unverified = v1alpha1.DomainClaimed, v1alpha1.DomainServing, v1alpha1.DomainUnverified
	expect("before the route is accepted", map[string]v1alpha1.DomainState{"platform": claimed, "custom": unverified, "value": claimed})
	if acme.Status.Schema == "" || acme.Status.Database == nil || acme.Status.Version != "3" {
		t.Fatalf("the Tenant's own status is %+v", acme.Status)
	}
	z.publish(challenge(t, acme, z.Host("shop")))
	z.later(t, z.Host("shop"), 5*time.Minute)
	expect("proved and not routed", map[string]v1alpha1.DomainState{"platform": claimed, "custom": claimed, "value": claimed})
	for range 2 {
		z.pass(t, acme)
		z.acceptRoutes(t, acme)
	}
	z.pass(t, acme)
	z.Expect(t, acme, operator.Ready())
	expect("Ready", map[string]v1alpha1.DomainState{"platform": serves, "custom": serves, "value": serves})

	operator.Update(t, z.Servers, z.Files, func(cm *corev1.ConfigMap) {
		name, text := operator.MigrationFile(4)
		cm.Data[name] = text
	})
	z.pass(t, z.Set)
	z.pass(t, acme)
	expect("upgraded", map[string]v1alpha1.DomainState{"platform": serves, "custom": serves, "value": serves})
	if acme.Status.Version != "4" {
		t.Errorf("version %s", acme.Status.Version)
	}

	operator.Update(t, z.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.Suspended = true })
	z.pass(t, acme)
	expect("suspended", map[string]v1alpha1.DomainState{"platform": claimed, "custom": claimed, "value": claimed})
}

// What a Tenant's status says of a host that it does not hold is not shown: the claim is the holder's.
func TestServingIsTheHolders(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	host := b.Host("acme")
	acme := b.tenant(t, "acme")
	thief := b.tenant(t, "thief")
	b.forge(t, thief, func(s *v1alpha1.TenantStatus) {
		s.Domains = append(s.Domains, v1alpha1.TenantDomainStatus{Host: host, State: v1alpha1.DomainServing, Claim: host})
	})
	claim := &v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: host}}
	b.pass(t, claim)
	want := &v1alpha1.ClaimServing{State: v1alpha1.DomainClaimed, Database: acme.Status.Database, Schema: acme.Status.Schema, Version: acme.Status.Version, Secret: "acme-db"}
	if diff := cmp.Diff(want, claim.Status.Serving); diff != "" {
		t.Errorf("status.serving (-want +got):\n%s", diff)
	}
}
