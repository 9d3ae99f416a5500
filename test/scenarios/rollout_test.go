package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

// fleet is a world with tenants in rings, all at version 3.
type fleet struct {
	*operator.World

	tenants map[string]*v1alpha1.Tenant
}

// newFleet makes tenants called by their ring and a letter: a1 and a2 are in ring a.
func newFleet(t *testing.T, names ...string) *fleet {
	t.Helper()
	f := &fleet{servers.World(t), map[string]*v1alpha1.Tenant{}}
	f.Make(t)
	for _, name := range names {
		f.add(t, name)
	}
	for _, tenant := range f.tenants {
		f.AwaitReady(t, tenant)
	}
	f.awaitRollout(t, v1alpha1.ReasonSucceeded)
	return f
}

func (f *fleet) add(t *testing.T, name string) *v1alpha1.Tenant {
	t.Helper()
	tenant := f.Tenant(name)
	tenant.Labels = map[string]string{"ring": name[:1]}
	f.Create(t, tenant)
	f.tenants[name] = tenant
	return tenant
}

// ringsOf are rings of the tenants whose names begin with a letter, all with one soak time.
func ringsOf(soak int32, letters ...string) (rings []v1alpha1.RolloutRing) {
	for _, letter := range letters {
		rings = append(rings, v1alpha1.RolloutRing{
			Name: letter, SoakSeconds: soak, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"ring": letter}},
		})
	}
	return rings
}

func budget(n int32) *intstr.IntOrString { return new(intstr.FromInt32(n)) }

// spec changes how the set rolls out, and waits until the operator has seen it: it may see files that are written
// next before.
func (f *fleet) spec(t *testing.T, change func(*v1alpha1.Rollout)) {
	t.Helper()
	operator.Update(t, f.Servers, f.Set, func(ms *v1alpha1.MigrationSet) {
		if ms.Spec.Rollout == nil {
			ms.Spec.Rollout = &v1alpha1.Rollout{}
		}
		change(ms.Spec.Rollout)
	})
	f.Await(t, operator.Eventually, f.Set, func(bool) error {
		return differs("the generation that the operator saw", f.Set.Generation, f.Set.Status.ObservedGeneration)
	})
}

// ship adds a file that turns notes into numbers, which fails where a note is none.
func (f *fleet) ship(t *testing.T) {
	t.Helper()
	write(t, f.World, map[string]string{"0004_c4.sql": "ALTER TABLE note ADD COLUMN c4 integer;\nUPDATE note SET c4 = body::integer;\n"})
}

// spoil writes a note that is no number.
func (f *fleet) spoil(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		operator.Exec(t, f.AdminDSN, fmt.Sprintf("INSERT INTO %s.note (body) VALUES ('none')", f.tenants[name].Status.Schema))
	}
}

func (f *fleet) mend(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		operator.Exec(t, f.AdminDSN, fmt.Sprintf("UPDATE %s.note SET body = '1'", f.tenants[name].Status.Schema))
	}
}

// awaitRollout waits for a reason of the condition that says how far the rollout is.
func (f *fleet) awaitRollout(t *testing.T, reason string, message ...string) {
	t.Helper()
	want := operator.Want{Condition: v1alpha1.ConditionRolledOut, Reason: reason, Message: message, KStatus: status.InProgressStatus}
	switch reason {
	case v1alpha1.ReasonSucceeded, v1alpha1.ReasonTenantsFailed:
		want.Status, want.KStatus = metav1.ConditionTrue, status.CurrentStatus
	case v1alpha1.ReasonFailureBudgetSpent:
		want.KStatus = status.FailedStatus
	}
	f.AwaitWant(t, operator.Eventually, f.Set, want, operator.Want{Condition: "Ready", Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady})
}

// versions reads at which version each tenant's schema is, by the registry's word.
func (f *fleet) versions(t *testing.T) map[string]string {
	t.Helper()
	got := map[string]string{}
	for name := range f.tenants {
		got[name] = operator.Query[string](t, f.AdminDSN, "SELECT version FROM tenantry.tenant WHERE namespace = $1 AND name = $2", f.Namespace, name)
	}
	return got
}

