package scenarios

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// A database that goes away is said by its tenants, and they heal when it comes back. Twenty tenants
// do not mean twenty log-ins.
func TestDatabaseOutage(t *testing.T) {
	t.Parallel()
	const n = 20
	server, err := operator.StartPostgres(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	w := servers.WorldOn(t, server).Make(t)
	var tenants []*v1alpha1.Tenant
	for i := range n {
		tenants = append(tenants, w.Tenant(fmt.Sprintf("t%02d", i)))
		w.Create(t, tenants[i])
	}
	for _, tenant := range tenants {
		w.AwaitReady(t, tenant)
	}
	if err := server.Halt(); err != nil {
		t.Fatal(err)
	}
	w.Nudge(t, w.Database) // it would be seen within a minute or so
	w.AwaitWant(t, operator.Soon, w.Database, operator.Waiting("Reachable", v1alpha1.ReasonUnreachable, "the connection is refused"))
	for _, tenant := range tenants {
		w.AwaitWant(t, operator.Eventually, tenant,
			operator.Waiting("DatabaseReady", v1alpha1.ReasonDatabaseNotReady, "main is not reachable", "Unreachable"),
			operator.Waiting("Ready", v1alpha1.ReasonDatabaseNotReady))
	}
	logged, err := os.ReadFile(server.LogPath)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, tenant := range tenants {
		w.AwaitReady(t, tenant)
	}
	w.AwaitReady(t, w.Database)
	text, err := os.ReadFile(server.LogPath)
	if err != nil {
		t.Fatal(err)
	}
	// The operator's pool opens three connections at most, and the start looks whether the server answers.
	const most = 8
	if logins := strings.Count(strings.TrimPrefix(string(text), string(logged)), "connection authorized: user="); logins < 1 || logins > most {
		t.Errorf("%d log-ins when the database came back, want 1 to %d", logins, most)
	}
}
