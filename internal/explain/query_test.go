package explain

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestQueryIsRead(t *testing.T) {
	tests := map[string]struct {
		query Query
		want  Query
	}{
		"host":              {Query{Host: "acme.example.com"}, Query{Host: "acme.example.com", Path: "/"}},
		"case and dot":      {Query{Host: " ACME.example.com. "}, Query{Host: "acme.example.com", Path: "/"}},
		"IDN":               {Query{Host: "BÜCHER.example"}, Query{Host: "xn--bcher-kva.example", Path: "/"}},
		"port":              {Query{Host: "acme.example.com:8443"}, Query{Host: "acme.example.com", Path: "/"}},
		"wildcard":          {Query{Host: "*.acme.example.com"}, Query{Host: "*.acme.example.com", Path: "/"}},
		"URL":               {Query{Host: "https://acme.example.com/a/b?c=d#e"}, Query{Host: "acme.example.com", Path: "/a/b"}},
		"URL with all":      {Query{Host: "HTTP://me:pw@acme.example.com:80"}, Query{Host: "acme.example.com", Path: "/"}},
		"no scheme":         {Query{Host: "acme.example.com/a"}, Query{Host: "acme.example.com", Path: "/a"}},
		"query, no path":    {Query{Host: "acme.example.com?a=/b"}, Query{Host: "acme.example.com", Path: "/"}},
		"path wins":         {Query{Host: "acme.example.com/a", Path: "/b?c"}, Query{Host: "acme.example.com", Path: "/b"}},
		"path without root": {Query{Host: "acme.example.com", Path: "b/c"}, Query{Host: "acme.example.com", Path: "/b/c"}},
		"headers": {
			Query{Host: "acme.example.com", Headers: map[string]string{" x-tenant ": " shop/acme "}},
			Query{Host: "acme.example.com", Path: "/", Headers: map[string]string{"X-Tenant": "shop/acme"}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tt.query.normal()
			if err != nil {
				t.Fatal(err)
			}
			if tt.want.Headers == nil {
				tt.want.Headers = map[string]string{}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestQueryIsRefused(t *testing.T) {
	for _, host := range []string{"", "acme", "10.0.0.1", "http://[::1]:80/", "a b.example", "https://", "acme_x.example"} {
		t.Run(host, func(t *testing.T) {
			got, err := Query{Host: host}.normal()
			if err == nil {
				t.Fatalf("read as %+v", got)
			}
			if strings.Contains(err.Error(), "spec.domains") {
				t.Errorf("%q speaks of a field that nobody wrote", err)
			}
		})
	}
}

func TestQueryIsNamed(t *testing.T) {
	q := Query{Host: "api.example.com", Path: "/v1", Headers: map[string]string{"B": "2", "A": "1"}}
	if got, want := q.String(), "api.example.com/v1 with A: 1 and B: 2"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
}
