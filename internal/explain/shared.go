package explain

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// ofShared answers for a host that all tenants of a class have in common. The tenant is picked as the data
// plane picks it, by the rules of the routes; a tenant that holds the value and has no route is found by
// its claim.
func (in *inquiry) ofShared(ctx context.Context) error {
	classes, err := in.declaring(ctx)
	if err != nil {
		return err
	}
	if err := in.readValues(ctx); err != nil {
		return err
	}
	in.classes = classes
	ways := waysOn(classes, in.query.Host)
	in.describeShared(ways)
	namespaces := append(backendNamespaces(classes, in.query.Host), in.query.Namespace)
	if claim := in.named(ways); claim != nil {
		namespaces = append(namespaces, claim.Spec.Holder.Namespace)
	}
	if err := in.readRoutes(ctx, namespaces...); err != nil {
		return err
	}
	claim := in.pick(ways)
	if claim == nil {
		return in.ofClass(ctx, in.judgeFallback)
	}
	in.answer.Shared.Value = claim.Spec.Value
	if err := in.readHolder(ctx, claim); err != nil || in.answer.Verdict != "" {
		return err
	}
	if in.tenant == nil {
		in.judgeByState()
		return nil
	}
	if err := in.describeTenant(ctx); err != nil {
		return err
	}
	return in.routed(ctx)
}

// readValues reads the claims on values of the host.
func (in *inquiry) readValues(ctx context.Context) error {
	var list v1alpha1.DomainClaimList
	if _, err := in.list(ctx, &list, "DomainClaims: which values tenants hold on a shared host"); err != nil {
		return err
	}
	for _, c := range list.Items {
		if c.Spec.Host == in.query.Host && c.Spec.Value != "" {
			in.values = append(in.values, c)
		}
	}
	return nil
}

// waysOn returns how the classes tell tenants apart on a shared host.
func waysOn(classes []*v1alpha1.TenantClass, host string) (ways []v1alpha1.SharedHost) {
	for _, c := range classes {
		for _, h := range c.Spec.Routing.SharedHosts {
			if h.Host == host {
				ways = append(ways, h)
			}
		}
	}
	return ways
}

// describeShared tells how the host tells tenants apart, and what of it the request has.
func (in *inquiry) describeShared(ways []v1alpha1.SharedHost) {
	in.answer.Shared = &Shared{}
	for _, way := range ways {
		if way.Header != nil {
			in.answer.Shared.Header = way.Header.Name
			in.answer.Shared.Value, _ = in.query.header(way.Header.Name)
		}
	}
}

// pick returns the claim on the value that the request names, nil if it names none: the routes' choice
// first, and what the request names where no tenant's route takes it.
func (in *inquiry) pick(ways []v1alpha1.SharedHost) *v1alpha1.DomainClaim {
	if rule := choose(in.routes.rules(in.mates(ownedBy())), in.query); rule != nil {
		for i := range in.values {
			if in.values[i].Spec.Holder.UID == string(rule.owner.UID) {
				return &in.values[i]
			}
		}
	}
	return in.named(ways)
}

// named returns the claim on the value in the request's header, or on the longest beginning of its path.
func (in *inquiry) named(ways []v1alpha1.SharedHost) (longest *v1alpha1.DomainClaim) {
	for i := range in.values {
		c := &in.values[i]
		for _, way := range ways {
			named := way.Header != nil && in.query.has(way.Header.Name, c.Spec.Value) ||
				way.PathPrefix != nil && pathMatches(c.Spec.Value, false, in.query.Path)
			if named && (longest == nil || len(c.Spec.Value) > len(longest.Spec.Value)) {
				longest = c
			}
		}
	}
	return longest
}

// mates says whose routes may name the host besides the given ones: on a shared host, those of every tenant
// that holds a value, and those of the classes.
func (in *inquiry) mates(own func(metav1.Object) bool) func(metav1.Object) bool {
	var uids []types.UID
	for _, c := range in.values {
		uids = append(uids, types.UID(c.Spec.Holder.UID))
	}
	for _, c := range in.classes {
		uids = append(uids, c.UID)
	}
	mates := ownedBy(uids...)
	return func(o metav1.Object) bool { return own(o) || mates(o) }
}

func (in *inquiry) judgeFallback(to *rule) {
	shared := in.answer.Shared
	var values []string
	for _, c := range in.values {
		values = append(values, c.Spec.Value)
	}
	slices.Sort(values)
	shared.More = max(0, len(values)-maxNamed)
	shared.Values = values[:min(len(values), maxNamed)]
	how := "Begin the path with one that a tenant holds"
	if shared.Header != "" {
		how = "Send the header " + shared.Header + " with a value that a tenant holds"
	}
	in.answer.Backend = &to.backend
	in.say(Fallback, fmt.Sprintf("%s names no tenant: the fallback of class %s answers, Service %s",
		in.subject(), in.answer.Class, service(to.backend)), how+"; "+known(shared))
}

func known(shared *Shared) string {
	switch {
	case len(shared.Values) == 0:
		return "no tenant holds one yet"
	case shared.More > 0:
		return fmt.Sprintf("held: %s and %d more", join(shared.Values), shared.More)
	}
	return "held: " + join(shared.Values)
}
