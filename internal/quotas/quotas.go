// Package quotas measures tenants' schemas from time to time, one query a database, and only those that
// somebody asked about: sizes are slow to read, so no pass of a tenant reads one. It remembers the last
// size of each, and tells when one passes a mark that it was asked about.
package quotas

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tenantry/tenantry/internal/fault"
)

// Interval is the time between two measurements of a database.
const Interval = 5 * time.Minute

// forgetAfter is how long a schema is measured about which nobody asks any more: longer than the time
// between two passes of a steady tenant.
const forgetAfter = time.Hour

// Patience is how many samples of a schema may fail in a row before its last size counts no more.
const Patience = 2

// Source reads the sizes of schemas on one database, in bytes. It leaves out those that it cannot measure
// since something in them is locked.
type Source interface {
	SchemaSizes(ctx context.Context, schemas []string) (map[string]int64, error)
}

// Schema is one schema of a database, and the Tenant that has it.
type Schema struct {
	Database types.UID
	Name     string
	Tenant   types.NamespacedName
}

// Keeper remembers sizes. The zero value knows nothing.
type Keeper struct {
	mu      sync.Mutex
	known   map[Schema]*size
	sources map[types.UID]Source
	fresh   chan struct{} // somebody asks about what was never measured
	notify  func(types.NamespacedName)
}

// Sample is what is known of the size of a schema.
type Sample struct {
	Bytes    int64
	Measured bool
	// Missed is why the last samples failed, if so many did that nobody knows any more; else "".
	Missed string
}

type size struct {
	bytes    int64
	measured bool
	// misses counts the samples that failed since, and why the last one did.
	misses int
	why    string
	asked  time.Time
	// marks, below and at which the tenant wants to know.
	marks []int64
}

// New returns a Keeper.
func New() *Keeper {
	return &Keeper{known: map[Schema]*size{}, sources: map[types.UID]Source{}, fresh: make(chan struct{}, 1)}
}

// Notify sets who is told of a tenant whose schema was measured for the first time or passed a mark, or
// cannot be measured for long, or can again.
func (k *Keeper) Notify(f func(types.NamespacedName)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.notify = f
}

// Size returns what is known of the size of a schema. Asking keeps it measured; marks are sizes whose passing
// is news.
func (k *Keeper) Size(schema Schema, source Source, marks ...int64) Sample {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.known[schema]
	if s == nil {
		s = &size{}
		k.known[schema] = s
		select {
		case k.fresh <- struct{}{}:
		default:
		}
	}
	s.asked, s.marks, k.sources[schema.Database] = time.Now(), marks, source
	sample := Sample{Bytes: s.bytes, Measured: s.measured}
	if s.misses >= Patience {
		sample.Missed = s.why
	}
	return sample
}

// Start measures until the context ends. It is a manager's Runnable.
func (k *Keeper) Start(ctx context.Context) error {
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			k.Measure(ctx, false)
		case <-k.fresh:
			if !gather(ctx) {
				return nil
			}
			k.Measure(ctx, true)
		}
	}
}

// gatherFor is the time in which tenants that come at once are measured by one query.
const gatherFor = 5 * time.Second

func gather(ctx context.Context) bool {
	timer := time.NewTimer(gatherFor)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// NeedLeaderElection keeps it with the controller that asks.
func (k *Keeper) NeedLeaderElection() bool { return true }

// Measure reads all schemas that were asked about, or those alone that never were measured, and tells of
// what is news. What cannot be read keeps its last size.
func (k *Keeper) Measure(ctx context.Context, unknown bool) {
	for database, schemas := range k.due(unknown) {
		names := make([]string, len(schemas))
		for i, s := range schemas {
			names[i] = s.Name
		}
		k.mu.Lock()
		source := k.sources[database]
		k.mu.Unlock()
		sizes, err := source.SchemaSizes(ctx, names)
		if err != nil {
			log.FromContext(ctx).Info("Sizes not read", "database", database, "cause", err.Error())
			k.take(schemas, nil, cause(err))
			continue
		}
		k.take(schemas, sizes, "a table of it is locked, or somebody waits for a lock on one")
	}
}

// cause is for a status: without what differs from try to try.
func cause(err error) string {
	if f := fault.Of(err, ""); f.Reason != "" {
		return f.Message
	}
	return "its database cannot be asked"
}

func (k *Keeper) due(unknown bool) map[types.UID][]Schema {
	k.mu.Lock()
	defer k.mu.Unlock()
	due := map[types.UID][]Schema{}
	for schema, s := range k.known {
		switch {
		case time.Since(s.asked) > forgetAfter:
			delete(k.known, schema)
		case !unknown || !s.measured:
			due[schema.Database] = append(due[schema.Database], schema)
		}
	}
	for database := range k.sources {
		if !unknown && len(due[database]) == 0 {
			delete(k.sources, database)
		}
	}
	return due
}

// take remembers sizes, and of schemas without one why there is none.
func (k *Keeper) take(schemas []Schema, sizes map[string]int64, why string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, schema := range schemas {
		s := k.known[schema]
		if s == nil {
			continue
		}
		if s.note(sizes, schema.Name, why) && k.notify != nil {
			k.notify(schema.Tenant)
		}
	}
}

// note says whether a sample is news.
func (s *size) note(sizes map[string]int64, schema, why string) (news bool) {
	bytes, found := sizes[schema]
	if !found {
		s.misses++
		news, s.why = s.misses == Patience || s.misses > Patience && s.why != why, why
		return news
	}
	news = !s.measured || s.misses >= Patience
	for _, mark := range s.marks {
		news = news || (s.bytes < mark) != (bytes < mark)
	}
	s.bytes, s.measured, s.misses = bytes, true, 0
	return news
}
