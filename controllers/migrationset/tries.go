package migrationset

import (
	"fmt"
	"sync"
	"time"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Bounds of the pause behind a dry run that failed: nothing tells us that a DBA mended its cause.
const (
	firstPause   = 2 * time.Minute
	longestPause = time.Hour
)

// tries remembers when to try a version again that failed its dry run. It is a cache: after a restart the
// first pause begins anew, since the verdict itself is in the status.
type tries struct {
	mu     sync.Mutex
	failed map[string]attempt
}

type attempt struct {
	of    string
	pause time.Duration
	next  time.Time
}

// pause is how long to wait with the next try of what failed, 0 for not at all: it is due, or a user
// asked for it.
func (t *tries) pause(ms *v1alpha1.MigrationSet, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, known := t.failed[key(ms)]
	switch {
	case !known:
		a = attempt{of: work(ms), pause: firstPause, next: now.Add(firstPause)}
		t.keep(key(ms), a)
	case a.of != work(ms):
		return 0
	}
	return max(0, a.next.Sub(now))
}

// note keeps the outcome of a try.
func (t *tries) note(ms *v1alpha1.MigrationSet, failed bool, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !failed {
		delete(t.failed, key(ms))
		return
	}
	pause := firstPause
	if before, again := t.failed[key(ms)]; again && before.of == work(ms) {
		pause = min(2*before.pause, longestPause)
	}
	t.keep(key(ms), attempt{of: work(ms), pause: pause, next: now.Add(pause)})
}

func (t *tries) keep(name string, a attempt) {
	if t.failed == nil {
		t.failed = map[string]attempt{}
	}
	t.failed[name] = a
}

// forget drops what is kept of a set that is gone.
func (t *tries) forget(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.failed, name)
}

func key(ms *v1alpha1.MigrationSet) string { return ms.Namespace + "/" + ms.Name }

// work is what a verdict depends on that a user can change.
func work(ms *v1alpha1.MigrationSet) string {
	digest := ""
	if ms.Status.DryRun != nil {
		digest = ms.Status.DryRun.Digest
	}
	return fmt.Sprint(ms.UID, digest, ms.Generation, ms.Annotations[v1alpha1.AnnotationRetry])
}
