package jobs

import (
	"slices"
	"sync"
	"time"
)

// Gatherer puts tenants that may begin together into batches, in the one process that is at work. It is a
// cache: what a restart forgets is gathered again, and a Job that runs is found by its labels.
type Gatherer struct {
	mu      sync.Mutex
	forming map[string]*forming
	// left are tenants whose batch was handed out, and when: their Job is not in the cache yet.
	left map[string]time.Time
}

type forming struct {
	members []Member
	since   time.Time
}

// Times of a batch.
const (
	// window is how long a batch waits for more tenants.
	window = 2 * time.Second
	// unseen is how long a Job may take to be found.
	unseen = 30 * time.Second
)

// Join adds a tenant to the batch that forms under a key, and hands the batch out when it has its size or
// has waited long enough. Otherwise the tenant comes again after the wait. Who was handed out and comes
// again before its Job is seen waits too.
func (g *Gatherer) Join(key string, m Member, size int, now time.Time) (batch []Member, wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for uid, at := range g.left {
		if now.Sub(at) > unseen {
			delete(g.left, uid)
		}
	}
	if _, left := g.left[m.UID]; left {
		return nil, window
	}
	if g.forming == nil {
		g.forming, g.left = map[string]*forming{}, map[string]time.Time{}
	}
	f := g.forming[key]
	if f == nil {
		f = &forming{since: now}
		g.forming[key] = f
	}
	f.members = append(slices.DeleteFunc(f.members, func(o Member) bool { return o.UID == m.UID }), m)
	if wait := window - now.Sub(f.since); wait > 0 && len(f.members) < size {
		return nil, wait
	}
	delete(g.forming, key)
	for _, member := range f.members {
		g.left[member.UID] = now
	}
	return f.members, 0
}

// Leave takes a tenant out of every batch that forms: it is gone, or may not begin any more. It says whether it
// was in one.
func (g *Gatherer) Leave(uid string) (was bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key, f := range g.forming {
		before := len(f.members)
		if f.members = slices.DeleteFunc(f.members, func(o Member) bool { return o.UID == uid }); len(f.members) == 0 {
			delete(g.forming, key)
		}
		was = was || len(f.members) < before
	}
	return was
}

// Seen tells that tenants have no Job that is not seen yet: it was found, or could not be made.
func (g *Gatherer) Seen(uids ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, uid := range uids {
		delete(g.left, uid)
	}
}
