package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/test/platform"
)

// cluster is a real API server, on which tests act as the administrator.
type cluster struct {
	plane *platform.ControlPlane
	admin dynamic.Interface
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	plane, err := platform.StartControlPlane(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			t.Error(err)
		}
	})
	admin, err := dynamic.NewForConfig(plane.Config)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{plane: plane, admin: admin}
	for _, path := range []string{
		"crd/bases/tenantry.dev_tenants.yaml",
		"crd/bases/tenantry.dev_domainclaims.yaml",
		"samples/namespace.yaml",
		"samples/product/rbac.yaml",
	} {
		text, err := fs.ReadFile(os.DirFS("../../config"), path)
		if err != nil {
			t.Fatal(err)
		}
		for doc := range bytes.SplitSeq(text, []byte("\n---\n")) {
			c.apply(t, string(doc))
		}
	}
	return c
}

// apply creates or replaces an object, and its status if it has one. It waits while the API server
// does not know the kind yet.
func (c *cluster) apply(t *testing.T, manifest string) {
	t.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &obj.Object); err != nil {
		t.Fatal(err)
	}
	client := c.of(obj)
	opts := metav1.ApplyOptions{FieldManager: "test", Force: true}
	eventually(t, func(ctx context.Context) error {
		_, err := client.Apply(ctx, obj.GetName(), obj, opts)
		return err
	})
	if obj.Object["status"] == nil {
		return
	}
	if _, err := client.ApplyStatus(t.Context(), obj.GetName(), obj, opts); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) remove(t *testing.T, manifest string) {
	t.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &obj.Object); err != nil {
		t.Fatal(err)
	}
	if err := c.of(obj).Delete(t.Context(), obj.GetName(), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) of(obj *unstructured.Unstructured) dynamic.ResourceInterface {
	resource, _ := meta.UnsafeGuessKindToResource(obj.GroupVersionKind())
	if obj.GetNamespace() == "" {
		return c.admin.Resource(resource)
	}
	return c.admin.Resource(resource).Namespace(obj.GetNamespace())
}

// eventually tries until there is no error or a minute is over: the API server takes a moment
// to serve a new kind, and to honour a new role.
func eventually(t *testing.T, try func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
}

const (
	acmeTenant = `{apiVersion: tenantry.dev/v1alpha1, kind: Tenant, metadata: {namespace: tasklane, name: acme},
		spec: {className: standard}}`
	acmeClaim = `{apiVersion: tenantry.dev/v1alpha1, kind: DomainClaim, metadata: {name: acme.tasklane.example},
		spec: {host: acme.tasklane.example, holder: {namespace: tasklane, name: acme, uid: "1"}}}`
	wildClaim = `{apiVersion: tenantry.dev/v1alpha1, kind: DomainClaim, metadata: {name: xx--wildcard.wild.tasklane.example},
		spec: {host: "*.wild.tasklane.example", holder: {namespace: tasklane, name: wild, uid: "2"}}}`
	sharedClaim = `{apiVersion: tenantry.dev/v1alpha1, kind: DomainClaim, metadata: {name: api.tasklane.example},
		spec: {host: api.tasklane.example, role: Shared, holder: {kind: TenantClass, name: standard, uid: "3"}}}`
	acmeStatus = `{apiVersion: tenantry.dev/v1alpha1, kind: Tenant, metadata: {namespace: tasklane, name: acme},
		spec: {className: standard}, status: {schema: acme, version: "18", binding: {name: acme-db}}}`
)

func acmeSecret(schema, uri string) string {
	return `{apiVersion: v1, kind: Secret, metadata: {namespace: tasklane, name: acme-db},
		type: servicebinding.io/postgresql, stringData: {schema: "` + schema + `", uri: "` + uri + `"}}`
}