// all is the same version for tenants.
func all(version string, names ...string) map[string]string {
	want := map[string]string{}
	for _, name := range names {
		want[name] = version
	}
	return want
}

func (f *fleet) wantVersions(t *testing.T, what string, wants ...map[string]string) {
	t.Helper()
	want := map[string]string{}
	for _, some := range wants {
		maps.Copy(want, some)
	}
	if diff := cmp.Diff(want, f.versions(t)); diff != "" {
		t.Errorf("versions, %s (-want +got):\n%s", what, diff)
	}
}

// stays fails if the versions change within some seconds: nothing tells that nothing will happen.
func (f *fleet) stays(t *testing.T, what string, wants ...map[string]string) {
	t.Helper()
	f.wantVersions(t, what, wants...)
	pause := time.NewTimer(3 * time.Second)
	<-pause.C
	f.wantVersions(t, what+", after a while", wants...)
}

// awaitUpdated waits until tenants say that they are at version 4.
func (f *fleet) awaitUpdated(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		tenant := f.tenants[name]
		f.Await(t, operator.Eventually, tenant, func(bool) error { return differs("version of "+name, "4", tenant.Status.Version) })
	}
}

// order watches the tenants and tells in which order they came to a version.
func (f *fleet) order(t *testing.T, version string) func() []string {
	t.Helper()
	w, err := f.Admin.Watch(t.Context(), &v1alpha1.TenantList{}, client.InNamespace(f.Namespace))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan []string, 1)
	go func() {
		var names []string
		for event := range w.ResultChan() {
			if tenant, ok := event.Object.(*v1alpha1.Tenant); ok && tenant.Status.Version == version && !slices.Contains(names, tenant.Name) {
				names = append(names, tenant.Name)
			}
		}
		seen <- names
	}()
	return func() []string {
		w.Stop()
		return <-seen
	}
}

// The whole way of a version: four rings and an empty one, a soak time, one failure within the budget.
func TestRolloutGoesRingByRing(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "c1", "d1", "d2", "u1", "u2", "p1", "p2", "p3")
	f.spec(t, func(r *v1alpha1.Rollout) {
		r.Rings, r.FailureBudget = ringsOf(0, "c", "d", "x", "u", "p"), budget(1)
		r.Rings[0].SoakSeconds = 2
	})
	f.spoil(t, "d2")
	order := f.order(t, "4")
	f.ship(t)
	f.awaitRollout(t, v1alpha1.ReasonTenantsFailed, "Version 4", "status.failures")
	f.wantVersions(t, "in the end", all("4", "c1", "d1", "u1", "u2", "p1", "p2", "p3"), all("3", "d2"))
	rings := ""
	for _, name := range order() {
		if rings += name[:1]; len(rings) > 1 && rings[len(rings)-1] == rings[len(rings)-2] {
			rings = rings[:len(rings)-1]
		}
	}
	if rings != "cdup" {
		t.Errorf("the rings came in the order %q, want cdup", rings)
	}
	st := f.Set.Status
	if diff := cmp.Diff([]any{"7/8", int32(1), int32(0), "3", ""}, []any{st.Progress, st.FailedTenants, st.PendingTenants, st.Previous.Version, st.Rollout.Position}); diff != "" {
		t.Errorf("progress, failed, pending, previous, position (-want +got):\n%s", diff)
	}
	if len(st.Failures) != 1 || st.Failures[0].Name != "d2" || st.Failures[0].Ring != "d" || st.Failures[0].Version != "3" ||
		st.Failures[0].Reason != v1alpha1.ReasonMigrationFailed {
		t.Errorf("failures are %+v", st.Failures)
	}
	if soak := st.Rollout.Rings[1].StartedAt.Sub(st.Rollout.Rings[0].SettledAt.Time); soak < 2*time.Second {
		t.Errorf("ring d began %s after ring c was done, which soaks for 2s", soak)
	}
	// Who failed serves at its old version, and says so.
	f.AwaitWant(t, operator.Soon, f.tenants["d2"], operator.Stalled("Migrated", v1alpha1.ReasonMigrationFailed, "0004_c4.sql line 2", "stays at version 3"))
	if err := operator.LogsIn(t, uri(t, f.World, f.tenants["d2"])); err != nil {
		t.Errorf("the customer whose upgrade failed cannot log in: %v", err)
	}
	f.mend(t, "d2")
	f.Nudge(t, f.tenants["d2"])
	f.awaitRollout(t, v1alpha1.ReasonSucceeded)
	f.wantVersions(t, "when it was mended", all("4", "c1", "d1", "d2", "u1", "u2", "p1", "p2", "p3"))
}

