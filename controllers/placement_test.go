package controllers_test

import (
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// second adds a database to the world and its class, before settle.
func (b *bench) second(t *testing.T, most int32) *v1alpha1.TenantDatabase {
	t.Helper()
	_, dsn, _ := b.NewDatabase(t, b.Name+"b")
	tdb := b.TenantDatabase("second", "db-second")
	if most > 0 {
		tdb.Spec.MaxTenants = &most
	}
	b.Create(t, b.ConnectionSecret("db-second", dsn), tdb)
	b.Class.Spec.Databases = append(b.Class.Spec.Databases, v1alpha1.NamespacedReference{Namespace: b.Namespace, Name: "second"})
	return tdb
}

func names(n int) []string {
	var all []string
	for i := range n {
		all = append(all, "t"+string(rune('a'+i)))
	}
	return all
}

// places counts tenants by their database.
func places(tenants []*v1alpha1.Tenant) map[string]int {
	count := map[string]int{}
	for _, tn := range tenants {
		if tn.Status.Database != nil {
			count[tn.Status.Database.Name]++
		}
	}
	return count
}

// New tenants spread by free room, also when none of them is counted yet; a place once taken stays.
func TestPlacement(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Database.Spec.MaxTenants = new(int32(6))
	second := b.second(t, 4)
	b.settle(t)
	b.pass(t, second)
	b.Expect(t, second, operator.Ready())
	var tenants []*v1alpha1.Tenant
	for _, name := range names(6) {
		tenants = append(tenants, b.tenant(t, name))
	}
	if diff := cmp.Diff(map[string]int{"main": 4, "second": 2}, places(tenants)); diff != "" {
		t.Errorf("tenants by database (-want +got):\n%s", diff)
	}
	// Another operator knows no promises, and nobody moves.
	b.restart(t)
	before := places(tenants)
	operator.Update(t, b.Servers, second, func(d *v1alpha1.TenantDatabase) { d.Spec.MaxTenants = new(int32(1000)) })
	for _, tn := range tenants {
		b.pass(t, tn)
		b.Expect(t, tn, operator.Ready())
	}
	if diff := cmp.Diff(before, places(tenants)); diff != "" {
		t.Errorf("tenants moved (-before +after):\n%s", diff)
	}
}

// When all is full a tenant waits; one place more is enough, and is given once.
func TestAllDatabasesFull(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Database.Spec.MaxTenants = new(int32(1))
	second := b.second(t, 1)
	b.settle(t)
	b.pass(t, second)
	b.tenant(t, "ta")
	b.tenant(t, "tb")
	late, later := b.Tenant("late"), b.Tenant("later")
	b.Create(t, late, later)
	for _, tn := range []*v1alpha1.Tenant{late, later} {
		b.pass(t, tn)
		b.Expect(t, tn, operator.Waiting("DatabaseReady", v1alpha1.ReasonDatabaseFull, "has room", "spec.maxTenants"))
	}
	operator.Update(t, b.Servers, second, func(d *v1alpha1.TenantDatabase) { d.Spec.MaxTenants = new(int32(2)) })
	b.pass(t, second)
	b.pass(t, late)
	b.pass(t, later)
	b.Expect(t, late, operator.Ready())
	b.Expect(t, later, operator.Waiting("DatabaseReady", v1alpha1.ReasonDatabaseFull))
}

// The registry has the last word on room: a count that is old places nobody too many, and the one
// who came too late goes where there is room.
func TestStaleCount(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Database.Spec.MaxTenants = new(int32(2))
	b.settle(t)
	b.tenant(t, "ta")
	b.tenant(t, "tb")
	b.restart(t) // the promises are forgotten, and status.tenants is still 0
	late := b.Tenant("late")
	b.Create(t, late)
	b.pass(t, late)
	b.Expect(t, late, operator.Waiting("SchemaReady", v1alpha1.ReasonDatabaseFull, "holds 2 of at most 2 schemas"),
		operator.Waiting("Ready", v1alpha1.ReasonDatabaseFull))
	if late.Status.Database != nil {
		t.Errorf("the tenant holds on to the full database %s", late.Status.Database.Name)
	}
	if err := b.Admin.Get(t.Context(), client.ObjectKey{Namespace: late.Namespace, Name: late.Name + "-db"}, &corev1.Secret{}); !apierrors.IsNotFound(err) {
		t.Errorf("a tenant that was not made has a Secret: %v", err)
	}
	second := b.second(t, 0)
	b.pass(t, second)
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) {
		c.Spec.Databases = append(c.Spec.Databases, v1alpha1.NamespacedReference{Namespace: b.Namespace, Name: "second"})
	})
	b.pass(t, late)
	b.Expect(t, late, operator.Ready())
	if got := late.Status.Database.Name; got != "second" {
		t.Errorf("placed on %s, want second", got)
	}
}

