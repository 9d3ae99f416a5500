package domains_test

import (
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/internal/fault"
)

var canonical = regexp.MustCompile(`^(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)

// FuzzCanonical: what is a host has one spelling, which the API takes as the host of a claim and which
// stays what it is; what is none is refused by a word that names the field.
func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{
		"acme.example.com", "ACME.Example.COM.", "*.acme.com", "аcme.com", "xn--80ak6aa92e.com", "a\u200bb.com", "ﬀ.com", "1.2.3.4", "0x7f.1", "a..b", "*.*.a", " a.b ", "faß.de", "a_b.com", "\u202ea.com", "a.com/b", "пример.example",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		host, err := domains.Canonical(text)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid || fault.ReasonOf(err) != v1alpha1.ReasonInvalidDomain {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if !canonical.MatchString(host) || len(host) > 253 || len(domains.ClaimName(host)) > 253 || strings.Contains(host, "..") {
			t.Errorf("%q became %q", text, host)
		}
		if again, err := domains.Canonical(host); err != nil || again != host {
			t.Errorf("%q became %q, and that %q, %v", text, host, again, err)
		}
	})
}

// What the API lets through as a pattern, a suffix and a name.
var (
	patternForm = regexp.MustCompile(`^([-a-z0-9*]|[{]name[}]|[{]namespace[}])+([.]([-a-z0-9*]|[{]name[}]|[{]namespace[}])+)*$`)
	suffixForm  = regexp.MustCompile(`^([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)+[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	nameForm    = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
)

// FuzzJudge: a pattern of a platform domain lets a host through just where it says so, label by
// label, whatever the tenant is called.
func FuzzJudge(f *testing.F) {
	f.Add("{name}", "shop.example", "acme.shop.example", "team", "acme")
	f.Add("*", "shop.example", "a.b.shop.example", "team", "acme")
	f.Add("{name}-*.{namespace}", "shop.example", "acme-1.team.shop.example", "team", "acme")
	f.Add("www.{name}", "shop.example", "www.acme.shop.example.shop.example", "team", "acme")
	f.Add("*", "shop.example", "*.shop.example", "team", "acme")
	f.Fuzz(func(t *testing.T, pattern, suffix, text, namespace, name string) {
		host, err := domains.Canonical(text)
		if err != nil || !patternForm.MatchString(pattern) || !suffixForm.MatchString(suffix) || !nameForm.MatchString(namespace) || !nameForm.MatchString(name) {
			return
		}
		verdict, err := domains.Judge(domains.Question{
			Policy: &v1alpha1.DomainPolicy{Platform: []v1alpha1.PlatformDomain{{DomainSuffix: suffix, AllowedHosts: []string{pattern}}}},
			Tenant: types.NamespacedName{Namespace: namespace, Name: name}, Host: host, Suffixes: []string{suffix},
			Allows: func(*v1alpha1.AllowedNamespaces) (bool, error) { return true, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		filled := strings.NewReplacer("{namespace}", namespace, "{name}", name).Replace(pattern)
		oracle := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(filled), `\*`, `[^.*]*`) + `\.` + regexp.QuoteMeta(suffix) + "$")
		if want := oracle.MatchString(host); want != (verdict.Standing == domains.Platform) {
			t.Errorf("pattern %q under %q, host %q, tenant %s/%s: %+v, want offered %t", pattern, suffix, host, namespace, name, verdict, want)
		}
	})
}
