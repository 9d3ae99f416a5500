// Package routing turns a tenant's domains into canonical hosts and into the routes that its
// class wants, as values: no client, no clock. Routes carry every field that the API server would
// default, so that a route read back equals the one wanted and an unchanged tenant writes nothing.
package routing

import (
	"net/netip"
	"strings"

	"golang.org/x/net/idna"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
)

// profile maps what users type as browsers do (UTS 46, non-transitional) and refuses what is no
// host name: forbidden characters, hyphens in the third and fourth place, mixed directions.
var profile = idna.New(
	idna.MapForLookup(),
	idna.BidiRule(),
	idna.CheckHyphens(true),
	idna.CheckJoiners(true),
	idna.StrictDomainName(true),
	idna.VerifyDNSLength(true),
	idna.Transitional(false),
)

// Canonical returns the one spelling of a host: lower case, punycode, no trailing dot. All
// spellings of a host that reach the same server have the same canonical form, which is what
// makes a claim on it unique. The error is a fault.Invalid that says what is wrong.
func Canonical(domain string) (string, error) {
	host := strings.TrimSpace(domain)
	if strings.ContainsAny(host, "/:@*?#[]") {
		return "", invalid(domain, "is no host name; leave out scheme, port, path and wildcards")
	}
	host, err := profile.ToASCII(host)
	if err != nil {
		return "", invalid(domain, "is no valid host name")
	}
	host = strings.TrimSuffix(host, ".")
	switch {
	case !strings.Contains(host, "."):
		return "", invalid(domain, "needs a dot: a host name in a domain, like acme.example.com")
	case isAddress(host):
		return "", invalid(domain, "is an IP address; a tenant needs a host name")
	case len(host) > 253:
		return "", invalid(domain, "is longer than 253 characters")
	}
	return host, nil
}

// isAddress also knows the short and numeric spellings of IPv4 that some clients accept: a last
// label of digits can be no top-level domain (RFC 1123, section 2.1).
func isAddress(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	return strings.Trim(last, "0123456789") == ""
}

// ClaimName returns the name of the DomainClaim of a canonical host: the host itself. The API
// server lets one object have a name, so one tenant holds a host; and people find the claim by
// the host that they ask about.
func ClaimName(host string) string { return host }

func invalid(domain, text string) error {
	return fault.NewInvalid(v1alpha1.ReasonInvalidDomain, "spec.domains: %q %s", domain, text)
}
