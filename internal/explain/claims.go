package explain

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/internal/routing"
)

// findClaim finds what holds the host: its own claim, or that of the nearest wildcard above it. Who may
// not read claims learns from Tenants and classes what those say.
func (in *inquiry) findClaim(ctx context.Context) error {
	for _, host := range append([]string{in.query.Host}, domains.Above(in.query.Host)...) {
		claim := &v1alpha1.DomainClaim{}
		is, err := in.get(ctx, client.ObjectKey{Name: domains.ClaimName(host)}, claim, "DomainClaims: who holds a host")
		switch {
		case err != nil:
			return err
		case is == refused:
			return in.findHolder(ctx)
		case is == found:
			in.setClaim(claim)
			return nil
		}
	}
	return nil
}

func (in *inquiry) setClaim(claim *v1alpha1.DomainClaim) {
	in.claim = claim
	in.answer.Role = claim.Spec.Role
	in.answer.Claim = &Claim{Name: claim.Name, Host: claim.Spec.Host, Holder: holderOf(claim)}
	if v := claim.Status.Verification; v != nil {
		in.answer.Claim.Verified = v.Method
	}
}

func holderOf(claim *v1alpha1.DomainClaim) string {
	h := claim.Spec.Holder
	if h.Namespace == "" {
		return h.Kind + " " + h.Name
	}
	return h.Kind + " " + h.Namespace + "/" + h.Name
}

// findHolder looks for a class that declares the host, or a Tenant that says that it holds it.
func (in *inquiry) findHolder(ctx context.Context) error {
	classes, err := in.declaring(ctx)
	if err != nil {
		return err
	}
	if len(classes) > 0 {
		for _, h := range routing.ClassHosts(classes[0]) {
			if h.Host == in.query.Host {
				in.answer.Role = h.Role
			}
		}
		return nil
	}
	var tenants v1alpha1.TenantList
	if _, err := in.list(ctx, &tenants, "Tenants of all namespaces", in.query.Namespace); err != nil {
		return err
	}
	for i := range tenants.Items {
		if t := &tenants.Items[i]; slices.ContainsFunc(t.Status.Domains, in.held) {
			in.answer.Role, in.tenant, in.answer.Tenant = v1alpha1.HostTenant, t, &Tenant{Namespace: t.Namespace, Name: t.Name}
			return nil
		}
	}
	return nil
}

// held says whether a Tenant's status tells that it holds the host.
func (in *inquiry) held(d v1alpha1.TenantDomainStatus) bool {
	return d.Claim != "" && hostMatches(d.Host, in.query.Host)
}

// declaring lists the classes that declare the host for themselves, in the order of their names.
func (in *inquiry) declaring(ctx context.Context) (classes []*v1alpha1.TenantClass, err error) {
	var list v1alpha1.TenantClassList
	if _, err := in.list(ctx, &list, "TenantClasses: which declare a host"); err != nil {
		return nil, err
	}
	for i := range list.Items {
		c := &list.Items[i]
		if slices.ContainsFunc(routing.ClassHosts(c), func(h routing.ClassHost) bool { return h.Host == in.query.Host }) {
			classes = append(classes, c)
		}
	}
	return classes, nil
}

// unclaimed tells of Tenants that want a host which nobody holds, and of routes that take it all the same.
func (in *inquiry) unclaimed(ctx context.Context) error {
	var tenants v1alpha1.TenantList
	if _, err := in.list(ctx, &tenants, "Tenants of all namespaces: which want the host", in.query.Namespace); err != nil {
		return err
	}
	for i := range tenants.Items {
		in.wanted(&tenants.Items[i])
	}
	if err := in.readRoutes(ctx, in.query.Namespace); err != nil {
		return err
	}
	in.anyRoutes()
	in.judgeUnclaimed(slices.Contains(in.refused, "DomainClaims: who holds a host"))
	return nil
}

// wanted notes a Tenant that wants the host, with what its status says of it.
func (in *inquiry) wanted(t *v1alpha1.Tenant) {
	wants := slices.ContainsFunc(t.Spec.Domains, func(domain string) bool {
		host, err := domains.Canonical(domain)
		return err == nil && hostMatches(host, in.query.Host)
	})
	if !wants {
		return
	}
	w := Wanted{Namespace: t.Namespace, Name: t.Name}
	for _, d := range t.Status.Domains {
		if hostMatches(d.Host, in.query.Host) {
			w.State, w.Message = d.State, d.Message
		}
	}
	if ready := conditionOf(t, v1alpha1.ConditionReady); w.Message == "" && ready != nil {
		w.Message = ready.Message
	}
	in.answer.Wanted = append(in.answer.Wanted, w)
}

func (in *inquiry) judgeUnclaimed(claimsUnread bool) {
	switch {
	case claimsUnread && (len(in.answer.Wanted) == 0 || in.answer.Wanted[0].State == v1alpha1.DomainStateTaken):
		in.say(Unknown, fmt.Sprintf("Who holds %s is not yours to read", in.query.Host),
			"Ask somebody who may read DomainClaims (the role tenantry-domainclaim-viewer-role)")
	case len(in.answer.Wanted) > 0:
		w := in.answer.Wanted[0]
		message := w.Message
		if message == "" {
			message = "the operator has not got to it yet; does it run?"
		}
		in.say(Unclaimed, fmt.Sprintf("%s is not served: nobody holds it, and Tenant %s/%s wants it", in.query.Host, w.Namespace, w.Name), message)
	default:
		in.say(Unclaimed, fmt.Sprintf("%s is not served: nobody wants it", in.query.Host),
			"Add it to spec.domains of the Tenant that should answer")
	}
}
