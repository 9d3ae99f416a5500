package migrations

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// ReasonBaselineRequired says that nobody told which migrations a schema has that was made without the engine.
const ReasonBaselineRequired = "BaselineRequired"

// BaselineRunner stands in the ledger in the place of a session for what was recorded and never run.
const BaselineRunner = "baseline"

// Baseline makes sure that a schema which was made without the engine is not migrated from its beginning. It
// records all numbered migrations of the set up to a version as done, in one transaction and with their present
// checksums, and runs none of them. A ledger that has rows is left as it is, whatever the version: it knows
// better, as long as it fits the set. An empty schema needs no baseline and gets none.
//
// It returns the version at which the schema then stands, "" for none. It may be called again after any error,
// and by any number of runners. Errors are faults: BaselineRequired where the schema has something in it, no
// ledger, and the version is ""; those of Plan where the ledger does not fit.
func Baseline(ctx context.Context, pool *pgxpool.Pool, t Target, set *Set, version Version) (Version, error) {
	r := &runner{pool: pool, target: t, set: set, policy: defaultPolicy}
	defer r.release(ctx)
	for try := 1; ; try++ {
		at, err := r.baseline(ctx, version)
		if r.mayKnowBetter(ctx, err) {
			continue
		}
		pg, _ := errors.AsType[*pgconn.PgError](err)
		met := pg != nil && slices.Contains(metOthers, pg.Code)
		if met && try < r.policy.tries && pause(ctx, r.policy, try) {
			continue
		}
		if err == nil || fault.ReasonOf(err) != "" {
			return at, err
		}
		return "", postgres.Fault(err, fmt.Sprintf("cannot record the baseline of schema %q", t.Schema))
	}
}

// metOthers are the answers to one of two runners that make the ledger, or its rows, at the same time: that they
// are there, or that the other one takes longer than a lock may.
var metOthers = append(slices.Clone(alreadyThere), "55P03")

func (r *runner) baseline(ctx context.Context, version Version) (Version, error) {
	conn, err := r.session(ctx)
	if err != nil {
		return "", err
	}
	applied, _, err := r.target.readLedger(ctx, conn)
	if err != nil {
		return "", err
	}
	if len(applied) > 0 {
		if err := checkHistory(r.set, applied); err != nil {
			return "", err
		}
		_, err := Plan(r.set, applied, Current(applied))
		return Current(applied), err
	}
	if empty, err := r.target.holdsNothing(ctx, conn); err != nil || empty {
		return "", err
	}
	m, known := r.set.At(version)
	switch {
	case version == "":
		return "", fault.NewInvalid(ReasonBaselineRequired,
			"schema %q has tables and no record of its migrations; say at which version it stands", r.target.Schema)
	case !known || m.Repeatable:
		return "", &UnknownVersion{Target: version, Latest: r.set.Latest()}
	}
	if err := r.target.writeBaseline(ctx, conn, r.set, m.Version); err != nil {
		r.rollback(ctx, conn)
		return "", err
	}
	return m.Version, nil
}

// writeBaseline keeps the session's own search_path: nothing of the schema is named without it.
func (t Target) writeBaseline(ctx context.Context, conn *pgconn.PgConn, set *Set, version Version) error {
	var rows []Applied
	for i := range set.Migrations {
		if m := &set.Migrations[i]; !m.Repeatable && m.Version.Compare(version) <= 0 {
			row := m.row(Done)
			row.Runner = BaselineRunner
			rows = append(rows, row)
		}
	}
	var s script
	s.own(0, "BEGIN", "SET LOCAL ROLE "+ident(t.Owner), "SET LOCAL lock_timeout = "+milliseconds(t.lockTimeout()))
	s.own(0, t.createLedger()...)
	s.claim(0, t.insertRows(rows...))
	s.commit(0)
	_, err := s.run(ctx, conn)
	return err
}

// holdsNothing tells whether the schema has nothing in it but perhaps a ledger.
func (t Target) holdsNothing(ctx context.Context, conn *pgconn.PgConn) (bool, error) {
	var s script
	s.own(0, "SET LOCAL ROLE "+ident(t.Owner), `SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_namespace n ON n.oid = d.refobjid
	WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND n.nspname = `+literal(t.Schema)+`
		AND d.objid IS DISTINCT FROM `+regclass(t.Schema, ledgerTable)+` LIMIT 1`)
	results, err := s.run(ctx, conn)
	if err != nil {
		return false, postgres.Fault(err, fmt.Sprintf("cannot look into schema %q", t.Schema))
	}
	return len(results[1].Rows) == 0, nil
}
