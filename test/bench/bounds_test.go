package bench

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/controllers"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

// The bare program's parallelism: PostgreSQL is busy with 4 to 8 connections on two cores. The best of these
// is taken, by a trial.
var parallelisms = []int{4, 8}

const (
	writers = 4
	trial   = 24
)

// BenchmarkAgainstBounds prints one table: what the operator takes, what cannot be done faster, and the
// ratio of the two.
func BenchmarkAgainstBounds(b *testing.B) {
	if b.N > 1 {
		return
	}
	before := load()
	rows, wrote := provisionRows(b)
	rows = append(rows, peerRows(b)...)
	upgrades, notes := upgradeRows(b)
	b.StopTimer()
	fmt.Printf("\nProvision: a product of %d tables in %d files, from Tenant objects to Ready. Upgrade: a column and an index.\n", tables, steps)
	fmt.Printf("PostgreSQL %s with fsync on. The data plane's acceptance of routes is stood in for, on both sides.\n", started.Postgres.Version)
	fmt.Printf("Load of the machine before and after: %s, %s.\n\n", before, load())
	rows = append(rows, upgrades...)
	printTable(os.Stdout, rows)
	fmt.Println("\n" + strings.Join(slices.Concat(roundsOf(rows), []string{wrote}, notes), "\n"))
}

func ready(t *v1alpha1.Tenant) bool {
	return conditions.IsTrue(t, v1alpha1.ConditionReady) && t.Status.ObservedGeneration == t.Generation
}

// provisionRows provisions in turns with the bare program, after a trial of both: servers that were only just
// started are slow for whoever comes first.
func provisionRows(b *testing.B) (rows []row, wrote string) {
	ours := row{what: "provision, operator", n: *provisioned, goal: 1.15}
	short := row{what: "provision from a checkpoint, operator", n: *provisioned, goal: 0.9}
	bound := row{what: "provision, bound", n: *provisioned}
	_, status, _ := provisionOurs(b, trial, false)
	parallel := bestParallelism(b, status)
	for range *rounds {
		took, _, writes := provisionOurs(b, *provisioned, false)
		ours.costs, wrote = append(ours.costs, took), writes
		bound.costs = append(bound.costs, provisionBare(b, *provisioned, parallel, status))
		took, _, _ = provisionOurs(b, *provisioned, true)
		short.costs = append(short.costs, took)
	}
	ours.bounds, short.bounds = bound.costs, bound.costs
	bound.what += fmt.Sprintf(" (%d connections)", parallel)
	return []row{bound, ours, short}, wrote
}

// provisionOurs applies all Tenants at once and waits until each is Ready. The bound of those that start from
// a checkpoint is that of all files: a checkpoint is one thing that an operator can do about them.
func provisionOurs(b *testing.B, tenants int, short bool) (took cost, like v1alpha1.TenantStatus, wrote string) {
	s := newStage(b, tenants, steps)
	if short {
		s.Files.Data[fmt.Sprintf("checkpoint_%d.pgsql", steps)] = checkpoint()
	}
	s.Make(b)
	process := s.run(b)
	defer stop(b, process)
	s.AwaitReady(b, s.Set, s.Database, s.Class)
	if short {
		s.Await(b, operator.Eventually, s.Set, func(bool) error {
			if !conditions.IsTrue(s.Set, v1alpha1.ConditionCheckpointsVerified) {
				return fmt.Errorf("the checkpoint is not verified: %v", s.Set.Status.Checkpoints)
			}
			return nil
		})
	}
	s.quiet(b)
	mark := s.mark(b)
	took = measure(func() {
		s.createTenants(b)
		s.awaitTenants(b, ready)
	})
	one := s.Tenant(s.names[0])
	s.Get(b, one)
	return took, one.Status, s.writes(b, "provision", mark)
}

func (s *stage) run(b *testing.B) *operator.Process {
	b.Helper()
	process, err := s.Run(controllers.Options{TenantWorkers: *workers, DatabaseConnections: *connections})
	if err != nil {
		b.Fatal(err)
	}
	return process
}

func stop(b *testing.B, process *operator.Process) {
	b.Helper()
	if err := process.Stop(); err != nil {
		b.Fatal(err)
	}
}

func bestParallelism(b *testing.B, like v1alpha1.TenantStatus) (best int) {
	var fastest time.Duration
	for _, connections := range parallelisms {
		if took := provisionBare(b, trial, connections, like).clock; best == 0 || took < fastest {
			best, fastest = connections, took
		}
	}
	return best
}

// provisionBare does with a bare program and a bare client what has to be done. No operator runs.
func provisionBare(b *testing.B, tenants, connections int, like v1alpha1.TenantStatus) cost {
	s := newStage(b, tenants, steps)
	p := newBare(b, s, connections)
	defer s.clear(b)
	return measure(func() {
		s.createTenants(b)
		s.beside(b, connections, writers,
			func(name string) error {
				return p.provision(b.Context(), s.Namespace, name, schemaOf(s, name), s.Host(name))
			},
			func(name string) error { return s.bareWrites(b.Context(), name, schemaOf(s, name), like) },
			func(t *v1alpha1.Tenant) bool { return conditions.IsTrue(t, v1alpha1.ConditionReady) })
	})
}
