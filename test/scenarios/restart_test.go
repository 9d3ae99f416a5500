package scenarios

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// interrupt stops and starts the operator several times, each time after some moments of work, and
// leaves it running.
func interrupt(t *testing.T, times int) {
	t.Helper()
	for range times {
		pause := time.NewTimer(time.Duration(50+rand.N(900)) * time.Millisecond)
		<-pause.C
		if err := restart(); err != nil {
			t.Fatal(err)
		}
	}
}

// An operator that is stopped between any two steps, or inside one, leaves nothing half done: the
// next one goes on. This test does not run beside others: they share the operator.
func TestRestartAtAnyPoint(t *testing.T) {
	const n = 20
	w := servers.World(t)
	w.Files.Data = operator.Migrations(6)
	w.Make(t)
	var tenants []*v1alpha1.Tenant
	for i := range n {
		tenant := w.Tenant(fmt.Sprintf("t%02d", i), w.Host(fmt.Sprintf("t%02d", i)), w.Host(fmt.Sprintf("www.t%02d", i)))
		tenant.Spec.DeletionPolicy = v1alpha1.DeletionDelete
		tenants = append(tenants, tenant)
		w.Create(t, tenant)
	}
	interrupt(t, 6)
	schemas := []string{}
	for _, tenant := range tenants {
		w.AwaitReady(t, tenant)
		schemas = append(schemas, tenant.Status.Schema)
		if diff := cmp.Diff([]string{"id", "body", "c2", "c3", "c4", "c5", "c6"}, operator.Columns(t, w.AdminDSN, tenant.Status.Schema, "note")); diff != "" {
			t.Errorf("columns of %s (-want +got):\n%s", tenant.Name, diff)
		}
		if err := operator.LogsIn(t, uri(t, w, tenant)); err != nil {
			t.Errorf("%s cannot log in: %v", tenant.Name, err)
		}
	}
	consistent(t, w, schemas)
	write(t, w, operator.Migrations(8))
	interrupt(t, 3)
	for _, tenant := range tenants {
		w.Await(t, operator.Eventually, tenant, func(bool) error { return differs("version of "+tenant.Name, "8", tenant.Status.Version) })
		w.AwaitReady(t, tenant)
	}
	for _, tenant := range tenants[n/2:] {
		w.Delete(t, tenant)
	}
	interrupt(t, 3)
	for _, tenant := range tenants[n/2:] {
		w.AwaitGone(t, operator.Eventually, tenant)
	}
	for _, tenant := range tenants[:n/2] {
		w.AwaitReady(t, tenant)
	}
	consistent(t, w, schemas[:n/2])
}

// consistent compares cluster, registry and server: each tenant is there once, and nobody else is.
func consistent(t *testing.T, w *operator.World, schemas []string) {
	t.Helper()
	n := len(schemas)
	if diff := cmp.Diff(schemas, operator.Schemas(t, w.AdminDSN)); diff != "" {
		t.Errorf("schemas (-want +got):\n%s", diff)
	}
	var claims v1alpha1.DomainClaimList
	if err := w.Admin.List(t.Context(), &claims); err != nil {
		t.Fatal(err)
	}
	held := 0
	for _, c := range claims.Items {
		if c.Spec.Holder.Namespace == w.Namespace {
			held++
		}
	}
	got := map[string]int{
		"claims":   held,
		"roles":    len(operator.Roles(t, w.AdminDSN, "tn_"+w.Name+"__")),
		"rows":     operator.Query[int](t, w.AdminDSN, "SELECT count(*) FROM tenantry.tenant WHERE state = 'active' AND version <> ''"),
		"domains":  operator.Query[int](t, w.AdminDSN, "SELECT count(*) FROM tenantry.domain"),
		"migrated": operator.Query[int](t, w.AdminDSN, "SELECT count(*) FROM pg_class WHERE relname = 'tenantry_migrations'"),
	}
	want := map[string]int{"claims": 2 * n, "roles": 2 * n, "rows": n, "domains": 2 * n, "migrated": n}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("of %d tenants (-want +got):\n%s", n, diff)
	}
}
