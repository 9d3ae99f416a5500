package migrations

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantry/tenantry/internal/postgres"
)

// session returns a connection whose text is read as Load read it.
func (r *runner) session(ctx context.Context) (*pgconn.PgConn, error) {
	if r.conn == nil {
		conn, err := r.pool.Acquire(ctx)
		if err != nil {
			return nil, postgres.Fault(err, fmt.Sprintf("cannot migrate schema %q", r.target.Schema))
		}
		r.conn = conn
	}
	conn := r.conn.Conn().PgConn()
	if conn.ParameterStatus("standard_conforming_strings") == "on" && conn.ParameterStatus("client_encoding") == "UTF8" {
		return conn, nil
	}
	_, err := conn.Exec(ctx, "SET standard_conforming_strings = on; SET client_encoding = 'UTF8'").ReadAll()
	if err != nil {
		return nil, postgres.Fault(err, fmt.Sprintf("cannot migrate schema %q", r.target.Schema))
	}
	return conn, nil
}

// release gives the connection back as it was, or closes it: what a migration left in the session
// must not reach the pool's next user.
func (r *runner) release(ctx context.Context) {
	if r.conn == nil {
		return
	}
	if r.dirty {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if !clean(ctx, r.conn) {
			_ = r.conn.Conn().Close(ctx)
		}
	}
	r.conn.Release()
	r.conn, r.dirty = nil, false
}

// limitExceeded is the SQLSTATE of a bound that the server's administrator set, such as temp_file_limit.
const limitExceeded = "53400"

// renew lets the next try begin on a new session where this one met such a bound: sessions keep those with
// which they began, and who raised one would be told for up to half an hour that it is exceeded.
func (r *runner) renew(err error) {
	if failed, ok := errors.AsType[*stepError](err); ok && failed.server() != nil && failed.server().Code == limitExceeded {
		r.pool.Reset()
	}
}

// mayKnowBetter says once that the same may succeed on new sessions, as postgres.WithNewSessions does, and closes
// the pool's. What a migration's own statement may not do is not asked twice.
func (r *runner) mayKnowBetter(ctx context.Context, err error) bool {
	if r.anew || !refused(err) {
		return false
	}
	r.anew = true
	r.release(ctx)
	r.pool.Reset()
	return true
}

// refused says that a statement of the engine's own lacked a right.
func refused(err error) bool {
	f, ok := errors.AsType[*failure](err)
	if step, isStep := errors.AsType[*stepError](err); isStep {
		f, ok = step.failure, true
	}
	return ok && f.body == nil && f.server() != nil && postgres.CauseOf(f.err) == postgres.InsufficientPrivilege
}

func clean(ctx context.Context, conn *pgxpool.Conn) bool {
	pg := conn.Conn().PgConn()
	if pg.IsClosed() || pg.TxStatus() != 'I' {
		return false
	}
	// pgx keeps a record of its prepared statements; DISCARD alone would let it use dropped ones.
	if err := conn.Conn().DeallocateAll(ctx); err != nil {
		return false
	}
	// Servers before 15.9, 16.5 and 17.1 keep a role in mind that DISCARD ALL alone takes off, and go back to it behind
	// the next SET LOCAL ROLE. DISCARD ALL wants a message of its own.
	for _, sql := range []string{"RESET ROLE", "DISCARD ALL"} {
		if _, err := pg.Exec(ctx, sql).ReadAll(); err != nil {
			return false
		}
	}
	return true
}
