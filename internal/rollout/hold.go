package rollout

import (
	"slices"
	"time"
)

// Hold keeps a place for a tenant that is at work already, whatever the bounds say: its Job runs since an
// earlier pass, perhaps of an operator before this one.
func (p *Permits) Hold(a Ask) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.fleet(a.Set, a.Digest).lane(a.Database)
	delete(l.called, a.Tenant)
	l.queue = without(l.queue, a.Tenant)
	l.busy[a.Tenant] = true
}

// AtWork says whether a tenant holds a place.
func (p *Permits) AtWork(tenant string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.lanes(), func(l *lane) bool { return l.busy[tenant] })
}

// Rest gives back the place of a tenant that is not at work now. For what it waits it goes on waiting.
func (p *Permits) Rest(tenant string, now time.Time) {
	p.mu.Lock()
	var freed []*lane
	for _, l := range p.lanes() {
		if l.busy[tenant] {
			delete(l.busy, tenant)
			freed = append(freed, l)
		}
	}
	p.call(now, freed...)
}

// Gone gives back what a tenant holds that is no more, or wants nothing: its place, and one that was kept for it
// because it had been called.
func (p *Permits) Gone(tenant string, now time.Time) {
	p.mu.Lock()
	for _, f := range p.fleets {
		f.held = without(f.held, tenant)
	}
	var freed []*lane
	for _, l := range p.lanes() {
		l.queue = without(l.queue, tenant)
		_, called := l.called[tenant]
		if called || l.busy[tenant] {
			freed = append(freed, l)
		}
		delete(l.called, tenant)
		delete(l.busy, tenant)
	}
	p.call(now, freed...)
}

func (p *Permits) lanes() (all []*lane) {
	for _, f := range p.fleets {
		for _, l := range f.lanes {
			all = append(all, l)
		}
	}
	return all
}
