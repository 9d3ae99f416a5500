package migrations

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// begin prepares the session, claims the ledger's row and settles what a crash left in doubt.
func (o *outside) begin(ctx context.Context) error {
	var s script
	// The server should notice soon when this process dies, or its session would keep the row.
	// Not every platform can; that only makes the next runner wait.
	_, _ = o.conn.Exec(ctx, "SET client_connection_check_interval = '2s'").ReadAll()
	s.own(0, "SET standard_conforming_strings = on", "SET client_encoding = 'UTF8'", selectMe)
	results, err := s.run(ctx, o.conn)
	if err != nil {
		return err
	}
	if len(results[2].Rows) == 0 {
		return errors.New("pg_stat_activity does not show this session")
	}
	o.me = string(results[2].Rows[0][0])
	if err := o.claim(ctx); err != nil {
		return err
	}
	var settings script
	settings.own(0, o.target.settings("SESSION")...)
	for i := range o.step.Migration.Statements[:min(o.finished, len(o.step.Migration.Statements))] {
		// What earlier statements set in the session that died is set again.
		if st := &o.step.Migration.Statements[i]; st.class == session {
			settings.body(0, st)
		}
	}
	if _, err := settings.run(ctx, o.conn); err != nil {
		return err
	}
	if o.step.Action == Repair && o.step.Before.InDoubt {
		return o.settle(ctx)
	}
	return nil
}

// selectMe names a session by process and start: a process number alone is used again.
const selectMe = `SELECT pid || '/' || (extract(epoch FROM backend_start) * 1000000)::pg_catalog.int8
FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()`

// claim makes the ledger's row this session's. Only one of several runners succeeds.
func (o *outside) claim(ctx context.Context) error {
	if o.step.Action == Repair {
		return o.takeOver(ctx)
	}
	row := o.step.Migration.row(Running)
	row.Runner, row.Prefix = o.me, o.step.Migration.prefix(0)
	var s script
	s.own(0, "BEGIN")
	s.own(0, o.target.settings("LOCAL")...)
	if !o.exists {
		s.claim(0, o.target.createLedger()...)
	}
	if o.step.Action == Rerun {
		s.own(0, o.target.deleteRow(o.step.Before))
	}
	s.claim(0, o.target.insertRows(row))
	s.commit(0)
	_, err := s.run(ctx, o.conn)
	if f, ok := errors.AsType[*failure](err); ok && f.met() {
		return errStale
	}
	return err
}

// takeOver claims the row of a runner that is gone. One whose session still lives is waited for.
func (o *outside) takeOver(ctx context.Context) error {
	before := o.step.Before
	var s script
	// Asked as the migrator itself, who sees the details of its own sessions only.
	s.own(0, "SELECT 1 FROM ("+selectSessions+") s WHERE me = "+literal(before.Runner))
	results, err := s.run(ctx, o.conn)
	if err != nil {
		return err
	}
	if len(results[0].Rows) > 0 {
		return o.busy(errStale)
	}
	taken, err := o.own(ctx, o.update("runner = "+literal(o.me))+" AND runner = "+literal(before.Runner)+
		fmt.Sprintf(" AND finished = %d AND in_doubt = %t", before.Finished, before.InDoubt))
	if err == nil && taken == 0 {
		return errStale
	}
	return err
}

const selectSessions = `SELECT pid || '/' || (extract(epoch FROM backend_start) * 1000000)::pg_catalog.int8 AS me
FROM pg_catalog.pg_stat_activity`

// yield gives the row up behind a failure: the next call need not ask whether this session lives. Where
// the failure's outcome is known, the statement that failed may be mended in the file; a statement that
// commits by itself stays in doubt, or the next call would do again what it did. Invalid indexes of a
// build that failed would slow writes down until then.
func (o *outside) yield(ctx context.Context, u unit) {
	if o.conn.IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if _, err := o.own(ctx, o.update("runner = '', "+o.progress(o.finished, o.doubt))); err != nil {
		return
	}
	if u.alone {
		_ = o.clear(ctx, &o.step.Migration.Statements[u.from])
	}
}