// More failures than the budget allows stop the rollout, until a user says how to go on.
func TestBudgetIsSpent(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		goOn func(*testing.T, *fleet)
		// failed are left behind in the end.
		failed []string
	}{
		"by the annotation": {
			goOn: func(t *testing.T, f *fleet) {
				f.annotate(t, v1alpha1.AnnotationResume, f.Set.Status.Rollout.Stopped.Resume)
			},
			failed: []string{"a1", "a2"},
		},
		"by a greater budget": {
			goOn:   func(t *testing.T, f *fleet) { f.spec(t, func(r *v1alpha1.Rollout) { r.FailureBudget = budget(2) }) },
			failed: []string{"a1", "a2"},
		},
		"by a new version": {
			goOn: func(t *testing.T, f *fleet) {
				f.mend(t, "a1", "a2")
				write(t, f.World, map[string]string{"0005_c5.sql": "ALTER TABLE note ADD COLUMN c5 integer;\n"})
			},
		},
		"when all were mended": {
			goOn: func(t *testing.T, f *fleet) {
				f.mend(t, "a1", "a2")
				f.annotate(t, v1alpha1.AnnotationRetry, "now")
				f.awaitUpdated(t, "a1", "a2")
				// Somebody has to say so.
				f.awaitRollout(t, v1alpha1.ReasonFailureBudgetSpent)
				f.wantVersions(t, "mended and not resumed", all("4", "a1", "a2"), all(f.versions(t)["a3"], "a3"), all("3", "r1", "r2"))
				f.annotate(t, v1alpha1.AnnotationResume, f.Set.Status.Rollout.Stopped.Resume)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, "a1", "a2", "a3", "r1", "r2")
			f.spec(t, func(r *v1alpha1.Rollout) { r.Rings, r.FailureBudget = ringsOf(0, "a"), budget(1) })
			f.spoil(t, "a1", "a2")
			f.ship(t)
			f.awaitRollout(t, v1alpha1.ReasonFailureBudgetSpent, "ring a (1 of 2)", "failureBudget (1)", v1alpha1.AnnotationRetry, v1alpha1.AnnotationResume)
			if got, want := f.Set.Status.FailedTenants, int32(2); got != want {
				t.Errorf("%d tenants failed, want %d", got, want)
			}
			// Whether a3 began before the second failure is left to chance.
			f.stays(t, "while it is stopped", all("3", "a1", "a2", "r1", "r2"), all(f.versions(t)["a3"], "a3"))
			if got, want := f.Set.Status.Rollout.Position, "a (stopped)"; got != want {
				t.Errorf("position is %q, want %q", got, want)
			}
			tt.goOn(t, f)
			if len(tt.failed) > 0 {
				f.awaitRollout(t, v1alpha1.ReasonTenantsFailed)
				f.wantVersions(t, "in the end", all("3", tt.failed...), all("4", "a3", "r1", "r2"))
				return
			}
			f.awaitRollout(t, v1alpha1.ReasonSucceeded)
			latest := f.Set.Status.Version
			f.wantVersions(t, "in the end", all(latest, "a1", "a2", "a3", "r1", "r2"))
		})
	}
}

func (f *fleet) annotate(t *testing.T, name, value string) {
	t.Helper()
	operator.Update(t, f.Servers, f.Set, func(ms *v1alpha1.MigrationSet) {
		if ms.Annotations == nil {
			ms.Annotations = map[string]string{}
		}
		ms.Annotations[name] = value
	})
}