// A pass that ended between the registry and the status is found again, not repeated elsewhere.
func TestPlaceWithoutStatus(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	second := b.second(t, 0)
	b.settle(t)
	b.pass(t, second)
	acme := b.tenant(t, "acme")
	was := acme.Status.Database.Name
	b.forge(t, acme, func(s *v1alpha1.TenantStatus) {
		*s = v1alpha1.TenantStatus{ObservedGeneration: -1}
	})
	b.restart(t)
	b.pass(t, b.Database) // counted: the other database has more room now
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	if got := acme.Status.Database.Name; got != was {
		t.Errorf("found on %s, want %s", got, was)
	}
	// Nor does a wrong status make an empty schema elsewhere.
	b.forge(t, acme, func(s *v1alpha1.TenantStatus) {
		s.Database.Name = map[string]string{"main": "second", "second": "main"}[was]
	})
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready(), operator.Want{Condition: "DatabaseReady", Status: "True", Reason: v1alpha1.ReasonSucceeded, Message: []string{was}})
	if got := acme.Status.Database.Name; got != was {
		t.Errorf("after a wrong status on %s, want %s", got, was)
	}
}

// A class that names a database no more leaves its tenants where they are.
func TestDatabaseLeavesClass(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	second := b.second(t, 0)
	b.settle(t)
	b.pass(t, second)
	tenants := map[string]*v1alpha1.Tenant{}
	for _, name := range names(4) {
		tn := b.tenant(t, name)
		tenants[tn.Status.Database.Name] = tn
	}
	if got := len(tenants); got != 2 {
		t.Fatalf("tenants are on %d databases, want 2", got)
	}
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { c.Spec.Databases = c.Spec.Databases[:1] })
	for name := range maps.Keys(tenants) {
		b.pass(t, tenants[name])
		b.Expect(t, tenants[name], operator.Ready())
		if got := tenants[name].Status.Database.Name; got != name {
			t.Errorf("moved from %s to %s", name, got)
		}
	}
}

