package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

var errWrongSchema = errors.New("the connection does not lead to the tenant's schema")

// SQLSTATEs with which PostgreSQL refuses a login (errcodes.txt, class 28).
const (
	codeInvalidPassword      = "28P01"
	codeInvalidAuthorization = "28000"
)

// database runs work in the schema of a tenant, and nowhere else.
type database struct {
	bindings Bindings
	pools    *pools
}

// inTenant calls fn in a transaction of the tenant's own login, after proof that it stands in
// the tenant's schema. The proof is in the same transaction as the work: a pooler may hand
// every transaction to another session. A login that is refused is read anew and tried once
// more, because a rotated password looks just like that.
func (d *database) inTenant(ctx context.Context, tenant string, mode pgx.TxAccessMode, fn func(pgx.Tx, Binding) error) error {
	b, err := d.bindings.Binding(ctx, tenant)
	if err != nil {
		return err
	}
	err = d.transact(ctx, b, mode, fn)
	if !loginRefused(err) {
		return err
	}
	d.bindings.Forget(tenant)
	fresh, readErr := d.bindings.Binding(ctx, tenant)
	if readErr != nil {
		return readErr
	}
	if fresh.URI == b.URI {
		return err
	}
	return d.transact(ctx, fresh, mode, fn)
}

func (d *database) transact(ctx context.Context, b Binding, mode pgx.TxAccessMode, fn func(pgx.Tx, Binding) error) error {
	return d.pools.use(ctx, b, func(pool *pgxpool.Pool) error {
		return pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{AccessMode: mode}, func(tx pgx.Tx) error {
			if err := standsIn(ctx, tx, b.Schema); err != nil {
				return err
			}
			return fn(tx, b)
		})
	})
}

// standsIn fails with errWrongSchema unless unqualified names mean the given schema. A schema
// that is gone counts too: current_schema is then the next one of the search_path.
func standsIn(ctx context.Context, tx pgx.Tx, schema string) error {
	var current *string
	if err := tx.QueryRow(ctx, "SELECT pg_catalog.current_schema()").Scan(&current); err != nil {
		return err
	}
	if current == nil || *current != schema {
		return fmt.Errorf("%w: it stands in %s, the tenant's is %q", errWrongSchema, quoted(current), schema)
	}
	return nil
}

func quoted(s *string) string {
	if s == nil {
		return "no schema"
	}
	return fmt.Sprintf("%q", *s)
}

func loginRefused(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) &&
		(pgErr.Code == codeInvalidPassword || pgErr.Code == codeInvalidAuthorization)
}
