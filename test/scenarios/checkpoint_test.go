package scenarios

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/demo/setup"
	"github.com/tenantry/tenantry/test/operator"
	"github.com/tenantry/tenantry/test/platform"
)

// The whole way of a checkpoint: made by the command from a tenant that a customer works in, put beside the
// migrations, compared by the operator, and used for the next tenant, which has the seeds and nothing of the
// customer's.
func TestMakeCheckpoint(t *testing.T) {
	t.Parallel()
	program, err := platform.FindPgDump(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server, err := operator.StartPostgres(t.Context(), platform.PostgresMajor(program.Major))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	w := servers.WorldOn(t, server)
	w.Files.Data = with(map[string]string{
		"0004_plans.sql": "CREATE TABLE plans (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE, made timestamptz DEFAULT now());\n" +
			"INSERT INTO plans (name) VALUES ('free'), ('gold');\n",
		"0005_idx.sql": "CREATE INDEX CONCURRENTLY note_body ON note (body);\n",
	})
	// What the command writes needs no approval.
	w.Set.Spec.Lint = &v1alpha1.Lint{Policy: v1alpha1.LintRequireApproval, Suppressions: v1alpha1.SuppressionsIgnore}
	acme := acmeOf(t, w)
	w.AwaitReady(t, acme)
	operator.Exec(t, uri(t, w, acme), "INSERT INTO note (body) VALUES ('a customer''s')")

	plugin := filepath.Join(t.TempDir(), "kubectl-tenant")
	if err := setup.Build(t.Context(), "./cmd/kubectl-tenant", plugin); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (out, notes string, err error) {
		var stdout, stderr bytes.Buffer
		cmd := exec.CommandContext(t.Context(), plugin, append([]string{"make-checkpoint", "-n", w.Namespace}, args...)...)
		cmd.Env = append(append(os.Environ(), program.Env...), "KUBECONFIG="+w.Plane.Kubeconfig, "HOME="+t.TempDir(),
			"PGSERVICE=another", "PGHOSTADDR=192.0.2.1") // a user's own way to another database
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err = cmd.Run()
		return stdout.String(), stderr.String(), err
	}
	text, notes, err := run("acme", "--rows", "plans", "--pg-dump", program.Path)
	if err != nil {
		t.Fatalf("%v: %s", err, notes)
	}
	if !strings.Contains(notes, "checkpoint_5.pgsql") || strings.Contains(text, acme.Status.Schema) || strings.Contains(text, "customer") {
		t.Errorf("notes %q, checkpoint:\n%s", notes, text)
	}
	// One that is older than the server, by its own word: the real one of that age is not on every machine.
	old := filepath.Join(t.TempDir(), "pg_dump")
	script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = --version ] && echo 'pg_dump (PostgreSQL) %d.4 (Debian)'\n", program.Major-1)
	if err := os.WriteFile(old, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"an old pg_dump": {[]string{"acme", "--pg-dump", old}, fmt.Sprintf("is of PostgreSQL %d and cannot dump a server of PostgreSQL %d; install the client", program.Major-1, program.Major)},
		"no such tenant": {[]string{"nobody", "--pg-dump", program.Path}, "not found"},
		"no such table":  {[]string{"acme", "--rows", "planz", "--pg-dump", program.Path}, `no table "planz"`},
		"no pg_dump":     {[]string{"acme", "--pg-dump", "pg_dump_of_nobody"}, "--pg-dump"},
	} {
		if _, notes, err := run(tt.args...); err == nil || !strings.Contains(notes, tt.want) {
			t.Errorf("%s: %v, %q, want %q", name, err, notes, tt.want)
		}
	}
	write(t, w, map[string]string{"checkpoint_5.pgsql": text})
	w.AwaitWant(t, operator.Eventually, w.Set, operator.Ready(), operator.Want{
		Condition: v1alpha1.ConditionCheckpointsVerified, Status: "True", Reason: v1alpha1.ReasonSucceeded, Message: []string{"checkpoint_5.pgsql"},
	})
	globex := w.Tenant("globex")
	w.Create(t, globex)
	w.AwaitReady(t, globex)
	schema := globex.Status.Schema
	if n := operator.Query[int](t, w.AdminDSN, "SELECT count(DISTINCT xmin::text) FROM "+schema+".tenantry_migrations"); n != 1 {
		t.Errorf("the ledger was written in %d transactions, want one", n)
	}
	if got := operator.Query[string](t, w.AdminDSN, "SELECT (SELECT string_agg(name, ' ' ORDER BY id) FROM "+schema+".plans) || ' ' || (SELECT count(*) FROM "+schema+".note)"); got != "free gold 0" {
		t.Errorf("plans, and number of notes: %s", got)
	}
	operator.Exec(t, uri(t, w, globex), "INSERT INTO plans (name) VALUES ('next')")
	operator.Exec(t, uri(t, w, globex), "INSERT INTO note (body) VALUES ('globex works')")
}

func acmeOf(t *testing.T, w *operator.World) *v1alpha1.Tenant { return acme(t, w).(*v1alpha1.Tenant) }
