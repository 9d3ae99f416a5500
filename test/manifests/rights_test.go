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

// rightsFile lists every right that the installation gives, one for each line: whoever widens a role
// sees it in the change.
const rightsFile = "testdata/rights.txt"

// Every right of the shipped roles is written down, and none of them is one by which more can be had.
func TestShippedRights(t *testing.T) {
	found, err := render(t.Context(), "config/default")
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
			rights = append(rights, rightsOf(object.GetKind()+" "+role.Name, rule)...)
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
