package setup

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tenantry/tenantry/test/platform"
)

const sample = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
---
# nothing but a comment
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: traefik
  listeners:
  - {name: web, port: 80, protocol: HTTP}
  - {name: other, port: 81, protocol: HTTP}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
`

func kinds(objects []*unstructured.Unstructured) (kinds []string) {
	for _, object := range objects {
		kinds = append(kinds, object.GetKind())
	}
	return kinds
}

func decoded(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	objects, err := Decode([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func TestSelectObjects(t *testing.T) {
	objects := decoded(t)
	if diff := cmp.Diff([]string{"Deployment", "Gateway", "Namespace"}, kinds(objects)); diff != "" {
		t.Fatal(diff)
	}
	if diff := cmp.Diff([]string{"Gateway", "Namespace"}, kinds(Without(objects, "Deployment"))); diff != "" {
		t.Error(diff)
	}
	namespaces, others := Namespaces(objects)
	if diff := cmp.Diff([][]string{{"Namespace"}, {"Deployment", "Gateway"}}, [][]string{kinds(namespaces), kinds(others)}); diff != "" {
		t.Error(diff)
	}
	if len(objects) != 3 {
		t.Error("the given objects were changed")
	}
}

func TestDecodeRefusesWhatIsNoYAML(t *testing.T) {
	if _, err := Decode([]byte("kind: [")); err == nil {
		t.Error("no error")
	}
}

func TestListen(t *testing.T) {
	objects := decoded(t)
	classes, err := Decode([]byte(`
kind: TenantClass
spec: {routing: {ingress: {className: traefik}}}
---
kind: TenantClass
spec: {routing: {gateway: {}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	if err := Listen(append(objects, classes...), 8080); err != nil {
		t.Fatal(err)
	}
	routings := []any{
		map[string]any{"ingress": map[string]any{"className": "traefik", "port": int64(8080)}},
		map[string]any{"gateway": map[string]any{}},
	}
	for i, class := range classes {
		if diff := cmp.Diff(map[string]any{"routing": routings[i]}, class.Object["spec"]); diff != "" {
			t.Error(diff)
		}
	}
	listeners, _, err := unstructured.NestedSlice(objects[1].Object, "spec", "listeners")
	if err != nil {
		t.Fatal(err)
	}
	want := []any{
		map[string]any{"name": "web", "port": int64(8080), "protocol": "HTTP"},
		map[string]any{"name": "other", "port": int64(8080), "protocol": "HTTP"},
	}
	if diff := cmp.Diff(want, listeners); diff != "" {
		t.Error(diff)
	}
}

// The password must not be readable by eye in an object that is printed by mistake, and kubectl must
// read it as it was.
func TestConnectionSecret(t *testing.T) {
	secret := ConnectionSecret("shop", "main-db", "postgres://op:pw@h/db")
	uri, _, err := unstructured.NestedString(secret.Object, "data", "uri")
	if err != nil {
		t.Fatal(err)
	}
	if uri != "cG9zdGdyZXM6Ly9vcDpwd0BoL2Ri" || secret.GetNamespace() != "shop" || secret.GetName() != "main-db" {
		t.Errorf("Secret %v", secret.Object)
	}
}

// A program that is another file, or gets other arguments, is another program.
func TestFingerprint(t *testing.T) {
	base := platform.ProgramConfig{Name: "a", Path: "/bin/sh", Args: []string{"-x", "y"}, Env: []string{"A=b"}}
	sum := func(config platform.ProgramConfig) string {
		s, err := fingerprint(config)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	same, otherArgs, otherEnv, otherFile := base, base, base, base
	same.Name = "b"
	otherArgs.Args = []string{"-x y"}
	otherEnv.Env = nil
	otherFile.Path = "setup_test.go"
	if sum(base) != sum(same) {
		t.Error("the name matters")
	}
	for name, config := range map[string]platform.ProgramConfig{"arguments": otherArgs, "environment": otherEnv, "file": otherFile} {
		if sum(base) == sum(config) {
			t.Errorf("other %s make no difference", name)
		}
	}
}
