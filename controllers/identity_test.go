package controllers_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

var annotationInMessage = regexp.MustCompile(`tenantry\.dev/accept-identity=(\S+)`)

// accept sets the annotation that the condition's message names, with its value.
func (b *bench) accept(t *testing.T, tdb *v1alpha1.TenantDatabase, value string) {
	t.Helper()
	operator.Update(t, b.Servers, tdb, func(d *v1alpha1.TenantDatabase) {
		d.Annotations = map[string]string{v1alpha1.AnnotationAcceptIdentity: value}
	})
}

// asked returns the value of the annotation that a message asks for.
func asked(t *testing.T, tdb *v1alpha1.TenantDatabase) string {
	t.Helper()
	c := conditions.Get(tdb, v1alpha1.ConditionBootstrapped)
	match := annotationInMessage.FindStringSubmatch(c.Message)
	if match == nil {
		t.Fatalf("no annotation in %q", c.Message)
	}
	return match[1]
}

// A registry has one TenantDatabase. Another one may take it over, once, when somebody says so.
func TestRegistryOfAnother(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	other := b.TenantDatabase("other", "db")
	b.Create(t, other)
	b.pass(t, other)
	b.Expect(t, other, operator.Stalled("Bootstrapped", v1alpha1.ReasonIdentityMismatch, "another TenantDatabase", "kubectl annotate --overwrite tenantdatabase other"))
	b.pass(t, b.Database)
	b.Expect(t, b.Database, operator.Ready())

	b.accept(t, other, "123")
	b.pass(t, other)
	b.Expect(t, other, operator.Stalled("Bootstrapped", v1alpha1.ReasonIdentityMismatch))
	b.accept(t, other, asked(t, other))
	b.pass(t, other)
	b.Expect(t, other, operator.Ready())
	b.pass(t, b.Database)
	b.Expect(t, b.Database, operator.Stalled("Bootstrapped", v1alpha1.ReasonIdentityMismatch))

	// The annotation that was obeyed stays there, and takes nothing back.
	b.accept(t, b.Database, asked(t, b.Database))
	b.pass(t, b.Database)
	b.Expect(t, b.Database, operator.Ready())
	b.pass(t, other)
	b.Expect(t, other, operator.Stalled("Bootstrapped", v1alpha1.ReasonIdentityMismatch))
	b.pass(t, b.Database)
	b.Expect(t, b.Database, operator.Ready())
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
}

// A server without the registry that was there before is another one, or an emptied one: nothing is
// made anew until somebody says so.
func TestEmptiedDatabase(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	b.sql(t, "DROP SCHEMA tenantry CASCADE")
	b.pass(t, b.Database)
	b.Expect(t, b.Database, operator.Stalled("Bootstrapped", v1alpha1.ReasonIdentityChanged, "has no registry any more", "kubectl annotate --overwrite tenantdatabase main"))
	b.pass(t, acme)
	b.Expect(t, acme, operator.Want{Condition: "Ready", Reason: v1alpha1.ReasonDatabaseNotReady})
	if diff := cmp.Diff([]string{acme.Status.Schema}, operator.Schemas(t, b.AdminDSN)); diff != "" {
		t.Errorf("schemas (-want +got):\n%s", diff)
	}
	b.accept(t, b.Database, asked(t, b.Database))
	b.pass(t, b.Database)
	b.Expect(t, b.Database, operator.Ready())
	b.pass(t, acme)
	b.Expect(t, acme, operator.Stalled("SchemaReady", v1alpha1.ReasonSchemaLost))
	// The schema is there and nobody's by the new registry's word: it is not taken over.
	b.recreate(t, acme)
	b.Expect(t, acme, operator.Stalled("SchemaReady", v1alpha1.ReasonSchemaNameTaken))
	// What was accepted once is accepted once.
	b.sql(t, "DROP SCHEMA tenantry CASCADE")
	b.pass(t, b.Database)
	b.Expect(t, b.Database, operator.Stalled("Bootstrapped", v1alpha1.ReasonIdentityChanged))
}

// A move that was accepted accepts no copy that is made of it later.
func TestCopyOfAnAcceptedMove(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	copied := func(name, of string) {
		t.Helper()
		operator.Exec(t, b.Server.AdminDSN(), fmt.Sprintf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'", of))
		operator.Exec(t, b.Server.AdminDSN(), fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s OWNER %s", name, of, b.login()))
		b.connection(t, map[string]string{"uri": strings.Replace(b.DSN, "/"+b.Name+"?", "/"+name+"?", 1)})
		b.by.Tenant.Pools.Forget(b.Database.UID)
		b.pass(t, b.Database)
		b.Expect(t, b.Database, operator.Stalled("Bootstrapped", v1alpha1.ReasonIdentityMismatch))
	}
	copied(b.Name+"_moved", b.Name)
	b.accept(t, b.Database, asked(t, b.Database))
	b.pass(t, b.Database)
	if got := conditions.Get(b.Database, v1alpha1.ConditionBootstrapped); got.Reason == v1alpha1.ReasonIdentityMismatch {
		t.Fatalf("the move is not accepted: %s", got.Message)
	}
	copied(b.Name+"_copy", b.Name+"_moved")
}

// A Secret that leads to another database, even an empty one of the same server, is not followed.
func TestAnotherDatabase(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	_, dsn, admin := b.NewDatabase(t, b.Name+"x")
	b.connection(t, map[string]string{"uri": dsn})
	b.pass(t, b.Database)
	b.Expect(t, b.Database, operator.Stalled("Bootstrapped", v1alpha1.ReasonIdentityChanged))
	b.pass(t, acme)
	b.Expect(t, acme, operator.Want{Condition: "Ready", Reason: v1alpha1.ReasonDatabaseNotReady, Message: []string{"does not lead to the database"}})
	if diff := cmp.Diff([]string{}, operator.Schemas(t, admin)); diff != "" {
		t.Errorf("schemas in the other database (-want +got):\n%s", diff)
	}
	goodConnection(t, b)
	b.pass(t, b.Database)
	b.Expect(t, b.Database, operator.Ready())
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
}

// What is in order is looked at again too: a minute bounds how long an outage stays unseen, and minutes
// how long a role that was altered on the server does.
func TestRechecks(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	for obj, most := range map[conditions.Object]time.Duration{
		b.Database: 75 * time.Second, acme: 750 * time.Second, b.Set: 750 * time.Second, b.Class: 750 * time.Second,
	} {
		if result := b.pass(t, obj); result.RequeueAfter <= 0 || result.RequeueAfter > most {
			t.Errorf("%T is looked at again after %s, want at most %s", obj, result.RequeueAfter, most)
		}
	}
}
