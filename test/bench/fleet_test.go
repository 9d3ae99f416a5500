package bench

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/test/operator"
)

// fleetSteps is how many files of the product a fleet has that is upgraded: enough to be a schema, and few
// enough to be made in minutes.
const fleetSteps = 3

// upgradeRows makes a fleet and upgrades it in turns with the bare program. Each round goes the other way round than
// the one before.
func upgradeRows(b *testing.B, parallel int) (rows []row, notes []string) {
	s := newStage(b, *upgraded, fleetSteps)
	s.Make(b)
	process := s.run(b)
	defer func() { stop(b, process) }()
	s.AwaitReady(b, s.Set, s.Database, s.Class)
	s.createTenants(b)
	s.awaitTenants(b, ready)
	s.quiet(b)
	ours := row{what: "upgrade, operator", n: *upgraded, goal: 1.2}
	bound := row{what: "upgrade, bound", n: *upgraded}
	turns := []func(n int){
		func(n int) {
			mark := s.mark(b)
			ours.costs = append(ours.costs, s.upgradeOurs(b, n))
			if n == 1 {
				notes = append(notes, s.writes(b, "upgrade", mark), s.putOff(b, "upgrade"))
			}
		},
		func(n int) {
			stop(b, process)
			bound.costs = append(bound.costs, s.upgradeBare(b, n, parallel))
			process = s.run(b)
			s.quiet(b)
		},
	}
	for n := 1; n <= *rounds; n++ {
		for _, turn := range turns {
			turn(n)
		}
		slices.Reverse(turns)
	}
	ours.bounds = bound.costs
	notes = append(notes, s.steady(b, &process)...)
	return []row{bound, ours}, notes
}

// quiet waits until the operator has nothing left to do of what was before: it has passed over every Tenant, and
// writes no more events and claims' statuses. They are no part of an upgrade.
func (s *stage) quiet(b *testing.B) {
	b.Helper()
	const still = 5 * time.Second
	operator.Poll(b, 10*time.Minute, func() error {
		mark, made := s.mark(b), passes(b)
		<-time.After(still)
		events, err := s.Plane.AuditEvents(mark)
		if err != nil {
			b.Fatal(err)
		}
		for _, e := range events {
			if e.User == operator.OperatorUser && e.Writes() && e.Resource != "leases" {
				return fmt.Errorf("the operator writes %s", e.Resource)
			}
		}
		if now := passes(b); now-made > float64(len(s.names))/20 { // more than the looks of every ten minutes
			return fmt.Errorf("the operator makes %v passes in %s", now-made, still)
		}
		return nil
	})
}

// upgradeOurs adds a file to the ConfigMap and waits until every tenant is Ready at its version.
func (s *stage) upgradeOurs(b *testing.B, n int) cost {
	version := fmt.Sprint(1000 + n)
	s.settle(b)
	return measure(func() {
		operator.Update(b, s.Servers, s.Files, func(files *corev1.ConfigMap) { files.Data[version+"_upgrade.sql"] = upgrade(n) })
		s.awaitTenants(b, func(t *v1alpha1.Tenant) bool { return ready(t) && t.Status.Version == version })
	})
}

// upgradeBare does the same with a bare program and a bare client, while no operator runs, and takes it
// back.
func (s *stage) upgradeBare(b *testing.B, n, parallel int) cost {
	b.Helper()
	config, err := postgres.ParseDSN(s.DSN)
	if err != nil {
		b.Fatal(err)
	}
	db, err := postgres.Open(b.Context(), config, postgres.PoolOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	p := openBare(b, s, db, s.Namespace+"/app", parallel)
	defer p.close()
	status := func(version string) func(name string) error {
		return func(name string) error {
			t := s.made[name]
			next := *t.Status.DeepCopy()
			was := next.Version
			next.Version = version
			for i := range next.Conditions {
				next.Conditions[i].Message = strings.ReplaceAll(next.Conditions[i].Message, was, version)
			}
			return s.bareStatus(b.Context(), t, next)
		}
	}
	is := fmt.Sprint(1000 + n)
	s.reread(b)
	s.settle(b)
	took := measure(func() {
		s.beside(b, parallel, writers,
			func(name string) error { return p.upgrade(b.Context(), schemaOf(s, name), 9000+n) }, status("9"+is),
			func(t *v1alpha1.Tenant) bool { return t.Status.Version == "9"+is })
	})
	inParallel(b, writers, s.names, status(is))
	inParallel(b, writers, s.names, func(name string) error {
		return send(b.Context(), p.migrator, "BEGIN", "SET LOCAL ROLE "+q(postgres.TenantRoles(s.Name, schemaOf(s, name)).Owner),
			fmt.Sprintf("DELETE FROM %s WHERE version LIKE 'bare%%'", q(schemaOf(s, name), "tenantry_migrations")), "COMMIT")
	})
	if _, err := p.admin.Exec(b.Context(), `UPDATE tenantry.tenant SET version = $1, digest = $2`, is, s.digest(b)); err != nil {
		b.Fatal(err)
	}
	return took
}

func (s *stage) digest(b *testing.B) string {
	b.Helper()
	s.Get(b, s.Set)
	return s.Set.Status.Digest
}

// steady counts what a fleet costs its database that is up to date: by the server's log, while the operator
// is started again, and while the class of all tenants is touched.
func (s *stage) steady(b *testing.B, process **operator.Process) (notes []string) {
	s.awaitTenants(b, ready)
	operator.Exec(b, s.AdminDSN, fmt.Sprintf("ALTER DATABASE %q SET log_statement = 'all'", s.Name))
	stop(b, *process)
	clock := time.Now()
	statements := s.statements(b, func() { *process = s.run(b) })
	notes = append(notes, fmt.Sprintf("Restart over %d Ready tenants: %d statements in their database, %d of which look at tenants, in %.1f s; the operator then has %s.",
		len(s.names), len(statements), looks(statements), time.Since(clock).Seconds(), residentMemory()))
	clock = time.Now()
	statements = s.statements(b, func() {
		operator.Update(b, s.Servers, s.Class, func(c *v1alpha1.TenantClass) { c.Spec.Limits = &v1alpha1.TenantLimits{} })
	})
	return append(notes, fmt.Sprintf("A touch of their class: %d statements, %d of which look at tenants, in %.1f s.", len(statements), looks(statements), time.Since(clock).Seconds()))
}

// statements are those of the server's log while all tenants are passed over.
func (s *stage) statements(b *testing.B, do func()) (statements []string) {
	b.Helper()
	before, err := os.Stat(s.Server.LogPath)
	if err != nil {
		b.Fatal(err)
	}
	made := passes(b)
	do()
	operator.Poll(b, 10*time.Minute, func() error {
		if done := passes(b) - made; done < float64(len(s.names)) {
			return fmt.Errorf("%v tenants were passed over", done)
		}
		return nil
	})
	log, err := os.ReadFile(s.Server.LogPath)
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(log[before.Size():])) {
		if strings.Contains(line, "LOG:  statement: ") || strings.Contains(line, "LOG:  execute ") {
			statements = append(statements, line)
		}
	}
	return statements
}

func looks(statements []string) (n int) {
	for _, s := range statements {
		if strings.Contains(s, "Every tenant of the registry") || strings.Contains(s, "One tenant as the registry") {
			n++
		}
	}
	return n
}

// passes tells how many passes over Tenants this process has made.
func passes(b *testing.B) (n float64) {
	b.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "controller_runtime_reconcile_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "controller" && l.GetValue() == "tenant" {
					n += m.GetCounter().GetValue()
				}
			}
		}
	}
	return n
}
