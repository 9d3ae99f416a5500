package platform

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// goTool is a program built from a Go module of its own below hack/tools, whose go.mod pins it.
type goTool struct {
	folder  string // below hack/tools
	module  string // the required module that gives the version
	program string // package path of the program
	// ldflags are added to "-s -w"; %s is the version.
	ldflags string
	// asset: Kubernetes' test assets (KUBEBUILDER_ASSETS) hold a program of this name too.
	asset bool
}

// kubeVersion makes Kubernetes' programs say their version: kubectl refuses to parse an empty one.
const kubeVersion = "-X k8s.io/component-base/version.gitVersion=%[1]s -X k8s.io/client-go/pkg/version.gitVersion=%[1]s"

var goTools = map[string]goTool{
	"etcd":                    {folder: "etcd", module: "go.etcd.io/etcd/server/v3", program: "go.etcd.io/etcd/server/v3", asset: true},
	"kube-apiserver":          kubeTool("kube-apiserver", true),
	"kubectl":                 kubeTool("kubectl", true),
	"kube-controller-manager": kubeTool("kube-controller-manager", false),
	// Its main package is ours: what it does not import is not built.
	"registry": {folder: "registry", module: "github.com/distribution/distribution/v3", program: "."},
	"traefik": {
		folder: "traefik", module: "github.com/traefik/traefik/v3", program: "github.com/traefik/traefik/v3/cmd/traefik",
		ldflags: "-X github.com/traefik/traefik/v3/pkg/version.Version=%s",
	},
}

func kubeTool(name string, asset bool) goTool {
	return goTool{
		folder: "controlplane", module: "k8s.io/kubernetes", program: "k8s.io/kubernetes/cmd/" + name,
		ldflags: kubeVersion, asset: asset,
	}
}

// ToolNames lists the programs that Tool knows, in the order in which a platform needs them.
var ToolNames = []string{"postgres", "etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "registry", "traefik"}

// Tools returns the paths of the named programs, of all of them if none is named. What the cache
// lacks is built or fetched first, one after the other: a build uses every core by itself. The
// sources of those behind it are downloaded meanwhile.
func (c *Cache) Tools(ctx context.Context, names ...string) (map[string]string, error) {
	if len(names) == 0 {
		names = ToolNames
	}
	fetching, stop := context.WithCancel(ctx)
	var fetched sync.WaitGroup
	defer fetched.Wait()
	defer stop()
	fetched.Go(func() { c.Prefetch(fetching, names...) })
	paths := map[string]string{}
	for _, name := range names {
		path, err := c.Tool(ctx, name)
		if err != nil {
			return nil, err
		}
		paths[name] = path
	}
	return paths, nil
}

// Tool returns the path of one program: of $KUBEBUILDER_ASSETS if it is there and the name is one
// of Kubernetes' test assets, or else of the cache, where it is built or fetched at first use. A
// changed pin (any file of the tool's module) builds again.
func (c *Cache) Tool(ctx context.Context, name string) (string, error) {
	if name == "postgres" {
		bin, err := c.postgresBinaries(ctx, 0)
		if err != nil {
			return "", err
		}
		return filepath.Join(bin.dir, "postgres"), nil
	}
	tool, known := goTools[name]
	if !known {
		return "", fmt.Errorf("unknown tool %q, known are %s", name, strings.Join(ToolNames, ", "))
	}
	if path := tool.installed(name); path != "" {
		return path, nil
	}
	root, err := RepoRoot()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(root, "hack", "tools", tool.folder)
	key, version, err := tool.key(name, folder)
	if err != nil {
		return "", err
	}
	dir, err := c.once(ctx, key, func(ctx context.Context, dir string) error {
		return tool.build(ctx, folder, version, filepath.Join(dir, name))
	})
	return filepath.Join(dir, name), err
}

// installed returns the path of the program among Kubernetes' test assets, "" if it is not there.
func (t goTool) installed(name string) string {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if path := filepath.Join(assets, name); assets != "" && t.asset && isProgram(path) {
		return path
	}
	return ""
}

// key names the tool's folder in the cache.
func (t goTool) key(name, folder string) (key, version string, err error) {
	version, sum, err := pinOf(folder, t.module, t.ldflags)
	return fmt.Sprintf("%s-%s-%s-%s-%s", name, version, runtime.GOOS, runtime.GOARCH, sum), version, err
}

// build compiles the tool. Paths are not trimmed: so the standard library and the modules that the
// demo itself is made from are compiled once for both.
func (t goTool) build(ctx context.Context, folder, version, output string) error {
	flags := "-s -w"
	if t.ldflags != "" {
		flags += " " + fmt.Sprintf(t.ldflags, version)
	}
	return withLean(ctx, folder, filepath.Dir(output), func(lean []string) error {
		args := slices.Concat(lean, []string{"-ldflags", flags, "-o", output, t.program})
		out, err := goCommand(ctx, folder, "build", args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("go build %s: %w\n%s", t.program, err, lastLines(string(out), 30))
		}
		return nil
	})
}

// pinOf returns the version that a tool module requires, and a short hash of all the module's files
// and of the flags it is built with.
func pinOf(folder, module, flags string) (version, sum string, err error) {
	mod, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	if err != nil {
		return "", "", err
	}
	match := regexp.MustCompile(`(?m)^\s*(?:require\s+)?` + regexp.QuoteMeta(module) + ` (v\S+)`).FindSubmatch(mod)
	if match == nil {
		return "", "", fmt.Errorf("%s: requires no %s", folder, module)
	}
	hash := sha256.New()
	_, _ = io.WriteString(hash, flags+"\n")
	err = fs.WalkDir(os.DirFS(folder), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(folder, path))
		_, _ = fmt.Fprintf(hash, "%s %d\n%s", path, len(data), data)
		return err
	})
	return string(match[1]), hex.EncodeToString(hash.Sum(nil))[:12], err
}

// isProgram says whether path is a file that can be executed.
func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// readTail returns the last lines of a log for an error message; a missing log is said, not hidden.
func readTail(path string, lines int) string {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "(no log)"
	}
	if err != nil {
		return err.Error()
	}
	return lastLines(string(data), lines)
}

// lastLines returns the last n lines of text.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
