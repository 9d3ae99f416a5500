package routing

import (
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// maxRemoved is how many headers one filter can take off (Gateway API, HTTPHeaderFilter).
const maxRemoved = 16

// withTenant sets the tenant's headers, never adds to them: one that the client sent must not survive,
// nor one that looks like it.
func (w Wish) withTenant() gatewayv1.HTTPRouteFilter {
	set := []gatewayv1.HTTPHeader{{Name: gatewayv1.HTTPHeaderName(w.Routing.TenantHeader), Value: TenantHeader(w.Tenant)}}
	known := strings.NewReplacer("{namespace}", w.Tenant.Namespace, "{name}", w.Tenant.Name,
		"{uid}", string(w.Tenant.UID), "{schema}", w.Schema)
	for _, h := range w.Routing.Headers {
		set = append(set, gatewayv1.HTTPHeader{Name: gatewayv1.HTTPHeaderName(h.Name), Value: known.Replace(h.Value)})
	}
	return headerFilter(gatewayv1.HTTPHeaderFilter{Set: set, Remove: lookalikes(headerNames(w.Routing), maxRemoved)})
}

// withoutTenant takes the tenant's headers off where there is no tenant: a client's own must not speak
// for one.
func withoutTenant(routing *v1alpha1.Routing) gatewayv1.HTTPRouteFilter {
	names := headerNames(routing)
	return headerFilter(gatewayv1.HTTPHeaderFilter{Remove: append(names, lookalikes(names, maxRemoved-len(names))...)})
}

func headerFilter(change gatewayv1.HTTPHeaderFilter) gatewayv1.HTTPRouteFilter {
	return gatewayv1.HTTPRouteFilter{Type: gatewayv1.HTTPRouteFilterRequestHeaderModifier, RequestHeaderModifier: &change}
}

func headerNames(routing *v1alpha1.Routing) []string {
	names := []string{routing.TenantHeader}
	for _, h := range routing.Headers {
		names = append(names, h.Name)
	}
	return names
}

// lookalikes spells headers with underscores in the place of hyphens: servers that hand headers on as
// CGI does (RFC 3875, section 4.1.18; WSGI, PHP) take X_Tenant for X-Tenant, and a client's own might
// win. First comes the spelling of each name that has no hyphens left, then, while there is room, the
// mixed ones.
func lookalikes(names []string, room int) []string {
	var plain, mixed []string
	for _, name := range names {
		parts := strings.Split(name, "-")
		if len(parts) == 1 {
			continue
		}
		plain = append(plain, strings.Join(parts, "_"))
		all := 1<<(len(parts)-1) - 1
		for mask := 1; mask < all && len(mixed) < room; mask++ {
			mixed = append(mixed, spell(parts, mask))
		}
	}
	spellings := slices.Concat(plain, mixed)
	return spellings[:min(room, len(spellings))]
}

// spell joins the parts of a name by an underscore where a bit is set, and by a hyphen elsewhere.
func spell(parts []string, mask int) string {
	var name strings.Builder
	for i, part := range parts {
		switch {
		case i == 0:
		case mask&(1<<(i-1)) != 0:
			name.WriteByte('_')
		default:
			name.WriteByte('-')
		}
		name.WriteString(part)
	}
	return name.String()
}
