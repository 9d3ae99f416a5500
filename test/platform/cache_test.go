package platform

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// lines collects progress for a test.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestCacheMakesOnce(t *testing.T) {
	dir, progress := t.TempDir(), &lines{}
	var made atomic.Int32
	building, finish := make(chan struct{}), make(chan struct{})
	build := func(_ context.Context, dir string) error {
		made.Add(1)
		close(building)
		<-finish
		return os.WriteFile(filepath.Join(dir, "program"), nil, 0o755)
	}
	var wait sync.WaitGroup
	run := func() {
		// Each has a Cache of its own, as two processes have: only the file lock joins them.
		c := &Cache{Dir: dir, Progress: progress}
		got, err := c.once(t.Context(), "tool-v1", build)
		if err != nil || !isProgram(filepath.Join(got, "program")) {
			t.Errorf("once = %q, %v", got, err)
		}
	}
	wait.Go(run)
	<-building
	wait.Go(run)
	eventually(t, time.Minute, "the second one waits", func() bool {
		return strings.Contains(progress.String(), "waiting for another process")
	})
	close(finish)
	wait.Wait()
	if made.Load() != 1 {
		t.Errorf("made %d times", made.Load())
	}
}

func TestCacheForgetsAFailure(t *testing.T) {
	c := &Cache{Dir: t.TempDir()}
	broken := errors.New("broken")
	_, err := c.once(t.Context(), "tool-v1", func(_ context.Context, dir string) error {
		return errors.Join(os.WriteFile(filepath.Join(dir, "half"), nil, 0o644), broken)
	})
	if !errors.Is(err, broken) {
		t.Fatalf("error = %v, want the builder's", err)
	}
	dir, err := c.once(t.Context(), "tool-v1", func(_ context.Context, dir string) error {
		return os.WriteFile(filepath.Join(dir, "whole"), nil, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if diff := cmp.Diff([]string{"whole"}, got); diff != "" || err != nil {
		t.Errorf("folder (-want +got), %v:\n%s", err, diff)
	}
}

func TestPinChangesWithEveryFile(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for _, change := range []struct{ name, text, flags, want string }{
		{"go.mod", "module x\nrequire (\n\tk8s.io/kubernetes v1.37.2 // indirect\n)\n", "", "v1.37.2"},
		{"go.mod", "module x\nrequire k8s.io/kubernetes v1.37.3\n", "", "v1.37.3"},
		{"go.sum", "k8s.io/kubernetes h1:abc\n", "", "v1.37.3"},
		{"ext.go", "package ext\n", "", "v1.37.3"},
		{"ext.go", "package ext\n", "-X a=b", "v1.37.3"},
	} {
		write(change.name, change.text)
		version, sum, err := pinOf(folder, "k8s.io/kubernetes", change.flags)
		if err != nil || version != change.want || seen[sum] {
			t.Errorf("after %s: version %s, sum %s (seen: %t), %v", change.name, version, sum, seen[sum], err)
		}
		seen[sum] = true
	}
	if _, _, err := pinOf(folder, "k8s.io/kube", ""); err == nil {
		t.Error("a module that is not required has a version")
	}
}

func TestIdentityIsNotOnlyANumber(t *testing.T) {
	self, err := identify(os.Getpid())
	if err != nil || !self.alive() {
		t.Fatalf("this process is not alive: %+v, %v", self, err)
	}
	for name, other := range map[string]identity{
		"a former process of the same number": {PID: self.PID, Started: self.Started - 1, Boot: self.Boot},
		"one before the last boot":            {PID: self.PID, Started: self.Started, Boot: "other"},
		"none":                                {},
	} {
		if other.alive() {
			t.Errorf("%s counts as alive", name)
		}
	}
	path := filepath.Join(t.TempDir(), "x.pid")
	if err := self.write(path); err != nil {
		t.Fatal(err)
	}
	if got, err := readIdentity(path); err != nil || got != self {
		t.Errorf("read %+v, %v, want %+v", got, err, self)
	}
}

func TestPostgresProgramsOfAnotherVersionAreRefused(t *testing.T) {
	c, err := DefaultCache()
	if err != nil {
		t.Fatal(err)
	}
	bin, err := c.postgresBinaries(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TENANTRY_POSTGRES_BIN", bin.dir)
	if _, err := c.postgresBinaries(t.Context(), bin.major+1); err == nil || !strings.Contains(err.Error(), "TENANTRY_POSTGRES_BIN") {
		t.Errorf("error = %v, want one that names the variable", err)
	}
	t.Setenv("TENANTRY_POSTGRES_BIN", t.TempDir())
	if _, err := c.postgresBinaries(t.Context(), 0); err == nil {
		t.Error("an empty folder is accepted")
	}
}
