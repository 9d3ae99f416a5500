// Package scenarios tests the operator as a whole, on its manager, against a real API server and a
// real PostgreSQL: what users and DBAs do, what the objects then say, and that they heal by
// themselves. What the data plane would say of routes is written by the tests; real requests are
// the end-to-end tests' part.
package scenarios

import (
	"context"
	"os"
	"testing"

	"github.com/tenantry/tenantry/controllers"
	"github.com/tenantry/tenantry/test/nameserver"
	"github.com/tenantry/tenantry/test/operator"
)

// servers are shared by all tests; each has a world of its own on them.
var servers *operator.Servers

// process is the operator. Only tests that do not run in parallel may stop it.
var process *operator.Process

func TestMain(m *testing.M) {
	code := operator.Main(m, &servers, hold, answer, restart)
	if productDir != "" {
		_ = os.RemoveAll(productDir)
	}
	os.Exit(code)
}

// few connections a database suit the many databases of these tests.
var options = controllers.Options{DatabaseConnections: 3}

// hold installs the policy by which Tenants have the finalizer from the start.
func hold() error { return servers.HoldTenants(context.Background()) }

// dns answers the operator's questions; it ends with the process.
var dns *nameserver.Server

func answer() (err error) {
	if dns, err = nameserver.Run(); err == nil {
		options.DNSServers = []string{dns.Address}
	}
	return err
}

func restart() (err error) {
	if process != nil {
		if err := process.Stop(); err != nil {
			return err
		}
	}
	process, err = servers.Run(options)
	return err
}
