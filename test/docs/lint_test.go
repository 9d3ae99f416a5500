package docs

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/internal/lint"
	"github.com/tenantry/tenantry/test/platform"
)

// Users write the names of rules into specs and comments: the document lists them all as they are, and the
// API takes just these and the categories.
func TestRulesOfTheLinter(t *testing.T) {
	root, err := platform.RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	read := func(path string) string {
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	listed, want := map[string]string{}, map[string]string{}
	rule := regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| ([A-Za-z]+) \\| (yes|notice) \\|")
	for _, m := range rule.FindAllStringSubmatch(read("docs/migrations.md"), -1) {
		listed[m[1]] = m[2] + " " + m[3]
	}
	names := []string{"Destructive", "Lock", "Session", "CrossSchema", "Unparsed"}
	for name, r := range lint.Rules {
		want[name] = string(r.Category) + " " + map[lint.Severity]string{lint.Danger: "yes", lint.Notice: "notice"}[r.Severity]
	}
	if diff := cmp.Diff(want, listed); diff != "" {
		t.Errorf("docs/migrations.md lists other rules (-code +document):\n%s", diff)
	}
	names = append(names, slices.Sorted(maps.Keys(lint.Rules))...)
	marker := regexp.MustCompile(`Enum=(Destructive;\S*drop-table\S*)`).FindStringSubmatch(read("api/v1alpha1/lint_types.go"))
	if marker == nil {
		t.Fatal("no enumeration of rules in api/v1alpha1/lint_types.go")
	}
	taken := strings.Split(marker[1], ";")
	slices.Sort(taken)
	slices.Sort(names)
	if diff := cmp.Diff(names, taken); diff != "" {
		t.Errorf("the API takes other names (-code +API):\n%s", diff)
	}
}
