package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

var errWrongSchema = errors.New("the connection does not lead to the tenant's schema")

// SQLSTATEs with which PostgreSQL refuses a login or ends a session (errcodes.txt, classes 28
// and 57).
const (
	codeInvalidPassword      = "28P01"
	codeInvalidAuthorization = "28000"
	codeAdminShutdown        = "57P01"
	codeCrashShutdown        = "57P02"
)

// database runs work in the schema of a tenant, and nowhere else.
type database struct {
	bindings Bindings
	pools    *pools
}

// inTenant calls fn in a transaction of the tenant's own login, after proof that it stands in
// the tenant's schema. The proof is in the same transaction as the work: a pooler may hand
// every transaction to another session.
//
// What fails before fn was called is tried again where that can help: after a refused login the
// binding is read anew, because a rotated password looks just like that, and sessions that ended
// while they lay in the pool are passed over. fn is called once at most.
func (d *database) inTenant(ctx context.Context, tenant string, mode pgx.TxAccessMode, fn func(pgx.Tx, Binding) error) error {
	refused := ""
	for stale := int32(0); ; {
		b, err := d.bindings.Binding(ctx, tenant)
		if err != nil {
			return err
		}
		called := false
		err = d.transact(ctx, b, mode, func(tx pgx.Tx, b Binding) error {
			called = true
			return fn(tx, b)
		})
		switch {
		case called:
			return err
		case loginRefused(err) && b.URI != refused:
			refused = b.URI
			d.bindings.Forget(tenant)
		case sessionLost(err) && stale < d.pools.conns:
			stale++
		default:
			return err
		}
	}
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
	pgErr, found := errors.AsType[*pgconn.PgError](err)
	return found && (pgErr.Code == codeInvalidPassword || pgErr.Code == codeInvalidAuthorization)
}

// sessionLost tells a session that ended on the server's side from a server that cannot be
// reached: only with the first does another session help.
func sessionLost(err error) bool {
	if pgErr, found := errors.AsType[*pgconn.PgError](err); found {
		return pgErr.Code == codeAdminShutdown || pgErr.Code == codeCrashShutdown
	}
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	return !connecting &&
		(pgconn.SafeToRetry(err) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET))
}
