package postgres

import (
	"context"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Ident is ident, for the fuzz target that asks a server what it makes of it.
func Ident(names ...string) string { return ident(names...) }

// Before calls a function once, before the next query with this text in it is sent.
func (db *DB) Before(ctx context.Context, query string, do func()) error {
	config := db.pool.Config()
	config.ConnConfig.Tracer = &before{query: query, do: do}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err == nil {
		db.pool.Close()
		db.pool = pool
	}
	return err
}

type before struct {
	once  sync.Once
	query string
	do    func()
}

func (b *before) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.Contains(data.SQL, b.query) {
		b.once.Do(b.do)
	}
	return ctx
}

func (b *before) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
