package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

var errBusy = errors.New("all connection pools are in use")

// connLifetime ends connections that live long: a PostgreSQL backend caches the catalog of all
// it has touched and never lets go of it.
const connLifetime = 5 * time.Minute

// pools keeps one small connection pool per tenant: at most max of them, each of at most conns
// connections, and each closed once it was idle for idle. A pool belongs to one connection
// string; when that changes, the pool is replaced and ends with its last user, so for a moment
// there may be one more than max.
type pools struct {
	max   int
	conns int32
	idle  time.Duration

	closing sync.WaitGroup
	mu      sync.Mutex
	byName  map[string]*tenantPool
}

type tenantPool struct {
	pool    *pgxpool.Pool
	uri     string
	users   int
	last    time.Time
	retired bool
}

func newPools(limit int, conns int32, idle time.Duration) *pools {
	return &pools{max: limit, conns: conns, idle: idle, byName: make(map[string]*tenantPool)}
}

// use calls fn with the tenant's pool, which stays open until fn returns. It fails with errBusy
// if there are max pools and all are in use.
func (p *pools) use(ctx context.Context, b Binding, fn func(*pgxpool.Pool) error) error {
	t, err := p.take(ctx, b)
	if err != nil {
		return err
	}
	defer p.release(t)
	return fn(t.pool)
}

func (p *pools) take(ctx context.Context, b Binding) (*tenantPool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.byName[b.Tenant]
	if t != nil && t.uri != b.URI {
		p.retire(b.Tenant)
		t = nil
	}
	if t == nil {
		if len(p.byName) >= p.max && !p.evict() {
			return nil, errBusy
		}
		pool, err := p.open(ctx, b)
		if err != nil {
			return nil, err
		}
		t = &tenantPool{pool: pool, uri: b.URI}
		p.byName[b.Tenant] = t
	}
	t.users++
	return t, nil
}

// open makes a pool; it connects on first use.
func (p *pools) open(ctx context.Context, b Binding) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(b.URI)
	if err != nil {
		return nil, fmt.Errorf("read the binding's uri: %w", err)
	}
	cfg.MinConns = 0
	cfg.MaxConns = p.conns
	cfg.MaxConnIdleTime = p.idle
	cfg.MaxConnLifetime = connLifetime
	cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	cfg.ConnConfig.RuntimeParams["application_name"] = "tasklane"
	// Nothing prepared on the server: statements stay right when a migration changes a table
	// under them, and a pooler between us and the database does no harm.
	cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	// The pool outlives the request that opened it.
	return pgxpool.NewWithConfig(context.WithoutCancel(ctx), cfg)
}

func (p *pools) release(t *tenantPool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.users--
	t.last = time.Now()
	if t.retired && t.users == 0 {
		p.closing.Go(t.pool.Close)
	}
}

// retire takes a pool out of use; it is closed with its last user. The caller holds the lock.
func (p *pools) retire(name string) {
	t := p.byName[name]
	delete(p.byName, name)
	t.retired = true
	if t.users == 0 {
		// Closing waits for the server; nobody should wait with it.
		p.closing.Go(t.pool.Close)
	}
}

// evict retires the pool that was unused for longest. The caller holds the lock.
func (p *pools) evict() bool {
	oldest := ""
	for name, t := range p.byName {
		if t.users == 0 && (oldest == "" || t.last.Before(p.byName[oldest].last)) {
			oldest = name
		}
	}
	if oldest == "" {
		return false
	}
	p.retire(oldest)
	return true
}

// sweep retires the pools that were idle for too long at the given time.
func (p *pools) sweep(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, t := range p.byName {
		if t.users == 0 && now.Sub(t.last) >= p.idle {
			p.retire(name)
		}
	}
}

// run sweeps until ctx ends.
func (p *pools) run(ctx context.Context) {
	tick := time.NewTicker(max(p.idle/2, time.Second))
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			p.sweep(now)
		case <-ctx.Done():
			return
		}
	}
}

// close retires all pools and waits until those without a user are closed.
func (p *pools) close() {
	p.mu.Lock()
	for name := range p.byName {
		p.retire(name)
	}
	p.mu.Unlock()
	p.closing.Wait()
}

// size is how many pools are open for use.
func (p *pools) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.byName)
}
