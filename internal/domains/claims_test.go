package domains_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tenantry/tenantry/internal/domains"
)

// The name of a claim is the host itself; those of wildcards and values can be no host's, and are names
// that the API server takes.
func TestClaimNames(t *testing.T) {
	long := strings.Repeat("a.", 115) + "example" // 237
	for name, tt := range map[string]struct{ got, want string }{
		"host":     {domains.ClaimName("acme.example.com"), "acme.example.com"},
		"punycode": {domains.ClaimName("xn--bcher-kva.example"), "xn--bcher-kva.example"},
		"wildcard": {domains.ClaimName("*.acme.com"), "xx--wildcard.acme.com"},
		"long":     {domains.ClaimName("*." + long), "xx--wildcard." + long},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", name, tt.got, tt.want)
		}
		if errs := validation.IsDNS1123Subdomain(tt.got); len(errs) > 0 {
			t.Errorf("%s: %q is no name: %v", name, tt.got, errs)
		}
	}
	value := regexp.MustCompile(`^xx--value-[0-9a-f]{32}\.api\.example\.com$`)
	seen := map[string]string{}
	for _, v := range []string{"acme", "Acme", "/acme", "/acme/", "a b", "ü", strings.Repeat("x", 512)} {
		name := domains.ValueClaimName("api.example.com", v)
		if !value.MatchString(name) || seen[name] != "" {
			t.Errorf("the value %q has the name %q, and %q has it too", v, name, seen[name])
		}
		seen[name] = v
		if name == domains.ValueClaimName("app.example.com", v) {
			t.Errorf("the value %q has one name on two hosts", v)
		}
	}
	for _, name := range []string{"xx--wildcard.acme.com", domains.ValueClaimName("acme.com", "x")} {
		if host, err := domains.Canonical(name); err == nil {
			t.Errorf("%q can be had as the host %q", name, host)
		}
	}
}

func TestCovers(t *testing.T) {
	for _, tt := range []struct {
		wild, host string
		want       bool
	}{
		{"*.acme.com", "www.acme.com", true},
		{"*.acme.com", "a.b.acme.com", true},
		{"*.acme.com", "*.b.acme.com", true},
		{"*.acme.com", "*.acme.com", false},
		{"*.acme.com", "acme.com", false},
		{"*.acme.com", "wwwacme.com", false},
		{"*.acme.com", "www.acme.com.evil.example", false},
		{"*.b.acme.com", "*.acme.com", false},
		{"*.b.acme.com", "a.acme.com", false},
		{"acme.com", "www.acme.com", false},
		{"www.acme.com", "www.acme.com", false},
	} {
		if got := domains.Covers(tt.wild, tt.host); got != tt.want {
			t.Errorf("Covers(%s, %s) = %v, want %v", tt.wild, tt.host, got, tt.want)
		}
	}
}

// Above lists what covers a host, and nothing else: the two must agree.
func TestAbove(t *testing.T) {
	for host, want := range map[string][]string{
		"a.b.acme.com":  {"*.b.acme.com", "*.acme.com"},
		"www.acme.com":  {"*.acme.com"},
		"acme.com":      nil,
		"*.acme.com":    nil,
		"*.b.acme.com":  {"*.acme.com"},
		"*.c.b.acme.uk": {"*.b.acme.uk", "*.acme.uk"},
	} {
		got := domains.Above(host)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Above(%s) (-want +got):\n%s", host, diff)
		}
		for _, wild := range got {
			if !domains.Covers(wild, host) {
				t.Errorf("%s does not cover %s", wild, host)
			}
			if again, err := domains.Canonical(wild); err != nil || again != wild {
				t.Errorf("Above(%s) has %s, which nobody can claim: %q, %v", host, wild, again, err)
			}
		}
	}
}

// The value of a record is bound to cluster, tenant and host, and stays the same for them.
func TestChallenge(t *testing.T) {
	acme := types.NamespacedName{Namespace: "shop", Name: "acme"}
	first := domains.Challenge("uid", acme, "acme.com")
	if first.Type != "TXT" || first.Name != "_tenantry-challenge.acme.com" || !regexp.MustCompile(`^tenantry-verification=[a-z2-7]{32}$`).MatchString(first.Value) {
		t.Errorf("Challenge() = %+v", first)
	}
	if again := domains.Challenge("uid", acme, "acme.com"); again != first {
		t.Errorf("Challenge() = %+v, and then %+v", first, again)
	}
	seen := map[string]string{first.Value: "the first"}
	for what, record := range map[string]struct {
		cluster types.UID
		tenant  types.NamespacedName
		host    string
	}{
		"another cluster":   {"other", acme, "acme.com"},
		"another namespace": {"uid", types.NamespacedName{Namespace: "shops", Name: "acme"}, "acme.com"},
		"another name":      {"uid", types.NamespacedName{Namespace: "shop", Name: "acme2"}, "acme.com"},
		"swapped":           {"uid", types.NamespacedName{Namespace: "acme", Name: "shop"}, "acme.com"},
		"shifted":           {"uid", types.NamespacedName{Namespace: "shopa", Name: "cme"}, "acme.com"},
		"another host":      {"uid", acme, "www.acme.com"},
		"the wildcard":      {"uid", acme, "*.acme.com"},
	} {
		got := domains.Challenge(record.cluster, record.tenant, record.host)
		if other := seen[got.Value]; other != "" {
			t.Errorf("%s has the value of %s", what, other)
		}
		seen[got.Value] = what
	}
	if got := domains.Challenge("uid", acme, "*.acme.com").Name; got != first.Name {
		t.Errorf("a wildcard's record is %s, want that of its base", got)
	}
}
