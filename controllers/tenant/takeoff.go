package tenant

import (
	"context"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/routing"
)

// A failure takes no route down. But a pass that ends before route still does what is no failure: it follows
// the order to suspend, and gives up hosts to which the tenant has no right any more, with the claims that route
// would release. Somebody else may wait for them, and nobody knows how long a failure lasts. A registry that cannot be
// reached hears of it later: its rows lead no request to a tenant, and whoever has the claim and the same registry
// waits for them.

// takeOff does so for a pass that came no further than to the given step.
func (r *Reconciler) takeOff(ctx context.Context, s *scope, step string) error {
	switch {
	case s.tenant.Spec.Suspended && step == v1alpha1.ConditionRouted:
		return nil // Route has done it.
	case s.class != nil && !s.claimed:
		return nil // An API server that did not answer for a claim will be asked again soon.
	}
	give := r.giveUp
	if s.tenant.Spec.Suspended {
		give = r.suspendUnready
	}
	if err := give(ctx, s); err != nil {
		return err
	}
	return r.releaseClaims(ctx, s)
}

// giveUp takes the hosts off routes and registry to which the tenant has no right any more.
func (r *Reconciler) giveUp(ctx context.Context, s *scope) error {
	may, err := r.mayStay(ctx, s)
	if err != nil {
		return err
	}
	if err := r.Publisher.Trim(ctx, s.tenant, may, client.InNamespace(s.tenant.Namespace)); err != nil {
		return err
	}
	return r.registerIfThere(ctx, s, slices.DeleteFunc(slices.Clone(s.observed.Domains), func(entry string) bool {
		return !slices.Contains(s.held, entry) && !slices.Contains(s.sharedEntries(), entry)
	}))
}

// mayStay says on which hosts the tenant's routes may stay: on those that the pass has found to be its own. Without a
// class nobody has looked, and it only leaves what it holds and its spec no longer names.
func (r *Reconciler) mayStay(ctx context.Context, s *scope) (may func(host string) bool, err error) {
	if s.class == nil {
		held, err := r.heldBefore(ctx, s.tenant, s.started)
		return func(host string) bool {
			return !slices.ContainsFunc(held, func(c *v1alpha1.DomainClaim) bool { return c.Spec.Host == host && !s.wants(c) })
		}, err
	}
	keep := slices.Clone(s.held)
	for _, v := range s.shared {
		keep = append(keep, v.On.Host)
	}
	return func(host string) bool { return slices.Contains(keep, host) }, nil
}

// suspendUnready takes a tenant's hosts off its backend whose database may not answer, or whose class is
// not there to name a holding backend.
func (r *Reconciler) suspendUnready(ctx context.Context, s *scope) error {
	w := routing.Wish{Tenant: s.tenant}
	if s.class != nil && s.away().Held {
		if err := r.secureAway(ctx, s); err != nil {
			return err
		}
		w = s.away()
	}
	accepted, err := r.applyRoutes(ctx, w)
	if err != nil {
		return err
	}
	if s.class != nil {
		mark(s, accepted, s.awayState())
	}
	r.leaveUnasked(s)
	f := fault.Of(errSuspended, "")
	conditions.False(s.tenant, v1alpha1.ConditionRouted, f.Reason, f.Message)
	return r.registerIfThere(ctx, s, nil)
}

// registerIfThere tells the registry, if the pass came as far as to see the tenant in it.
func (r *Reconciler) registerIfThere(ctx context.Context, s *scope, hosts []string) error {
	if s.db == nil || !s.observed.Registered || s.observed.OwnerUID != s.wanted.UID {
		return nil
	}
	return r.register(ctx, s, hosts)
}
