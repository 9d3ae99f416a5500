package migrations

import (
	"context"
	"slices"
)

// leftover is an invalid index that nobody is building.
type leftover struct{ schema, name string }

// leftovers are the invalid indexes with a property. Whoever builds an index concurrently holds its table's lock
// from beginning to end, so one whose table another session has so locked may yet become valid.
func (o *outside) leftovers(ctx context.Context, where string) ([]leftover, error) {
	var s script
	s.own(0, `SELECT n.nspname, c.relname FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid AND `+where+` AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_locks l
	WHERE l.relation = i.indrelid AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
	AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted AND l.pid <> pg_catalog.pg_backend_pid())`)
	results, err := s.run(ctx, o.conn)
	if err != nil {
		return nil, err
	}
	var found []leftover
	for _, row := range results[0].Rows {
		found = append(found, leftover{string(row[0]), string(row[1])})
	}
	return found, nil
}

func onTable(ix indexName) string { return "i.indrelid = " + regclass(ix.schema, ix.table) }

// clear drops what a statement that failed has left. An index of which only the server knows the name is one that
// was not there before.
func (o *outside) clear(ctx context.Context, st *Statement) error {
	switch {
	case st.class == createsIndex && st.index.name != "":
		return o.dropInvalid(ctx, st.index)
	case st.class == createsIndex && o.built:
		found, err := o.leftovers(ctx, onTable(st.index))
		if err != nil {
			return err
		}
		return o.drop(ctx, slices.DeleteFunc(found, func(l leftover) bool { return slices.Contains(o.unfinished, l) }))
	case st.class == reindexes && o.built:
		return o.dropCopies(ctx)
	}
	return nil
}

// dropCopies drops the invalid copies that a broken REINDEX CONCURRENTLY leaves in the schema.
func (o *outside) dropCopies(ctx context.Context) error {
	found, err := o.leftovers(ctx, "c.relname ~ '_cc(new|old)[0-9]*$' AND n.nspname = "+literal(o.target.Schema))
	if err != nil {
		return err
	}
	return o.drop(ctx, found)
}

func (o *outside) drop(ctx context.Context, found []leftover) error {
	for _, l := range found {
		if err := o.dropInvalid(ctx, indexName{schema: l.schema, name: l.name}); err != nil {
			return err
		}
	}
	return nil
}
