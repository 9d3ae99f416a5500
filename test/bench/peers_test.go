package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantry/tenantry/test/operator"
)

// mostForPeers bounds the schemas that are migrated by other runners: they are many times the same.
const mostForPeers = 100

// peerRows migrates empty schemas by runners that know of one schema only, looped over all of them, and by
// the bare program. No API is written and no tenant is made: it is the migrations alone.
func peerRows(b *testing.B, parallel int) []row {
	b.Helper()
	program := buildPeers(b)
	n := min(*provisioned, mostForPeers)
	bound := row{what: "migrations alone, bound", n: n}
	goose, migrate := row{what: "migrations alone, goose looped", n: n}, row{what: "migrations alone, golang-migrate looped", n: n}
	for range *rounds {
		bound.costs = append(bound.costs, migrateBare(b, n, parallel))
		goose.costs = append(goose.costs, runPeer(b, program, "goose", n, parallel))
		migrate.costs = append(migrate.costs, runPeer(b, program, "migrate", n, parallel))
	}
	goose.bounds, migrate.bounds = bound.costs, bound.costs
	return []row{bound, goose, migrate}
}

// buildPeers builds the program of hack/tools/peers.
func buildPeers(b *testing.B) string {
	b.Helper()
	program := filepath.Join(b.TempDir(), "peers")
	build := exec.CommandContext(b.Context(), "go", "build", "-o", program, ".")
	build.Dir, build.Env = "../../hack/tools/peers", append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build peers: %v\n%s", err, out)
	}
	return program
}

// migrateBare makes tenants, whose making is not measured, and migrates them.
func migrateBare(b *testing.B, n, parallel int) cost {
	s := newStage(b, n, steps)
	p := newBare(b, s, parallel)
	defer p.close()
	inParallel(b, parallel, s.names, func(name string) error {
		return send(b.Context(), p.admin, p.makeTenant(s.Namespace, name, schemaOf(s, name), "SCRAM-SHA-256$4096:"+fakeVerifier)...)
	})
	s.settle(b)
	return measure(func() {
		inParallel(b, parallel, s.names, func(name string) error {
			return send(b.Context(), p.migrator, p.migrate(schemaOf(s, name))...)
		})
	})
}

// fakeVerifier has the form of a verifier, and is nobody's.
const fakeVerifier = "AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

func schemaOf(s *stage, name string) string {
	return strings.ReplaceAll(s.Namespace+"__"+name, "-", "_")
}

// runPeer makes empty schemas and lets a runner migrate them.
func runPeer(b *testing.B, program, runner string, n, parallel int) cost {
	s := newStage(b, n, steps)
	var schemas []string
	for _, name := range s.names {
		schemas = append(schemas, schemaOf(s, name))
	}
	operator.Exec(b, s.AdminDSN, "CREATE SCHEMA "+strings.Join(schemas, "; CREATE SCHEMA "))
	files := b.TempDir()
	for i, step := range history() {
		name, text := fmt.Sprintf("%05d_step.sql", i+1), "-- +goose Up\n"+step
		if runner == "migrate" {
			name, text = fmt.Sprintf("%05d_step.up.sql", i+1), step
		}
		if err := os.WriteFile(filepath.Join(files, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	s.settle(b)
	return measure(func() {
		cmd := exec.CommandContext(b.Context(), program, "-runner", runner, "-dsn", s.AdminDSN, "-files", files,
			"-schemas", strings.Join(schemas, ","), "-workers", fmt.Sprint(parallel))
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%s: %v\n%s", runner, err, out)
		}
	})
}
