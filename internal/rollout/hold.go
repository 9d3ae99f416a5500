package rollout

import "time"

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

// Rest gives back the place of a tenant that is not at work now. For what it waits it goes on waiting.
func (p *Permits) Rest(tenant string, now time.Time) {
	p.mu.Lock()
	p.free(tenant, now)
}

// Gone gives back what a tenant holds that is no more, or wants nothing.
func (p *Permits) Gone(tenant string, now time.Time) {
	p.mu.Lock()
	for _, f := range p.fleets {
		f.held = without(f.held, tenant)
		for _, l := range f.lanes {
			l.queue = without(l.queue, tenant)
			delete(l.called, tenant)
		}
	}
	p.free(tenant, now)
}

// free gives a place back, calls who may come in its stead, and unlocks.
func (p *Permits) free(tenant string, now time.Time) {
	var freed *lane
	for _, f := range p.fleets {
		for _, l := range f.lanes {
			if l.busy[tenant] {
				delete(l.busy, tenant)
				freed = l
			}
		}
	}
	if freed == nil {
		p.mu.Unlock()
		return
	}
	p.call(freed, now)
}
