// Package docs holds the documents against the code that they are about.
package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tenantry/tenantry/test/platform"
)

// constants returns the string constants of a package's files, tests left out, for which keep says yes;
// their values by their names.
func constants(t *testing.T, folder string, keep func(name, typ string) bool) map[string]string {
	t.Helper()
	root, err := platform.RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", folder, err)
	}
	found := map[string]string{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != len(spec.Names) {
				return true
			}
			typ := ""
			if id, ok := spec.Type.(*ast.Ident); ok {
				typ = id.Name
			}
			for i, name := range spec.Names {
				if text, ok := spec.Values[i].(*ast.BasicLit); ok && text.Kind == token.STRING && keep(name.Name, typ) {
					found[name.Name], _ = strconv.Unquote(text.Value)
				}
			}
			return true
		})
	}
	if len(found) == 0 {
		t.Fatalf("no constants found in %s", folder)
	}
	return found
}

func isReason(name, _ string) bool { return strings.HasPrefix(name, "Reason") }

// row is one row of a table of reasons, its columns counted.
var row = regexp.MustCompile("(?m)^\\| `([A-Za-z]+)` \\|([^|\n]+)\\|([^|\n]+)\\|([^|\n]+)\\|([^|\n]*)\\|$")

func document(t *testing.T) map[string][]string {
	t.Helper()
	root, err := platform.RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "troubleshooting.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		if _, twice := rows[m[1]]; twice {
			t.Errorf("docs/troubleshooting.md has two rows for %s", m[1])
		}
		rows[m[1]] = m[2:]
	}
	return rows
}

// Each reason that a condition can have has a row in docs/troubleshooting.md, and each row a reason.
func TestReasonsAreDocumented(t *testing.T) {
	reasons := constants(t, "api/v1alpha1", isReason)
	rows := document(t)
	for name, reason := range reasons {
		if _, ok := rows[reason]; !ok {
			t.Errorf("docs/troubleshooting.md has no row for %s (%s)", reason, name)
		}
	}
	for reason, columns := range rows {
		if !slices.Contains(values(reasons), reason) {
			t.Errorf("docs/troubleshooting.md has a row for %s, which is no reason", reason)
		}
		for i, text := range columns[:3] {
			if strings.TrimSpace(text) == "" {
				t.Errorf("docs/troubleshooting.md: column %d of %s is empty", i+2, reason)
			}
		}
	}
}

// The packages below know nothing of the API; what they call a cause or a reason is a reason of a
// condition, and must be a constant there.
func TestReasonsOfLowerPackages(t *testing.T) {
	known := values(constants(t, "api/v1alpha1", isReason))
	lower := map[string]map[string]string{
		"internal/postgres": constants(t, "internal/postgres", func(name, typ string) bool {
			return isReason(name, typ) || typ == "Cause"
		}),
		"internal/migrations": constants(t, "internal/migrations", isReason),
		"internal/artifacts":  constants(t, "internal/artifacts", isReason),
	}
	if len(lower["internal/postgres"]) < 20 {
		t.Errorf("only %d reasons and causes found in internal/postgres", len(lower["internal/postgres"]))
	}
	for folder, reasons := range lower {
		for name, reason := range reasons {
			if !slices.Contains(known, reason) {
				t.Errorf("%s.%s is %q, which is no reason in api/v1alpha1/conditions.go", folder, name, reason)
			}
		}
	}
}

// A reason that is written as a text where it is used is in no list.
func TestReasonsAreConstants(t *testing.T) {
	root, err := platform.RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	literal := regexp.MustCompile(`fault\.New(Invalid|Waiting|Transient)\("`)
	for _, folder := range []string{"controllers", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if at := literal.FindIndex(text); at != nil {
				t.Errorf("%s names a reason by its text: %s", path, text[at[0]:min(at[1]+30, len(text))])
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func values(m map[string]string) []string {
	var all []string
	for _, v := range m {
		all = append(all, v)
	}
	return all
}
