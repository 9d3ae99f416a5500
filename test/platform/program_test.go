package platform

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestProgramEndsWhenAskedOrKilled(t *testing.T) {
	dir := t.TempDir()
	start := func(script string) *Program {
		t.Helper()
		p, err := StartProgram(t.Context(), ProgramConfig{
			Name: "worker", Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"MARK=" + dir}, Dir: dir,
			Ready: func(ctx context.Context) error {
				if log := readTail(filepath.Join(dir, "worker.log"), 1); !strings.HasPrefix(log, "ready") {
					return errors.New(log)
				}
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	polite := start(`trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done`)
	if err := polite.Stop(); err != nil || polite.Running() {
		t.Errorf("Stop: %v, running: %t", err, polite.Running())
	}
	if got := readTail(polite.LogPath, 1); got != "bye" {
		t.Errorf("last line %q, the program was not asked", got)
	}
	if err := os.Remove(polite.LogPath); err != nil {
		t.Fatal(err)
	}
	deaf := start(`trap '' TERM; echo ready; while :; do sleep 0.05; done`)
	if err := deaf.Kill(); err != nil || deaf.Running() {
		t.Errorf("Kill: %v, running: %t", err, deaf.Running())
	}
}

func TestProgramThatFailsIsQuoted(t *testing.T) {
	for name, test := range map[string]struct {
		script, until, want string
		within              time.Duration
	}{
		"ends":          {"echo no luck; exit 1", "", "worker ended while starting (not yet); its log ends:\nno luck", time.Minute},
		"never ready":   {"echo thinking; exec sleep 600", "thinking", "its log ends:\nthinking", time.Minute},
		"why not ready": {"exec sleep 60", "", "not yet", 300 * time.Millisecond},
	} {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		// The time is over when the words are in the log, however long that takes.
		never := func(context.Context) error {
			if test.until != "" && strings.HasPrefix(readTail(filepath.Join(dir, "worker.log"), 1), test.until) {
				cancel()
			}
			return errors.New("not yet")
		}
		_, err := StartProgram(ctx, ProgramConfig{
			Name: "worker", Path: "/bin/sh", Args: []string{"-c", test.script}, Dir: dir, Ready: never, Within: test.within,
		})
		cancel()
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error = %v, want %q in it", name, err, test.want)
		}
	}
}

func TestStopDetachedEndsAllItFinds(t *testing.T) {
	dir := t.TempDir()
	postgres := startPostgres(t, PostgresDetached(dir))
	config := ProgramConfig{Name: "worker", Path: "/bin/sleep", Args: []string{"600"}, Dir: dir, Detached: true}
	worker, err := StartProgram(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	again, err := StartProgram(t.Context(), config)
	if err != nil || again.PID() != worker.PID() {
		t.Errorf("a second start: pid %d, first %d, %v", again.PID(), worker.PID(), err)
	}
	if err := syscall.Kill(postgres.proc.PID, syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "the server dies", func() bool { return !postgres.proc.running() })

	servers, err := Detached(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, server := range servers {
		got[server.Name] = server.Running
	}
	if diff := cmp.Diff(map[string]bool{"worker": true, "postgres": false}, got); diff != "" {
		t.Errorf("servers running (-want +got):\n%s", diff)
	}
	if err := StopDetached(dir); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 || worker.Running() || !gone(postgres.record.Folder) {
		t.Errorf("left %v (%v), worker running: %t", left, err, worker.Running())
	}
	if err := StopDetached(dir); err != nil {
		t.Errorf("the second StopDetached: %v", err)
	}
}
