package migrations

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenantry/tenantry/internal/postgres"
)

// A fleet's tenants have the same rows in their ledgers, and whoever knows one's knows most likely the next
// one's. What is believed of a ledger is compared with it in the transaction of the first migration, before
// anything is done there: if it differs, nothing was, and the ledger is read.

// guess plans by what is believed, once. It returns steps only if all of them go in one message.
func (r *runner) guess(target Version) Steps {
	believed := r.target.Believed
	r.target.Believed, r.believed = nil, nil
	if len(believed) == 0 || r.target.Empty {
		return nil
	}
	steps, err := Plan(r.set, believed, target)
	if err != nil || len(steps) == 0 || len(batch(steps)) < len(steps) ||
		slices.ContainsFunc(steps, func(s Step) bool { return s.Action != Run }) {
		return nil
	}
	r.believed, r.exists = believed, true
	return steps
}

// errUnlike says that a ledger has something else than was believed. Nothing was done.
var errUnlike = errors.New("the ledger is not what it was believed to be")

// compared notes what the ledger has, if anything was believed of it. A script that failed before it came to
// the comparison, or at it, says nothing of the ledger.
func (r *runner) compared(s *script, f *failure, failed bool) error {
	believed := r.believed
	if r.believed = nil; believed == nil {
		return nil
	}
	last := 0
	for i, seg := range s.segments {
		if seg.compares {
			last = i
		}
	}
	switch {
	case failed && f.done <= last && f.server() != nil:
		return errUnlike
	case failed && f.done <= last:
		return postgres.Fault(f.err, fmt.Sprintf("cannot compare the ledger of schema %q", r.target.Schema))
	}
	r.found(believed)
	r.result.Fits = true
	return nil
}

// sameAs divides by zero unless the ledger has just these rows.
func (t Target) sameAs(rows []Applied) string {
	return fmt.Sprintf(`SELECT 1 / CASE WHEN pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.string_agg(
	pg_catalog.concat_ws(E'\x1f', version, file, checksum, state, finished, in_doubt, prefix, runner), E'\n' ORDER BY version COLLATE pg_catalog."C"),
	'UTF8')), 'hex') = '%s' THEN 1 ELSE 0 END FROM ONLY %s`, sumOf(rows), t.ledger())
}

func sumOf(rows []Applied) string {
	rows = slices.SortedFunc(slices.Values(rows), func(a, b Applied) int { return strings.Compare(string(a.Version), string(b.Version)) })
	lines := make([]string, len(rows))
	for i, row := range rows {
		doubt := map[bool]string{true: "t", false: "f"}[row.InDoubt]
		lines[i] = strings.Join([]string{
			string(row.Version), row.File, row.Checksum, string(row.State), fmt.Sprint(row.Finished), doubt, row.Prefix, row.Runner,
		}, "\x1f")
	}
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:])
}

// question is the name of the statement by which sessions ask.
const question = "tenantry_question"

// ask puts the target's question behind the last step. What is asked of every tenant is prepared once in
// each session: to plan it takes as long as to answer it.
func (r *runner) ask(ctx context.Context, s *script, step int) {
	q := r.target.Ask
	if q == nil {
		return
	}
	if _, err := r.conn.Conn().Prepare(ctx, question, q.SQL); err != nil {
		return
	}
	args := make([]string, len(q.Args))
	for i, arg := range q.Args {
		args[i] = literal(arg)
	}
	s.ask(step, "EXECUTE "+question+"("+strings.Join(args, ", ")+")")
}

// answer returns the row that answers the script's question, nil where there is none.
func (s *script) answer(results []*pgconn.Result) [][]byte {
	last := len(s.segments) - 1
	if len(results) > last && s.segments[last].asks && len(results[last].Rows) == 1 {
		return results[last].Rows[0]
	}
	return nil
}
