package e2e

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/demo/setup"
)

const header = "X-Tenantry-Tenant"

// applySamples applies config/samples as they are, and runs their backend.
func applySamples(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	dsn, err := servers.Postgres.NewOperatorDatabase(ctx, "tasklane")
	if err != nil {
		t.Fatal(err)
	}
	edge, err := setup.Render(ctx, "config/samples/platform")
	if err != nil {
		t.Fatal(err)
	}
	product, err := setup.Render(ctx, "config/samples")
	if err != nil {
		t.Fatal(err)
	}
	if err := setup.Listen(slices.Concat(edge, product), traefik.HTTPPort); err != nil {
		t.Fatal(err)
	}
	namespaces, others := setup.Namespaces(product)
	secret := []*unstructured.Unstructured{setup.ConnectionSecret("tasklane-data", "main-db", dsn)}
	if err := servers.Plane.ApplyObjects(ctx, slices.Concat(edge, namespaces, secret, others)...); err != nil {
		t.Fatal(err)
	}
	place := setup.Host{Plane: servers.Plane, Dir: t.TempDir()}
	backend, err := place.Backend(ctx, program("backend"), "tasklane", "tasklane-web")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := backend.Stop(); err != nil {
			t.Error(err)
		}
	})
}

// The samples, unchanged: from YAML to answers with each tenant's own data, on Gateway API (acme,
// globex) and on Ingress (initech); an alias redirects; a forged header leads nowhere.
func TestSamples(t *testing.T) {
	applySamples(t)
	for name, domain := range map[string]string{
		"acme": "acme.tasklane.example", "globex": "globex.tasklane.example", "initech": "initech.tasklane.example",
	} {
		servers.AwaitReady(t, &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Namespace: "tasklane", Name: name}})
		awaitAnswer(t, domain, "tasklane/"+name)
	}
	for domain, key := range map[string]string{"acme.tasklane.example": "ROCKET", "initech.tasklane.example": "TPS"} {
		a, err := request(t.Context(), http.MethodPost, "http://"+domain+"/projects", `{"key":"`+key+`","name":"x"}`)
		if err != nil || a.Status != http.StatusCreated {
			t.Fatalf("POST to %s: status %d (%s), %v", domain, a.Status, a.Error.Code, err)
		}
	}
	forged := []string{header, "tasklane/globex"}
	tests := map[string]struct {
		url     string
		headers []string
		want    answer
	}{
		"own data by Gateway API": {"http://acme.tasklane.example/projects", nil, listing("acme", "ROCKET")},
		"own data by Ingress":     {"http://initech.tasklane.example/projects", nil, listing("initech", "TPS")},
		"nobody's data":           {"http://globex.tasklane.example/projects", nil, listing("globex")},
		"alias": {
			"http://www.acme.tasklane.example/projects?a=b&c=%2F", nil,
			answer{Status: http.StatusMovedPermanently, Location: "http://acme.tasklane.example/projects?a=b&c=%2F"},
		},
		"forged header on Gateway API": {"http://acme.tasklane.example/projects", forged, listing("acme", "ROCKET")},
		"forged header on Ingress": {
			"http://initech.tasklane.example/projects", forged,
			answer{Status: http.StatusMisdirectedRequest, Error: struct{ Code string }{"WrongHost"}},
		},
		"a host that nobody holds": {"http://hooli.tasklane.example/projects", forged, answer{Status: http.StatusNotFound}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := request(t.Context(), http.MethodGet, tt.url, "", tt.headers...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.url, diff)
			}
		})
	}
}

// listing is the answer of /projects.
func listing(tenant string, keys ...string) answer {
	a := answer{Status: http.StatusOK, Tenant: "tasklane/" + tenant, Projects: []struct{ Key string }{}}
	for _, key := range keys {
		a.Projects = append(a.Projects, struct{ Key string }{key})
	}
	return a
}
