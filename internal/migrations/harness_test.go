package migrations

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantry/tenantry/test/platform"
)

// majors are the oldest server that is supported and the newest.
var majors = []int{15, 18}

var servers struct {
	sync.Mutex
	running map[int]*platform.Postgres
}

func TestMain(m *testing.M) {
	code := m.Run()
	for major, server := range servers.running {
		if err := server.Stop(); err != nil {
			fmt.Fprintf(os.Stderr, "stop PostgreSQL %d: %v\n", major, err)
			code = 1
		}
	}
	os.Exit(code)
}

func serverOf(t *testing.T, major int) *platform.Postgres {
	t.Helper()
	servers.Lock()
	defer servers.Unlock()
	if server := servers.running[major]; server != nil {
		return server
	}
	server, err := platform.StartPostgres(t.Context(), platform.PostgresMajor(major))
	if err != nil {
		t.Fatal(err)
	}
	if servers.running == nil {
		servers.running = map[int]*platform.Postgres{}
	}
	servers.running[major] = server
	return server
}

var names atomic.Int64

// database is a database with a migrator login, as production has them.
type database struct {
	server   *platform.Postgres
	name     string
	migrator string
	// admin is a superuser, for the test's own looks and interventions.
	admin *pgxpool.Pool
	// pool is the migrator's.
	pool *pgxpool.Pool
	// wire sees what the migrator's connections send and receive.
	wire *wire
}

// onServers runs a test on each server, each time with a database of its own.
func onServers(t *testing.T, test func(t *testing.T, db *database)) {
	t.Helper()
	for _, major := range majors {
		t.Run(fmt.Sprint(major), func(t *testing.T) { test(t, newDatabase(t, major)) })
	}
}

func newDatabase(t *testing.T, major int) *database {
	t.Helper()
	return databaseOn(t, serverOf(t, major))
}

func databaseOn(t *testing.T, server *platform.Postgres) *database {
	t.Helper()
	db := &database{server: server, name: fmt.Sprintf("db%d", names.Add(1)), wire: &wire{}}
	db.migrator = db.name + "_migrator"
	root, err := pgx.Connect(t.Context(), db.server.AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close(context.Background()) }()
	for _, sql := range []string{
		"CREATE DATABASE " + db.name + " TEMPLATE template0",
		"REVOKE ALL ON DATABASE " + db.name + " FROM PUBLIC",
		"CREATE ROLE " + db.migrator + " LOGIN NOINHERIT PASSWORD 'm'",
		"GRANT CONNECT ON DATABASE " + db.name + " TO " + db.migrator,
	} {
		if _, err := root.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	db.admin = open(t, strings.Replace(db.server.AdminDSN(), "/postgres?", "/"+db.name+"?", 1), nil)
	db.pool = open(t, db.server.DSN(db.migrator, "m", db.name), db.wire)
	return db
}

func open(t *testing.T, dsn string, w *wire) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = 12
	if w != nil {
		config.ConnConfig.RuntimeParams["search_path"] = "pg_catalog, pg_temp"
		dial := config.ConnConfig.DialFunc
		config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.dead {
				return nil, errors.Join(net.ErrClosed, conn.Close())
			}
			w.conns = append(w.conns, conn)
			return &wireConn{Conn: conn, wire: w}, nil
		}
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// wire counts the migrator's messages and can cut its connections.
type wire struct {
	queries atomic.Int64
	// cutReplies makes the next reply to a message of more than 1500 bytes get lost.
	cutReplies atomic.Bool

	mu    sync.Mutex
	conns []net.Conn
	dead  bool
}

// die closes all connections without a word, as the death of the process does; pgx would ask the
// server to cancel, over another connection.
func (w *wire) die() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead = true
	for _, conn := range w.conns {
		_ = conn.Close()
	}
}

type wireConn struct {
	net.Conn
	wire *wire
	long atomic.Bool
}

func (c *wireConn) Write(b []byte) (int, error) {
	if len(b) > 0 && b[0] == 'Q' {
		c.wire.queries.Add(1)
		c.long.Store(len(b) > 1500)
	}
	return c.Conn.Write(b)
}

func (c *wireConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil && c.long.Load() && c.wire.cutReplies.CompareAndSwap(true, false) {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return n, err
}

// tenant makes a schema with its owner and application roles.
func (db *database) tenant(t *testing.T, schema string) Target {
	t.Helper()
	owner, app := db.name+"_"+schema+"_owner", db.name+"_"+schema+"_app"
	grant := "GRANT " + ident(owner) + " TO " + db.migrator
	if db.server.Major >= 16 {
		grant += " WITH INHERIT FALSE, SET TRUE"
	}
	db.exec(t,
		"CREATE ROLE "+ident(owner)+" NOLOGIN", "CREATE ROLE "+ident(app)+" LOGIN PASSWORD 'a'", grant,
		"CREATE SCHEMA "+ident(schema)+" AUTHORIZATION "+ident(owner),
		"GRANT USAGE ON SCHEMA "+ident(schema)+" TO "+ident(app),
		"ALTER DEFAULT PRIVILEGES FOR ROLE "+ident(owner)+" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "+ident(app),
		"GRANT CONNECT ON DATABASE "+db.name+" TO "+ident(app),
	)
	return Target{Schema: schema, Owner: owner, App: app, LockTimeout: 50 * time.Millisecond}
}

// exec runs statements as the superuser.
func (db *database) exec(t *testing.T, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := db.admin.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// text returns the rows of a query as the superuser, columns by "|" and rows by line.
func (db *database) text(t *testing.T, sql string, args ...any) string {
	t.Helper()
	rows, err := db.admin.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	lines, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		values, err := row.Values()
		var cells []string
		for _, v := range values {
			cells = append(cells, fmt.Sprint(v))
		}
		return strings.Join(cells, "|"), err
	})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return strings.Join(lines, "\n")
}

// fast is a policy for tests that expect to run out of tries.
var fast = policy{tries: 3, first: time.Millisecond, most: 5 * time.Millisecond, concurrently: 10 * time.Second}

func (db *database) applyWith(ctx context.Context, p policy, target Target, set *Set) (Result, error) {
	r := &runner{pool: db.pool, target: target, set: set, policy: p}
	return r.apply(ctx, "")
}

func (db *database) apply(t *testing.T, target Target, set *Set, to Version) Result {
	t.Helper()
	result, err := Apply(t.Context(), db.pool, target, set, to)
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	return result
}

// load makes a set of a txtar-like text: "-- file name --" lines begin a file.
func load(t *testing.T, text string) *Set {
	t.Helper()
	set, err := Load(parseFiles(text), Auto)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func parseFiles(text string) []File {
	var files []File
	for _, line := range strings.SplitAfter(text, "\n") {
		name, isName := strings.CutPrefix(strings.TrimSpace(line), "-- file ")
		switch {
		case isName:
			files = append(files, File{Name: strings.TrimSuffix(name, " --")})
		case len(files) > 0:
			files[len(files)-1].Content = append(files[len(files)-1].Content, line...)
		}
	}
	return files
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(90 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline.C:
			t.Fatalf("waited in vain until %s", what)
		case <-tick.C:
		}
	}
}
