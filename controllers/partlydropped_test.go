package controllers_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/test/operator"
)

// A large schema goes in parts. Who wants to keep it when some are gone is told that it cannot be kept,
// and the Tenant does not go as if it were.
func TestRetainOfHalfASchemaIsSaid(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme", func(tn *v1alpha1.Tenant) { tn.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
	schema := acme.Status.Schema
	var tables strings.Builder
	fmt.Fprintf(&tables, "SET ROLE %q;", "tn_"+b.Name+"__"+schema+"_owner")
	for i := range 250 {
		fmt.Fprintf(&tables, "CREATE TABLE %q.t%d (id int PRIMARY KEY);", schema, i)
	}
	b.script(t, tables.String())
	reader := operator.Hold(t, b.AdminDSN)
	if _, err := reader.Exec(t.Context(), fmt.Sprintf("BEGIN; SELECT FROM %q.t0", schema)); err != nil { // t0 is dropped late
		t.Fatal(err)
	}
	b.Delete(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Want{Condition: "Ready", Reason: v1alpha1.ReasonLockTimeout})
	if state := operator.Query[string](t, b.AdminDSN, "SELECT state FROM tenantry.tenant"); state != postgres.StateDropping {
		t.Fatalf("the registry says %s", state)
	}
	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
	for range 2 {
		b.pass(t, acme)
		b.Expect(t, acme, operator.Want{Condition: "Ready", Reason: v1alpha1.ReasonPartlyDropped, Message: []string{"deletionPolicy", "Delete"}})
	}
	if _, err := reader.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
	b.finish(t, acme)
	wantTraces(t, "left behind", traces{}, b.traces(t, "acme"))
}
