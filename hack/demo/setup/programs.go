package setup

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/tenantry/tenantry/test/platform"
)

// Host says where programs run: beside which control plane, and in which folder.
type Host struct {
	Plane *platform.ControlPlane
	// Dir holds their logs, logins and records. Detached lets them outlive this process; Dir is then
	// the folder of the detached platform, whose end is theirs too.
	Dir      string
	Detached bool
}

// loopback is the address of what listens for this machine alone.
const loopback = "127.0.0.1"

// Build compiles a program of this tree, such as "./cmd/manager". It costs little if nothing changed.
func Build(ctx context.Context, program, output string) error {
	root, err := platform.RepoRoot()
	if err != nil {
		return err
	}
	// Nothing of the commit goes into the file, or a commit would restart it. Nothing for debuggers
	// either, which takes the linker half of its time. The compiler gets no flags: what `go run` or
	// `go test` has compiled before is not compiled again.
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-ldflags=-s -w", "-o", output, program)
	cmd.Dir = root
	cmd.Env = append(append(os.Environ(), platform.CompilerEnvironment()...), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", program, err, out)
	}
	return nil
}

// folder is where files of programs lie; a detached platform removes it with the programs.
func (h Host) folder() (string, error) {
	dir := h.Dir
	if h.Detached {
		dir = filepath.Join(dir, "programs")
	}
	return dir, os.MkdirAll(dir, 0o700)
}

// login writes a kubeconfig with a new token of a service account and returns the file's path.
func (h Host) login(ctx context.Context, program, namespace, account string) (string, error) {
	config, err := h.Plane.ServiceAccount(ctx, namespace, account)
	if err != nil {
		return "", err
	}
	dir, err := h.folder()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, program+".kubeconfig")
	return path, platform.WriteKubeconfig(config, path)
}

// run starts a program, or finds it again. One that was started from another file or with other
// arguments is ended first.
func (h Host) run(ctx context.Context, config platform.ProgramConfig) (*platform.Program, error) {
	config.Dir, config.Detached = h.Dir, h.Detached
	dir, err := h.folder()
	if err != nil {
		return nil, err
	}
	mark := filepath.Join(dir, config.Name+".started")
	sum, err := fingerprint(config)
	if err != nil {
		return nil, err
	}
	if h.Detached {
		if err := endOther(ctx, config, mark, sum); err != nil {
			return nil, err
		}
	}
	program, err := platform.StartProgram(ctx, config)
	if err != nil {
		return nil, err
	}
	return program, os.WriteFile(mark, []byte(sum), 0o600)
}

// endOther ends a running program of that name unless its mark is the wanted one.
func endOther(ctx context.Context, config platform.ProgramConfig, mark, sum string) error {
	have, err := os.ReadFile(mark)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	servers, err := platform.Detached(config.Dir)
	if err != nil || string(have) == sum {
		return err
	}
	running := slices.ContainsFunc(servers, func(s platform.Server) bool { return s.Name == config.Name && s.Running })
	if !running {
		return nil
	}
	config.Ready = nil // It only has to be found.
	program, err := platform.StartProgram(ctx, config)
	if err != nil {
		return err
	}
	return program.Stop()
}

// fingerprint tells whether a program runs from this file and with these arguments.
func fingerprint(config platform.ProgramConfig) (sum string, err error) {
	file, err := os.Open(config.Path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}
	_, _ = fmt.Fprintf(hash, "%q %q", config.Args, config.Env)
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// answers returns a readiness check: the URL answers 200.
func answers(url string) func(context.Context) error {
	return func(ctx context.Context) (err error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		transport := &http.Transport{DisableKeepAlives: true}
		response, err := transport.RoundTrip(request)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, response.Body.Close()) }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, response.Status)
		}
		return nil
	}
}

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
