package platform_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/hack/local/stack"
	"github.com/tenantry/tenantry/test/platform"
)

// The data plane may come later than the rest, and is seen to by each Up from then on.
func TestDataPlaneJoinsAndIsMended(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	stopAtEnd(t, func() error { return stack.Down(context.WithoutCancel(t.Context()), dir) })
	up := func(traefik bool) (*stack.Stack, string) {
		t.Helper()
		var out strings.Builder
		s, err := stack.Up(t.Context(), dir, stack.Options{Traefik: traefik, Out: &out})
		if err != nil {
			t.Fatal(err)
		}
		return s, out.String()
	}
	if bare, _ := up(false); bare.Traefik != nil || bare.State.HTTPPort != 0 {
		t.Error("the data plane was started without being asked for")
	}
	joined, said := up(true)
	if joined.Traefik == nil || strings.Contains(said, "died") {
		t.Fatalf("the data plane did not join, or something died:\n%s", said)
	}
	if err := syscall.Kill(traefikPID(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Traefik dies", func() (string, bool) { return "it runs", traefikPID(t, dir) == 0 })

	mended, said := up(false)
	if !strings.Contains(said, "traefik had died") {
		t.Errorf("nothing is said of the death:\n%s", said)
	}
	if diff := cmp.Diff(joined.State, mended.State); diff != "" {
		t.Errorf("the mended platform is another one (-before +after):\n%s", diff)
	}
	if err := mended.Traefik.EnsureGateway(t.Context(), "default", "edge", ""); err != nil {
		t.Errorf("the mended data plane does not work: %v", err)
	}
	if err := stack.Down(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there (%v)", err)
	}
}

// traefikPID returns the process id of the platform's data plane, 0 if it does not run.
func traefikPID(t *testing.T, dir string) int {
	t.Helper()
	servers, err := platform.Detached(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range servers {
		if server.Name == "traefik" && server.Running {
			return server.PID
		}
	}
	return 0
}
