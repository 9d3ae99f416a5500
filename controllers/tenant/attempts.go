package tenant

import (
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/internal/fault"
)

// Bounds of the pause behind a migration that failed: its locks weigh on a customer who is served.
const (
	firstPause   = 2 * time.Minute
	longestPause = time.Hour
)

// attempts remembers migrations that failed, so that one that only an edit mends is not run at
// every pass. It is a cache: after a restart each is tried once more.
type attempts struct {
	mu     sync.Mutex
	failed map[types.UID]attempt
}

// attempt is a failure and what it depended on.
type attempt struct {
	of    string
	err   *fault.Fault
	pause time.Duration
	next  time.Time
}

// last returns the failure of the same work if it is too early to try again.
func (a *attempts) last(uid types.UID, of string, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	f, ok := a.failed[uid]
	if !ok || f.of != of || now.After(f.next) {
		return nil
	}
	again := *f.err
	again.After = f.next.Sub(now) + time.Second
	return &again
}

// knows says whether the failure of this work was noted, however long ago.
func (a *attempts) knows(uid types.UID, of string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	f, ok := a.failed[uid]
	return ok && f.of == of
}

// note keeps the outcome of a try. Only what an edit mends is kept; the rest is tried again soon.
func (a *attempts) note(uid types.UID, of string, err error, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f, ok := errors.AsType[*fault.Fault](err)
	if !ok || f.Kind != fault.Invalid {
		delete(a.failed, uid)
		return
	}
	pause := firstPause
	if before, again := a.failed[uid]; again && before.of == of {
		pause = min(2*before.pause, longestPause)
	}
	if a.failed == nil {
		a.failed = map[types.UID]attempt{}
	}
	a.failed[uid] = attempt{of: of, err: f, pause: pause, next: now.Add(pause)}
}

// forget drops what is kept of a Tenant that is gone.
func (a *attempts) forget(uid types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.failed, uid)
}
