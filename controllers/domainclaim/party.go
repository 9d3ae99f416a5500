package domainclaim

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/consent"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/internal/routing"
)

// party is a Tenant that wants a host, and what proves that it may have it.
type party struct {
	tenant *v1alpha1.Tenant
	host   string
	// record is the one that proves it; empty where nothing is to be proved.
	record v1alpha1.DNSRecord
	// target is the host whose alias proves it too; empty where the class has none.
	target string
	// barred : whatever DNS says, the Tenant cannot have the host.
	barred bool
}

// judge asks the policy of a Tenant's class about a host. Where there is no such class, or none for the
// Tenant's namespace, the verdict is a refusal, and known is false.
func (r *Reconciler) judge(ctx context.Context, t *v1alpha1.Tenant, host string) (p *party, verdict domains.Verdict, known bool, err error) {
	tenant := client.ObjectKeyFromObject(t)
	class, err := r.class(ctx, t)
	if err != nil {
		return nil, verdict, false, err
	}
	if class == nil {
		verdict = domains.Verdict{Why: fmt.Sprintf("TenantClass %q does not exist, or is not for namespace %q", t.Spec.ClassName, t.Namespace)}
	} else if verdict, err = r.Policies.Judge(ctx, class, tenant, host); err != nil {
		return nil, verdict, true, err
	}
	p = &party{tenant: t, host: host, target: verdict.CNAMETarget, barred: verdict.Standing == domains.Refused}
	if verdict.Standing == domains.Proof || p.barred { // DNS is asked for one that is barred too: somebody else may have the host.
		p.record, err = r.Policies.Challenge(ctx, tenant, host)
	}
	return p, verdict, class != nil, err
}

// class returns the class of a Tenant, or nil if there is none that its namespace may use.
func (r *Reconciler) class(ctx context.Context, t *v1alpha1.Tenant) (*v1alpha1.TenantClass, error) {
	class := &v1alpha1.TenantClass{}
	err := r.Get(ctx, client.ObjectKey{Name: t.Spec.ClassName}, class)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read TenantClass %s: %w", t.Spec.ClassName, err)
	}
	allowed, err := consent.Allows(ctx, r, class.Spec.AllowedNamespaces, "", t.Namespace)
	if err != nil || !allowed {
		return nil, err
	}
	return class, nil
}

// claim is the claim that the party wants.
func (p *party) claim() v1alpha1.DomainClaimSpec {
	return v1alpha1.DomainClaimSpec{
		Host: p.host, Role: v1alpha1.HostTenant,
		Holder: v1alpha1.ClaimHolder{Kind: "Tenant", Namespace: p.tenant.Namespace, Name: p.tenant.Name, UID: string(p.tenant.UID)},
	}
}

func (p *party) labels() map[string]string { return routing.Labels(p.tenant) }

// create says which record to create.
func (p *party) create() string {
	text := fmt.Sprintf("create the %s record %s with the value %q", p.record.Type, p.record.Name, p.record.Value)
	if p.target != "" {
		text += fmt.Sprintf(", or make the host an alias (CNAME) of %s", p.target)
	}
	return text
}

// rival is a Tenant that wants a host which a claim keeps from it: the same, or one that it
// excludes.
type rival struct {
	tenant *v1alpha1.Tenant
	host   string
}

// rivals finds the Tenants that a claim keeps from a host they want, the oldest first.
func (r *Reconciler) rivals(ctx context.Context, claim *v1alpha1.DomainClaim) ([]rival, error) {
	tenants, err := r.wanting(ctx, claim.Spec.Host)
	if err != nil {
		return nil, err
	}
	var rivals []rival
	for i := range tenants {
		t := &tenants[i]
		if string(t.UID) == claim.Spec.Holder.UID || !t.DeletionTimestamp.IsZero() {
			continue
		}
		for _, host := range wantedBy(t) {
			if excludes(claim.Spec.Host, host) {
				rivals = append(rivals, rival{t, host})
			}
		}
	}
	slices.SortStableFunc(rivals, func(a, b rival) int {
		if c := a.tenant.CreationTimestamp.Compare(b.tenant.CreationTimestamp.Time); c != 0 {
			return c
		}
		return cmp.Or(cmp.Compare(a.tenant.UID, b.tenant.UID), cmp.Compare(a.host, b.host))
	})
	return rivals, nil
}

// parties returns those rivals that can get their host by a proof: for the claim's own host all, and
// for others as many as one pass asks about, by host.
func (r *Reconciler) parties(ctx context.Context, claim *v1alpha1.DomainClaim, rivals []rival, m *memory) (same []*party, others [][]*party, err error) {
	elsewhere := map[string][]*party{}
	for _, c := range inTurn(claim.Spec.Host, rivals, m) {
		p, verdict, _, err := r.judge(ctx, c.tenant, c.host)
		switch {
		case err != nil:
			return nil, nil, err
		case verdict.Standing != domains.Proof:
		case c.host == claim.Spec.Host:
			same = append(same, p)
		default:
			elsewhere[c.host] = append(elsewhere[c.host], p)
		}
	}
	for _, group := range elsewhere {
		others = append(others, group)
	}
	return same, others, nil
}

// inTurn chooses whom a pass asks about, and moves the turn on.
func inTurn(host string, rivals []rival, m *memory) (chosen []rival) {
	var fresh, rest []rival
	for _, c := range rivals {
		switch {
		case c.host == host:
			chosen = append(chosen, c)
		case m.fresh[c.tenant.UID]:
			fresh = append(fresh, c)
		default:
			rest = append(rest, c)
		}
	}
	if n := len(rest); n > 0 {
		first := m.turn % n
		rest = slices.Concat(rest[first:], rest[:first])
		m.turn += max(maxOthers-len(fresh), 0)
	}
	others := slices.Concat(fresh, rest)
	chosen = append(chosen, others[:min(len(others), maxOthers)]...)
	for _, c := range chosen {
		delete(m.fresh, c.tenant.UID)
	}
	return chosen
}

// excludes says whether the claim on one host keeps another from being claimed.
func excludes(host, other string) bool {
	return host == other || domains.Covers(host, other) || domains.Covers(other, host)
}

func wantedBy(t *v1alpha1.Tenant) (hosts []string) {
	for _, d := range t.Spec.Domains {
		if host, err := domains.Canonical(d); err == nil && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}
