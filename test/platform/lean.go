package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// leanFolder is where a tool's folder holds small packages that take the place of large ones in the
// tool's build: lean/<import path>/*.go stands for the package of that path. The tool's go.mod stays
// as it is without them.
//
// The go command replaces no file in its module cache, but builds a replaced module from files that
// an overlay puts into its folder. So the module of such a package is replaced by
// lean/<module path>, where the overlay shows the module's files, but none of that package besides
// ours. Nothing is copied, and what the overlay shows was checked against the tool's go.sum.
const leanFolder = "lean"

// withLean calls do with the flags by which the go command takes the lean packages of a tool's
// folder, none if there are no such packages. The files that the flags name lie below dir meanwhile.
func withLean(ctx context.Context, folder, dir string, do func(flags []string) error) (err error) {
	dir = filepath.Join(dir, leanFolder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	flags, err := leanFlags(ctx, folder, dir)
	if err != nil {
		return err
	}
	return do(flags)
}

// leanFlags writes the overlay of a tool's folder, and its go.mod with the replaced modules, into
// dir, and returns the flags that name them.
func leanFlags(ctx context.Context, folder, dir string) ([]string, error) {
	packages, err := leanPackages(folder)
	if err != nil || len(packages) == 0 {
		return nil, err
	}
	modules, err := modulesOf(ctx, folder, packages)
	if err != nil {
		return nil, err
	}
	mod, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for module, source := range modules {
		mod = fmt.Appendf(mod, "\nreplace %s => ./%s\n", module, path.Join(leanFolder, module))
		place := filepath.Join(folder, leanFolder, filepath.FromSlash(module))
		if err := showModule(files, module, source, place, packages); err != nil {
			return nil, err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": files})
	if err != nil {
		return nil, err
	}
	sum, err := os.ReadFile(filepath.Join(folder, "go.sum"))
	for name, data := range map[string][]byte{"overlay.json": overlay, "lean.mod": mod, "lean.sum": sum} {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	return []string{"-modfile=" + filepath.Join(dir, "lean.mod"), "-overlay=" + filepath.Join(dir, "overlay.json")}, err
}

// leanPackages returns the import paths of the packages below a tool's lean folder.
func leanPackages(folder string) (packages []string, err error) {
	root := filepath.Join(folder, leanFolder)
	if !isDir(root) {
		return nil, nil
	}
	err = fs.WalkDir(os.DirFS(root), ".", func(name string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".go") && !slices.Contains(packages, path.Dir(name)) {
			packages = append(packages, path.Dir(name))
		}
		return err
	})
	return packages, err
}

// modulesOf returns the modules that hold the packages, by path, with their folders in the module
// cache. It downloads what is missing there.
func modulesOf(ctx context.Context, folder string, packages []string) (map[string]string, error) {
	args := append([]string{"-find", "-f", "{{.ImportPath}} {{with .Module}}{{.Path}} {{.Dir}}{{end}}"}, packages...)
	cmd := goCommand(ctx, folder, "list", args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list of what %s replaces: %w\n%s", leanFolder, err, lastLines(stderr.String(), 30))
	}
	modules := map[string]string{}
	for line := range strings.Lines(string(out)) {
		words := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(words) != 3 {
			return nil, fmt.Errorf("package %s is of no module that could be replaced", words[0])
		}
		modules[words[1]] = words[2]
	}
	return modules, nil
}

// showModule adds a module's files to an overlay, at place instead of source. Of the packages that
// are replaced no Go file is shown; tests are of no use to a build.
func showModule(files map[string]string, module, source, place string, packages []string) error {
	return fs.WalkDir(os.DirFS(source), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(name, "_test.go") {
			return err
		}
		if strings.HasSuffix(name, ".go") && slices.Contains(packages, path.Join(module, path.Dir(name))) {
			return nil
		}
		files[filepath.Join(place, filepath.FromSlash(name))] = filepath.Join(source, filepath.FromSlash(name))
		return nil
	})
}
