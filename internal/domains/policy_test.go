package domains_test

import (
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/domains"
)

func platformDomain(suffix string, patterns ...string) v1alpha1.PlatformDomain {
	return v1alpha1.PlatformDomain{DomainSuffix: suffix, AllowedHosts: patterns}
}

// vip is a platform domain that is not for the tenant's namespace.
func vip(suffix string) v1alpha1.PlatformDomain {
	return v1alpha1.PlatformDomain{DomainSuffix: suffix, AllowedNamespaces: &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesSelector}}
}

// Whose a host may be, and on what proof.
func TestJudge(t *testing.T) {
	t.Parallel()
	byDNS := &v1alpha1.CustomDomains{Verification: v1alpha1.VerifyByDNS, CNAMETarget: "{name}.{namespace}.edge.example"}
	byNothing := &v1alpha1.CustomDomains{Verification: v1alpha1.VerifyNothing}
	offers := func(custom *v1alpha1.CustomDomains, domains ...v1alpha1.PlatformDomain) *v1alpha1.DomainPolicy {
		return &v1alpha1.DomainPolicy{Platform: domains, Custom: custom}
	}
	const refused, platform, trusted, proof = domains.Refused, domains.Platform, domains.Trusted, domains.Proof
	for name, tt := range map[string]struct {
		policy *v1alpha1.DomainPolicy
		host   string
		want   domains.Standing
		why    string
		target string
	}{
		"no policy":              {nil, "acme.com", proof, "", ""},
		"no policy, wildcard":    {nil, "*.acme.com", proof, "", ""},
		"nothing offered":        {offers(nil, platformDomain("p.example")), "acme.com", refused, "platform domains only", ""},
		"custom by DNS":          {offers(byDNS), "acme.com", proof, "", "acme.shop.edge.example"},
		"custom by DNS, default": {offers(&v1alpha1.CustomDomains{}), "acme.com", proof, "", ""},
		"custom by nothing":      {offers(byNothing), "acme.com", trusted, "", ""},

		"any one label":          {offers(nil, platformDomain("p.example")), "anything.p.example", platform, "", ""},
		"two labels":             {offers(nil, platformDomain("p.example")), "a.b.p.example", refused, "does not offer", ""},
		"its name":               {offers(nil, platformDomain("p.example", "{name}")), "acme.p.example", platform, "", ""},
		"another's name":         {offers(nil, platformDomain("p.example", "{name}")), "globex.p.example", refused, "p.example", ""},
		"its name and more":      {offers(nil, platformDomain("p.example", "{name}-*")), "acme-eu.p.example", platform, "", ""},
		"its name and nothing":   {offers(nil, platformDomain("p.example", "{name}-*")), "acme.p.example", refused, "does not offer", ""},
		"a longer name":          {offers(nil, platformDomain("p.example", "{name}")), "acmex.p.example", refused, "does not offer", ""},
		"name and namespace":     {offers(nil, platformDomain("p.example", "{name}.{namespace}")), "acme.shop.p.example", platform, "", ""},
		"star of one label":      {offers(nil, platformDomain("p.example", "*.{name}")), "www.acme.p.example", platform, "", ""},
		"star of no label":       {offers(nil, platformDomain("p.example", "*.{name}")), "acme.p.example", refused, "does not offer", ""},
		"star of two labels":     {offers(nil, platformDomain("p.example", "*.{name}")), "a.b.acme.p.example", refused, "does not offer", ""},
		"one of several":         {offers(nil, platformDomain("p.example", "x", "{name}")), "acme.p.example", platform, "", ""},
		"suffix of two entries":  {offers(nil, vip("p.example"), platformDomain("p.example")), "acme.p.example", platform, "", ""},
		"not for the namespace":  {offers(byNothing, vip("p.example")), "acme.p.example", refused, "does not offer", ""},
		"the suffix itself":      {offers(byNothing, platformDomain("p.example")), "p.example", refused, "belongs to a domain of the platform", ""},
		"its wildcard":           {offers(byNothing, platformDomain("p.example")), "*.p.example", refused, "does not offer", ""},
		"a wildcard below":       {offers(byNothing, platformDomain("p.example", "*", "*.*")), "*.acme.p.example", refused, "does not offer", ""},
		"a wildcard above":       {offers(byNothing, platformDomain("a.p.example")), "*.p.example", refused, "belongs to a domain of the platform", ""},
		"no dot before":          {offers(byNothing, platformDomain("p.example")), "evilp.example", trusted, "", ""},
		"another class's":        {offers(byNothing), "acme.other.example", refused, "belongs to a domain of the platform", ""},
		"another class's, wild":  {offers(byNothing), "*.example", refused, "belongs to a domain of the platform", ""},
		"another class's itself": {offers(byDNS), "other.example", refused, "belongs to a domain of the platform", ""},

		"too long for its record":  {offers(byDNS), strings.Repeat("a.", 113) + "example.com", refused, "too long to prove", ""},
		"long, and needs none":     {offers(byNothing), strings.Repeat("a.", 113) + "example.com", trusted, "", ""},
		"as long as its record is": {offers(byDNS), strings.Repeat("a.", 111) + "example.com", proof, "", "acme.shop.edge.example"},
	} {
		t.Run(name, func(t *testing.T) {
			q := domains.Question{
				Policy: tt.policy, Tenant: types.NamespacedName{Namespace: "shop", Name: "acme"}, Host: tt.host,
				Allows:   func(a *v1alpha1.AllowedNamespaces) (bool, error) { return a == nil, nil },
				Suffixes: []string{"other.example"},
			}
			if tt.policy != nil {
				for _, p := range tt.policy.Platform {
					q.Suffixes = append(q.Suffixes, p.DomainSuffix)
				}
			}
			got, err := domains.Judge(q)
			if err != nil {
				t.Fatal(err)
			}
			if got.Standing != tt.want || !strings.Contains(got.Why, tt.why) || (got.Why != "") != (tt.want == refused) {
				t.Errorf("Judge() = %+v, want %v, %q", got, tt.want, tt.why)
			}
			if got.CNAMETarget != tt.target {
				t.Errorf("the target is %q, want %q", got.CNAMETarget, tt.target)
			}
		})
	}
}

// A namespace that cannot be read decides nothing.
func TestJudgeFails(t *testing.T) {
	t.Parallel()
	q := domains.Question{
		Policy: &v1alpha1.DomainPolicy{Platform: []v1alpha1.PlatformDomain{vip("p.example")}, Custom: &v1alpha1.CustomDomains{Verification: v1alpha1.VerifyNothing}},
		Host:   "acme.p.example",
		Allows: func(*v1alpha1.AllowedNamespaces) (bool, error) { return false, errors.New("away") },
	}
	if got, err := domains.Judge(q); err == nil || got.Standing != domains.Refused {
		t.Errorf("Judge() = %+v, %v, want an error", got, err)
	}
}
