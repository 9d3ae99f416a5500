package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/demo/setup"
	"github.com/tenantry/tenantry/test/operator"
)

// site is a world whose class routes to the sample backend, which runs.
type site struct {
	*operator.World
	backend *setup.Backend
}

// webObjects are what the backend needs in a namespace: its Service, and a login that may read
// Tenants, their Secrets and who holds a host.
const webObjects = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: NAMESPACE}
spec: {ports: [{port: 8080}]}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: NAMESPACE}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: web-of-NAMESPACE}
rules:
- {apiGroups: [tenantry.dev], resources: [tenants, domainclaims], verbs: [get]}
- {apiGroups: [""], resources: [secrets], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: web-of-NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: web-of-NAMESPACE}
subjects: [{kind: ServiceAccount, name: web, namespace: NAMESPACE}]
`

// newSite makes a world with its objects; change may change them before.
func newSite(t testing.TB, change ...func(*operator.World)) *site {
	t.Helper()
	s := &site{World: servers.World(t)}
	s.Class.Spec.Routing = &v1alpha1.Routing{
		Gateway: &v1alpha1.GatewayRouting{ParentRefs: []v1alpha1.GatewayReference{{
			NamespacedReference: v1alpha1.NamespacedReference{Namespace: gatewayNamespace, Name: gatewayName}, SectionName: "http",
		}}},
		Backend: v1alpha1.ServiceBackend{Name: "web", Port: 8080},
	}
	for _, f := range change {
		f(s.World)
	}
	if err := s.Plane.ApplyYAML(t.Context(), []byte(strings.ReplaceAll(webObjects, "NAMESPACE", s.Namespace))); err != nil {
		t.Fatal(err)
	}
	s.Make(t)
	place := setup.Host{Plane: s.Plane, Dir: t.TempDir()}
	var err error
	// Its memory of credentials is kept short: stories change them.
	if s.backend, err = place.Backend(t.Context(), program("backend"), s.Namespace, "web", "-binding-ttl=1s"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.backend.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// answer is what a client sees: the status and, of the backend's JSON, who answers.
type answer struct {
	Status        int
	Location      string
	Tenant        string
	Schema        string
	SchemaVersion string
	Projects      []struct{ Key string }
	Error         struct{ Code string }
}

// request asks a host through the data plane. Headers come in pairs.
func request(ctx context.Context, method, url, body string, headers ...string) (answer, error) {
	return requestBy(ctx, traefik.Transport(), method, url, body, headers...)
}

// requestWithin bounds one request.
const requestWithin = 30 * time.Second

// requestBy is request by a transport of the caller's, which may trust certificates.
func requestBy(ctx context.Context, by http.RoundTripper, method, url, body string, headers ...string) (a answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return a, err
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := by.RoundTrip(r)
	if err != nil {
		return a, err
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return a, err
	}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(data, &a); err != nil {
			return a, fmt.Errorf("%s answers %q: %w", url, data, err)
		}
	}
	a.Status, a.Location = response.StatusCode, response.Header.Get("Location")
	return a, nil
}

// whoami asks a host who answers.
func whoami(ctx context.Context, host string) (answer, error) {
	return request(ctx, http.MethodGet, "http://"+host+"/whoami", "")
}

// awaitAnswer waits until the host's tenant answers; the data plane serves what it has accepted a
// moment later.
func awaitAnswer(t testing.TB, host, tenant string) answer {
	t.Helper()
	var a answer
	operator.Poll(t, operator.Eventually, func() (err error) {
		if a, err = whoami(t.Context(), host); err == nil && a.Tenant != tenant {
			err = fmt.Errorf("%s is answered by tenant %q with status %d (%s), not by %s", host, a.Tenant, a.Status, a.Error.Code, tenant)
		}
		return err
	})
	return a
}

// witness asks a host all the time until the returned function is called, which tells who answered,
// one after the other: tenants by their names, refusals by status and code.
func witness(t *testing.T, host string) (stop func() []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan []string, 1)
	go func() {
		var seen []string
		defer func() { done <- slices.Compact(seen) }()
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		for {
			// The last question is asked after the call to stop.
			last := ctx.Err() != nil
			a, err := whoami(t.Context(), host)
			switch {
			case err != nil:
				seen = append(seen, err.Error())
			case a.Tenant != "":
				seen = append(seen, a.Tenant)
			default:
				seen = append(seen, strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, a.Error.Code)))
			}
			if last {
				return
			}
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	}()
	return func() []string {
		cancel()
		return <-done
	}
}

func lengthOf(t *testing.T, list client.ObjectList) int {
	t.Helper()
	items, err := meta.ExtractList(list)
	if err != nil {
		t.Fatal(err)
	}
	return len(items)
}
