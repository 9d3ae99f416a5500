// Package probes attacks what Tenantry builds, on real servers, and prints what came of it in three
// tables. Tenant to tenant: somebody with a tenant's own login, or with a migration, tries to reach
// other tenants, the registry, the operator and the server, on the oldest and the newest PostgreSQL.
// Injection: hostile texts in every field, at the API and below it. Leaks: passwords are searched for
// wherever somebody else than their owner can read.
//
// What must come of each probe is written down before. A probe that ends otherwise fails the test,
// also where PostgreSQL turned out to be stricter: docs/isolation.md shows the same table, and a
// test holds it against this one.
//
//	make probes
package probes

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/zap/zapcore"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// operatorLog is what controllers log that run in this process. The program has no more to say than
// this, whatever verbosity it is told.
var operatorLog buffer

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	ctrl.SetLogger(zap.New(zap.UseDevMode(true), zap.WriteTo(&operatorLog), zap.Level(zapcore.Level(-7))))
	code := m.Run()
	if err := errors.Join(stopPostgres(), stopCluster()); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "stop:", err)
		code = 1
	}
	if !results.print(os.Stdout) {
		code = 1
	}
	return code
}
