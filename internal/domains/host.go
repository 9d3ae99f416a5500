// Package domains knows what a host is, which claim stands for it, whose it may be by a class's
// policy, and which DNS record proves that. It is pure: no client, no clock, no resolver.
package domains

import (
	"net/netip"
	"strings"
	"unicode/utf8"

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

// maxHost is the longest host name (RFC 1035, section 2.3.4, without the root).
const maxHost = 253

// wildcard stands before a host for all hosts below it.
const wildcard = "*."

// Canonical returns the one spelling of a host: lower case, punycode, no trailing dot. All
// spellings of a host that reach the same server have the same canonical form, which is what
// makes a claim on it unique. A wildcard keeps its first two characters. The error is a
// fault.Invalid that says what is wrong.
func Canonical(domain string) (string, error) {
	if !utf8.ValidString(domain) { // IDNA would put another character in the place of a broken one.
		return "", invalid(domain, "is no valid host name")
	}
	base, isWildcard := strings.CutPrefix(strings.TrimSpace(domain), wildcard)
	if strings.ContainsAny(base, "/:@*?#[]") {
		return "", invalid(domain, "is no host name; leave out scheme, port and path, and let a wildcard be the whole first label")
	}
	host, err := profile.ToASCII(base)
	if err != nil {
		return "", invalid(domain, "is no valid host name")
	}
	host = strings.TrimSuffix(host, ".")
	switch {
	case !strings.Contains(host, "."):
		return "", invalid(domain, "needs a dot: a host name in a domain, like acme.example.com")
	case isAddress(host):
		return "", invalid(domain, "is an IP address; a tenant needs a host name")
	case len(host) > maxHost, isWildcard && len(wildcardName(host)) > maxHost:
		return "", invalid(domain, "is too long")
	}
	if isWildcard {
		return wildcard + host, nil
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

func invalid(domain, text string) error {
	return fault.NewInvalid(v1alpha1.ReasonInvalidDomain, "spec.domains: %q %s", domain, text)
}
