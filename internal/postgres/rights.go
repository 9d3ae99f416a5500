package postgres

import (
	"context"
	_ "embed" // for the query
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// What a login may do is the same whoever asks: the catalogs tell it of any role. Asked in a session of the
// operator's, which has read them before, it takes the server a fraction of what it takes in one that was
// just begun (ADR 0037). That a password works only a log-in tells.

//go:embed direct.sql
var directSQL string

// opensSQL : whether a role, $5, can begin a session, and act as another one, $2. Before 16 who is a member may.
const opensSQL = `SELECT r.rolcanlogin AND coalesce(r.rolvaliduntil > now(), true) AND has_database_privilege(r.oid, current_database(), 'CONNECT')
	AND pg_has_role(r.oid, $2::text::name, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)
FROM pg_catalog.pg_roles r WHERE r.rolname = $5::text::name`

// rightsSQL asks all three at once: a statement costs the server more than what it has to look up.
var rightsSQL = "SELECT coalesce((\n" + opensSQL + "\n), false), (\n" + probeSQL + "\n), coalesce((\n" + directSQL + "\n), true)"

// Rights are what the operator's session is told of a login.
type Rights struct {
	ProbeResult

	// Opens: nothing in the catalogs keeps it from beginning a session and acting for the tenant. Where
	// something does, a log-in tells what.
	Opens  bool
	Excess []Excess
}

// Question is a query for a session of a migrator's.
type Question struct {
	// SQL has parameters $1, $2 and so on, of types that texts without a type become.
	SQL  string
	Args []string
}

// AskRights asks what Examine does of a tenant's own login. Answered tells the rest.
func AskRights(login string, b Bounds) *Question {
	return &Question{SQL: rightsSQL, Args: []string{b.Schema, login, b.Roles.App, b.Group, login}}
}

// Answered is Examine where the question was answered already.
func (db *DB) Answered(ctx context.Context, login string, b Bounds, answer [][]byte, within time.Duration) (r Rights, err error) {
	if len(answer) != 3 {
		return r, fmt.Errorf("the answer about login %s has %d parts", login, len(answer))
	}
	if err := json.Unmarshal(answer[1], &r.ProbeResult); err != nil {
		return r, fmt.Errorf("the answer about login %s: %w", login, err)
	}
	r.Opens = string(answer[0]) == "t"
	err = db.addExcess(ctx, &r, login, b, string(answer[2]) != "f", within)
	return r, failed(err, "cannot ask what login "+login+" may do")
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
	err = db.pool.QueryRow(ctx, rightsSQL, b.Schema, as, b.Roles.App, b.Group, login).Scan(&r.Opens, &r.ProbeResult, &suspect)
	if err != nil {
		return r, err
	}
	return r, db.addExcess(ctx, &r, as, b, suspect, within)
}

// addExcess asks what a login has beyond its bounds, if anything says that there may be something.
func (db *DB) addExcess(ctx context.Context, r *Rights, as string, b Bounds, suspect bool, within time.Duration) (err error) {
	if !suspect {
		if suspect, err = db.allSuspect(ctx, b, within); err != nil || !suspect {
			return err
		}
	}
	err = db.pool.QueryRow(ctx, boundsSQL, b.args(as)...).Scan(&r.Excess)
	outward(r.Excess, as)
	return err
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
