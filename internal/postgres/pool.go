package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// PoolOptions tune a pool. Zero values stand for the defaults.
type PoolOptions struct {
	// ApplicationName is shown in pg_stat_activity. Default "tenantry".
	ApplicationName string
	// MaxConns bounds the connections. Default 8: enough for a usual server's cores, also while some
	// migrations wait for locks.
	MaxConns int32
	// Foreign : statements that are not ours run in the sessions, too, whose plans are the server's choice.
	// Ours find what they ask for by its name whatever that is, and are planned once.
	Foreign bool
	// StatementTimeout, LockTimeout and IdleInTransactionTimeout are the sessions' settings.
	// Defaults 30 s, 5 s and 60 s.
	StatementTimeout, LockTimeout, IdleInTransactionTimeout time.Duration
}

// maxConnLifetime recycles connections: a backend's cache of the catalog grows by half a megabyte
// for each tenant of 31 tables that it touched, and never shrinks.
const maxConnLifetime = 30 * time.Minute

// DB is one database as one login sees it, over a pool of connections. Its methods are safe for
// concurrent use.
type DB struct {
	pool    *pgxpool.Pool
	config  Config
	recent  recent
	revoked revoked
	server  server
	common  common

	migratorLock sync.Mutex
	migrators    map[string]Config
}

// Open connects, by which the login is verified. Every session has search_path pinned to
// pg_catalog by the start-up packet, so that nothing that runs in it can be misled by a tenant's
// objects, and RESET brings it back. The server must be reached directly: poolers refuse such
// packets. The error is a *fault.Fault.
func Open(ctx context.Context, cfg Config, opts PoolOptions) (*DB, error) {
	db, err := open(ctx, cfg, opts.withDefaults())
	if err != nil {
		return nil, Fault(err, fmt.Sprintf("cannot connect to %s", cfg))
	}
	return db, nil
}

func open(ctx context.Context, cfg Config, opts PoolOptions) (*DB, error) {
	pc, err := pgxpool.ParseConfig(neutralDSN)
	if err != nil {
		return nil, err
	}
	if pc.ConnConfig, err = cfg.connConfig(opts.runtimeParams()); err != nil {
		return nil, err
	}
	pc.MaxConns = opts.MaxConns
	pc.MaxConnLifetime, pc.MaxConnLifetimeJitter = maxConnLifetime, maxConnLifetime/4
	pc.MaxConnIdleTime = 5 * time.Minute
	db := &DB{config: cfg, recent: newRecent(), migrators: map[string]Config{}}
	if !opts.Foreign {
		pc.AfterConnect = db.meet
	}
	if db.pool, err = pgxpool.NewWithConfig(ctx, pc); err != nil {
		return nil, err
	}
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		db.pool.Close()
		return nil, err
	}
	conn.Release()
	return db, nil
}

func (o PoolOptions) withDefaults() PoolOptions {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&o.StatementTimeout, 30*time.Second)
	set(&o.LockTimeout, 5*time.Second)
	set(&o.IdleInTransactionTimeout, time.Minute)
	if o.ApplicationName == "" {
		o.ApplicationName = "tenantry"
	}
	if o.MaxConns == 0 {
		o.MaxConns = 8
	}
	return o
}

func (o PoolOptions) runtimeParams() map[string]string {
	plans := "force_generic_plan"
	if o.Foreign {
		plans = "auto"
	}
	return map[string]string{
		"search_path":                         pinnedPath,
		"application_name":                    o.ApplicationName,
		"client_encoding":                     "UTF8",
		"standard_conforming_strings":         "on",
		"plan_cache_mode":                     plans,
		"statement_timeout":                   milliseconds(o.StatementTimeout),
		"lock_timeout":                        milliseconds(o.LockTimeout),
		"idle_in_transaction_session_timeout": milliseconds(o.IdleInTransactionTimeout),
	}
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// Close ends the pool's connections and waits for those in use.
func (db *DB) Close() { db.pool.Close() }

// Config returns the settings that the pool was opened with.
func (db *DB) Config() Config { return db.config }

// Pool returns the connections themselves, for packages that run SQL of their own, which hold to
// the rules of this one.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }

// maxAttempts bounds the tries of a transaction that met another one on a shared catalog row.
const maxAttempts = 8

// inTx runs fn in a transaction and commits. Transactions that lose against a concurrent one are
// run again, so fn reads what it compares inside, and keeps nothing from an earlier try.
func (db *DB) inTx(ctx context.Context, fn func(tx pgx.Tx) error) error {
	return again(ctx, lostRace, func() error { return pgx.BeginFunc(ctx, db.pool, fn) })
}

// again does what is tried once more, after a pause, as long as it lost.
func again(ctx context.Context, lost func(error) bool, do func() error) error {
	for attempt := 1; ; attempt++ {
		err := do()
		if err == nil || attempt == maxAttempts || !lost(err) {
			return err
		}
		if err := pause(ctx, attempt); err != nil {
			return err
		}
	}
}

// lostRace adds to conflicts what a transaction gets that makes something another one just made.
func lostRace(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case "42710", "42P06", "42P07": // role, schema, table exists
			return true
		}
	}
	return CauseOf(err) == Conflict
}

// script sends statements as one message of the simple protocol, which needs one round trip
// whatever their number. It takes no arguments: what goes in is built from sanitized identifiers.
func script(ctx context.Context, tx pgx.Tx, statements ...string) error {
	if len(statements) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, joinStatements(statements), pgx.QueryExecModeSimpleProtocol)
	return err
}