// A version that fails everywhere, in milliseconds, fails for no more than the budget and those who
// were at work with it.
func TestBadVersionIsStoppedAtOnce(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprintf("r%02d", i))
	}
	f := newFleet(t, names...)
	f.spec(t, func(r *v1alpha1.Rollout) { r.FailureBudget, r.MaxInFlight = budget(2), 1 })
	f.spoil(t, names...)
	f.ship(t)
	f.awaitRollout(t, v1alpha1.ReasonFailureBudgetSpent)
	f.stays(t, "while it is stopped", all("3", names...))
	f.Await(t, operator.Soon, f.Set, counts(f.Set, 20, 0, 3))
	failed := 0
	for _, tenant := range f.tenants {
		f.Get(t, tenant)
		if !conditions.IsTrue(tenant, v1alpha1.ConditionMigrated) {
			failed++
		}
	}
	if failed != 3 {
		t.Errorf("%d tenants failed, want the two of the budget and one more", failed)
	}
}

// A pause takes hold at once: who is at work finishes, one at a time, and nobody else begins.
func TestPauseInTheMiddle(t *testing.T) {
	t.Parallel()
	names := []string{"r1", "r2", "r3", "r4"}
	f := newFleet(t, names...)
	f.spec(t, func(r *v1alpha1.Rollout) { r.MaxInFlight = 1 })
	release := f.lock(t, names...)
	write(t, f.World, operator.Migrations(4))
	atWork := func() (at []string) {
		for _, name := range names {
			tenant := f.tenants[name]
			f.Get(t, tenant)
			if c := conditions.Get(tenant, v1alpha1.ConditionMigrated); c != nil && c.Reason == v1alpha1.ReasonProgressing {
				at = append(at, name)
			}
		}
		return at
	}
	operator.Poll(t, operator.Eventually, func() error { return differs("tenants at work", 1, len(atWork())) })
	first := atWork()
	f.spec(t, func(r *v1alpha1.Rollout) { r.Paused = true })
	f.awaitRollout(t, v1alpha1.ReasonRolloutPaused, "spec.rollout.paused", "ring rest (1 of 1)")
	release()
	f.awaitUpdated(t, first...)
	others := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(first, name) })
	f.stays(t, "during the pause", all("4", first...), all("3", others...))
	f.Await(t, operator.Soon, f.Set, counts(f.Set, 4, 1, 0))
	f.spec(t, func(r *v1alpha1.Rollout) { r.Paused = false })
	f.awaitRollout(t, v1alpha1.ReasonSucceeded)
	f.wantVersions(t, "in the end", all("4", names...))
}

