// Package stack puts the servers of package platform together into the one local platform that the
// demo and a developer's shell use: control plane, PostgreSQL and, when asked for, the data plane.
// It lives in one folder and outlives the command that started it. Its contract: Up may be called
// at any time, does only what is missing and says what had died; Down leaves no process and no file
// behind; two commands never work on one folder at the same time.
package stack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tenantry/tenantry/test/platform"
)

// Options says what Up starts.
type Options struct {
	// Traefik adds the data plane. A later Up may add it to a platform that has none, so that it
	// can be built while the rest is in use; from then on each Up sees to it.
	Traefik bool
	// Out gets a line for each thing that was done.
	Out io.Writer
}

// Stack is a running platform.
type Stack struct {
	Dir      string
	Plane    *platform.ControlPlane
	Postgres *platform.Postgres
	// Traefik is nil if neither this Up nor an earlier one was asked for it.
	Traefik *platform.Traefik
	// State is what state.json holds.
	State State

	out io.Writer
}

// DefaultDir returns $TENANTRY_DEMO_DIR, or else .demo in the root of the repository.
func DefaultDir() (string, error) {
	if dir := os.Getenv("TENANTRY_DEMO_DIR"); dir != "" {
		return filepath.Abs(dir)
	}
	root, err := platform.RepoRoot()
	if err != nil {
		return "", err
	}
	return filepath.Join(root, ".demo"), nil
}

// Up starts what does not run of the platform in dir, and writes state.json and a kubeconfig there.
// What it started before an error goes on running; Up again, or Down, is always possible.
func Up(ctx context.Context, dir string, opts Options) (*Stack, error) {
	s := &Stack{Dir: dir, out: opts.Out}
	unlock, err := lock(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if s.State, err = ReadState(dir); err != nil {
		return nil, err
	}
	hadTraefik, err := s.lookAround()
	if err != nil {
		return nil, err
	}
	if err := s.startServers(ctx); err != nil {
		return nil, err
	}
	if err := s.linkKubectl(ctx); err != nil {
		return nil, err
	}
	// Before the data plane, which may take minutes to build: the rest is ready for use.
	if err := s.save(); err != nil {
		return nil, err
	}
	if !opts.Traefik && !hadTraefik {
		return s, nil
	}
	err = s.timed("Traefik", func() (string, error) {
		s.Traefik, err = platform.StartTraefik(ctx, s.Plane, platform.TraefikDetached(dir))
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("http on 127.0.0.1:%d, https on 127.0.0.1:%d", s.Traefik.HTTPPort, s.Traefik.HTTPSPort), nil
	})
	if err != nil {
		return nil, err
	}
	return s, s.save()
}

// startServers starts PostgreSQL and the control plane side by side.
func (s *Stack) startServers(ctx context.Context) error {
	cache, err := platform.DefaultCache()
	if err != nil {
		return err
	}
	// First, and one after the other: builds use every core, and starts have deadlines.
	if _, err := cache.Tools(ctx, "postgres", "etcd", "kube-apiserver", "kube-controller-manager", "kubectl"); err != nil {
		return err
	}
	var wait sync.WaitGroup
	var postgres, plane error
	wait.Go(func() {
		postgres = s.timed("PostgreSQL", func() (detail string, err error) {
			s.Postgres, err = platform.StartPostgres(ctx, platform.PostgresDetached(s.Dir))
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("%s on %s:%d", s.Postgres.Version, s.Postgres.Host, s.Postgres.Port), nil
		})
	})
	wait.Go(func() {
		plane = s.timed("Kubernetes", func() (detail string, err error) {
			s.Plane, err = platform.StartControlPlane(ctx, platform.ControlPlaneDetached(s.Dir), platform.WithControllerManager())
			if err != nil {
				return "", err
			}
			return "on " + s.Plane.Config.Host, nil
		})
	})
	wait.Wait()
	return errors.Join(postgres, plane)
}

// OperatorDatabase returns the URL of an operator's database in the platform's PostgreSQL, made by
// hack/bootstrap.sql at the first call. The URL is kept in state.json.
func (s *Stack) OperatorDatabase(ctx context.Context, name string) (string, error) {
	if dsn := s.State.Databases[name]; dsn != "" {
		return dsn, nil
	}
	dsn, err := s.Postgres.EnsureOperatorDatabase(ctx, name)
	if err != nil {
		return "", err
	}
	if s.State.Databases == nil {
		s.State.Databases = map[string]string{}
	}
	s.State.Databases[name] = dsn
	return dsn, s.save()
}

// Down ends the platform in dir and removes everything that it made, also after a crash or if there
// is none. Files that it did not make stay, and so does then the folder.
func Down(ctx context.Context, dir string) error {
	unlock, err := lock(ctx, dir)
	if err != nil {
		return err
	}
	defer unlock()
	if err := platform.StopDetached(dir); err != nil {
		return err
	}
	for _, name := range []string{stateFile, stateFile + ".new", kubeconfigFile, binFolder} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	left, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(left) > 0 {
		return nil
	}
	return errors.Join(err, os.Remove(dir))
}

// lookAround says which processes of an earlier Up have died, and whether the data plane was there:
// then it is started again even if it is not asked for.
func (s *Stack) lookAround() (hadTraefik bool, err error) {
	servers, err := platform.Detached(s.Dir)
	if err != nil {
		return false, err
	}
	for _, server := range servers {
		if !server.Running {
			s.say("%s had died; its log is %s", server.Name, server.LogPath)
		}
		hadTraefik = hadTraefik || server.Name == "traefik"
	}
	return hadTraefik, nil
}

// timed does something and says how long it took.
func (s *Stack) timed(what string, do func() (detail string, err error)) error {
	start := time.Now()
	detail, err := do()
	if err == nil {
		s.say("%s %s, ready after %s", what, detail, time.Since(start).Round(100*time.Millisecond))
	}
	return err
}

// linkKubectl puts kubectl into the platform's bin folder, for the PATH of a shell.
func (s *Stack) linkKubectl(ctx context.Context) error {
	cache, err := platform.DefaultCache()
	if err != nil {
		return err
	}
	kubectl, err := cache.Tool(ctx, "kubectl")
	if err != nil {
		return err
	}
	bin := filepath.Join(s.Dir, binFolder)
	link := filepath.Join(bin, "kubectl")
	if err := errors.Join(os.MkdirAll(bin, 0o755), os.RemoveAll(link)); err != nil {
		return err
	}
	return os.Symlink(kubectl, link)
}

// say prints a line; the two servers that start side by side do not mix theirs, as each is one write.
func (s *Stack) say(format string, args ...any) {
	if s.out != nil {
		_, _ = fmt.Fprintf(s.out, format+"\n", args...)
	}
}

// lock lets one command at a time work on a folder. The lock lies in the cache: one in the folder
// itself would have to be removed while somebody waits for it.
func lock(ctx context.Context, dir string) (unlock func(), err error) {
	cache, err := platform.DefaultCache()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(dir))
	return cache.Lock(ctx, "platform-"+hex.EncodeToString(sum[:])[:12])
}
