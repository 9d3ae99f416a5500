package tenant

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/routing"
)

// claim takes a DomainClaim for every wanted host, and for the tenant's value on every shared host of
// its class. Hosts that cannot be had are reported, the others are held all the same. Claims that are
// no longer wanted are released by route, after the routes are gone.
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
			state.Message = clip(fault.Of(err, "").Message)
		}
		if state.Host != "" {
			states = append(states, state)
		}
	}
	shared, err := r.claimShared(ctx, s)
	if err != nil {
		return outcome{}, err
	}
	s.claimed, s.held = true, slices.Clone(s.hosts)
	s.tenant.Status.Domains = nilIfEmpty(states)
	s.recallCertificates()
	s.tenant.Status.PrimaryDomain = s.wish().Primary()
	if faults = append(faults, shared...); len(faults) > 0 {
		return outcome{}, merge(faults)
	}
	if len(s.claims) == 0 {
		return outcome{reason: v1alpha1.ReasonNotRequested, message: "The tenant wants no domains"}, nil
	}
	return done("Holds " + strings.Join(s.entries(), ", ")), nil
}

// claimOne returns the state of one domain; no host when it repeats one before it.
func (r *Reconciler) claimOne(ctx context.Context, s *scope, domain string, before []v1alpha1.TenantDomainStatus) (v1alpha1.TenantDomainStatus, error) {
	host, err := domains.Canonical(domain)
	if err != nil {
		return v1alpha1.TenantDomainStatus{Host: domain, State: v1alpha1.DomainInvalid}, err
	}
	if slices.ContainsFunc(before, func(d v1alpha1.TenantDomainStatus) bool { return d.Host == host }) {
		return v1alpha1.TenantDomainStatus{}, fault.NewInvalid(v1alpha1.ReasonInvalidDomain,
			"spec.domains: %q is another spelling of %s, which is listed already; remove it", domain, host)
	}
	verdict, err := r.Policies.Judge(ctx, s.class, client.ObjectKeyFromObject(s.tenant), host)
	if err != nil {
		return v1alpha1.TenantDomainStatus{}, err
	}
	state := v1alpha1.TenantDomainStatus{Host: host, State: v1alpha1.DomainNotAllowed}
	if verdict.Standing == domains.Refused {
		return state, fault.NewInvalid(v1alpha1.ReasonDomainNotAllowed, "spec.domains: %s: %s", host, verdict.Why)
	}
	claim, err := r.Claims.Hold(ctx, claimSpec(s.tenant, host, ""), routing.Labels(s.tenant))
	if err != nil {
		state.State = v1alpha1.DomainStateTaken
		return r.orProve(ctx, s, state, verdict, claim, inDomains(err))
	}
	s.claims = append(s.claims, claim.Name)
	state.Claim = claim.Name
	if verdict.Standing == domains.Proof && !conditions.IsTrue(claim, v1alpha1.ConditionVerified) {
		state.State = v1alpha1.DomainUnverified
		state.Record, err = r.challenge(ctx, s.tenant, host)
		if err != nil {
			return state, err
		}
		return state, unverified(state, verdict)
	}
	s.hosts = append(s.hosts, host)
	if verdict.Standing != domains.Platform {
		s.custom = append(s.custom, host)
	}
	state.State, state.Message = s.stateBefore(host)
	return state, nil
}

// orProve tells a tenant how to get a host that another holds without having proved anything.
func (r *Reconciler) orProve(ctx context.Context, s *scope, state v1alpha1.TenantDomainStatus, verdict domains.Verdict, claim *v1alpha1.DomainClaim, err error) (v1alpha1.TenantDomainStatus, error) {
	if claim != nil && claim.Status.PassesTo != nil && claim.Status.PassesTo.UID == string(s.tenant.UID) {
		return state, fault.NewWaiting(v1alpha1.ReasonDomainTaken, time.Minute,
			"spec.domains: this tenant has proved that it controls %s, and gets it when no route of the tenant that holds it serves it any more", state.Host)
	}
	if verdict.Standing != domains.Proof || claim == nil || claim.Spec.Role != v1alpha1.HostTenant ||
		conditions.IsTrue(claim, v1alpha1.ConditionVerified) || fault.ReasonOf(err) != v1alpha1.ReasonDomainTaken {
		return state, err
	}
	record, recordErr := r.challenge(ctx, s.tenant, state.Host)
	if recordErr != nil {
		return state, recordErr
	}
	state.Record = record
	return state, fault.NewWaiting(v1alpha1.ReasonDomainTaken, 5*time.Minute,
		"spec.domains: %s is held by another tenant, by itself or with a wildcard, that has not proved that it controls it; whoever proves it first gets it: create the %s record %s with the value %q",
		state.Host, record.Type, record.Name, record.Value)
}

func unverified(state v1alpha1.TenantDomainStatus, verdict domains.Verdict) error {
	or := ""
	if verdict.CNAMETarget != "" {
		or = fmt.Sprintf(", or make it an alias (CNAME) of %s", verdict.CNAMETarget)
	}
	return fault.NewWaiting(v1alpha1.ReasonDomainUnverified, 10*time.Minute,
		"spec.domains: nobody has proved yet that this tenant controls %s: create the %s record %s with the value %q%s",
		state.Host, state.Record.Type, state.Record.Name, state.Record.Value, or)
}

