// Package lull puts passes off that only count or repeat. While tenants are made or migrated they take from
// these what they cost; when that is over they come at once, and now and then before, so that nobody is left out.
package lull

import (
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Queue is a controller's queue.
type Queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// every is how often it is seen whether somebody's time has come.
const every = 250 * time.Millisecond

// Gatherer makes one pass of what happens to an object for a while.
type Gatherer struct {
	// Soon is how long that is, and AtMost how long while Busy.
	Soon, AtMost time.Duration
	// Busy says that passes should wait. Nil stands for never.
	Busy func() bool

	mu      sync.Mutex
	waiting map[reconcile.Request]*wait
}

// wait is one object's.
type wait struct {
	queue Queue
	// first is when its pass may come, and last when it must. A pass that comes while Busy leaves no last: the
	// next one comes when something happens again, or in the end, since what it was to count may follow its event.
	first, last time.Time
}

// Add has an object passed over.
func (g *Gatherer) Add(q Queue, request reconcile.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w, waits := g.waiting[request]
	if waits && !w.last.IsZero() {
		return
	}
	if g.waiting == nil {
		g.waiting = map[reconcile.Request]*wait{}
	}
	if len(g.waiting) == 0 {
		time.AfterFunc(every, g.look)
	}
	now := time.Now()
	g.waiting[request] = &wait{queue: q, first: now.Add(g.Soon), last: now.Add(g.AtMost)}
}

// look queues whose time has come, and comes again as long as somebody waits.
func (g *Gatherer) look() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now, busy := time.Now(), g.Busy != nil && g.Busy()
	for request, w := range g.waiting {
		switch {
		case now.Before(w.first):
		case !busy:
			delete(g.waiting, request)
			w.queue.Add(request)
		case !w.last.IsZero() && !now.Before(w.last):
			w.last = time.Time{}
			w.queue.Add(request)
		}
	}
	if len(g.waiting) > 0 {
		time.AfterFunc(every, g.look)
	}
}
