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
// the order to suspend, and gives up hosts to which the tenant has no right any more. Somebody else may wait
// for them, and nobody knows how long a failure lasts.

// takeOff does so for a pass that came no further than to the given step.
func (r *Reconciler) takeOff(ctx context.Context, s *scope, step string) error {
	switch {
	case s.tenant.Spec.Suspended && step == v1alpha1.ConditionRouted:
		return nil // Route has done it.
	case s.class != nil && !s.claimed:
		return nil // An API server that did not answer for a claim will be asked again soon.
	case s.tenant.Spec.Suspended:
		return r.suspendUnready(ctx, s)
	case s.class == nil:
		return nil
	}
	keep := slices.Clone(s.held)
	for _, v := range s.shared {
		keep = append(keep, v.On.Host)
	}
	may := func(host string) bool { return slices.Contains(keep, host) }
	if err := r.Publisher.Trim(ctx, s.tenant, may, client.InNamespace(s.tenant.Namespace)); err != nil {
		return err
	}
	return r.registerIfThere(ctx, s, slices.DeleteFunc(slices.Clone(s.observed.Domains), func(entry string) bool {
		return !slices.Contains(s.held, entry) && !slices.Contains(s.sharedEntries(), entry)
	}))
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
