package databases

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Candidate is a TenantDatabase on which a new tenant may be placed.
type Candidate struct {
	UID types.UID
	// Max is how many tenants fit; negative means no bound.
	Max int
	// Registered is how many its registry held when it was last counted.
	Registered int
}

// Placement spreads new tenants by free capacity. Between two counts of a registry it remembers
// whom it sent where, so that hundreds of tenants that arrive at once do not all see the same
// free place. It holds for one process: only the leader places. The registry's own bound, checked
// where the row is written, has the last word.
type Placement struct {
	mu sync.Mutex
	// counted is the registry's count on which the promises of a database rest.
	counted  map[types.UID]int
	promised map[types.UID]map[types.UID]time.Time
}

// promiseAge is how long a promise counts: longer than a tenant takes to its registry's row and the
// row to the next count. One that was dropped for another tenant's row must not keep a place for ever.
const promiseAge = 3 * time.Minute

// NewPlacement returns a Placement that promised nothing yet.
func NewPlacement() *Placement {
	return &Placement{counted: map[types.UID]int{}, promised: map[types.UID]map[types.UID]time.Time{}}
}

// Choose returns the candidate with the most free places and promises one to the tenant; false
// when none has room. A tenant that asks again gets the same answer while its place is there.
func (p *Placement) Choose(tenant types.UID, candidates []Candidate) (types.UID, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	best, bestFree, found := types.UID(""), 0, false
	for _, c := range candidates {
		p.recount(c)
		if _, ok := p.promised[c.UID][tenant]; ok {
			return c.UID, true
		}
		free := p.free(c)
		if free > 0 && (!found || free > bestFree) {
			best, bestFree, found = c.UID, free, true
		}
	}
	if found {
		if p.promised[best] == nil {
			p.promised[best] = map[types.UID]time.Time{}
		}
		p.promised[best][tenant] = time.Now()
	}
	return best, found
}

// Release takes a promise back: the tenant went elsewhere, or is gone.
func (p *Placement) Release(tenant types.UID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, tenants := range p.promised {
		delete(tenants, tenant)
	}
}

// recount drops as many promises as the registry has grown by: they are in its count now. Which
// ones does not matter for the sum; a tenant whose promise is dropped has its place in status.
func (p *Placement) recount(c Candidate) {
	grown := c.Registered - p.counted[c.UID]
	p.counted[c.UID] = c.Registered
	for tenant, since := range p.promised[c.UID] {
		if grown > 0 || time.Since(since) > promiseAge {
			delete(p.promised[c.UID], tenant)
			grown--
		}
	}
}

// unbounded stands for a database without a bound: more room than any bound allows.
const unbounded = 1 << 30

func (p *Placement) free(c Candidate) int {
	limit := c.Max
	if limit < 0 {
		limit = unbounded
	}
	return limit - c.Registered - len(p.promised[c.UID])
}
