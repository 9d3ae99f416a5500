package postgres

import (
	"context"
	_ "embed" // for the query
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// What a login may do is the same whoever asks: the catalogs tell it of any role. Asked in a session of the
// operator's, which has read them before, it takes the server a fraction of what it takes in one that was
// just begun (ADR 0037). That a password works only a log-in tells.

//go:embed direct.sql
var directSQL string

// opensSQL : whether a role can begin a session, and act as another one. Before 16 who is a member may.
const opensSQL = `SELECT r.rolcanlogin AND coalesce(r.rolvaliduntil > now(), true) AND has_database_privilege(r.oid, current_database(), 'CONNECT')
	AND pg_has_role(r.oid, $2::name, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)
FROM pg_catalog.pg_roles r WHERE r.rolname = $1`

// Rights are what the operator's session is told of a login.
type Rights struct {
	ProbeResult

	// Opens: nothing in the catalogs keeps it from beginning a session and acting for the tenant. Where
	// something does, a log-in tells what.
	Opens  bool
	Excess []Excess
}

// Examine tells of a tenant's login what package function Examine does, without logging in. What all
// tenants' logins have may be as old as within.
func (db *DB) Examine(ctx context.Context, login string, b Bounds, within time.Duration) (Rights, error) {
	r, err := db.examine(ctx, login, login, b, within)
	return r, failed(err, "cannot ask what login "+login+" may do")
}

// ExamineShared is the same for ExamineShared.
func (db *DB) ExamineShared(ctx context.Context, login string, b Bounds, first string, all bool, within time.Duration) (Rights, error) {
	r, err := db.examineShared(ctx, login, b, first, all, within)
	return r, failed(err, "cannot ask what login "+login+" may do")
}

func (db *DB) examineShared(ctx context.Context, login string, b Bounds, first string, all bool, within time.Duration) (Rights, error) {
	r, err := db.examine(ctx, login, b.Roles.App, b, within)
	if err != nil {
		return r, err
	}
	closed := b.Schema
	if all {
		closed = ""
		if err := db.pool.QueryRow(ctx, probeSQL, b.Schema, login).Scan(&r.ProbeResult); err != nil {
			return r, err
		}
	}
	var own []Excess
	if err := db.pool.QueryRow(ctx, classBoundsSQL, first, closed, login).Scan(&own); err != nil {
		return r, err
	}
	r.Excess = append(r.Excess, outward(own, login)...)
	return r, nil
}

// examine asks about the login that begins the session and the role as which it works.
func (db *DB) examine(ctx context.Context, login, as string, b Bounds, within time.Duration) (r Rights, err error) {
	var suspect bool
	batch := &pgx.Batch{}
	batch.Queue(opensSQL, login, as).QueryRow(func(row pgx.Row) error { return row.Scan(&r.Opens) })
	batch.Queue(probeSQL, b.Schema, as).QueryRow(func(row pgx.Row) error { return row.Scan(&r.ProbeResult) })
	batch.Queue(directSQL, b.Schema, as, b.Roles.App, b.Group).QueryRow(func(row pgx.Row) error { return row.Scan(&suspect) })
	if err := db.pool.SendBatch(ctx, batch).Close(); err != nil {
		return r, err
	}
	if !suspect {
		if suspect, err = db.allSuspect(ctx, b, within); err != nil || !suspect {
			return r, err
		}
	}
	err = db.pool.QueryRow(ctx, boundsSQL, b.args(as)...).Scan(&r.Excess)
	outward(r.Excess, as)
	return r, err
}

// args are those of bounds.sql.
func (b Bounds) args(login string) []any {
	return []any{b.Schema, b.Shared, []string{b.Group, b.Roles.App}, b.Roles.Owner, login}
}

// outward completes what was found of a login.
func outward(excess []Excess, login string) []Excess {
	for i := range excess {
		excess[i].What, excess[i].Outward = "login "+login+" "+excess[i].What, true
	}
	return excess
}

// common is what was last heard of what all tenants' logins have.
type common struct {
	mu      sync.Mutex
	suspect bool
	shared  string
	at      time.Time
}

// allSuspect says whether the group of all tenants, or PUBLIC, has anything that some tenant must not have.
// A fleet that is upgraded shares the answer: the look goes through the rights on every schema.
func (db *DB) allSuspect(ctx context.Context, b Bounds, within time.Duration) (bool, error) {
	c := &db.common
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shared == b.Shared && time.Since(c.at) < within {
		return c.suspect, nil
	}
	began := time.Now()
	var excess []Excess
	if err := db.pool.QueryRow(ctx, boundsSQL, "", b.Shared, []string{}, "", b.Group).Scan(&excess); err != nil {
		return true, err
	}
	c.suspect, c.shared, c.at = len(excess) > 0, b.Shared, began
	return c.suspect, nil
}
