package domains

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Labels that no host can have, since hyphens in the third and fourth place are refused: names that
// begin with them cannot be taken for those of hosts.
const (
	wildcardLabel = "xx--wildcard"
	valueLabel    = "xx--value-"
)

// ClaimName returns the name of the DomainClaim of a canonical host: the host itself. The API
// server lets one object have a name, so one tenant holds a host; and people find the claim by
// the host that they ask about. A * is no part of a name, so a wildcard's claim has a first label
// of its own.
func ClaimName(host string) string {
	if base, ok := strings.CutPrefix(host, wildcard); ok {
		return wildcardName(base)
	}
	return host
}

func wildcardName(base string) string { return wildcardLabel + "." + base }

// ValueClaimName returns the name of the DomainClaim of a value on a shared host, which may hold
// characters that no name can.
func ValueClaimName(host, value string) string {
	sum := sha256.Sum256([]byte(host + "\x00" + value))
	return valueLabel + hex.EncodeToString(sum[:16]) + "." + host
}

// IsWildcard says whether a host stands for all hosts below another.
func IsWildcard(host string) bool { return strings.HasPrefix(host, wildcard) }

// Covers says whether a wildcard answers for another host or wildcard, as in Gateway API: for every
// host below its base, at any depth. A host does not cover itself.
func Covers(wild, host string) bool {
	base, ok := strings.CutPrefix(wild, wildcard)
	return ok && wild != host && strings.HasSuffix(strings.TrimPrefix(host, wildcard), "."+base)
}

// Above returns the wildcards that cover a host, the nearest first. Above wildcards of one label
// there is nothing that could be claimed.
func Above(host string) []string {
	var above []string
	rest := strings.TrimPrefix(host, wildcard)
	for {
		_, parent, found := strings.Cut(rest, ".")
		if !found || !strings.Contains(parent, ".") {
			return above
		}
		above = append(above, wildcard+parent)
		rest = parent
	}
}
