package domainclaim

import (
	"fmt"
	"strings"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
)

// serving copies from the holder what answers on the host: the lookup for whoever asks about a host.
// Hosts of a class have no tenant.
func serving(claim *v1alpha1.DomainClaim, t *v1alpha1.Tenant) *v1alpha1.ClaimServing {
	if t == nil {
		return nil
	}
	s := &v1alpha1.ClaimServing{
		State: stateOf(claim, t), Database: t.Status.Database.DeepCopy(), Schema: t.Status.Schema, Version: t.Status.Version,
	}
	if t.Status.Binding != nil {
		s.Secret = t.Status.Binding.Name
	}
	return s
}

// stateOf is the host's state as its Tenant has it. Before the Tenant is served the claim knows better
// than its holder, which hears of it.
func stateOf(claim *v1alpha1.DomainClaim, t *v1alpha1.Tenant) v1alpha1.DomainState {
	if claim.Spec.Value != "" {
		if conditions.IsTrue(t, v1alpha1.ConditionRouted) {
			return v1alpha1.DomainServing
		}
		return v1alpha1.DomainClaimed
	}
	for _, d := range t.Status.Domains {
		if d.Claim == claim.Name && says(d.State) {
			return d.State
		}
	}
	if conditions.IsTrue(claim, v1alpha1.ConditionVerified) {
		return v1alpha1.DomainClaimed
	}
	return v1alpha1.DomainUnverified
}

// says : these states are the Tenant's own word; the others follow from the claim.
func says(state v1alpha1.DomainState) bool {
	switch state {
	case v1alpha1.DomainServing, v1alpha1.DomainHolding, v1alpha1.DomainUnreachable:
		return true
	}
	return false
}

// shown is what of a Tenant its claims show. A tenant in the making changes with every step: it is
// news when it is Ready, when there is a verdict, and when a host's state moves.
func shown(t *v1alpha1.Tenant) string {
	var text strings.Builder
	for _, d := range t.Status.Domains {
		if says(d.State) {
			fmt.Fprintf(&text, "%s=%s;", d.Claim, d.State)
		}
	}
	ready := conditions.IsTrue(t, v1alpha1.ConditionReady)
	if ready || t.Status.ObservedGeneration > 0 {
		fmt.Fprint(&text, ready, conditions.IsTrue(t, v1alpha1.ConditionRouted), t.Status.Database, t.Status.Schema, ";", t.Status.Version, ";", t.Status.Binding)
	}
	return text.String()
}

// onlyVersionMoved says of a Tenant's claims that they show the same but another version.
func onlyVersionMoved(before, after *v1alpha1.Tenant) bool {
	same := *after
	same.Status.Version = before.Status.Version
	return before.Status.Version != after.Status.Version && shown(before) == shown(&same)
}
