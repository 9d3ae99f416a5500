package stack

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/test/platform"
)

// up brings the platform up and returns it with what was said. That the data plane may join later
// is tested with the other tests that need one, in test/e2e.
func up(t *testing.T, dir string) (*Stack, string) {
	t.Helper()
	var out strings.Builder
	s, err := Up(t.Context(), dir, Options{Out: &out})
	if err != nil {
		t.Fatal(err)
	}
	return s, out.String()
}

// pids returns the process ids of a platform by name.
func pids(t *testing.T, dir string) map[string]int {
	t.Helper()
	servers, err := platform.Detached(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, server := range servers {
		if server.Running {
			found[server.Name] = server.PID
		}
	}
	return found
}

// waitDead waits until killed servers have ended: they take a moment to give up their memory.
func waitDead(t *testing.T, dir string, names ...string) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(time.Minute)
	for {
		running := pids(t, dir)
		if !slices.ContainsFunc(names, func(name string) bool { return running[name] != 0 }) {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("still running: %v", running)
		}
	}
}

func TestUpMendsAndDownLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	t.Cleanup(func() {
		// The test's own context has ended by now.
		if err := Down(context.WithoutCancel(t.Context()), dir); err != nil {
			t.Error(err)
		}
	})
	first, _ := up(t, dir)
	if first.Traefik != nil || first.State.HTTPPort != 0 {
		t.Error("the data plane was started without being asked for")
	}
	dsn, err := first.OperatorDatabase(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}

	second, said := up(t, dir)
	if strings.Contains(said, "died") {
		t.Errorf("the second up says:\n%s", said)
	}
	if again, err := second.OperatorDatabase(t.Context(), "shop"); err != nil || again != dsn {
		t.Errorf("another URL for the same database (%v)", err)
	}
	before := pids(t, dir)
	for _, name := range []string{"kube-apiserver", "postgres"} {
		if err := syscall.Kill(before[name], syscall.SIGQUIT); err != nil {
			t.Fatal(err)
		}
	}

	waitDead(t, dir, "kube-apiserver", "postgres")

	third, said := up(t, dir)
	for _, name := range []string{"kube-apiserver", "postgres"} {
		if !strings.Contains(said, name+" had died") {
			t.Errorf("the third up does not say that %s had died:\n%s", name, said)
		}
	}
	if diff := cmp.Diff(second.State, third.State); diff != "" {
		t.Errorf("the mended platform is another one (-before +after):\n%s", diff)
	}
	after := pids(t, dir)
	if after["etcd"] != before["etcd"] || len(after) != len(before) {
		t.Errorf("processes before %v, after %v: those that ran should be left alone", before, after)
	}
	if info, err := os.Stat(filepath.Join(dir, stateFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s holds passwords and has mode %v (%v)", stateFile, info.Mode(), err)
	}

	if err := Down(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for name, pid := range after {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("%s (pid %d) still runs", name, pid)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there (%v)", err)
	}
}

func TestDownKeepsStrangersFiles(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Down(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(mine); err != nil || string(data) != "mine" {
		t.Errorf("a file that is not ours: %q, %v", data, err)
	}
}
