// Package e2e tells user stories from YAML to the answer of a web server: the operator is the
// program that is shipped, a process of its own under its own service account and roles; requests go
// through a real data plane to the sample backend. What needs less than that is tested elsewhere.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenantry/tenantry/hack/demo/setup"
	"github.com/tenantry/tenantry/test/operator"
	"github.com/tenantry/tenantry/test/platform"
)

// What all stories share. Only stories that do not run in parallel may stop the operator.
var (
	servers *operator.Servers
	traefik *platform.Traefik
	host    setup.Host
	tenantd *setup.Operator
	folder  string
)

// The Gateway of the stories' classes: Traefik's HTTP port, open to all namespaces.
const (
	gatewayNamespace = "default"
	gatewayName      = "edge"
)

// startWithin bounds the start, building the data plane at first use included.
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

func start() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	if folder, err = os.MkdirTemp("", "tenantry-e2e-"); err != nil {
		return err
	}
	if err := setup.Build(ctx, "./hack/backend", program("backend")); err != nil {
		return err
	}
	if err := setup.Build(ctx, "./cmd/manager", program("manager")); err != nil {
		return err
	}
	if traefik, err = platform.StartTraefik(ctx, servers.Plane); err != nil {
		return err
	}
	if err := traefik.EnsureGateway(ctx, gatewayNamespace, gatewayName, ""); err != nil {
		return err
	}
	host = setup.Host{Plane: servers.Plane, Dir: folder}
	return startOperator(ctx)
}

func program(name string) string { return filepath.Join(folder, name) }

// startOperator starts the operator, after a kill too.
func startOperator(ctx context.Context) (err error) {
	tenantd, err = host.Operator(ctx, program("manager"))
	return err
}

// stop ends what start started. The operator's log of a failure is kept.
func stop(passed bool) error {
	var errs []error
	if tenantd != nil {
		errs = append(errs, tenantd.Stop())
	}
	if traefik != nil {
		errs = append(errs, traefik.Stop())
	}
	if !passed && tenantd != nil {
		_, _ = fmt.Fprintln(os.Stderr, "the operator's log is", tenantd.LogPath)
		return errors.Join(errs...)
	}
	return errors.Join(append(errs, os.RemoveAll(folder))...)
}
