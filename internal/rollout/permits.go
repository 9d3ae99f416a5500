package rollout

import (
	"slices"
	"sync"
	"time"
)

// Permits keep, in the one process that is at work, what cannot wait for a status: how many tenants of
// each database are being upgraded, in which order the others wait, and which tenants failed since
// failures were last counted, so that a bad version that fails in milliseconds does not fail for
// hundreds before it is stopped. It is a cache: after a restart nobody is at work but those whose Jobs
// run, and the status's count is where it begins.
type Permits struct {
	mu     sync.Mutex
	wake   func(tenant string)
	fleets map[string]*fleet
	// recent is how long a failure that no count knows is remembered: longer than a status takes to
	// the cache.
	recent time.Duration
	// patience is how long a tenant that was called may take to come before the next is.
	patience time.Duration
}

// NewPermits returns Permits that nobody holds.
func NewPermits() *Permits {
	return &Permits{fleets: map[string]*fleet{}, recent: time.Minute, patience: time.Minute}
}

// OnWake says how a tenant that waits is told to ask again. Without it, tenants ask by themselves.
func (p *Permits) OnWake(wake func(tenant string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wake = wake
}

// Ask is what a tenant wants to begin.
type Ask struct {
	// Set, Database and Tenant are keys; Digest is where the tenant is to go.
	Set, Digest, Database, Tenant string
	// MaxInFlight bounds the tenants of the database that are at work; 0 does not.
	MaxInFlight int
	// Apart says that the tenant is none of those that MaxInFlight bounds: nobody waits for it.
	Apart bool
	// Budgeted says that failures may not exceed Allowed. Counted is how many the status counts.
	Budgeted         bool
	Allowed, Counted int
	// Now is the time.
	Now time.Time
}

// fleet are the tenants of a set.
type fleet struct {
	digest string
	// counted says that failed came from a count of this process.
	counted bool
	failed  map[string]bool
	fresh   map[string]time.Time // failures since
	lanes   map[string]*lane
	held    []string // by the budget
}

// lane are the tenants of a set on one database.
type lane struct {
	most   int
	busy   map[string]bool
	called map[string]time.Time // were told to come; each keeps a place
	queue  []string
}

// Start says whether the tenant may begin, and if so holds a place until End. Who may not is woken when
// that changes.
func (p *Permits) Start(a Ask) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.fleet(a.Set, a.Digest)
	if a.Budgeted && f.failures(a.Counted) > a.Allowed {
		f.held = append(without(f.held, a.Tenant), a.Tenant)
		return false
	}
	if a.Apart {
		return true
	}
	l := f.lane(a.Database)
	l.most = a.MaxInFlight
	if l.busy[a.Tenant] {
		return true // It began in an earlier pass.
	}
	delete(l.called, a.Tenant)
	l.forgetLate(a.Now, p.patience)
	if l.most > 0 && len(l.busy)+len(l.called) >= l.most {
		if !slices.Contains(l.queue, a.Tenant) {
			l.queue = append(l.queue, a.Tenant)
		}
		return false
	}
	l.queue = without(l.queue, a.Tenant)
	l.busy[a.Tenant] = true
	return true
}

// End gives the place back. A failure that only an edit mends counts from now on; a success takes back
// what counted.
func (p *Permits) End(a Ask, succeeded, refused bool, now time.Time) {
	p.mu.Lock()
	f := p.fleets[a.Set]
	if f == nil {
		p.mu.Unlock()
		return
	}
	l := f.lane(a.Database)
	delete(l.busy, a.Tenant)
	if f.digest == a.Digest {
		switch {
		case succeeded:
			delete(f.failed, a.Tenant)
			delete(f.fresh, a.Tenant)
		case refused:
			f.fresh[a.Tenant] = now
		}
	}
	p.call(now, l)
}

// Passed tells that a tenant was looked at. If it was called and did not begin, it needs nothing any
// more, and the next one is called.
func (p *Permits) Passed(tenant string, now time.Time) {
	p.mu.Lock()
	var left []*lane
	for _, l := range p.lanes() {
		if _, was := l.called[tenant]; was {
			delete(l.called, tenant)
			left = append(left, l)
		}
	}
	p.call(now, left...)
}

// Pardon drops the failures of a tenant that no count will know any more, as it is pinned or goes, and lets those who
// were held ask again.
func (p *Permits) Pardon(tenant string) {
	p.mu.Lock()
	var woken []string
	for _, f := range p.fleets {
		if _, failed := f.fresh[tenant]; failed || f.failed[tenant] {
			delete(f.fresh, tenant)
			delete(f.failed, tenant)
			woken, f.held = append(woken, f.held...), nil
		}
	}
	p.unlockAndWake(woken)
}

// Counted takes over what a decision found: who failed, and how many may. Who was held by failures that
// are no more is woken.
func (p *Permits) Counted(set, digest string, failed []string, budgeted bool, allowed int, now time.Time) {
	p.mu.Lock()
	f := p.fleet(set, digest)
	f.counted, f.failed = true, map[string]bool{}
	for _, tenant := range failed {
		f.failed[tenant] = true
	}
	for tenant, at := range f.fresh {
		if f.failed[tenant] || now.Sub(at) > p.recent {
			delete(f.fresh, tenant)
		}
	}
	var woken []string
	if !budgeted || f.failures(0) <= allowed {
		woken, f.held = f.held, nil
	}
	p.unlockAndWake(woken)
}

// Forget drops what is kept of a set that is gone.
func (p *Permits) Forget(set string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.fleets, set)
}

// call tells as many as there are places for to come, and unlocks.
func (p *Permits) call(now time.Time, lanes ...*lane) {
	var woken []string
	for _, l := range lanes {
		l.forgetLate(now, p.patience)
		for p.wake != nil && len(l.queue) > 0 && (l.most <= 0 || len(l.busy)+len(l.called) < l.most) {
			next := l.queue[0]
			l.queue = l.queue[1:]
			l.called[next] = now
			woken = append(woken, next)
		}
	}
	p.unlockAndWake(woken)
}

func (p *Permits) unlockAndWake(tenants []string) {
	wake := p.wake
	p.mu.Unlock()
	if wake == nil {
		return
	}
	for _, tenant := range tenants {
		wake(tenant)
	}
}

// fleet returns what is kept of a set; failures of another digest are none of this one.
func (p *Permits) fleet(set, digest string) *fleet {
	f := p.fleets[set]
	if f == nil {
		f = &fleet{lanes: map[string]*lane{}}
		p.fleets[set] = f
	}
	if f.digest != digest || f.failed == nil {
		f.digest, f.counted, f.failed, f.fresh = digest, false, map[string]bool{}, map[string]time.Time{}
	}
	return f
}

// failures counts; before the first count of this process the status's word is all there is.
func (f *fleet) failures(byStatus int) int {
	n := len(f.fresh)
	if !f.counted {
		return n + byStatus
	}
	for tenant := range f.failed {
		if _, again := f.fresh[tenant]; !again {
			n++
		}
	}
	return n
}

func (f *fleet) lane(database string) *lane {
	l := f.lanes[database]
	if l == nil {
		l = &lane{busy: map[string]bool{}, called: map[string]time.Time{}}
		f.lanes[database] = l
	}
	return l
}

// forgetLate gives up on who was called and did not come.
func (l *lane) forgetLate(now time.Time, patience time.Duration) {
	for tenant, at := range l.called {
		if now.Sub(at) > patience {
			delete(l.called, tenant)
		}
	}
}

func without(all []string, one string) []string {
	return slices.DeleteFunc(all, func(s string) bool { return s == one })
}
