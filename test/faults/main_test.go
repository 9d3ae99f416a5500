// Package faults breaks what a rollout over a fleet of tenants depends on, all at once, and looks at
// what is left: rows that a migration cannot take, locks, objects in its way, sessions that end, quotas,
// and an operator that is killed again and again. The operator is the program that is shipped, a process
// of its own; API server and PostgreSQL are real.
//
// How large the fleet is and how often the operator dies is told by the environment, so that `make test`
// and `make fleet` run the same test.
package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantry/tenantry/hack/demo/setup"
	"github.com/tenantry/tenantry/test/operator"
)

// The operator's process, and since when it runs.
var (
	servers *operator.Servers
	tenantd *setup.Operator
	host    setup.Host
	since   atomic.Int64 // nanoseconds
)

// startWithin bounds the start, building the operator included.
const startWithin = 20 * time.Minute

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	code := operator.Main(m, &servers, start)
	if err := stop(code == 0); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "stop:", err)
		return max(code, 1)
	}
	return code
}

func start() error {
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	folder, err := os.MkdirTemp("", "tenantry-faults-")
	if err != nil {
		return err
	}
	host = setup.Host{Plane: servers.Plane, Dir: folder}
	if err := setup.Build(ctx, "./cmd/manager", program()); err != nil {
		return err
	}
	return startOperator(ctx)
}

func program() string { return filepath.Join(host.Dir, "manager") }

// startOperator starts the operator, after a kill too. It does not wait for a lease: that of one that was
// killed runs for a while, in which nothing would happen.
func startOperator(ctx context.Context) (err error) {
	since.Store(time.Now().UnixNano())
	tenantd, err = host.Operator(ctx, program(), "--leader-elect=false")
	return err
}

// kill ends the operator as the kernel's SIGKILL does, and starts it again.
func kill(t *testing.T) {
	t.Helper()
	if err := errors.Join(tenantd.Kill(), startOperator(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// stop ends the operator. Its log is kept for a look at a failure.
func stop(passed bool) error {
	if tenantd == nil {
		return os.RemoveAll(host.Dir)
	}
	err := tenantd.Stop()
	if !passed {
		_, _ = fmt.Fprintln(os.Stderr, "the operator's log is", tenantd.LogPath)
		return err
	}
	return errors.Join(err, os.RemoveAll(host.Dir))
}

// number is what the environment says, or else a number that suits every test run.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("%s is %q, not a number", name, text)
	}
	return n
}
