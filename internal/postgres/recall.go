package postgres

import (
	"context"
	_ "embed" // for the query
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed fleet.sql
var fleetSQL string

// Recall is Observe for a look that nothing in the database calls for: it may be as old as within, and is
// older than no write by which this process changed the tenant. When many tenants are looked at, as after
// a restart, or when a class was changed, all of them share one query. Whoever finds something to do there
// observes before he acts.
func (db *DB) Recall(ctx context.Context, t Tenant, within time.Duration) (Observation, error) {
	if within <= 0 || t.ClassLogin != "" || t.Reader != nil {
		return db.Observe(ctx, t) // What all share is not told by a look at all.
	}
	if err := t.validate(); err != nil {
		return Observation{}, err
	}
	if c := db.recent.find(t, within); c != nil {
		return c.as(db, t).observation(t), nil
	}
	if db.recent.alone(within) {
		return db.Observe(ctx, t)
	}
	if err := db.observeAll(ctx, t, within); err != nil {
		return Observation{}, failed(err, "cannot look at the tenants of database "+db.config.Database())
	}
	if c := db.recent.find(t, within); c != nil {
		return c.as(db, t).observation(t), nil
	}
	return db.Observe(ctx, t)
}

// observeAll looks at every tenant, unless somebody else just did: one asks, and the others wait.
func (db *DB) observeAll(ctx context.Context, t Tenant, within time.Duration) error {
	r := &db.recent
	select {
	case r.asking <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-r.asking }()
	if r.lookedAtAll(t.SharedSchema, within) {
		return nil
	}
	began := time.Now()
	seen, err := readFleet(ctx, db.pool, t.SharedSchema)
	if err == nil {
		r.sawAll(t.SharedSchema, seen, began, within)
	}
	return err
}

func readFleet(ctx context.Context, pool interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}, shared string,
) (map[string]*catalog, error) {
	rows, err := pool.Query(ctx, fleetSQL, shared)
	if err != nil {
		return nil, err
	}
	seen := map[string]*catalog{}
	var schema string
	var c *catalog
	_, err = pgx.ForEachRow(rows, []any{&schema, &c}, func() error {
		seen[schema], c = c, nil
		return nil
	})
	return seen, err
}

// as completes a catalog of the whole fleet with what hangs on who asks.
func (c *catalog) as(db *DB, t Tenant) *catalog {
	own := *c
	own.Group = GroupRole(db.config.Database())
	if own.Migrator = ""; t.MigrationSet != "" {
		own.Migrator = MigratorRole(db.config.Database(), t.MigrationSet)
	}
	own.names, own.keeper = RoleNames{Owner: c.Row.Owner, App: c.Row.App}, c.Row.Keeper
	return &own
}

// recent remembers what was seen of the tenants of one database, for so long as it may be recalled.
type recent struct {
	// asking has something in it while all tenants are looked at.
	asking chan struct{}

	mu sync.Mutex
	// seen by schema.
	seen map[string]sighting
	// wrote is when this process last changed a tenant, by schema, as far as it matters to what is seen.
	wrote map[string]time.Time
	// all is when all were last looked at, for logins that search the schema shared; zero for never.
	all    time.Time
	shared string
	// reset is when all was forgotten: a look that began before it was of another server.
	reset time.Time
	// single is when a tenant was last looked at by itself because it could be.
	single time.Time
	// ages counts looks at all, so that only the last one's end forgets.
	ages int
}

func newRecent() recent {
	return recent{asking: make(chan struct{}, 1), wrote: map[string]time.Time{}}
}

// sighting is a catalog and when it was asked for.
type sighting struct {
	catalog *catalog
	shared  string
	at      time.Time
}

func (r *recent) find(t Tenant, within time.Duration) *catalog {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, known := r.seen[t.Schema]
	if !known || s.shared != t.SharedSchema || time.Since(s.at) >= within {
		return nil
	}
	return s.catalog
}

// Knows says that a tenant was seen lately, or made by this process, under its UID. A no says nothing.
func (db *DB) Knows(schema, uid string, within time.Duration) bool {
	r := &db.recent
	r.mu.Lock()
	defer r.mu.Unlock()
	s, known := r.seen[schema]
	return known && time.Since(s.at) < within && s.catalog.Row != nil && s.catalog.Row.UID == uid && s.catalog.Row.State == StateActive
}

// alone says whether a tenant should be looked at by itself: it is the first one for a while, so that no
// look at all of a large fleet is spent on one; or all were just looked at, and this one has changed since.
func (r *recent) alone(within time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all.IsZero() {
		return false
	}
	now := time.Now()
	if now.Sub(r.all) < within {
		return true
	}
	if now.Sub(r.single) < within {
		return false
	}
	r.single = now
	return true
}

func (r *recent) lookedAtAll(shared string, within time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.all.IsZero() && r.shared == shared && time.Since(r.all) < within
}

// saw keeps what was seen of one tenant, unless it has changed since it was asked for.
func (r *recent) saw(t Tenant, c *catalog, began time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.Row == nil || r.seen == nil || !r.wrote[t.Schema].Before(began) || began.Before(r.reset) {
		return
	}
	r.seen[t.Schema] = sighting{c, t.SharedSchema, began}
}

func (r *recent) sawAll(shared string, seen map[string]*catalog, began time.Time, within time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if began.Before(r.reset) {
		return
	}
	r.seen, r.all, r.shared = make(map[string]sighting, len(seen)), began, shared
	for schema, c := range seen {
		if r.wrote[schema].Before(began) {
			r.seen[schema] = sighting{c, shared, began}
		}
	}
	for schema, at := range r.wrote {
		if at.Before(began) {
			delete(r.wrote, schema)
		}
	}
	r.ages++
	age := r.ages
	time.AfterFunc(within, func() { r.forget(age) })
}

// forget frees the memory of what is too old to be recalled.
func (r *recent) forget(age int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ages == age {
		r.seen = nil
	}
}

// forgetAll drops what is known of every tenant.
func (r *recent) forgetAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen, r.all, r.single, r.reset = nil, time.Time{}, time.Time{}, time.Now()
}

// changed drops what is known of a tenant. Every method that writes calls it when it ends, however it
// ends: a transaction whose end nobody heard of may have come through.
func (r *recent) changed(schema string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.seen, schema)
	r.wrote[schema] = time.Now()
}

// amended is changed for a write whose effect on what was seen is known.
func (r *recent) amended(schema string, err error, amend func(*catalog)) {
	r.mu.Lock()
	s, known := r.seen[schema]
	r.mu.Unlock()
	r.changed(schema)
	if !known || err != nil {
		return
	}
	own := *s.catalog
	row := *own.Row
	own.Row = &row
	amend(&own)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen != nil {
		r.seen[schema] = sighting{&own, s.shared, s.at}
	}
}
