package controllers_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/test/operator"
)

// doomed is a tenant whose deletion drops its data.
func (b *bench) doomed(t *testing.T) *v1alpha1.Tenant {
	t.Helper()
	return b.tenant(t, "acme", func(tn *v1alpha1.Tenant) { tn.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
}

// strip ends a deletion that has not ended, as somebody does who takes the finalizer off.
func (b *bench) strip(t *testing.T, tenant *v1alpha1.Tenant) {
	t.Helper()
	b.lose(t, b.secret(t, tenant))
	b.UpdateUnguarded(t, tenant, func(o client.Object) { o.SetFinalizers(nil) })
	claim := &v1alpha1.DomainClaim{}
	claim.Name = b.Host(tenant.Name)
	b.lose(t, claim)
}

func (b *bench) adoptFrom(t *testing.T, tenant *v1alpha1.Tenant, uid string) {
	t.Helper()
	operator.Update(t, b.Servers, tenant, func(tn *v1alpha1.Tenant) {
		tn.Annotations = map[string]string{v1alpha1.AnnotationAdopt: uid}
	})
	b.pass(t, tenant)
}

// A deletion stops before anything was dropped, and its Tenant goes nevertheless. Its namesake gets the data when
// it says so.
func TestAdoptAfterADeletionThatStopped(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme := b.doomed(t)
	schema, first := acme.Status.Schema, string(acme.UID)
	operator.Exec(t, keys(b.secret(t, acme))["uri"], "INSERT INTO note (body) VALUES ('precious')")
	b.sql(t, "CREATE VIEW public.notes AS SELECT * FROM "+schema+".note")
	b.Delete(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Want{Condition: "Ready", Reason: v1alpha1.ReasonDependentObjects})
	b.strip(t, acme)

	again := b.Tenant("acme", b.Host("acme"))
	b.Create(t, again)
	b.pass(t, again)
	b.Expect(t, again, operator.Stalled("SchemaReady", v1alpha1.ReasonSchemaRetained, "deletion stopped", v1alpha1.AnnotationAdopt+"="+first))
	b.adoptFrom(t, again, "another-uid")
	b.Expect(t, again, operator.Stalled("SchemaReady", v1alpha1.ReasonSchemaRetained))
	b.adoptFrom(t, again, first)
	b.Expect(t, again, operator.Ready())
	if got := operator.Query[string](t, keys(b.secret(t, again))["uri"], "SELECT body FROM note"); got != "precious" {
		t.Errorf("the row is %q", got)
	}
}

// A deletion stops half way, and its Tenant goes nevertheless. Its namesake is no tenant with half the tables: it
// can have the rest dropped.
func TestAdoptHalfASchema(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme := b.doomed(t)
	schema, first := acme.Status.Schema, string(acme.UID)
	b.script(t, fmt.Sprintf(`SET ROLE %q; DO $$ BEGIN FOR i IN 0..249 LOOP EXECUTE format('CREATE TABLE %s.t%%s (id int PRIMARY KEY)', i); END LOOP; END $$`,
		"tn_"+b.Name+"__"+schema+"_owner", schema))
	reader := operator.Hold(t, b.AdminDSN)
	if _, err := reader.Exec(t.Context(), fmt.Sprintf("BEGIN; SELECT FROM %q.t0", schema)); err != nil { // t0 is dropped late
		t.Fatal(err)
	}
	b.Delete(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Want{Condition: "Ready", Reason: v1alpha1.ReasonLockTimeout})
	b.strip(t, acme)
	if _, err := reader.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}

	again := b.Tenant("acme", b.Host("acme"))
	again.Spec.DeletionPolicy = v1alpha1.DeletionDelete
	b.Create(t, again)
	b.pass(t, again)
	b.Expect(t, again, operator.Stalled("SchemaReady", v1alpha1.ReasonPartlyDropped, "deletionPolicy: Delete", v1alpha1.AnnotationAdopt+"="+first))
	b.adoptFrom(t, again, first)
	for range 2 {
		b.Expect(t, again, operator.Stalled("SchemaReady", v1alpha1.ReasonPartlyDropped, "delete the Tenant"))
		b.pass(t, again)
	}
	b.remove(t, again)
	wantTraces(t, "left behind", traces{}, b.traces(t, "acme"))
}

// A database that is being deleted, and whose Secret is gone, is not given up while it still answers: what blocks a
// drop passes. When the operator has lost its connections too, the deletion ends and says what it leaves.
func TestPassingFaultEndsNoDeletion(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"the lock is let go", "the operator starts anew"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			b := newBench(t).settle(t)
			acme := b.doomed(t)
			schema := acme.Status.Schema
			reader := operator.Hold(t, b.AdminDSN)
			if _, err := reader.Exec(t.Context(), "BEGIN; SELECT FROM "+schema+".note"); err != nil {
				t.Fatal(err)
			}
			b.Delete(t, b.Database, b.Secret, acme)
			for range 2 {
				b.pass(t, acme)
				b.pass(t, b.Database)
				b.Expect(t, acme, operator.Want{Condition: "Ready", Reason: v1alpha1.ReasonLockTimeout})
			}
			if end == "the lock is let go" {
				if _, err := reader.Exec(t.Context(), "ROLLBACK"); err != nil {
					t.Fatal(err)
				}
				b.finish(t, acme)
				wantTraces(t, "left behind", traces{}, b.traces(t, "acme"))
				return
			}
			b.restart(t)
			var said bytes.Buffer
			ctx := log.IntoContext(t.Context(), zap.New(zap.WriteTo(&said)))
			if _, err := b.by.Reconcile(ctx, acme); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(said.String(), "its Secret is gone") || !strings.Contains(said.String(), string(acme.UID)) {
				t.Errorf("the log says %q", said.String())
			}
			b.finish(t, acme)
			if state := operator.Query[string](t, b.AdminDSN, "SELECT state FROM tenantry.tenant"); state != postgres.StateDeleting {
				t.Errorf("the registry says %s", state)
			}
		})
	}
}
