package migrations

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Result is what Apply did.
type Result struct {
	// Read says that the ledger was read; without it the versions are unknown, not none.
	Read bool
	// Fits says that what the ledger has fits the set: the set's files up to To are those that were applied.
	Fits bool
	// From and To are the schema's versions before and after.
	From, To Version
	// Applied are the versions applied by this call, in order.
	Applied []Version
	// Before are the rows of the ledger as they were at first, where it was read or compared.
	Before []Applied
	// Answer is the row that answers Target.Ask; nil where it was not asked, or not answered.
	Answer [][]byte
	// Retries counts the pauses for a lock or for another runner.
	Retries int
}

// Apply brings the schema to the target version ("" is the set's latest). It may be called again
// after any error, by any number of runners at once: each migration takes effect exactly once, and
// a call with nothing to do costs one round trip. The pool's login is the migrator.
//
// All pending transactional migrations up to the next one that is not go in one message, each in a
// transaction of its own. A lock that is taken is waited for in tries of t.LockTimeout with pauses.
//
// The Result tells what was done even with an error. The error is a typed one of Plan, a
// *PartialError, or a *fault.Fault of the connection; all of them are faults.
func Apply(ctx context.Context, pool *pgxpool.Pool, t Target, set *Set, target Version) (Result, error) {
	r := &runner{pool: pool, target: t, set: set, policy: defaultPolicy}
	return r.apply(ctx, target)
}

// runner is one call of Apply.
type runner struct {
	pool   *pgxpool.Pool
	target Target
	set    *Set
	policy policy

	conn *pgxpool.Conn // held while non-nil
	// dirty says that foreign SQL ran on conn.
	dirty bool
	// anew says that the pool's sessions were closed because one of them was refused the owner's role.
	anew bool
	// exists says that the ledger is there.
	exists bool
	// believed are the rows that the ledger is taken to have, as long as that was not compared.
	believed []Applied
	// replay says that the schema has no ledger and is not empty: no checkpoint fits it.
	replay bool
	result Result
}

// errStale asks for another look at the ledger: another runner was faster.
var errStale = errors.New("another runner changed the ledger")

func (r *runner) apply(ctx context.Context, target Version) (Result, error) {
	defer r.release(ctx)
	for try := 1; ; try++ {
		done, err := r.pass(ctx, target)
		if done {
			try = 1
		}
		if errors.Is(err, errUnlike) {
			continue // It is read now.
		}
		if r.mayKnowBetter(ctx, err) {
			continue
		}
		again, reason := r.retryable(err)
		if !again || try >= r.policy.tries {
			r.renew(err)
			return r.result, r.explain(err, reason)
		}
		// Another runner's sleep should not hold a connection of the pool.
		r.release(ctx)
		r.result.Retries++
		if !pause(ctx, r.policy, try) {
			return r.result, r.explain(err, reason)
		}
	}
}

// pass reads the ledger, plans and runs steps until the first error. progress says that at least
// one step was completed.
func (r *runner) pass(ctx context.Context, target Version) (progress bool, err error) {
	conn, err := r.session(ctx)
	if err != nil {
		return false, err
	}
	if steps := r.guess(target); len(steps) > 0 {
		n, err := r.runBatch(ctx, steps, true)
		r.record(steps[:n])
		return n > 0, err
	}
	applied, exists, err := r.read(ctx, conn)
	if err != nil {
		return false, err
	}
	if len(applied) == 0 && r.target.Recorded != "" {
		return false, r.target.ledgerLost()
	}
	r.exists = exists
	r.found(applied)
	steps, err := Plan(r.set, applied, target)
	if err != nil {
		return false, err
	}
	r.result.Fits = true
	if !exists && !r.replay {
		steps = r.set.shorten(steps, r.target.Checkpoints)
	}
	for len(steps) > 0 {
		var n int
		if together := batch(steps); len(together) > 0 {
			n, err = r.runBatch(ctx, together, len(together) == len(steps))
		} else if err = r.runUnits(ctx, steps[0]); err == nil {
			n = 1
		}
		r.record(steps[:n])
		progress = progress || n > 0
		if err != nil {
			return progress, err
		}
		steps = steps[n:]
	}
	return progress, nil
}

// found notes the rows that the ledger has.
func (r *runner) found(applied []Applied) {
	r.result.Read = true
	if r.result.To = Current(applied); len(r.result.Applied) == 0 {
		r.result.From, r.result.Before = r.result.To, applied
	}
}

// read believes once that a schema that was only just made has no ledger.
func (r *runner) read(ctx context.Context, conn *pgconn.PgConn) (applied []Applied, exists bool, err error) {
	if r.target.Empty {
		r.target.Empty = false
		return nil, false, nil
	}
	return r.target.readLedger(ctx, conn)
}

func (r *runner) record(done Steps) {
	for _, step := range done {
		m := step.Migration
		for _, row := range step.rows() {
			r.result.Applied = append(r.result.Applied, row.Version)
		}
		if !m.Repeatable && m.Version.Compare(r.result.To) > 0 {
			r.result.To = m.Version
		}
	}
}

// pause waits before the next try: twice as long each time, and half of it by chance, so that
// runners that met do not meet again.
func pause(ctx context.Context, p policy, try int) bool {
	most := min(p.most, p.first<<min(try-1, 16))
	timer := time.NewTimer(most/2 + rand.N(most/2+1)) //nolint:gosec // no secret
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
