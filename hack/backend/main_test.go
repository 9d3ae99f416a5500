package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/test/platform"
)

// pg is the server of all tests of this package.
var pg *platform.Postgres

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	var err error
	if pg, err = platform.StartPostgres(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := pg.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// shop is a database with the sample product in one schema per tenant, and bindings to them.
type shop struct {
	database string
	known    *registry
}

// newShop makes a database with the given tenants, each migrated to the newest version.
func newShop(t *testing.T, tenants ...string) *shop {
	t.Helper()
	s := &shop{database: "shop_" + strings.ToLower(t.Name()), known: &registry{}}
	execute(t, admin(t, "postgres"), "CREATE DATABASE "+pgx.Identifier{s.database}.Sanitize())
	for _, name := range tenants {
		s.schema(t, name)
		s.migrate(t, name)
	}
	return s
}

// schema makes roles and an empty schema for a tenant of the namespace "shop".
func (s *shop) schema(t *testing.T, name string) {
	t.Helper()
	schema, owner, app := pgx.Identifier{name}.Sanitize(), s.role(name, "owner"), s.role(name, "app")
	execute(t, admin(t, s.database), strings.NewReplacer("SCHEMA_", schema, "OWNER_", owner, "APP_", app).Replace(`
		CREATE ROLE OWNER_ NOLOGIN;
		CREATE ROLE APP_ LOGIN;
		CREATE SCHEMA SCHEMA_ AUTHORIZATION OWNER_;
		GRANT USAGE ON SCHEMA SCHEMA_ TO APP_;
		ALTER DEFAULT PRIVILEGES FOR ROLE OWNER_ IN SCHEMA SCHEMA_
			GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO APP_`))
	s.bind(name, s.rotate(t, name), name)
}

// role is the quoted name of a role of the tenant; roles belong to the whole server.
func (s *shop) role(tenant, kind string) string {
	return pgx.Identifier{s.database + "_" + tenant + "_" + kind}.Sanitize()
}

func (s *shop) migrate(t *testing.T, name string) {
	t.Helper()
	conn := admin(t, s.database)
	execute(t, conn, "SET ROLE "+s.role(name, "owner"))
	execute(t, conn, "SET search_path = "+pgx.Identifier{name}.Sanitize())
	product := os.DirFS("../../config/samples/product")
	paths, err := fs.Glob(product, "*.sql")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no migrations: %v", err)
	}
	for _, path := range paths {
		sql, err := fs.ReadFile(product, path)
		if err != nil {
			t.Fatal(err)
		}
		execute(t, conn, string(sql))
	}
}

// rotate gives the tenant's login a new password and returns it.
func (s *shop) rotate(t *testing.T, name string) string {
	t.Helper()
	password := postgres.NewPassword()
	verifier, err := postgres.SCRAMVerifier(password)
	if err != nil {
		t.Fatal(err)
	}
	execute(t, admin(t, s.database), "ALTER ROLE "+s.role(name, "app")+" PASSWORD '"+verifier+"'")
	return password
}

// bind records what the tenant's Secret says; searchPath may be wrong on purpose.
func (s *shop) bind(name, password, searchPath string) {
	user := s.database + "_" + name + "_app"
	uri := pg.DSN(user, password, s.database)
	if searchPath != "" {
		uri += "&options=" + url.QueryEscape("-csearch_path="+searchPath)
	}
	s.known.put(Binding{Tenant: "shop/" + name, Schema: name, Version: "18", URI: uri})
}

// serve returns the backend over this shop.
func (s *shop) serve(t *testing.T) *httptest.Server {
	t.Helper()
	p := newPools(8, 2, time.Minute)
	t.Cleanup(p.close)
	backend := &server{header: "X-Tenantry-Tenant", db: &database{bindings: s.known, pools: p}}
	srv := httptest.NewServer(backend.routes())
	t.Cleanup(srv.Close)
	return srv
}

// registry is where bindings come from. As the one over the API server does, it goes on with what
// it knows until told to forget it.
type registry struct {
	mu     sync.Mutex
	actual map[string]Binding
	cached map[string]Binding
	hosts  map[string]string
}

func (r *registry) Holder(_ context.Context, host string) (string, error) {
	if host == "unanswered.example" {
		return "", errors.New("connection refused")
	}
	return r.hosts[host], nil
}

func (r *registry) put(b Binding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.actual == nil {
		r.actual, r.cached = map[string]Binding{}, map[string]Binding{}
	}
	r.actual[b.Tenant] = b
}

func (r *registry) Binding(_ context.Context, tenant string) (Binding, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b, found := r.cached[tenant]; found {
		return b, nil
	}
	b, found := r.actual[tenant]
	if !found {
		return Binding{}, errUnknownTenant
	}
	if b.URI == "" {
		return Binding{}, errNotBound
	}
	r.cached[tenant] = b
	return b, nil
}

func (r *registry) Forget(tenant string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.cached, tenant)
}

// admin opens a superuser's session that ends with the test.
func admin(t *testing.T, database string) *pgx.Conn {
	t.Helper()
	cfg, err := pgx.ParseConfig(pg.AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	cfg.Database = database
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func execute(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}
