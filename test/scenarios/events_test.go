package scenarios

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// news lists what was said of an object.
func news(t *testing.T, w *operator.World, obj client.Object) (all []eventsv1.Event) {
	t.Helper()
	var list eventsv1.EventList
	if err := w.Admin.List(t.Context(), &list, client.InNamespace(w.Namespace)); err != nil {
		t.Fatal(err)
	}
	for _, e := range list.Items {
		if e.Regarding.UID == obj.GetUID() {
			all = append(all, e)
		}
	}
	return all
}

// events counts what was said of an object, by type and reason. What is said again of an object that has not changed
// meanwhile is no event of its own: the recorder makes a series of the first one.
func events(t *testing.T, w *operator.World, obj client.Object) map[string]int {
	t.Helper()
	count := map[string]int{}
	for _, e := range news(t, w, obj) {
		times := 1
		if e.Series != nil {
			times = int(e.Series.Count)
		}
		count[e.Type+" "+e.Reason+" "+e.Action] += times
	}
	return count
}

// Events are news: a new tenant says once that it is Ready, and nothing of what it waited for; what
// worked and no longer does is a warning, and its end is said.
func TestEvents(t *testing.T) {
	t.Parallel()
	w := servers.World(t)
	w.Set.Spec.DryRun = v1alpha1.DryRunDisabled
	tenant := acme(t, w).(*v1alpha1.Tenant)
	w.AwaitReady(t, tenant)
	want := map[string]int{"Normal Ready Ready": 1}
	await := func(when string) {
		t.Helper()
		operator.Poll(t, operator.Bookkeeping, func() error { return differs(when, want, events(t, w, tenant)) })
	}
	await("a new tenant")
	write(t, w, map[string]string{"0004_bad.sql": "SELECT 1 FROM nowhere;\n"})
	w.AwaitWant(t, operator.Soon, tenant, operator.Stalled("Ready", v1alpha1.ReasonMigrationFailed))
	want["Warning MigrationFailed Migrated"], want["Warning MigrationFailed Ready"] = 1, 1
	await("a failed upgrade")
	for range 3 {
		w.AwaitPass(t, operator.Eventually, tenant, operator.Stalled("Ready", v1alpha1.ReasonMigrationFailed))
	}
	write(t, w, map[string]string{"0004_bad.sql": "SELECT 1;\n"})
	w.AwaitWant(t, operator.Soon, tenant, operator.Ready())
	operator.Poll(t, operator.Bookkeeping, func() error {
		got := events(t, w, tenant)
		return differs("Ready again", true, got["Normal Ready Ready"] > 1 || got["Normal Succeeded Migrated"] > 0)
	})
	if diff := cmp.Diff(1, events(t, w, tenant)["Warning MigrationFailed Ready"]); diff != "" {
		t.Errorf("warnings of one failure that was looked at four times (-want +got):\n%s", diff)
	}
}
