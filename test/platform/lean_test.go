package platform

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// leanTool is a tool's folder: its program uses a package of ours in place of one of a module, and
// another package of the same module as it is.
func leanTool(t *testing.T) string {
	t.Helper()
	root, err := RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/tool\n\ngo 1.26.0\n\nrequire golang.org/x/sync " + required(t, filepath.Join(root, "go.mod"))["golang.org/x/sync"] + "\n",
		"go.sum": string(sums),
		"main.go": `package main

import (
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

func main() { println(errgroup.Group("ours"), semaphore.NewWeighted(1).TryAcquire(1)) }
`,
		// The real package has a Group too: both together would not compile.
		"lean/golang.org/x/sync/errgroup/ours.go": "package errgroup\n\ntype Group string\n",
	} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestLeanPackageTakesThePlaceOfAnother(t *testing.T) {
	folder := leanTool(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(folder, link); err != nil {
		t.Fatal(err)
	}
	for name, folder := range map[string]string{"its folder": folder, "a symbolic link to it": link} {
		before := filesOf(t, folder)
		program := filepath.Join(t.TempDir(), "program")
		if err := (goTool{program: "example.com/tool"}).build(t.Context(), folder, "v1", program); err != nil {
			t.Errorf("through %s: %v", name, err)
			continue
		}
		got, err := exec.CommandContext(t.Context(), program).CombinedOutput()
		if want := "ours true\n"; string(got) != want || err != nil {
			t.Errorf("through %s: the program says %q, %v, want %q", name, got, err, want)
		}
		if diff := cmp.Diff(before, filesOf(t, folder)); diff != "" {
			t.Errorf("the build changed the tool's folder (-before +after):\n%s", diff)
		}
	}
}

func TestLeanPackageOfNoModule(t *testing.T) {
	folder := leanTool(t)
	lost := filepath.Join(folder, "lean", "golang.org", "x", "sync", "lost")
	if err := os.Mkdir(lost, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(lost, "lost.go"), []byte("package lost\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := (goTool{program: "example.com/tool"}).build(t.Context(), folder, "v1", filepath.Join(t.TempDir(), "program"))
	if err == nil || !strings.Contains(err.Error(), "golang.org/x/sync/lost") {
		t.Errorf("error = %v, want one that names the package that nothing has", err)
	}
}

// filesOf returns all files below a folder with their texts.
func filesOf(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	paths, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if isDir(path) {
			for name, text := range filesOf(t, path) {
				files[filepath.Join(filepath.Base(path), name)] = text
			}
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(path)] = string(text)
	}
	return files
}

// The servers' modules name the versions of Kubernetes' client, and of what it is made from, that
// this project's module names: one difference far down, and a third of a cold build is compiled
// again for each of them.
func TestToolsShareWhatKubernetesClientIsMadeFrom(t *testing.T) {
	root, err := RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	own := required(t, filepath.Join(root, "go.mod"))
	for _, folder := range []string{"traefik"} {
		tool := required(t, filepath.Join(root, "hack", "tools", folder, "go.mod"))
		var others []string
		for _, module := range clientModules(t, root) {
			if have := tool[module]; have != "" && have != own[module] {
				others = append(others, module+"@"+own[module])
			}
		}
		if len(others) > 0 {
			t.Errorf("hack/tools/%s requires other versions than go.mod. Mend it there (or raise go.mod's, if the tool needs newer ones):\n"+
				"  cd hack/tools/%s && go get %s", folder, folder, strings.Join(others, " "))
		}
	}
}

// clientModules returns the modules that Kubernetes' client is made from, in this project's build.
func clientModules(t *testing.T, root string) []string {
	t.Helper()
	out, err := goCommand(t.Context(), root, "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "k8s.io/client-go/kubernetes").Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := strings.Fields(string(out))
	slices.Sort(modules)
	if modules = slices.Compact(modules); !slices.Contains(modules, "k8s.io/apimachinery") {
		t.Fatalf("modules of the client: %q", modules)
	}
	return modules
}

// required returns the versions that a go.mod requires, by module, or replaces them by.
func required(t *testing.T, file string) map[string]string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	type module struct{ Path, Version string }
	var mod struct {
		Require []module
		Replace []struct{ Old, New module }
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for _, r := range mod.Require {
		versions[r.Path] = r.Version
	}
	for _, r := range mod.Replace {
		versions[r.Old.Path] = r.New.Version
	}
	return versions
}

func TestCompilerEnvironment(t *testing.T) {
	t.Setenv("GOGC", "")
	if diff := cmp.Diff([]string{"GOGC=400"}, CompilerEnvironment()); diff != "" {
		t.Error(diff)
	}
	t.Setenv("GOGC", "50")
	if got := CompilerEnvironment(); len(got) > 0 {
		t.Errorf("the user's GOGC is overridden: %q", got)
	}
	// make demo sets it for the compiler of the demo itself.
	for _, entry := range cleanEnvironment() {
		if strings.HasPrefix(entry, "GOGC=") {
			t.Errorf("servers get %s", entry)
		}
	}
}
