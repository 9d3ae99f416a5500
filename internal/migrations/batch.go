package migrations

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"
)

// maxMessage bounds the SQL of one message. The server keeps the parse trees of all of it.
const maxMessage = 8 << 20

// batch returns the first steps that may go in one message.
func batch(steps Steps) Steps {
	size := 0
	for i, step := range steps {
		if !step.Migration.Transactional || step.Action == Repair {
			return steps[:i]
		}
		for _, st := range step.Migration.Statements {
			size += len(st.SQL)
		}
		if size > maxMessage && i > 0 {
			return steps[:i]
		}
	}
	return steps
}

// runBatch applies transactional migrations and returns how many were committed. Behind the last ones of all
// it asks the target's question. An error is a *stepError, or errStale.
func (r *runner) runBatch(ctx context.Context, steps Steps, last bool) (int, error) {
	if r.dirty { // what an earlier message left in the session must not reach these
		r.release(ctx)
	}
	conn, err := r.session(ctx)
	if err != nil {
		return 0, err
	}
	s := r.compose(steps)
	if last {
		r.ask(ctx, s, len(steps)-1)
	}
	r.dirty = true
	results, err := s.run(ctx, conn)
	f, failed := errors.AsType[*failure](err)
	unanswered := failed && f.asks && f.server() != nil
	if unanswered { // Who asked gets no answer. What stands behind the last COMMIT was undone, the reset too.
		failed, err = false, nil
	}
	if err := r.compared(s, f, failed); err != nil {
		r.rollback(ctx, conn)
		r.dirty = !errors.Is(err, errUnlike) // then nothing but the comparison ran
		return 0, err
	}
	if !failed {
		r.result.Answer = s.answer(results)
		r.exists, r.dirty = true, unanswered || slices.ContainsFunc(steps, func(step Step) bool { return step.Migration.leaks() })
		return len(steps), err
	}
	r.rollback(ctx, conn)
	committed := 0
	for _, seg := range s.segments[:f.done] {
		if seg.commits {
			committed++
		}
	}
	r.exists = r.exists || committed > 0
	switch {
	case f.done == 0 && f.step > 0:
		// The server could not even read the message (its grammar refuses something that ours let
		// pass), so nothing ran. What stands in front of the place is fine.
		return r.runBatch(ctx, steps[:f.step], false)
	case f.met(), f.step > 0 && committed > 0 && f.actsForAnother():
		return committed, errStale
	case f.guards && f.server() != nil && f.server().Code == "22012":
		r.replay = true
		return committed, errStale
	}
	return committed, &stepError{step: steps[f.step], failure: f}
}

// compose writes the message. Only the last commit waits for the disk: it comes behind the others
// in the log, so they are as durable as it is. A crash before it takes away ledger rows and effects
// together.
func (r *runner) compose(steps Steps) *script {
	s := &script{}
	for i, step := range steps {
		m := step.Migration
		cleans := i > 0 && steps[i-1].Migration.leaks()
		if cleans {
			// In a transaction of its own, because the next one reads some settings as it begins.
			s.own(i, "BEGIN")
			s.own(i, cleanSession...)
			s.own(i, "COMMIT")
		}
		s.own(i, "BEGIN")
		if i > 0 {
			s.own(i, "RESET ALL") // a trigger may have set something
		}
		if i == 0 || cleans {
			s.own(i, r.target.role(len(steps) > 1))
		}
		s.own(i, r.target.settings("LOCAL")[1:]...)
		if i < len(steps)-1 {
			s.own(i, "SET LOCAL synchronous_commit = off")
		}
		if i == 0 && r.believed != nil {
			s.compare(i, r.target.guard(), r.target.sameAs(r.believed))
		}
		if step.Action == Start {
			s.guard(i, r.target.empty())
		}
		if i == 0 && !r.exists {
			s.claim(i, r.target.createLedger()...)
		}
		if step.Action == Rerun {
			s.own(i, r.target.deleteRow(step.Before))
		}
		s.claim(i, r.target.insertRows(step.rows()...))
		for j := range m.Statements {
			s.body(i, &m.Statements[j])
		}
		s.commit(i)
	}
	// Gives the role back, and spares a round trip to clean up behind statements that leave nothing themselves. What
	// they call by triggers and defaults might.
	s.own(len(steps)-1, "SET SESSION AUTHORIZATION DEFAULT", "RESET ROLE", "RESET ALL", "SELECT pg_catalog.pg_advisory_unlock_all()")
	return s
}

// row is the ledger's row of a migration that is complete, or about to begin.
func (m *Migration) row(state State) Applied {
	row := Applied{Version: m.Version, File: m.File, Checksum: m.Checksum, State: state}
	if state == Done {
		row.Finished = len(m.Statements)
	}
	return row
}

func (m *Migration) leaks() bool {
	for _, st := range m.Statements {
		if st.leaks {
			return true
		}
	}
	return false
}

// cleanSession is what clean does, in statements that may stand in a transaction.
var cleanSession = []string{
	"SET SESSION AUTHORIZATION DEFAULT", "RESET ROLE", "RESET ALL", "DEALLOCATE ALL", "CLOSE ALL", "UNLISTEN *",
	"SELECT pg_catalog.pg_advisory_unlock_all()", "DISCARD PLANS", "DISCARD TEMP", "DISCARD SEQUENCES",
}

// rollback ends the failed transaction; if it cannot, the session is closed when it is released.
func (r *runner) rollback(ctx context.Context, conn *pgconn.PgConn) {
	if !conn.IsClosed() && conn.TxStatus() != 'I' {
		_, _ = conn.Exec(ctx, "ROLLBACK").ReadAll()
	}
}
