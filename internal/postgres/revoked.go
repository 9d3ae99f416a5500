package postgres

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
)

// revoked is the last answer of EverRevoked.
type revoked struct {
	mu      sync.Mutex
	schemas map[string]bool
	at      time.Time
	// stale has the next caller ask anew. It needs no lock: that is held while a session is opened.
	stale atomic.Bool
}

// EverRevoked tells whether INSERT may be taken from the login of a schema, by an answer for all schemas that
// may be as old as within. InsertRevoked tells for sure. A registry that has no such table yet knows of none.
func (db *DB) EverRevoked(ctx context.Context, schema string, within time.Duration) (bool, error) {
	r := &db.revoked
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stale.Swap(false) || r.schemas == nil || time.Since(r.at) >= within {
		began := time.Now()
		all, err := db.revokedSchemas(ctx)
		if fault.ReasonOf(err) == ReasonNotBootstrapped {
			return false, nil
		}
		if err != nil {
			r.schemas = nil
			return false, err
		}
		r.schemas, r.at = map[string]bool{}, began
		for _, s := range all {
			r.schemas[s] = true
		}
	}
	return r.schemas[schema], nil
}

// forget lets the next caller ask anew, whoever is asking just now.
func (r *revoked) forget() { r.stale.Store(true) }

func (db *DB) revokedSchemas(ctx context.Context) ([]string, error) {
	rows, err := db.pool.Query(ctx, `SELECT schema_name FROM tenantry.quota`)
	if err != nil {
		return nil, failed(err, "cannot read the quotas")
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return all, failed(err, "cannot read the quotas")
}
