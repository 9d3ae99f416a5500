package platform

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
)

// CompilerEnvironment is added to the environment of a go command that compiles much, and of that
// alone: servers see nothing of it. The compiler collects its garbage more rarely than it would by
// itself, which saves a fifth of a cold build's processor time. It costs memory: the largest packages
// (Kubernetes' API types) take 1.5 GB instead of 1 GB, and two of them may be compiled at the same
// time. Who has set GOGC keeps the own value.
func CompilerEnvironment() []string {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	return []string{"GOGC=400"}
}

// goCommand is a command of go in a tool's folder, without cgo: no C compiler is needed, and the
// program runs anywhere.
func goCommand(ctx context.Context, folder, command string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", append([]string{command}, args...)...)
	cmd.Dir = folder
	// With PWD, go names files as we do where the folder is reached through a symbolic link.
	cmd.Env = append(append(os.Environ(), CompilerEnvironment()...), "CGO_ENABLED=0", "GOWORK=off", "PWD="+folder)
	return cmd
}

// Prefetch downloads the modules that the named tools will be built from, as far as they are not
// built yet, while the processor is busy with something else. What goes wrong is told by the build,
// which downloads what is missing itself.
func (c *Cache) Prefetch(ctx context.Context, names ...string) {
	root, err := RepoRoot()
	if err != nil {
		return
	}
	for _, name := range names {
		tool, known := goTools[name]
		if !known || tool.installed(name) != "" {
			continue
		}
		folder := filepath.Join(root, "hack", "tools", tool.folder)
		if key, _, err := tool.key(name, folder); err == nil && !isDir(filepath.Join(c.Dir, key)) {
			c.prefetch(ctx, key, folder, tool.program)
		}
	}
}

// prefetch downloads what one program is built from: go has to load its packages for that.
func (c *Cache) prefetch(ctx context.Context, key, folder, program string) {
	// One process at a time writes the overlay; who waits for it has no news for the user.
	lock := filepath.Join(c.Dir, ".locks", "prefetch-"+key)
	if os.MkdirAll(filepath.Dir(lock), 0o755) != nil {
		return
	}
	unlock, err := lockFile(ctx, lock, func() func(error) { return func(error) {} })
	if err != nil {
		return
	}
	defer unlock()
	dir := filepath.Join(c.Dir, ".prefetch-"+key)
	defer func() { _ = os.RemoveAll(dir) }()
	_ = withLean(ctx, folder, dir, func(lean []string) error {
		return goCommand(ctx, folder, "list", append(lean, "-deps", program)...).Run()
	})
}
