package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// server is the one behind the address, told from others by when it was started.
type server struct {
	mu      sync.Mutex
	started time.Time
}

// meet looks at the server of a new session. What is remembered was seen on another one if that was restored, or
// another was promoted or put behind the same address: it may lack what the first one had.
func (db *DB) meet(ctx context.Context, conn *pgx.Conn) error {
	var started time.Time
	if err := conn.QueryRow(ctx, `SELECT pg_postmaster_start_time()`, pgx.QueryExecModeExec).Scan(&started); err != nil {
		return err
	}
	if db.server.changes(started) {
		db.recent.forgetAll()
		db.revoked.forget()
	}
	return nil
}

// ServerStarted is when the server was started that the newest session found; whoever keeps what that has may find
// it gone behind another one. The zero time stands for sessions that were not asked.
func (db *DB) ServerStarted() time.Time {
	db.server.mu.Lock()
	defer db.server.mu.Unlock()
	return db.server.started
}

func (s *server) changes(started time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.started
	s.started = started
	return !was.IsZero() && !was.Equal(started)
}
