package domains

import (
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Standing is what a class's policy says about a host for one tenant.
type Standing int

const (
	// Refused : the tenant cannot have the host.
	Refused Standing = iota
	// Platform : the class offers the host; no proof is needed.
	Platform
	// Trusted : the class asks nobody for a proof.
	Trusted
	// Proof : the tenant can have the host when it proves that it controls it.
	Proof
)

// Verdict is a Standing and what follows from it.
type Verdict struct {
	Standing Standing
	// Why says what to do about a refusal.
	Why string
	// CNAMETarget is the host whose alias the host may be in place of a challenge record; empty
	// where the class has none.
	CNAMETarget string
}

// Question is what Judge answers.
type Question struct {
	// Policy of the tenant's class; nil stands for any host with proof.
	Policy *v1alpha1.DomainPolicy
	Tenant types.NamespacedName
	// Host in canonical form.
	Host string
	// Allows says whether a platform domain is for the tenant's namespace.
	Allows func(*v1alpha1.AllowedNamespaces) (bool, error)
	// Suffixes are the platform domains of all classes. Hosts under them are nobody's custom
	// domain, whatever DNS says.
	Suffixes []string
}

// Judge says whether a tenant may have a host, and on what proof.
func Judge(q Question) (Verdict, error) {
	policy := q.Policy
	if policy == nil {
		policy = &v1alpha1.DomainPolicy{Custom: &v1alpha1.CustomDomains{Verification: v1alpha1.VerifyByDNS}}
	}
	offered := ""
	for _, p := range policy.Platform {
		prefix, under := strings.CutSuffix(q.Host, "."+p.DomainSuffix)
		if !under {
			continue
		}
		offered = p.DomainSuffix
		allowed, err := q.Allows(p.AllowedNamespaces)
		if err != nil {
			return Verdict{}, err
		}
		if allowed && matches(p.AllowedHosts, prefix, q.Tenant) {
			return Verdict{Standing: Platform}, nil
		}
	}
	if offered != "" {
		return Verdict{Why: "the class does not offer this host under " + offered + " to this tenant; see spec.domains.platform of the class"}, nil
	}
	if slices.ContainsFunc(q.Suffixes, func(suffix string) bool { return touches(q.Host, suffix) }) {
		return Verdict{Why: "it belongs to a domain of the platform that the class does not offer"}, nil
	}
	return custom(policy.Custom, q.Tenant, q.Host), nil
}

func custom(c *v1alpha1.CustomDomains, tenant types.NamespacedName, host string) Verdict {
	switch {
	case c == nil:
		return Verdict{Why: "the class offers platform domains only; see spec.domains.platform of the class"}
	case c.Verification == v1alpha1.VerifyNothing:
		return Verdict{Standing: Trusted}
	case len(challengeName(host)) > maxHost:
		return Verdict{Why: "it is too long to prove control of it: no DNS record can have the name " + challengeLabel + "<host>"}
	}
	return Verdict{Standing: Proof, CNAMETarget: fill(c.CNAMETarget, tenant)}
}

// touches says whether a host is a platform's domain, lies under it, or is a wildcard over it.
func touches(host, suffix string) bool {
	base := strings.TrimPrefix(host, wildcard)
	return base == suffix || strings.HasSuffix(base, "."+suffix) || Covers(host, suffix)
}

// matches says whether what stands before a suffix fits one of the patterns; no pattern stands for
// any one label.
func matches(patterns []string, prefix string, tenant types.NamespacedName) bool {
	if IsWildcard(prefix+".") || strings.HasPrefix(prefix, "*") {
		return false // A wildcard over customers to come is nobody's.
	}
	if len(patterns) == 0 {
		patterns = []string{"*"}
	}
	labels := strings.Split(prefix, ".")
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		want := strings.Split(fill(pattern, tenant), ".")
		return slices.EqualFunc(labels, want, func(label, pattern string) bool {
			ok, err := path.Match(pattern, label)
			return err == nil && ok
		})
	})
}

func fill(text string, tenant types.NamespacedName) string {
	return strings.NewReplacer("{namespace}", tenant.Namespace, "{name}", tenant.Name).Replace(text)
}
