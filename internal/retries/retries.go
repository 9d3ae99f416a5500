// Package retries remembers work that failed and that only somebody's edit mends for sure, so that it is not
// done again at every pass: it is due after two minutes, then four, up to an hour, since nothing tells
// that its cause was mended elsewhere. Other work under the same key is due at once. It is a cache: after a
// restart of the process, nothing is known to have failed.
package retries

import (
	"sync"
	"time"
)

// Bounds of the pause behind a failure.
const (
	First   = 2 * time.Minute
	Longest = time.Hour
)

// Memory keeps the last failure of each key, with a word on why. Its zero value is ready for use, by many
// at a time.
type Memory[K comparable, V any] struct {
	mu     sync.Mutex
	failed map[K]failure[V]
}

// failure is what failed, and when it is due again.
type failure[V any] struct {
	of    string
	why   V
	pause time.Duration
	due   time.Time
}

// Failed notes a failure. The pause is twice that before it if the same work failed before.
func (m *Memory[K, V]) Failed(key K, of string, why V, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	pause := First
	if before, again := m.failed[key]; again && before.of == of {
		pause = min(2*before.pause, Longest)
	}
	if m.failed == nil {
		m.failed = map[K]failure[V]{}
	}
	m.failed[key] = failure[V]{of: of, why: why, pause: pause, due: now.Add(pause)}
}

// Last returns the failure of just this work, and when it is due again.
func (m *Memory[K, V]) Last(key K, of string) (why V, due time.Time, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, known := m.failed[key]
	if !known || f.of != of {
		return why, due, false
	}
	return f.why, f.due, true
}

// Knows says whether any work of a key failed.
func (m *Memory[K, V]) Knows(key K) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, known := m.failed[key]
	return known
}

// Forget drops what is kept of a key: its work was done, or it is gone.
func (m *Memory[K, V]) Forget(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.failed, key)
}
