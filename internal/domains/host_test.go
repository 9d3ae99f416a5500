package domains_test

import (
	"strings"
	"testing"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/internal/fault"
)

func TestCanonicalGivesOneSpelling(t *testing.T) {
	tests := map[string]string{
		"acme.example.com":       "acme.example.com",
		"ACME.Example.COM":       "acme.example.com",
		"acme.example.com.":      "acme.example.com",
		"bücher.example":         "xn--bcher-kva.example",
		"BÜCHER.example":         "xn--bcher-kva.example",
		"xn--bcher-kva.example":  "xn--bcher-kva.example",
		"XN--BCHER-KVA.example":  "xn--bcher-kva.example",
		"bu\u0308cher.example":   "xn--bcher-kva.example",
		"acme。example。com":       "acme.example.com",
		"\uff41cme.example.com":  "acme.example.com",
		"a\u00adcme.example.com": "acme.example.com",
		"straße.example":         "xn--strae-oqa.example",
		" acme.example.com ":     "acme.example.com",
		"1.acme.example.com":     "1.acme.example.com",
		"xn--strae-oqa.example.": "xn--strae-oqa.example",
		"acme.xn--p1ai":          "acme.xn--p1ai",
		"\u212a.example.com":     "k.example.com",
		"*.ACME.com.":            "*.acme.com",
		"*.bücher.example":       "*.xn--bcher-kva.example",
	}
	for in, want := range tests {
		t.Run(in, func(t *testing.T) {
			got, err := domains.Canonical(in)
			if err != nil || got != want {
				t.Fatalf("Canonical() = %q, %v, want %q", got, err, want)
			}
			if again, err := domains.Canonical(got); err != nil || again != got {
				t.Errorf("Canonical is not stable: %q, %v", again, err)
			}
		})
	}
}

func TestCanonicalRefuses(t *testing.T) {
	for _, in := range []string{
		"", ".", "acme", "localhost", "https://acme.com", "acme.com/path", "acme.com:80", "*", "*.", "*.com", "a.*.com", "**.acme.com", "*acme.com", "*.*.acme.com",
		"10.0.0.1", "127.1", "[::1]", "::1", "1.2.3.256", "a..b.com", "-acme.com", "acme-.com",
		"ac me.com", "acme_.com", "user@acme.com", "acme.com?x", "ab--cd.com", "xn--.com", "acme.com\x00",
		strings.Repeat("a", 64) + ".com", strings.Repeat("a.", 130) + "com",
	} {
		t.Run(in, func(t *testing.T) {
			got, err := domains.Canonical(in)
			if err == nil {
				t.Fatalf("Canonical() = %q, want an error", got)
			}
			if f := fault.Of(err, ""); f.Kind != fault.Invalid || f.Reason != v1alpha1.ReasonInvalidDomain {
				t.Errorf("fault = %+v", f)
			}
		})
	}
}
