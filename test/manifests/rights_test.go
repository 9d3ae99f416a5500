package manifests

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

var updateRights = flag.Bool("update-rights", false, "write testdata/rights.txt anew")

// rightsFiles list every right that an installation gives, one for each line: whoever widens a role
// sees it in the change.
var rightsFiles = map[string]string{
	"config/default":    "testdata/rights.txt",
	"config/namespaced": "testdata/rights_namespaced.txt",
}

// Every right of the shipped roles is written down, and none of them is one by which more can be had.
func TestShippedRights(t *testing.T) {
	for folder, file := range rightsFiles {
		t.Run(folder, func(t *testing.T) { holdRights(t, folder, file) })
	}
}

func holdRights(t *testing.T, folder, rightsFile string) {
	t.Helper()
	found, err := render(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	var rights []string
	for _, object := range found {
		if kind := object.GetKind(); kind != "Role" && kind != "ClusterRole" {
			continue
		}
		var role rbacv1.ClusterRole // A Role has the same rules.
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role); err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			rights = append(rights, rightsOf(strings.TrimSpace(object.GetKind()+" "+role.Name+" "+object.GetNamespace()), rule)...)
		}
	}
	slices.Sort(rights)
	for _, right := range rights {
		for _, word := range []string{"*", " escalate ", " bind ", " impersonate "} {
			if strings.Contains(right, word) {
				t.Errorf("%s: a right of which more can be made", right)
			}
		}
	}
	text := strings.Join(rights, "\n") + "\n"
	if *updateRights {
		if err := os.WriteFile(rightsFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(rightsFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(text, "\n")); diff != "" {
		t.Errorf("rights (-written down +shipped); go test ./test/manifests -update-rights writes them anew:\n%s", diff)
	}
}

// inNamespaces are the kinds of which an operator that was given namespaces has nothing in others.
var inNamespaces = []string{" secrets", " configmaps", " services", " ingresses", " httproutes", " gateways", " certificates", " tenants", " tenantdatabases", " migrationsets", " jobs"}

// The namespaced installation has the same rights as the other one, parted by whether the API server has
// a resource in namespaces: rights on those are in Roles alone.
func TestNamespacedRights(t *testing.T) {
	read := func(file string) (lines []string) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	whole, parted := map[string]bool{}, map[string]bool{}
	for _, line := range read(rightsFiles["config/default"]) {
		if right, found := strings.CutPrefix(line, "ClusterRole tenantry-manager-role: "); found {
			whole[right] = true
		}
	}
	for _, line := range read(rightsFiles["config/namespaced"]) {
		role, right, _ := strings.Cut(line, ": ")
		switch role {
		case "ClusterRole tenantry-manager-role":
			parted[right] = true
			if slices.ContainsFunc(inNamespaces, func(kind string) bool {
				return strings.Contains(right+" ", kind+" ") || strings.Contains(right, kind+"/")
			}) {
				t.Errorf("in the whole cluster: %s", right)
			}
		case "Role tenantry-manager-role tasklane":
			parted[right] = true
		}
	}
	if diff := cmp.Diff(whole, parted); diff != "" {
		t.Errorf("rights (-config/default +config/namespaced):\n%s", diff)
	}
	for _, name := range []string{"namespaces", "gatewayclasses", "domainclaims", "tenantclasses"} {
		for right := range whole {
			if strings.Contains(right, " "+name+" ") && slices.Contains(read(rightsFiles["config/namespaced"]), "Role tenantry-manager-role tasklane: "+right) {
				t.Errorf("in a Role, where it means nothing: %s", right)
			}
		}
	}
}

func rightsOf(role string, rule rbacv1.PolicyRule) (rights []string) {
	for _, verb := range rule.Verbs {
		for _, url := range rule.NonResourceURLs {
			rights = append(rights, fmt.Sprintf("%s: %s %s", role, verb, url))
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				rights = append(rights, strings.TrimSpace(fmt.Sprintf("%s: %s %s %s %s", role, verb, resource, group, strings.Join(rule.ResourceNames, ","))))
			}
		}
	}
	return rights
}
