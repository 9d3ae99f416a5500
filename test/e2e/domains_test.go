package e2e

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// A domain stays with whoever came first. Who wants it too is told so and never serves it, may go
// without a trace, and gets it only when the holder has gone.
func TestDomainNeverMoves(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	domain := s.Host("acme")
	winner := s.Tenant("winner", domain)
	s.Create(t, winner)
	s.AwaitReady(t, winner)
	awaitAnswer(t, domain, s.Namespace+"/winner")
	stop := witness(t, domain)

	loser := s.Tenant("loser", s.Host("own"), domain)
	s.Create(t, loser)
	s.AwaitWant(t, operator.Eventually, loser, operator.Stalled(v1alpha1.ConditionReady, v1alpha1.ReasonDomainTaken, domain))
	awaitAnswer(t, s.Host("own"), s.Namespace+"/loser")
	claim := &v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: domain}}
	s.Get(t, claim)
	before := claim.DeepCopy()

	s.Delete(t, loser)
	s.AwaitGone(t, operator.Eventually, loser)
	s.Get(t, claim)
	if diff := cmp.Diff(before.ObjectMeta, claim.ObjectMeta); diff != "" {
		t.Errorf("the loser's end changed the winner's claim (-before +after):\n%s", diff)
	}
	s.Expect(t, winner, operator.Ready())
	awaitAnswer(t, domain, s.Namespace+"/winner")
	if diff := cmp.Diff([]string{s.Namespace + "/winner"}, stop()); diff != "" {
		t.Errorf("who answered on the domain (-want +got):\n%s", diff)
	}
}

// The holder goes: then, and not before, the other one serves the domain. In between it is refused,
// and nobody's data are shown.
func TestDomainPassesOnWhenItsHolderGoes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	domain := s.Host("acme")
	first, second := s.Tenant("first", domain), s.Tenant("second", domain)
	s.Create(t, first)
	s.AwaitReady(t, first)
	awaitAnswer(t, domain, s.Namespace+"/first")
	s.Create(t, second)
	s.AwaitWant(t, operator.Eventually, second, operator.Stalled(v1alpha1.ConditionReady, v1alpha1.ReasonDomainTaken))

	stop := witness(t, domain)
	s.Delete(t, first)
	s.AwaitReady(t, second)
	awaitAnswer(t, domain, s.Namespace+"/second")
	refusals := []string{
		"404",                // the data plane has no route
		"404 UnknownTenant",  // the backend has no such Tenant any more, for a route that is
		"421 WrongHost",      // still there
		"503 TenantNotReady", // or whose login is off
		"503 LoginRefused",
	}
	served := slices.DeleteFunc(stop(), func(who string) bool { return slices.Contains(refusals, who) })
	if diff := cmp.Diff([]string{s.Namespace + "/first", s.Namespace + "/second"}, slices.Compact(served)); diff != "" {
		t.Errorf("who answered on the domain (-want +got):\n%s", diff)
	}
}