// A database that does not answer holds up nobody who was made nowhere, also if passes were made over
// the Tenant before. Whoever could live there waits for it.
func TestUnreachableDatabaseHoldsUpItsOwnAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Database.Spec.MaxTenants = new(int32(1))
	second := b.second(t, 1)
	b.settle(t)
	b.pass(t, second)
	acme, globex := b.tenant(t, "acme"), b.tenant(t, "globex")
	if acme.Status.Database.Name != "main" {
		acme, globex = globex, acme
	}
	if diff := cmp.Diff(map[string]int{"main": 1, "second": 1}, places([]*v1alpha1.Tenant{acme, globex})); diff != "" {
		t.Fatalf("tenants by database (-want +got):\n%s", diff)
	}
	begun := b.Tenant("begun")
	b.Create(t, begun)
	b.pass(t, begun)
	b.Expect(t, begun, operator.Waiting("DatabaseReady", v1alpha1.ReasonDatabaseFull))

	b.connection(t, map[string]string{"uri": "postgres://" + b.login() + ":x@127.0.0.1:1/" + b.Name})
	b.pass(t, b.Database)
	b.Expect(t, b.Database, operator.Waiting("Reachable", v1alpha1.ReasonUnreachable))
	operator.Update(t, b.Servers, second, func(d *v1alpha1.TenantDatabase) { d.Spec.MaxTenants = new(int32(3)) })
	b.pass(t, second)
	b.pass(t, begun)
	b.Expect(t, begun, operator.Ready())
	if got := begun.Status.Database.Name; got != "second" {
		t.Errorf("placed on %s, want second", got)
	}

	// A status that tells of no place, by a pass that was cut off or by somebody's hand, is not believed.
	for what, change := range map[string]func(*v1alpha1.TenantStatus){
		"no status": func(s *v1alpha1.TenantStatus) { *s = v1alpha1.TenantStatus{ObservedGeneration: -1} },
		"no place":  func(s *v1alpha1.TenantStatus) { s.Database, s.Schema, s.Binding = nil, "", nil },
		"another place": func(s *v1alpha1.TenantStatus) {
			s.Database = &v1alpha1.NamespacedReference{Namespace: b.Namespace, Name: "second"}
			s.Schema, s.Binding = "", nil
		},
	} {
		b.forge(t, acme, change)
		b.pass(t, acme)
		if acme.Status.Database != nil && acme.Status.Schema != "" {
			t.Errorf("%s: made anew on %s", what, acme.Status.Database.Name)
		}
		b.Expect(t, acme, operator.Waiting("Ready", v1alpha1.ReasonDatabaseNotReady, "main is not reachable"))
	}
}

// A Tenant that comes back under a name of which data are kept waits for the database that keeps them, by
// the word of its status while it is away; whoever is new does not.
func TestNamesakeWaitsForItsData(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Database.Spec.MaxTenants = new(int32(1000)) // the one with more room
	second := b.second(t, 100)
	b.settle(t)
	b.pass(t, second)
	acme := b.tenant(t, "acme")
	if got := acme.Status.Database.Name; got != "main" {
		t.Fatalf("placed on %s, want main", got)
	}
	first := string(acme.UID)
	b.remove(t, acme)
	b.pass(t, b.Database)
	kept := []v1alpha1.RetainedSchema{{Namespace: b.Namespace, Name: "acme", Schema: acme.Status.Schema}}
	if diff := cmp.Diff(kept, b.Database.Status.Retained); diff != "" || b.Database.Status.RetainedTenants != 1 {
		t.Errorf("%d retained tenants in the database's status (-want +got):\n%s", b.Database.Status.RetainedTenants, diff)
	}

	b.connection(t, map[string]string{"uri": strings.Replace(b.DSN, ":"+strconv.Itoa(b.Server.Port)+"/", ":"+closedPort(t)+"/", 1)})
	b.pass(t, b.Database)
	b.Expect(t, b.Database, operator.Waiting("Reachable", v1alpha1.ReasonUnreachable))
	again, other := b.Tenant("acme"), b.Tenant("other")
	b.Create(t, again, other)
	b.pass(t, again)
	b.Expect(t, again, operator.Waiting("DatabaseReady", v1alpha1.ReasonDatabaseNotReady, "main", "keeps data of an earlier Tenant of this name"))
	b.restart(t) // what this process remembers is nothing to it
	b.pass(t, again)
	b.Expect(t, again, operator.Waiting("DatabaseReady", v1alpha1.ReasonDatabaseNotReady, "keeps data of an earlier Tenant of this name"))
	b.pass(t, other)
	b.Expect(t, other, operator.Ready())
	if got := other.Status.Database.Name; got != "second" {
		t.Errorf("placed on %s, want second", got)
	}

	goodConnection(t, b)
	b.pass(t, b.Database)
	b.pass(t, again)
	b.Expect(t, again, operator.Stalled("SchemaReady", v1alpha1.ReasonSchemaRetained, first, v1alpha1.AnnotationAdopt+"="+first))
}
