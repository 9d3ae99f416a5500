package probes

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tenantry/tenantry/hack/demo/setup"
	"github.com/tenantry/tenantry/test/operator"
)

// mostTalkative are the flags with which the program logs all that it can.
var mostTalkative = []string{"--zap-devel", "--zap-log-level=127", "--zap-stacktrace-level=info", "--metrics-secure=false"}

// startOperator starts the program that is shipped.
func startOperator(t *testing.T, servers *operator.Servers) *setup.Operator {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "manager")
	if err := setup.Build(t.Context(), "./cmd/manager", path); err != nil {
		t.Fatal(err)
	}
	program := must(setup.Host{Plane: servers.Plane, Dir: dir}.Operator(t.Context(), path, mostTalkative...))(t)
	t.Cleanup(func() {
		if err := program.Stop(); err != nil {
			t.Error(err)
		}
	})
	return program
}

func metrics(t *testing.T, port int) string {
	t.Helper()
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	return string(must(io.ReadAll(response.Body))(t))
}

func contents(t *testing.T, path string) string {
	t.Helper()
	return string(must(os.ReadFile(path))(t))
}

// processOf is what everybody on the machine may see of a process, and its user of its environment.
func processOf(t *testing.T, pid int) string {
	t.Helper()
	var text strings.Builder
	for _, name := range []string{"cmdline", "environ", "status"} {
		text.WriteString(contents(t, fmt.Sprintf("/proc/%d/%s", pid, name)))
	}
	return text.String()
}

// objectKinds are all kinds that the operator reads or writes, but Secrets. What a Job's Pod says is its
// program's to answer for.
const objectKinds = "jobs,tenants,tenantclasses,tenantdatabases,migrationsets,domainclaims,httproutes,gateways,ingresses,services,configmaps,namespaces,leases,deployments"

func kubectl(t *testing.T, servers *operator.Servers, kinds, form string) string {
	t.Helper()
	return must(servers.Plane.Kubectl(t.Context(), "get", kinds, "--all-namespaces", "--show-managed-fields", "--output="+form))(t)
}

func column(t *testing.T, dsn, sql string) string {
	t.Helper()
	return strings.Join(rowsOf(t, operator.Hold(t, dsn), sql), "\n")
}

// registry is all that the database keeps of roles and tenants.
func registry(t *testing.T, dsn string) string {
	t.Helper()
	conn := operator.Hold(t, dsn)
	tables := append(rowsOf(t, conn, "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'tenantry'::regnamespace AND relkind = 'r'"),
		"pg_authid", "pg_db_role_setting", "pg_shdescription")
	var all []string
	for _, table := range tables {
		all = append(all, column(t, dsn, "SELECT to_jsonb(t)::text FROM "+table+" t"))
	}
	return strings.Join(all, "\n")
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