// lock holds the tenants' tables until it is told to let go.
func (f *fleet) lock(t *testing.T, names ...string) (release func()) {
	t.Helper()
	conn := operator.Hold(t, f.AdminDSN)
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, err := tx.Exec(t.Context(), "LOCK TABLE "+f.tenants[name].Status.Schema+".note"); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if err := tx.Rollback(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// A tenant that the version made ill keeps the next ring closed until it is well.
func TestGateWaitsForHealthyTenants(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a1", "a2", "r1")
	f.spec(t, func(r *v1alpha1.Rollout) { r.Rings = ringsOf(0, "a") })
	f.spoil(t, "a1")
	write(t, f.World, map[string]string{"0004_ill.sql": `DO $$ BEGIN
		IF EXISTS (SELECT FROM note) THEN
			EXECUTE format('REVOKE SELECT ON note FROM %I', regexp_replace(current_user, '_owner$', '_app'));
		END IF;
	END $$;`})
	f.awaitRollout(t, v1alpha1.ReasonTenantsNotReady, "ring a (1 of 2)", f.Namespace+"/a1 (VerificationFailed)")
	f.stays(t, "while a1 is ill", all("4", "a1", "a2"), all("3", "r1"))
	if got, want := f.Set.Status.Progress, "2/3"; got != want {
		t.Errorf("progress is %s, want %s", got, want)
	}
	schema := f.tenants["a1"].Status.Schema
	role := operator.Query[string](t, f.AdminDSN, "SELECT app_role FROM tenantry.tenant WHERE schema_name = $1", schema)
	operator.Exec(t, f.AdminDSN, fmt.Sprintf("GRANT SELECT ON %s.note TO %s", schema, role))
	f.Nudge(t, f.tenants["a1"])
	f.awaitRollout(t, v1alpha1.ReasonSucceeded)
	f.wantVersions(t, "when it is well", all("4", "a1", "a2", "r1"))
}

// One whose migration cannot get its lock counts as failed after the deadline, and keeps trying.
func TestLockedTenantDelaysNobodyForEver(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a1", "a2", "r1")
	operator.Update(t, f.Servers, f.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.LockTimeoutMilliseconds = 50 })
	f.spec(t, func(r *v1alpha1.Rollout) {
		r.Rings, r.FailureBudget, r.ProgressDeadlineSeconds = ringsOf(0, "a"), budget(1), 2
	})
	release := f.lock(t, "a1")
	write(t, f.World, operator.Migrations(4))
	f.awaitRollout(t, v1alpha1.ReasonTenantsFailed)
	f.wantVersions(t, "with a lock that stays", all("4", "a2", "r1"), all("3", "a1"))
	if len(f.Set.Status.Failures) != 1 || f.Set.Status.Failures[0].Reason != v1alpha1.ReasonMigrationLocked {
		t.Errorf("failures are %+v", f.Set.Status.Failures)
	}
	release()
	f.awaitUpdated(t, "a1")
	f.awaitRollout(t, v1alpha1.ReasonSucceeded)
}

// A pin is the tenant's own word: the rollout does not touch it, nor count it, nor wait for it.
func TestPinnedTenantsGoTheirOwnWay(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a1", "a2", "r1", "r2")
	pin(t, f.World, f.tenants["a1"], "3")
	f.spec(t, func(r *v1alpha1.Rollout) { r.Rings = ringsOf(3600, "a") })
	write(t, f.World, operator.Migrations(4))
	f.awaitRollout(t, v1alpha1.ReasonSoaking)
	f.wantVersions(t, "ring a soaks", all("3", "a1", "r1", "r2"), all("4", "a2"))
	pin(t, f.World, f.tenants["r1"], "4")
	f.awaitUpdated(t, "r1")
	f.Await(t, operator.Soon, f.Set, func(bool) error {
		st := f.Set.Status
		return differs("progress and pinned", []any{"1/2", int32(2)}, []any{st.Progress, st.PinnedTenants})
	})
	pin(t, f.World, f.tenants["a1"], "")
	f.awaitUpdated(t, "a1")
	f.wantVersions(t, "pins that came and went", all("4", "a1", "a2", "r1"), all("3", "r2"))
}

// While a ring soaks: a tenant that comes to it by its labels begins, and so does a new one; a new tenant
// of a later ring starts at the version before.
func TestTenantsComeAndMoveDuringARollout(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a1", "r1", "r2")
	f.spec(t, func(r *v1alpha1.Rollout) { r.Rings = ringsOf(3600, "a") })
	f.ship(t)
	f.awaitRollout(t, v1alpha1.ReasonSoaking, "ring a (1 of 2)")
	f.AwaitReady(t, f.add(t, "a2"), f.add(t, "r3"))
	f.wantVersions(t, "new tenants", all("4", "a1", "a2"), all("3", "r1", "r2", "r3"))
	if diff := cmp.Diff([]string{"id", "body", "c2", "c3"}, operator.Columns(t, f.AdminDSN, f.tenants["r3"].Status.Schema, "note")); diff != "" {
		t.Errorf("columns of a new tenant at the version before (-want +got):\n%s", diff)
	}
	operator.Update(t, f.Servers, f.tenants["r1"], func(tn *v1alpha1.Tenant) { tn.Labels["ring"] = "a" })
	f.awaitUpdated(t, "r1")
	f.stays(t, "one moved to ring a", all("4", "a1", "a2", "r1"), all("3", "r2", "r3"))
	f.spec(t, func(r *v1alpha1.Rollout) { r.Rings[0].SoakSeconds = 0 })
	f.awaitRollout(t, v1alpha1.ReasonSucceeded)
	f.wantVersions(t, "in the end", all("4", "a1", "a2", "r1", "r2", "r3"))
}

// A set with repeatable migrations cannot make the version before: they exist for the newest alone.
func TestNewTenantWaitsForItsRing(t *testing.T) {
	t.Parallel()
	f := &fleet{servers.World(t), map[string]*v1alpha1.Tenant{}}
	f.Files.Data = map[string]string{
		"V1__note.sql": "CREATE TABLE note (id bigint PRIMARY KEY);", "R__notes.sql": "CREATE OR REPLACE VIEW notes AS SELECT id FROM note;",
	}
	f.Make(t)
	f.AwaitReady(t, f.add(t, "a1"))
	f.awaitRollout(t, v1alpha1.ReasonSucceeded)
	f.spec(t, func(r *v1alpha1.Rollout) { r.Rings = ringsOf(3600, "a") })
	write(t, f.World, map[string]string{"V2__c2.sql": "ALTER TABLE note ADD COLUMN c2 integer;"})
	f.awaitRollout(t, v1alpha1.ReasonSoaking)
	fresh := f.add(t, "r1")
	f.AwaitWant(t, operator.Eventually, fresh, operator.Waiting("Migrated", v1alpha1.ReasonRolloutPending, "has not come to this tenant's ring", "repeatable migrations"))
	f.spec(t, func(r *v1alpha1.Rollout) { r.Rings[0].SoakSeconds = 0 })
	f.AwaitReady(t, fresh)
	f.wantVersions(t, "in the end", all("2", "a1", "r1"))
}

// A newer version takes the place of one that is on its way: it begins at the first ring, and who never
// had the one between goes past it.
func TestNewVersionDuringARollout(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a1", "r1")
	f.spec(t, func(r *v1alpha1.Rollout) { r.Rings = ringsOf(3600, "a") })
	write(t, f.World, operator.Migrations(4))
	f.awaitRollout(t, v1alpha1.ReasonSoaking, "Version 4")
	started := f.Set.Status.Rollout.StartedAt
	write(t, f.World, operator.Migrations(5))
	f.awaitRollout(t, v1alpha1.ReasonSoaking, "Version 5")
	f.stays(t, "the newer one", all("5", "a1"), all("3", "r1"))
	if st := f.Set.Status; st.Previous.Version != "3" || st.Rollout.StartedAt.Before(&started) {
		t.Errorf("previous is %s, begun %s; version 4 was never completed", st.Previous.Version, st.Rollout.StartedAt)
	}
	f.AwaitReady(t, f.add(t, "r2"))
	f.wantVersions(t, "a new tenant", all("5", "a1"), all("3", "r1", "r2"))
	f.spec(t, func(r *v1alpha1.Rollout) { r.Rings = nil })
	f.awaitRollout(t, v1alpha1.ReasonSucceeded)
	f.wantVersions(t, "in the end", all("5", "a1", "r1", "r2"))
}

// A version costs nobody a write whose ring is not open, and the set one every other second at most.
func TestRolloutWritesLittle(t *testing.T) {
	t.Parallel()
	names := []string{"a0"}
	for i := range 30 {
		names = append(names, fmt.Sprintf("r%02d", i))
	}
	f := newFleet(t, names...)
	f.spec(t, func(r *v1alpha1.Rollout) { r.Rings, r.MaxInFlight = ringsOf(3600, "a"), 2 })
	f.awaitRollout(t, v1alpha1.ReasonSucceeded)
	writes, begun := f.Writes(t), time.Now()
	// of counts the operator's writes of this world that begin so.
	of := func(what string) (n int) {
		for _, write := range writes.API(t) {
			if strings.HasPrefix(write, what) {
				n++
			}
		}
		return n
	}
	f.ship(t)
	f.awaitRollout(t, v1alpha1.ReasonSoaking)
	if n := of("patch tenants/status " + f.Namespace + "/r"); n > 0 {
		t.Errorf("%d writes of tenants whose ring is not open", n)
	}
	f.spec(t, func(r *v1alpha1.Rollout) { r.Rings[0].SoakSeconds = 0 })
	f.awaitRollout(t, v1alpha1.ReasonSucceeded)
	// At work, and done; done is always told.
	if n := of("patch tenants/status " + f.Namespace + "/r"); n < 30 || n > 2*30 {
		t.Errorf("%d writes of 30 tenants, want one or two each", n)
	}
	// Besides the counts: two new states of the spec, a new version, and the ring that opens.
	if n, most := of("patch migrationsets/status "+f.Namespace+"/"), int(time.Since(begun).Seconds()/2)+5; n == 0 || n > most {
		t.Errorf("%d writes of the set in %s, want some, and at most %d", n, time.Since(begun), most)
	}
	f.stays(t, "in the end", all("4", names...))
}

func TestInvalidRollout(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a1")
	f.spec(t, func(r *v1alpha1.Rollout) {
		r.Rings = ringsOf(0, "a")
		r.Rings[0].Selector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "stage", Operator: metav1.LabelSelectorOpIn}}
	})
	f.AwaitWant(t, operator.Soon, f.Set, operator.Stalled("Ready", v1alpha1.ReasonInvalidRollout, "spec.rollout.rings[0] (a): selector", "values set can't be empty"))
	f.spec(t, func(r *v1alpha1.Rollout) { r.Rings[0].Selector.MatchExpressions = nil })
	f.awaitRollout(t, v1alpha1.ReasonSucceeded)
}