// TestBindingsOfTheAPIServer follows one tenant's life under the rights that the samples give.
func TestBindingsOfTheAPIServer(t *testing.T) {
	c := newCluster(t)
	cfg, err := c.plane.ServiceAccount(t.Context(), "tasklane", "tasklane-web")
	if err != nil {
		t.Fatal(err)
	}
	client := func(ttl time.Duration) *kubeBindings {
		k, err := newKubeBindings(cfg, ttl)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	asking, remembering := client(0), client(time.Hour)
	expect := func(k *kubeBindings, wantURI string, wantErr error) {
		t.Helper()
		b, err := k.Binding(t.Context(), "tasklane/acme")
		if !errors.Is(err, wantErr) || b.URI != wantURI {
			t.Fatalf("binding = %q, %v, want %q, %v", b.URI, err, wantURI, wantErr)
		}
		if wantErr == nil && (b.Tenant != "tasklane/acme" || b.Schema != "acme" || b.Version != "18") {
			t.Fatalf("binding = %s %s %s", b.Tenant, b.Schema, b.Version)
		}
	}
	eventually(t, func(ctx context.Context) error {
		if _, err := asking.Binding(ctx, "tasklane/acme"); !errors.Is(err, errUnknownTenant) {
			return err
		}
		return nil
	})
	c.apply(t, acmeTenant)
	expect(remembering, "", errNotBound)
	c.apply(t, acmeStatus)
	expect(remembering, "", errNotBound)
	c.apply(t, acmeSecret("globex", "postgres://one"))
	expect(remembering, "", errWrongSchema)
	c.apply(t, acmeSecret("acme", "postgres://one"))
	expect(remembering, "postgres://one", nil)
	expect(asking, "postgres://one", nil)

	c.apply(t, acmeSecret("acme", "postgres://two"))
	expect(asking, "postgres://two", nil)
	expect(remembering, "postgres://one", nil)
	remembering.Forget("tasklane/acme")
	expect(remembering, "postgres://two", nil)

	if _, err := asking.Binding(t.Context(), "default/acme"); !apierrors.IsForbidden(err) {
		t.Errorf("Tenant of another namespace: error = %v, want Forbidden", err)
	}
	c.remove(t, acmeSecret("acme", "postgres://two"))
	expect(asking, "", errNotBound)
	c.apply(t, acmeSecret("acme", "postgres://three"))
	expect(asking, "postgres://three", nil)

	c.holders(t, asking)
	c.outage(t, asking, func() { expect(asking, "postgres://three", nil) })

	c.remove(t, acmeTenant)
	expect(asking, "", errUnknownTenant)
}

func (c *cluster) holders(t *testing.T, k *kubeBindings) {
	t.Helper()
	expect := func(host, want string) {
		t.Helper()
		if got, err := k.Holder(t.Context(), host); err != nil || got != want {
			t.Errorf("holder of %s = %q, %v, want %q", host, got, err, want)
		}
	}
	expect("acme.tasklane.example", "")
	c.apply(t, acmeClaim)
	for _, spelling := range []string{"acme.tasklane.example", "ACME.Tasklane.Example", "acme.tasklane.example."} {
		expect(spelling, "tasklane/acme")
	}
	c.apply(t, wildClaim)
	c.apply(t, sharedClaim)
	expect("a.wild.tasklane.example", "tasklane/wild")
	expect("a.b.wild.tasklane.example", "tasklane/wild")
	expect("api.tasklane.example", "")
	for _, other := range []string{"wild.tasklane.example", "tasklane.example", "x.acme.tasklane.example", "127.0.0.1", "localhost", "", strings.Repeat("a.", 200)} {
		expect(other, "")
	}
	if holder, err := k.Holder(t.Context(), strings.Repeat("a.", 20)+"example"); err == nil {
		t.Errorf("holder of a host of many labels = %q, want an error", holder)
	}
}

// outage proves that an answer once had goes on without the API server, and that without one
// nothing is guessed.
func (c *cluster) outage(t *testing.T, k *kubeBindings, meanwhile func()) {
	t.Helper()
	if err := c.plane.HaltAPIServer(); err != nil {
		t.Fatal(err)
	}
	meanwhile()
	if holder, err := k.Holder(t.Context(), "acme.tasklane.example"); err != nil || holder != "tasklane/acme" {
		t.Errorf("holder known before = %q, %v, want tasklane/acme", holder, err)
	}
	if holder, err := k.Holder(t.Context(), "new.tasklane.example"); err == nil {
		t.Errorf("holder not known before = %q, want an error", holder)
	}
	if err := c.plane.ResumeAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
}
