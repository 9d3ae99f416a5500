package explain

import (
	"cmp"
	"context"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Host is a host, or a value on a shared one, with who holds it or wants it.
type Host struct {
	Host string `json:"host"`
	// Value on a shared host: of a header, or the beginning of a path.
	Value string            `json:"value,omitempty"`
	Role  v1alpha1.HostRole `json:"role"`
	// Namespace and Tenant that holds or wants it; or the Class that declares it.
	Namespace string `json:"namespace,omitempty"`
	Tenant    string `json:"tenant,omitempty"`
	Class     string `json:"class,omitempty"`
	// State as the Tenant's status has it; none for hosts of classes and values on them.
	State  v1alpha1.DomainState `json:"state,omitempty"`
	Schema string               `json:"schema,omitempty"`
}

// hostKey tells hosts of a list apart: a host may be wanted by several Tenants.
type hostKey struct{ host, value, namespace, tenant string }

// Hosts lists the hosts of all Tenants and classes, or those of the Tenants of one namespace, in the order of
// their names. Where the caller may not read Tenants of all namespaces, those of home are read. refused says
// what could not be read.
func Hosts(ctx context.Context, r client.Reader, namespace, home string) (hosts []Host, refused []string, err error) {
	from := &reader{Reader: r}
	var claims v1alpha1.DomainClaimList
	if _, err := from.list(ctx, &claims, "DomainClaims: hosts of classes, and of Tenants that are not yours to read"); err != nil {
		return nil, nil, err
	}
	var tenants v1alpha1.TenantList
	if _, err := from.list(ctx, &tenants, "Tenants of all namespaces", cmp.Or(namespace, home)); err != nil {
		return nil, nil, err
	}
	known := map[hostKey]*Host{}
	for i := range claims.Items {
		h := hostOfClaim(&claims.Items[i])
		known[hostKey{h.Host, h.Value, h.Namespace, h.Tenant}] = h
	}
	for i := range tenants.Items {
		addHosts(known, &tenants.Items[i])
	}
	for _, h := range known {
		if namespace == "" || h.Namespace == namespace {
			hosts = append(hosts, *h)
		}
	}
	slices.SortFunc(hosts, func(a, b Host) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Value, b.Value), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Tenant, b.Tenant))
	})
	return hosts, from.refused, nil
}

func hostOfClaim(c *v1alpha1.DomainClaim) *Host {
	h := &Host{Host: c.Spec.Host, Value: c.Spec.Value, Role: c.Spec.Role}
	if c.Spec.Role == v1alpha1.HostTenant {
		h.Namespace, h.Tenant = c.Spec.Holder.Namespace, c.Spec.Holder.Name
	} else {
		h.Class = c.Spec.Holder.Name
	}
	if s := c.Status.Serving; s != nil {
		h.State, h.Schema = s.State, s.Schema
	}
	return h
}

// addHosts adds what a Tenant says of the hosts that it holds or wants. A host that it cannot have leads to
// none of its schemas.
func addHosts(known map[hostKey]*Host, t *v1alpha1.Tenant) {
	for key, h := range known {
		if key.namespace == t.Namespace && key.tenant == t.Name {
			h.Schema = t.Status.Schema
		}
	}
	for _, d := range t.Status.Domains {
		key := hostKey{d.Host, "", t.Namespace, t.Name}
		if known[key] == nil {
			known[key] = &Host{Host: d.Host, Role: v1alpha1.HostTenant, Namespace: t.Namespace, Tenant: t.Name}
			if d.Claim != "" {
				known[key].Schema = t.Status.Schema
			}
		}
		known[key].State = d.State
	}
}
