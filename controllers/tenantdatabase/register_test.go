package tenantdatabase

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/lull"
)

// counted notes at which second a database is to be counted.
type counted struct {
	lull.Queue

	start time.Time
	at    map[string][]time.Duration
}

func (c *counted) Add(r reconcile.Request) { c.AddAfter(r, 0) }

func (c *counted) AddAfter(r reconcile.Request, after time.Duration) {
	c.at[r.String()] = append(c.at[r.String()], time.Since(c.start)+after)
}

// While tenants are made those that come are counted rarely, and once more when that is over; those that are gone at once.
func TestCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		q := &counted{start: start, at: map[string][]time.Duration{}}
		h := countLater(&lull.Gatherer{Soon: countDelay, AtMost: busyCountDelay, Busy: func() bool { return time.Since(start) < 30*time.Second }})
		on := func(database string) *v1alpha1.Tenant {
			return &v1alpha1.Tenant{Status: v1alpha1.TenantStatus{Database: &v1alpha1.NamespacedReference{Namespace: "n", Name: database}}}
		}
		for range 100 {
			h.Update(t.Context(), event.UpdateEvent{ObjectOld: &v1alpha1.Tenant{}, ObjectNew: on("grows")}, q)
			h.Update(t.Context(), event.UpdateEvent{ObjectOld: on("rests"), ObjectNew: on("rests")}, q)
			<-time.After(100 * time.Millisecond)
		}
		h.Delete(t.Context(), event.DeleteEvent{Object: on("shrinks")}, q)
		h.Delete(t.Context(), event.DeleteEvent{Object: &v1alpha1.Tenant{}}, q)
		<-time.After(2 * time.Minute)
		want := map[string][]time.Duration{"n/grows": {20 * time.Second, 30 * time.Second}, "n/shrinks": {13 * time.Second}}
		if diff := cmp.Diff(want, q.at); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
	})
}
