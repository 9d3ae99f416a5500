package lint

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/internal/migrations"
)

// folder loads the .sql files of a folder.
func folder(t *testing.T, path string) *migrations.Set {
	t.Helper()
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	var files []migrations.File
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".sql") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(path, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, migrations.File{Name: e.Name(), Content: content})
	}
	set, err := migrations.Load(files, migrations.Auto)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// oneByOne checks each file as if it were new to tenants that have all before it.
func oneByOne(set *migrations.Set, shared ...string) (found []Finding) {
	for i := range set.Migrations {
		only := set.Migrations[i].Version
		found = append(found, Check(set.Upto(only), Options{New: func(m *migrations.Migration) bool { return m.Version == only }, Shared: shared})...)
	}
	return found
}

// places writes findings with their files.
func places(findings []Finding) string {
	var lines []string
	for _, f := range findings {
		if f.Allowed == "" {
			lines = append(lines, strings.TrimSpace(f.File+": "+f.Name+" "+f.Object))
		}
	}
	return strings.Join(lines, "\n")
}

// The sample product was written with care; the linter has nothing against its first version, and little
// against its versions as they came.
func TestSampleProduct(t *testing.T) {
	for _, path := range []string{"../../config/samples/product", "../../config/samples/product/shared"} {
		set := folder(t, path)
		if diff := cmp.Diff("", places(Check(set, Options{New: above(""), Shared: []string{"shared"}}))); diff != "" {
			t.Errorf("%s as a first version:\n%s", path, diff)
		}
		if diff := cmp.Diff("", places(oneByOne(set, "shared"))); diff != "" {
			t.Errorf("%s file by file:\n%s", path, diff)
		}
	}
}

// Ten years of a real product's migrations.
func TestRealProduct(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "run", ".", "-out", dir)
	cmd.Dir = filepath.Join("..", "..", "test", "corpus")
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go run in test/corpus: %v\n%s", err, output)
	}
	set := folder(t, dir)
	if diff := cmp.Diff("", places(Check(set, Options{New: above("")}))); diff != "" {
		t.Errorf("as a first version:\n%s", diff)
	}
	count := map[string]int{}
	found := oneByOne(set)
	for _, f := range found {
		count[f.Name]++
	}
	// Held against the files by eye: each is what its message says.
	want := map[string]int{
		"alter-column-type": 10, "backfill-behind-alter": 4, "create-index": 12, "drop-column": 4, "set-not-null": 1,
	}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Errorf("file by file (-want +got):\n%s\n%s", diff, places(found))
	}
}
