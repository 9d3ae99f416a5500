package migrations

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenantry/tenantry/internal/postgres"
)

// outside runs one migration that is not transactional as a whole, on a connection of its own that
// is closed behind it. Its ledger row is "running" from before its first statement, and says how
// many statements are complete: those in transactions are counted in their own transaction; one that
// runs outside of any is in doubt from before it begins until its end was recorded.
type outside struct {
	*runner
	conn *pgconn.PgConn
	step Step
	// me names this session in the ledger.
	me string
	// finished is how many statements are complete, whether or not the ledger's row says so already.
	finished int
	// doubt says that the statement behind those failed with some of its effects committed, or none.
	doubt bool
	// built says that the statement at work was sent. unfinished are the invalid indexes that its table had before
	// that, if the server makes up the name of what it builds.
	built      bool
	unfinished []leftover
}

// runUnits runs a migration in units, from its start or from where a crash left it. An error is a
// *stepError, a *fault.Fault, or errStale.
func (r *runner) runUnits(ctx context.Context, step Step) error {
	r.release(ctx)
	pooled, err := r.pool.Acquire(ctx)
	if err != nil {
		return postgres.Fault(err, fmt.Sprintf("cannot migrate schema %q", r.target.Schema))
	}
	conn := pooled.Hijack()
	defer closeConn(ctx, conn)
	o := &outside{runner: r, conn: conn.PgConn(), step: step, finished: step.Before.Finished}
	if step.Action != Repair {
		o.finished = 0
	}
	if err := o.begin(ctx); err != nil {
		return o.failed(err)
	}
	for _, u := range step.Migration.unitsFrom(o.finished) {
		if err := o.runUnit(ctx, u); err != nil {
			o.yield(ctx, u)
			return o.failed(err)
		}
	}
	if _, err := o.own(ctx, o.update("state = 'done', runner = '', checksum = "+literal(step.Migration.Checksum)+
		", file = "+literal(step.Migration.File)+", applied_at = pg_catalog.clock_timestamp()")); err != nil {
		return o.failed(err)
	}
	r.exists = true
	return nil
}

func closeConn(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}

func (o *outside) runUnit(ctx context.Context, u unit) error {
	m := o.step.Migration
	if u.alone {
		return o.runAlone(ctx, u)
	}
	s := &script{}
	s.own(0, "BEGIN", "SET LOCAL ROLE "+ident(o.target.Owner))
	for i := u.from; i < u.to; i++ {
		s.body(0, &m.Statements[i])
	}
	// Without its row the unit must not take effect: the division fails.
	s.own(0, "SET LOCAL ROLE "+ident(o.target.Owner),
		"WITH row AS ("+o.update(o.progress(u.to, false))+" RETURNING 1) SELECT 1 / count(*) FROM row")
	s.commit(0)
	if _, err := s.run(ctx, o.conn); err != nil {
		o.rollback(ctx, o.conn)
		return err
	}
	o.finished = u.to
	return nil
}

// runAlone runs one statement outside of a transaction.
func (o *outside) runAlone(ctx context.Context, u unit) error {
	st := &o.step.Migration.Statements[u.from]
	o.built = false
	done, err := o.prepare(ctx, st)
	if err != nil {
		return err
	}
	if !done {
		if _, err := o.own(ctx, o.update(o.progress(u.from, true))); err != nil {
			return err
		}
		var s script
		s.body(0, st)
		o.built = true
		if _, err := s.run(ctx, o.conn); err != nil {
			o.doubt = st.class == batches
			return err
		}
		// It succeeded, whatever becomes of the record: yield writes that once more.
		o.finished = u.to
		if st.class == reindexes { // What a try before left was perhaps being vacuumed when that was settled.
			_ = o.dropCopies(ctx)
		}
		if err := o.patience(ctx, st, false); err != nil {
			return err
		}
	}
	_, err = o.own(ctx, o.update(o.progress(u.to, false)))
	if err == nil {
		o.finished = u.to
	}
	return err
}

// progress says that the first n statements are complete and whether the next one may be.
func (o *outside) progress(n int, inDoubt bool) string {
	began := n
	if inDoubt {
		began++
	}
	return fmt.Sprintf("finished = %d, in_doubt = %t, prefix = %s", n, inDoubt, literal(o.step.Migration.prefix(began)))
}

func (o *outside) update(set string) string {
	return "UPDATE ONLY " + o.target.ledger() + " SET " + set +
		" WHERE version = " + literal(string(o.step.Migration.Version)) + " AND state = 'running'"
}

// own runs one statement of the engine as the owner and returns the number of rows it touched.
func (o *outside) own(ctx context.Context, sql string) (int64, error) {
	var s script
	s.own(0, "BEGIN", "SET LOCAL ROLE "+ident(o.target.Owner), sql)
	s.commit(0)
	results, err := s.run(ctx, o.conn)
	if err != nil {
		o.rollback(ctx, o.conn)
		return 0, err
	}
	return results[2].CommandTag.RowsAffected(), nil
}

func (o *outside) failed(err error) error {
	f, ok := errors.AsType[*failure](err)
	if !ok {
		return err
	}
	failed := &stepError{step: o.step, finished: o.finished, failure: f}
	if o.doubt && !o.conn.IsClosed() {
		failed.question = o.question()
	}
	return failed
}

// unitsFrom returns the units behind the first n statements. A migration that has become
// transactional since it began is one unit.
func (m *Migration) unitsFrom(n int) []unit {
	units := slices.Clone(m.units)
	if m.Transactional {
		units = []unit{{from: 0, to: len(m.Statements)}}
	}
	units = slices.DeleteFunc(units, func(u unit) bool { return u.to <= n })
	if len(units) > 0 {
		units[0].from = max(units[0].from, n)
	}
	return units
}