func (r *Reconciler) challenge(ctx context.Context, t *v1alpha1.Tenant, host string) (*v1alpha1.DNSRecord, error) {
	record, err := r.Policies.Challenge(ctx, client.ObjectKeyFromObject(t), host)
	return &record, err
}

// stateBefore keeps a host at what it was until route has looked at it again: a database that is away
// takes no route down.
func (s *scope) stateBefore(host string) (state v1alpha1.DomainState, message string) {
	for _, d := range s.base.Status.Domains {
		switch {
		case d.Host != host:
		case d.State == v1alpha1.DomainServing || d.State == v1alpha1.DomainHolding:
			return d.State, ""
		case d.State == v1alpha1.DomainUnreachable:
			return d.State, d.Message
		}
	}
	return v1alpha1.DomainClaimed, ""
}

// claimShared takes the tenant's value on each shared host of its class. A host that is not the
// class's, because somebody else came first, is not routed.
func (r *Reconciler) claimShared(ctx context.Context, s *scope) ([]*fault.Fault, error) {
	if s.class.Spec.Routing == nil {
		return nil, nil
	}
	var faults []*fault.Fault
	for _, host := range s.class.Spec.Routing.SharedHosts {
		value := routing.ValueOn(host, s.tenant)
		claim, err := r.claimValue(ctx, s, value)
		if err != nil && fault.ReasonOf(err) == "" {
			return nil, err
		}
		if err != nil {
			faults = append(faults, fault.Of(err, ""))
			continue
		}
		s.claims = append(s.claims, claim.Name)
		s.shared = append(s.shared, value)
	}
	return faults, nil
}

func (r *Reconciler) claimValue(ctx context.Context, s *scope, value routing.SharedValue) (*v1alpha1.DomainClaim, error) {
	host := &v1alpha1.DomainClaim{}
	err := r.Get(ctx, client.ObjectKey{Name: domains.ClaimName(value.On.Host)}, host)
	if client.IgnoreNotFound(err) != nil {
		return nil, err
	}
	if err != nil || host.Spec.Role != v1alpha1.HostShared {
		return nil, fault.NewWaiting(v1alpha1.ReasonDomainTaken, time.Minute,
			"The shared host %s is not held by class %q; see the status of the class", value.On.Host, s.class.Name)
	}
	return r.Claims.Hold(ctx, claimSpec(s.tenant, value.On.Host, value.Value), routing.Labels(s.tenant))
}

func claimSpec(t *v1alpha1.Tenant, host, value string) v1alpha1.DomainClaimSpec {
	return v1alpha1.DomainClaimSpec{
		Host: host, Value: value, Role: v1alpha1.HostTenant,
		Holder: v1alpha1.ClaimHolder{Kind: "Tenant", Namespace: t.Namespace, Name: t.Name, UID: string(t.UID)},
	}
}

// inDomains names the field that a fault of a claim comes from.
func inDomains(err error) error {
	f := fault.Of(err, "")
	if f.Reason == "" {
		return err
	}
	named := *f
	named.Message = "spec.domains: " + f.Message
	return &named
}

// releaseClaims gives up what the tenant holds and no longer wants, once no route of it answers there: by the API
// server's word, for the cache may not know what a pass before this one has just made. What must stay until
// then is looked at again soon.
func (r *Reconciler) releaseClaims(ctx context.Context, s *scope) error {
	held, err := r.heldBefore(ctx, s.tenant, s.started)
	held = slices.DeleteFunc(held, s.wants)
	if err != nil || len(held) == 0 {
		return err
	}
	answers, err := r.Publisher.Answering(ctx, s.tenant, s.tenant.Namespace, client.MatchingLabels{routing.LabelTenantUID: string(s.tenant.UID)})
	if err != nil {
		return err
	}
	for _, c := range held {
		if answers(c.Spec.Host, c.Spec.Value) {
			s.lookAgain(time.Second)
		} else if err := r.Claims.Release(ctx, c.DeepCopy()); err != nil {
			return err
		}
	}
	return nil
}

// heldBefore are the claims that the tenant has had since before the given time: one that was handed to it since is
// one that it has waited for.
func (r *Reconciler) heldBefore(ctx context.Context, t *v1alpha1.Tenant, before time.Time) (held []*v1alpha1.DomainClaim, err error) {
	all, err := r.Claims.Of(ctx, t.UID)
	for _, c := range all {
		if c.Spec.ClaimedAt == nil || !c.Spec.ClaimedAt.After(before) {
			held = append(held, c)
		}
	}
	return held, err
}

// wants says whether the tenant still wants a claim that it holds. Without its class, which names values and says
// what is allowed, that is every value and each host of its spec.
func (s *scope) wants(c *v1alpha1.DomainClaim) bool {
	if s.class == nil {
		return c.Spec.Value != "" || slices.Contains(hostsOf(s.tenant), c.Spec.Host)
	}
	return slices.Contains(s.claims, c.Name)
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

// maxDomainMessage bounds what is said about one domain, in bytes (the API's bound).
const maxDomainMessage = 1024

func clip(message string) string { return conditions.ClipTo(message, maxDomainMessage) }

func nilIfEmpty[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}
