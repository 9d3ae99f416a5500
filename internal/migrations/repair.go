package migrations

import (
	"context"
	"fmt"
	"slices"

	"github.com/tenantry/tenantry/internal/fault"
)

// settle decides about the statement that was in doubt when its runner died.
func (o *outside) settle(ctx context.Context) error {
	m := o.step.Migration
	if o.finished >= len(m.Statements) {
		return nil
	}
	st := &m.Statements[o.finished]
	tookEffect := false
	switch st.class {
	case createsIndex:
		if st.index.name == "" {
			return o.undecided(st)
		}
		found, err := o.index(ctx, st.index)
		if err != nil {
			return err
		}
		tookEffect = found.exists && found.valid
	case dropsIndex:
		if st.index.name == "" {
			return o.undecided(st)
		}
		found, err := o.index(ctx, st.index)
		if err != nil {
			return err
		}
		tookEffect = !found.exists
	case reindexes:
		if err := o.dropCopies(ctx); err != nil {
			return err
		}
	case idempotent:
	default:
		// Also of one that would run in a transaction by now: what stands around it was changed.
		return o.undecided(st)
	}
	if tookEffect {
		o.finished++
	}
	_, err := o.own(ctx, o.update(o.progress(o.finished, false)))
	return err
}

// prepare sets the session up for a statement that runs alone, and takes an invalid index of its name
// out of the way. done says that nothing is left to do.
func (o *outside) prepare(ctx context.Context, st *Statement) (done bool, err error) {
	if err := o.patience(ctx, st, true); err != nil {
		return false, err
	}
	if st.class != createsIndex {
		return false, nil
	}
	if st.index.name == "" {
		o.unfinished, err = o.leftovers(ctx, onTable(st.index))
		return false, err
	}
	found, err := o.index(ctx, st.index)
	if err != nil || !found.exists {
		return false, err
	}
	if found.valid {
		// Without IF NOT EXISTS the server says that the name is taken.
		return st.index.ifNotExists, nil
	}
	return false, o.dropIndex(ctx, found.schema, st.index.name)
}

// patience lifts the timeouts for statements that block nobody while they wait and take as long as
// the table is large, and puts them back. A timeout that the file itself has set by then is left to it.
func (o *outside) patience(ctx context.Context, st *Statement, more bool) error {
	locks, statements := o.target.lockTimeout(), o.target.StatementTimeout
	if more && st.class < alone {
		locks, statements = o.policy.concurrently, 0
	}
	var s script
	s.own(0, "SET ROLE "+ident(o.target.Owner))
	if !o.sets("lock_timeout") {
		s.own(0, "SET lock_timeout = "+milliseconds(locks))
	}
	if !o.sets("statement_timeout") {
		s.own(0, "SET statement_timeout = "+milliseconds(statements))
	}
	_, err := s.run(ctx, o.conn)
	return err
}

// sets says whether the file has set something for its session by the statements that are complete.
func (o *outside) sets(name string) bool {
	return slices.ContainsFunc(o.step.Migration.Statements[:min(o.finished, len(o.step.Migration.Statements))], func(st Statement) bool {
		return st.sets == name || st.sets == "all"
	})
}

// foundIndex is what the catalog has under an index's name.
type foundIndex struct {
	exists, valid bool
	schema        string
}

// index looks for an index. One that is to be created lives in its table's schema, and one of that
// name on another table is not it: the server will say that the name is taken.
func (o *outside) index(ctx context.Context, ix indexName) (foundIndex, error) {
	query := `SELECT n.nspname, i.indisvalid FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = ` + literal(ix.name)
	if ix.table != "" {
		query += " AND i.indrelid = " + regclass(ix.schema, ix.table)
	} else {
		query += " AND i.indexrelid = " + regclass(ix.schema, ix.name)
	}
	var s script
	s.own(0, query)
	results, err := s.run(ctx, o.conn)
	if err != nil || len(results[0].Rows) == 0 {
		return foundIndex{}, err
	}
	row := results[0].Rows[0]
	return foundIndex{exists: true, schema: string(row[0]), valid: string(row[1]) == "t"}, nil
}

func regclass(schema, name string) string {
	qualified := ident(name)
	if schema != "" {
		qualified = ident(schema, name)
	}
	return "pg_catalog.to_regclass(" + literal(qualified) + ")"
}

// dropInvalid drops an index that is there and not valid.
func (o *outside) dropInvalid(ctx context.Context, ix indexName) error {
	found, err := o.index(ctx, ix)
	if err != nil || !found.exists || found.valid {
		return err
	}
	return o.dropIndex(ctx, found.schema, ix.name)
}

func (o *outside) dropIndex(ctx context.Context, schema, name string) error {
	var s script
	s.own(0, "DROP INDEX CONCURRENTLY IF EXISTS "+ident(schema, name))
	_, err := s.run(ctx, o.conn)
	return err
}

// undecided asks a person. Next calls come to it again.
func (o *outside) undecided(st *Statement) error {
	return fault.NewInvalid(ReasonDecisionNeeded, "%s line %d: the statement failed, or its session ended, while it ran; %s",
		o.step.Migration.File, st.Line, o.question())
}

// question asks what became of the statement behind the finished ones. Both answers are an UPDATE that the
// owner, or a superuser, can run; one that is to run again may be mended in the file first.
func (o *outside) question() string {
	m := o.step.Migration
	answer := func(n int) string {
		return "UPDATE " + o.target.ledger() + " SET " + fmt.Sprintf("in_doubt = false, finished = %d, prefix = %s", n, literal(m.prefix(n))) +
			" WHERE version = " + literal(string(m.Version))
	}
	return fmt.Sprintf("nothing shows how much of it took effect; look, finish it or undo it by hand, then run as role %s: %s if it is done, or %s if it is to run again",
		ident(o.target.Owner), answer(o.finished+1), answer(o.finished))
}
