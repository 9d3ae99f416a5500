package logins

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
)

func TestRender(t *testing.T) {
	fields := Fields{Host: "db", Port: "5432", Database: "sh op", Schema: "acme", Password: `p"/ä`}
	for name, tt := range map[string]struct{ template, want, wrong string }{
		"text alone":         {template: "a { b } }} c", want: "a { b } }} c"},
		"nothing":            {},
		"fields":             {template: "{{.Host}}:{{ .Port }}", want: "db:5432"},
		"encoded":            {template: "jdbc:postgresql://{{ .Host }}/{{ .Database | urlquery }}?currentSchema={{.Schema|urlquery}}", want: "jdbc:postgresql://db/sh%20op?currentSchema=acme"},
		"one after another":  {template: "{{ .Password | urlquery | base64 }}", want: "cCUyMiUyRiVDMyVBNA=="},
		"as JSON":            {template: `{"p":{{ .Password | json }}}`, want: `{"p":"p\"/ä"}`},
		"a field of none":    {template: "x{{ .Role }}y", want: "xy"},
		"no template within": {template: "{{ .Host }}", want: "db"},
		"unknown field":      {template: "{{ .Env }}", wrong: `names the field "Env"`},
		"unknown function":   {template: "{{ .Host | printf }}", wrong: `names the function "printf"`},
		"not closed":         {template: "ab{{ .Host }", wrong: "has {{ at character 3 without a field"},
		"a statement":        {template: "{{ range .Host }}{{ end }}", wrong: "without a field"},
		"three braces":       {template: "{{{ .Host }}}", wrong: "without a field"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Render(tt.template, fields)
			if tt.wrong != "" {
				if fault.ReasonOf(err) != v1alpha1.ReasonInvalidTemplate || !strings.Contains(err.Error(), tt.wrong) {
					t.Errorf("Render() = %q, %v, want %q", got, err, tt.wrong)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%v %s", err, diff)
			}
		})
	}
}

// What stands in a field is never read as a template.
func TestFieldsAreNoTemplates(t *testing.T) {
	got, err := Render("{{ .Host }}{{ .Port }}", Fields{Host: "{{ .Password", Port: " }}", Password: "secret"})
	if err != nil || got != "{{ .Password }}" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestExtraNamesTheKey(t *testing.T) {
	_, err := Extra([]v1alpha1.SecretKey{{Key: "good", Template: "x"}, {Key: "JDBC_URL", Template: "{{ .Nothing }}"}}, Fields{Password: "canary"})
	if err == nil || !strings.Contains(err.Error(), "spec.credentials.extraKeys[JDBC_URL]") || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v", err)
	}
}

// Any value comes back from urlquery and json as it was.
func TestFunctionsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.String().Draw(t, "value")
		encoded, err := Render("{{ .Password | urlquery }}", Fields{Password: value})
		if err != nil {
			t.Fatal(err)
		}
		for _, decode := range []func(string) (string, error){url.PathUnescape, url.QueryUnescape} {
			if got, err := decode(encoded); err != nil || got != value {
				t.Fatalf("%q became %q, %v", value, got, err)
			}
		}
		text, err := Render("{{ .Password | json }}", Fields{Password: value})
		if err != nil {
			t.Fatal(err)
		}
		var got string
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != value {
			t.Fatalf("%q became %q, %v", value, got, err)
		}
	})
}
