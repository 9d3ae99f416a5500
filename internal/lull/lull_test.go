package lull

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// queued notes at which second something was queued.
type queued struct {
	Queue

	since time.Time
	at    map[string][]int
}

func (q *queued) Add(r reconcile.Request) {
	q.at[r.Name] = append(q.at[r.Name], int(time.Since(q.since).Round(time.Second)/time.Second))
}

// Passes come soon where nobody is busy, when that is over where somebody is, and at most so long after what they
// are for; each event has one behind it, and nothing comes without an event.
func TestGatherer(t *testing.T) {
	for name, test := range map[string]struct {
		busy   int              // until this second
		events map[int][]string // by their seconds
		want   map[string][]int
	}{
		"nobody is busy":          {0, map[int][]string{0: {"a"}, 1: {"a", "b"}, 5: {"a"}, 50: {"a"}}, map[string][]int{"a": {3, 8, 53}, "b": {4}}},
		"busy for a moment":       {2, map[int][]string{0: {"a"}, 1: {"a"}}, map[string][]int{"a": {3}}},
		"busy for a while":        {10, map[int][]string{0: {"a"}, 1: {"a", "b"}, 9: {"a"}}, map[string][]int{"a": {10}, "b": {10}}},
		"busy with one":           {90, map[int][]string{0: {"a"}}, map[string][]int{"a": {20, 90}}},
		"one and then another":    {90, map[int][]string{0: {"a"}, 5: {"a"}, 60: {"a"}}, map[string][]int{"a": {20, 80, 90}}},
		"the last one at the end": {65, map[int][]string{0: {"a"}, 19: {"a"}, 21: {"a"}, 40: {"a"}, 64: {"a"}}, map[string][]int{"a": {20, 41, 67}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				q := &queued{since: start, at: map[string][]int{}}
				g := &Gatherer{Soon: 3 * time.Second, AtMost: 20 * time.Second, Busy: func() bool {
					return time.Since(start) < time.Duration(test.busy)*time.Second
				}}
				for second := range 120 {
					for _, object := range test.events[second] {
						g.Add(q, reconcile.Request{NamespacedName: client.ObjectKey{Name: object}})
					}
					<-time.After(time.Second)
				}
				synctest.Wait()
				if diff := cmp.Diff(test.want, q.at); diff != "" {
					t.Errorf("passes by the second (-want +got):\n%s", diff)
				}
				if len(g.waiting) > 0 {
					t.Errorf("%d objects wait without end", len(g.waiting))
				}
			})
		})
	}
}