// An operator that is stopped again and again on the way changes nothing in the end, and no order. This
// test does not run beside others: they share the operator.
func TestRestartsDuringARollout(t *testing.T) {
	var names []string
	for _, ring := range []string{"a", "b", "r"} {
		for i := range 4 {
			names = append(names, fmt.Sprintf("%s%d", ring, i))
		}
	}
	f := newFleet(t, names...)
	f.spec(t, func(r *v1alpha1.Rollout) {
		r.Rings, r.FailureBudget, r.MaxInFlight = ringsOf(1, "a", "b"), budget(2), 2
	})
	f.spoil(t, "a0", "b0", "r0")
	f.ship(t)
	interrupt(t, 8)
	f.awaitRollout(t, v1alpha1.ReasonFailureBudgetSpent, "ring rest (3 of 3)")
	f.stays(t, "what failed", all("3", "a0", "b0", "r0"), all("4", "a1", "a2", "a3", "b1", "b2", "b3"), f.rest(t))
	interrupt(t, 3)
	f.stays(t, "stopped, and restarted", all("3", "a0", "b0", "r0"), all("4", "a1", "a2", "a3", "b1", "b2", "b3"), f.rest(t))
	f.mend(t, "a0", "b0", "r0")
	f.annotate(t, v1alpha1.AnnotationRetry, "now")
	f.annotate(t, v1alpha1.AnnotationResume, f.Set.Status.Rollout.Stopped.Resume)
	interrupt(t, 3)
	f.awaitRollout(t, v1alpha1.ReasonSucceeded)
	f.wantVersions(t, "in the end", all("4", names...))
	for _, tenant := range f.tenants {
		if diff := cmp.Diff([]string{"id", "body", "c2", "c3", "c4"}, operator.Columns(t, f.AdminDSN, tenant.Status.Schema, "note")); diff != "" {
			t.Errorf("columns of %s (-want +got):\n%s", tenant.Name, diff)
		}
	}
}

// rest is what those of the last ring are at who may have begun before the stop.
func (f *fleet) rest(t *testing.T) map[string]string {
	t.Helper()
	all := f.versions(t)
	return map[string]string{"r1": all["r1"], "r2": all["r2"], "r3": all["r3"]}
}
