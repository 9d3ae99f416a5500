package tenant

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/routing"
)

// claim takes a DomainClaim for every wanted host. Hosts that cannot be had are reported, the
// others are held all the same. Claims that are no longer wanted are released by route, after the
// routes are gone.
func (r *Reconciler) claim(ctx context.Context, s *scope) (outcome, error) {
	var faults []*fault.Fault
	states := make([]v1alpha1.TenantDomainStatus, 0, len(s.tenant.Spec.Domains))
	for _, domain := range s.tenant.Spec.Domains {
		state, err := r.claimOne(ctx, s, domain, states)
		if err != nil && fault.ReasonOf(err) == "" {
			return outcome{}, err
		}
		if err != nil {
			faults = append(faults, fault.Of(err, ""))
		}
		if state.Host != "" {
			states = append(states, state)
		}
	}
	s.claimed = true
	s.tenant.Status.Domains = nilIfEmpty(states)
	s.tenant.Status.PrimaryDomain = ""
	if len(s.hosts) > 0 {
		s.tenant.Status.PrimaryDomain = s.hosts[0]
	}
	if len(faults) > 0 {
		return outcome{}, merge(faults)
	}
	if len(s.hosts) == 0 {
		return outcome{v1alpha1.ReasonNotRequested, "The tenant wants no domains"}, nil
	}
	return done(fmt.Sprintf("Holds %s", strings.Join(s.hosts, ", "))), nil
}

// claimOne returns the state of one domain; no host when it repeats one before it.
func (r *Reconciler) claimOne(ctx context.Context, s *scope, domain string, before []v1alpha1.TenantDomainStatus) (v1alpha1.TenantDomainStatus, error) {
	host, err := routing.Canonical(domain)
	if err != nil {
		return v1alpha1.TenantDomainStatus{Host: domain, State: v1alpha1.DomainInvalid}, err
	}
	if slices.ContainsFunc(before, func(d v1alpha1.TenantDomainStatus) bool { return d.Host == host }) {
		return v1alpha1.TenantDomainStatus{}, fault.NewInvalid(v1alpha1.ReasonInvalidDomain,
			"spec.domains: %q is another spelling of %s, which is listed already; remove it", domain, host)
	}
	if err := r.hold(ctx, s.tenant, host); err != nil {
		return v1alpha1.TenantDomainStatus{Host: host, State: v1alpha1.DomainStateTaken}, err
	}
	s.hosts = append(s.hosts, host)
	return v1alpha1.TenantDomainStatus{Host: host, State: s.stateBefore(host), Claim: routing.ClaimName(host)}, nil
}

// stateBefore keeps a host at Serving until route has looked at it again: a database that is away
// takes no route down.
func (s *scope) stateBefore(host string) v1alpha1.DomainState {
	for _, d := range s.base.Status.Domains {
		if d.Host == host && d.State == v1alpha1.DomainServing {
			return v1alpha1.DomainServing
		}
	}
	return v1alpha1.DomainClaimed
}

// hold makes sure that the claim on a host names this Tenant's UID. The name of the claim is the
// lock: of two that create it, the API server lets one.
func (r *Reconciler) hold(ctx context.Context, t *v1alpha1.Tenant, host string) error {
	claim := &v1alpha1.DomainClaim{}
	key := client.ObjectKey{Name: routing.ClaimName(host)}
	err := r.Get(ctx, key, claim)
	if apierrors.IsNotFound(err) {
		claim = newClaim(t, host)
		if err = r.Create(ctx, claim); apierrors.IsAlreadyExists(err) {
			// The cache was behind, or another tenant came first.
			err = r.Live.Get(ctx, key, claim)
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("claim %s: %w", host, err)
	case claim.Spec.Holder.UID != string(t.UID):
		return fault.NewInvalid(v1alpha1.ReasonDomainTaken,
			"spec.domains: %s is held by another tenant; remove it here, or let the holder give it up", host)
	case !claim.DeletionTimestamp.IsZero():
		return fault.NewWaiting(v1alpha1.ReasonDomainTaken, 5*time.Second, "spec.domains: the claim on %s is being released", host)
	}
	return nil
}

func newClaim(t *v1alpha1.Tenant, host string) *v1alpha1.DomainClaim {
	return &v1alpha1.DomainClaim{
		ObjectMeta: metav1.ObjectMeta{Name: routing.ClaimName(host), Labels: routing.Labels(t)},
		Spec: v1alpha1.DomainClaimSpec{Host: host, Holder: v1alpha1.ClaimHolder{
			NamespacedReference: v1alpha1.NamespacedReference{Namespace: t.Namespace, Name: t.Name},
			UID:                 string(t.UID),
		}},
	}
}

// releaseClaims gives up what the tenant holds beyond the given hosts. The caller has seen that no
// route serves them any more. It returns how many are still there.
func (r *Reconciler) releaseClaims(ctx context.Context, t *v1alpha1.Tenant, keep []string) (int, error) {
	var claims v1alpha1.DomainClaimList
	if err := r.List(ctx, &claims, client.MatchingLabels{routing.LabelTenantUID: string(t.UID)}); err != nil {
		return 0, fmt.Errorf("list claims: %w", err)
	}
	left := 0
	for i := range claims.Items {
		c := &claims.Items[i]
		if c.Spec.Holder.UID != string(t.UID) || slices.Contains(keep, c.Spec.Host) {
			continue
		}
		left++
		uid := c.UID
		err := r.Delete(ctx, c, client.Preconditions{UID: &uid})
		if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
			return left, fmt.Errorf("release claim %s: %w", c.Name, err)
		}
	}
	return left, nil
}

// merge makes one fault of several: the first one's reason, every one's message. It stalls only
// when all of them do.
func merge(faults []*fault.Fault) *fault.Fault {
	merged := *faults[0]
	for _, f := range faults[1:] {
		merged.Message += "; " + f.Message
		if f.Kind != fault.Invalid {
			merged.Kind, merged.After = f.Kind, f.After
		}
	}
	return &merged
}

func nilIfEmpty[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}
