// Package fuzz holds the fuzz target of templates. It stands apart from the tests that start servers.
//
//	go test ./internal/logins/fuzz -fuzz FuzzTemplate -fuzztime 1m
package fuzz

import (
	"strings"
	"testing"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/logins"
)

// FuzzTemplate: a template is refused by an Invalid fault that shows no field's value, or it gives its
// own text and its fields, and no more than those could be.
func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{
		"jdbc:postgresql://{{ .Host }}:{{.Port}}/{{ .Database|urlquery }}", "{{ .Password | json | base64 }}", "{{", "}}", "{{ . }}", "{{ .Password",
		"{{{ .Host }}}", "{{ .Host | }}", "{{ .Host || json }}", "{{ printf \"%99999999d\" 1 }}", "{{\n.Host }}", "{{ .Name }}{{ .Namespace }}", "{{ .Пароль }}", "\xff{{ .Host }}",
	} {
		f.Add(seed, "p@ss{{ .Host }}")
	}
	f.Fuzz(func(t *testing.T, template, password string) {
		const canary = "CANARY-8f1c"
		fields := logins.Fields{
			Host: "h", Port: "1", Database: "d", Username: "u", Password: canary + password, Schema: "s", SharedSchema: "ss", SearchPath: "s,ss", Role: "r",
			URI: canary, SSLMode: "require", Namespace: "n", Name: "na",
		}
		got, err := logins.Render(template, fields)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid || fault.ReasonOf(err) != v1alpha1.ReasonInvalidTemplate || strings.Contains(err.Error(), canary) && !strings.Contains(template, canary) {
				t.Errorf("%q: %v", template, err)
			}
			return
		}
		places := strings.Count(template, "{{")
		if places == 0 && got != template {
			t.Errorf("%q became %q", template, got)
		}
		// base64 and json make of a byte six at most, and may stand in a row.
		if functions := strings.Count(template, "|"); functions <= places && len(got) > len(template)+places*6*len(fields.Password)+places*64 {
			t.Errorf("%q became %d bytes", template, len(got))
		}
	})
}
