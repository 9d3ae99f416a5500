package manifests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// remotePolicy is what the kustomizations of the documentation name; here it is this repository's own.
const remotePolicy = "https://github.com/tenantry/tenantry//config/policy?ref=main"

// documented returns the YAML block of docs/domains.md that begins with a line, all if that is empty.
func documented(t *testing.T, first string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "domains.md"))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, part := range strings.Split(string(text), "```yaml\n")[1:] {
		block, _, _ := strings.Cut(part, "```")
		if strings.HasPrefix(block, first) {
			blocks = append(blocks, block)
		}
	}
	if len(blocks) == 0 {
		t.Fatalf("docs/domains.md has no YAML that begins with %q", first)
	}
	return blocks
}

// The set-up that is documented is accepted as it stands, but for kinds that are not installed here.
func TestDocumentedSetupIsAccepted(t *testing.T) {
	accepted := map[string]bool{}
	for _, block := range documented(t, "apiVersion: ") {
		found, err := objects(block)
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range found {
			if object.GroupVersionKind().Group == "cert-manager.io" {
				continue
			}
			if ns := object.GetNamespace(); ns != "" {
				namespace := &unstructured.Unstructured{Object: fields(t, `{apiVersion: v1, kind: Namespace, metadata: {name: `+ns+`}}`)}
				if err := admin.Create(t.Context(), namespace); client.IgnoreAlreadyExists(err) != nil {
					t.Fatal(err)
				}
			}
			apply(t, object)
			accepted[object.GetKind()] = true
		}
	}
	for _, kind := range []string{"Gateway", "TenantClass", "Deployment"} {
		if !accepted[kind] {
			t.Errorf("docs/domains.md shows no %s", kind)
		}
	}
}

// overlaid renders a kustomization of the documentation.
func overlaid(t *testing.T, first string) []*unstructured.Unstructured {
	t.Helper()
	dir := t.TempDir()
	policy, err := filepath.Rel(dir, filepath.Join(root, "config", "policy"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(documented(t, first)[0], remotePolicy, policy)
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := plane.Kubectl(t.Context(), "kustomize", dir)
	if err != nil {
		t.Fatal(err)
	}
	found, err := objects(out)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// The documented change of names reaches every policy, and the API server takes the result.
func TestGuardUnderOtherNames(t *testing.T) {
	found := overlaid(t, "# kustomization.yaml: other names\n")
	policies := 0
	for _, object := range found {
		text := fmt.Sprint(object.Object)
		if strings.Contains(text, operator) || strings.Contains(text, solver) {
			t.Errorf("%s %s has a name that was to be changed", object.GetKind(), object.GetName())
		}
		// That of approvals goes by users, and names none.
		if object.GetKind() == "ValidatingAdmissionPolicy" && object.GetName() != "tenantry-approvals" {
			policies++
			if !strings.Contains(text, "system:serviceaccount:platform:tenants-controller-manager") {
				t.Errorf("policy %s does not know the operator's new name", object.GetName())
			}
		}
	}
	if policies < 6 {
		t.Errorf("%d policies, want all of them", policies)
	}
	apply(t, found...)
}

// Namespaces that the documented selector names are left alone, and no others.
func TestGuardLeavesNamespacesAlone(t *testing.T) {
	guard(t)
	namespace := &unstructured.Unstructured{Object: fields(t, `{apiVersion: v1, kind: Namespace, metadata: {name: error-pages}}`)}
	if err := admin.Create(t.Context(), namespace); client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
	elsewhere := func(kind, patch string) error {
		object := stranger(t, kind, patch)
		object.SetNamespace("error-pages")
		return admin.Create(t.Context(), object, client.DryRunAll)
	}
	wildcard := `spec: {hostnames: ["*.guard.example"]}`
	if wrong := says(elsewhere("HTTPRoute", wildcard), claimed); wrong != "" {
		t.Fatalf("before: %s", wrong)
	}
	var bindings []*unstructured.Unstructured
	for _, object := range overlaid(t, "# kustomization.yaml: namespaces that are left alone\n") {
		if object.GetKind() == "ValidatingAdmissionPolicyBinding" {
			bindings = append(bindings, object)
		}
	}
	if err := plane.ApplyObjects(t.Context(), bindings...); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return elsewhere("HTTPRoute", wildcard) == nil })
	for kind, patch := range map[string]string{"HTTPRoute": `spec: {hostnames: null}`, "Ingress": `spec: {rules: [{` + anyPath + `}]}`} {
		waitFor(t, func() bool { return elsewhere(kind, patch) == nil })
	}
	if wrong := says(elsewhere("HTTPRoute", `metadata: {labels: {tenantry.dev/tenant-uid: u-1}}`), forged); wrong != "" {
		t.Errorf("forged labels: %s", wrong)
	}
	if wrong := says(admin.Create(t.Context(), stranger(t, "HTTPRoute", wildcard), client.DryRunAll), claimed); wrong != "" {
		t.Errorf("another namespace: %s", wrong)
	}
}
