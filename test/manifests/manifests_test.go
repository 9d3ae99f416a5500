package manifests

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// kustomizations returns every folder below config that can be rendered.
func kustomizations(t *testing.T) (folders []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, "config"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == "kustomization.yaml" {
			folder, rerr := filepath.Rel(root, filepath.Dir(path))
			folders = append(folders, folder)
			return rerr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return folders
}

func TestEveryKustomizationRenders(t *testing.T) {
	folders := kustomizations(t)
	for _, want := range []string{"config/default", "config/crd", "config/rbac", "config/manager", "config/policy", "config/finalizer", "config/prometheus", "config/samples", "config/samples/platform"} {
		if !slices.Contains(folders, want) {
			t.Errorf("no kustomization in %s", want)
		}
	}
	for _, folder := range folders {
		t.Run(folder, func(t *testing.T) {
			found, err := render(t.Context(), folder)
			if err != nil {
				t.Fatal(err)
			}
			if len(found) == 0 {
				t.Error("renders no object")
			}
		})
	}
}

// The installation as a whole: what it is made of, and that the API server takes each object.
func TestInstallationIsAccepted(t *testing.T) {
	found, err := render(t.Context(), "config/default")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, object := range found {
		kinds[object.GetKind()]++
		if object.GetKind() == "Namespace" {
			continue
		}
		if namespace := object.GetNamespace(); namespace != "" && namespace != "tenantry-system" {
			t.Errorf("%s %s is in the namespace %q", object.GetKind(), object.GetName(), namespace)
		}
		prefixed := strings.HasPrefix(object.GetName(), "tenantry-") || strings.HasSuffix(object.GetName(), ".tenantry.dev")
		if !prefixed {
			t.Errorf("%s %s may meet somebody else's: its name does not start with tenantry-", object.GetKind(), object.GetName())
		}
	}
	want := map[string]int{
		"Namespace": 1, "CustomResourceDefinition": 5, "ServiceAccount": 1, "Deployment": 1, "Service": 1,
		"NetworkPolicy": 1, "PodDisruptionBudget": 1, "Role": 1, "RoleBinding": 1, "ClusterRoleBinding": 2,
		// The manager's, two for metrics, and for people: two for each kind but DomainClaim,
		// which has no editor, and the approver of MigrationSets.
		"ClusterRole": 3 + 9 + 1,
	}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("kinds of the installation (-want +got):\n%s", diff)
	}
	apply(t, found...)
}

// The samples are complete: every kind that people write is there, and each object is accepted.
func TestSamplesAreAccepted(t *testing.T) {
	platform, err := render(t.Context(), "config/samples/platform")
	if err != nil {
		t.Fatal(err)
	}
	samples, err := render(t.Context(), "config/samples")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, object := range samples {
		kinds[object.GetKind()]++
	}
	for _, kind := range []string{"Tenant", "TenantClass", "TenantDatabase", "MigrationSet", "Namespace", "Service", "ConfigMap"} {
		if kinds[kind] == 0 {
			t.Errorf("no sample of a %s", kind)
		}
	}
	apply(t, append(platform, samples...)...)
}

// What a sample refers to is in the samples: a name that is misspelt is found here and not by a user.
func TestSamplesReferToEachOther(t *testing.T) {
	samples, err := render(t.Context(), "config/samples")
	if err != nil {
		t.Fatal(err)
	}
	platform, err := render(t.Context(), "config/samples/platform")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, object := range append(platform, samples...) {
		names[object.GetKind()+" "+object.GetName()] = true
	}
	references := map[string][][]string{
		"Tenant":         {{"TenantClass", "spec", "className"}},
		"TenantDatabase": {{"MigrationSet", "spec", "shared", "migrationSetRef", "name"}},
		"TenantClass": {
			{"MigrationSet", "spec", "migrationSetRef", "name"},
			{"Service", "spec", "routing", "backend", "name"},
			{"IngressClass", "spec", "routing", "ingress", "className"},
		},
	}
	for _, object := range samples {
		for _, reference := range references[object.GetKind()] {
			name, found, err := unstructured.NestedString(object.Object, reference[1:]...)
			if err != nil {
				t.Fatal(err)
			}
			if found && !names[reference[0]+" "+name] {
				t.Errorf("%s %s names the %s %q, which is not in the samples", object.GetKind(), object.GetName(), reference[0], name)
			}
		}
		for _, list := range []struct{ kind, path string }{
			{"ConfigMap", "spec.source.configMaps"}, {"TenantDatabase", "spec.databases"}, {"Gateway", "spec.routing.gateway.parentRefs"},
		} {
			entries, _, err := unstructured.NestedSlice(object.Object, strings.Split(list.path, ".")...)
			if err != nil {
				t.Fatal(err)
			}
			for _, entry := range entries {
				name := entry.(map[string]any)["name"].(string)
				if !names[list.kind+" "+name] {
					t.Errorf("%s %s names the %s %q, which is not in the samples", object.GetKind(), object.GetName(), list.kind, name)
				}
			}
		}
	}
}

// apply applies objects: namespaces for real, since objects are refused without, the rest as a dry
// run after which the cluster is as it was.
func apply(t *testing.T, objects ...*unstructured.Unstructured) {
	t.Helper()
	for _, object := range objects {
		options := []client.ApplyOption{client.FieldOwner("test"), client.ForceOwnership}
		if object.GetKind() != "Namespace" {
			options = append(options, client.DryRunAll)
		}
		if err := admin.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object), options...); err != nil {
			t.Errorf("%s %s: %v", object.GetKind(), object.GetName(), err)
		}
	}
}
