package bench

import (
	"cmp"
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

// The bare program's parallelism: PostgreSQL is busy with 2 to 8 connections on two cores. The best of these
// is taken, by a trial.
var parallelisms = []int{2, 4, 8}

const (
	writers = 4
	trial   = 40
)

// BenchmarkAgainstBounds prints one table: what the operator takes, what cannot be done faster, and the
// ratio of the two.
func BenchmarkAgainstBounds(b *testing.B) {
	if b.N > 1 {
		return
	}
	before := load()
	rows, parallel, notes := provisionRows(b)
	rows = append(rows, peerRows(b, parallel)...)
	upgrades, more := upgradeRows(b, parallel)
	b.StopTimer()
	fmt.Printf("\nProvision: a product of %d tables in %d files, from Tenant objects to Ready. Upgrade: a column and an index.\n", tables, steps)
	fmt.Printf("PostgreSQL %s with fsync on, %d connections for each login of the operator, which works on %d Tenants at a time, %d for the bare program. The data plane's acceptance of routes is stood in for, on both sides.\n",
		started.Postgres.Version, *connections, *workers, parallel)
	fmt.Printf("Load of the machine before and after: %s, %s.\n\n", before, load())
	rows = append(rows, upgrades...)
	printTable(os.Stdout, rows)
	fmt.Println("\n" + strings.Join(slices.Concat(roundsOf(rows), notes, more), "\n"))
}

func ready(t *v1alpha1.Tenant) bool {
	return conditions.IsTrue(t, v1alpha1.ConditionReady) && t.Status.ObservedGeneration == t.Generation
}

// provisionRows provisions in turns with the bare program, after a trial of both: servers that were only just
// started are slow for whoever comes first. Each round goes the other way round than the one before.
func provisionRows(b *testing.B) (rows []row, parallel int, notes []string) {
	like := provisionOurs(b, trial, false).like
	parallel = bestParallelism(b, like)
	*connections = cmp.Or(*connections, parallel)
	*workers = cmp.Or(*workers, 2**connections) // one for each connection of both logins
	wrote := map[bool][]string{}
	ours := func(short bool) func() cost {
		return func() cost {
			p := provisionOurs(b, *provisioned, short)
			wrote[short] = p.notes
			return p.cost
		}
	}
	bare := func(o bareWork) func() cost {
		return func() cost { return provisionBare(b, *provisioned, parallel, o, like) }
	}
	all := []struct {
		row
		run func() cost
	}{
		{row{what: "provision, operator", goal: 1.15}, ours(false)},
		{row{what: "provision, bound"}, bare(bareWork{})},
		{row{what: "provision, bound with log-ins"}, bare(bareWork{logsIn: true})},
		{row{what: "provision from a checkpoint, operator", goal: 0.9}, ours(true)},
		{row{what: "provision from a checkpoint, bare with log-ins"}, bare(bareWork{short: true, logsIn: true})},
	}
	turns := []int{0, 1, 2, 3, 4}
	for range *rounds {
		for _, i := range turns {
			all[i].costs = append(all[i].costs, all[i].run())
		}
		slices.Reverse(turns)
	}
	for _, i := range []int{1, 2, 0, 4, 3} {
		all[i].n = *provisioned
		if i != 1 {
			all[i].bounds = all[1].costs
		}
		rows = append(rows, all[i].row)
	}
	return rows, parallel, slices.Concat(wrote[false], wrote[true])
}

// provision is what was seen when the operator made tenants.
type provision struct {
	cost
	// like is the status that one of them got.
	like  v1alpha1.TenantStatus
	notes []string
}

// provisionOurs applies all Tenants at once and waits until each is Ready. The bound of those that start from
// a checkpoint is that of all files: a checkpoint is one thing that an operator can do about them.
func provisionOurs(b *testing.B, tenants int, short bool) (p provision) {
	s := newStage(b, tenants, steps)
	what := "provision"
	if short {
		what += " from a checkpoint"
		s.Files.Data[checkpointFile] = checkpoint()
	}
	s.Make(b)
	process := s.run(b)
	defer s.clear(b)
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
	s.settle(b)
	mark := s.mark(b)
	p.cost = measure(func() {
		s.createTenants(b)
		s.awaitTenants(b, ready)
	})
	p.notes = []string{s.writes(b, what, mark), s.putOff(b, what)}
	one := s.Tenant(s.names[0])
	s.Get(b, one)
	p.like = one.Status
	return p
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

// bestParallelism tries each twice, forth and back.
func bestParallelism(b *testing.B, like v1alpha1.TenantStatus) (best int) {
	took := map[int]time.Duration{}
	order := slices.Clone(parallelisms)
	for range 2 {
		for _, connections := range order {
			took[connections] += provisionBare(b, trial, connections, bareWork{}, like).clock
		}
		slices.Reverse(order)
	}
	for _, connections := range parallelisms {
		if best == 0 || took[connections] < took[best] {
			best = connections
		}
	}
	return best
}

// provisionBare does with a bare program and a bare client what has to be done. No operator runs.
func provisionBare(b *testing.B, tenants, connections int, work bareWork, like v1alpha1.TenantStatus) cost {
	s := newStage(b, tenants, steps)
	p := newBare(b, s, connections)
	defer p.close()
	p.work = work
	defer s.clear(b)
	s.writeTenants()
	s.settle(b)
	return measure(func() {
		s.beside(b, connections, writers,
			func(name string) error {
				return p.provision(b.Context(), s.Namespace, name, schemaOf(s, name), s.Host(name))
			},
			func(name string) error {
				if err := s.Admin.Create(b.Context(), s.made[name]); err != nil {
					return err
				}
				return s.bareWrites(b.Context(), name, schemaOf(s, name), like)
			},
			func(t *v1alpha1.Tenant) bool { return conditions.IsTrue(t, v1alpha1.ConditionReady) })
	})
}
