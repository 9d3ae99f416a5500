package postgres_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/test/platform"
)

// server is shared by all tests; each has a database of its own on it. It logs all SQL, so that
// tests can look for what must not be there.
var server *platform.Postgres

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	server, err = platform.StartPostgres(context.Background(),
		platform.PostgresSetting("log_statement", "all"),
		platform.PostgresSetting("log_min_messages", "info"),
		platform.PostgresSetting("autovacuum", "off"), // whoever counts transactions counts the calls' own
		platform.PostgresSetting("fsync", "off"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	fmt.Println("PostgreSQL", server.Version)
	return m.Run()
}

var databases atomic.Int32

// newDatabase makes a database by the project's bootstrap file and returns the operator's settings.
func newDatabase(t *testing.T) postgres.Config {
	t.Helper()
	dsn, err := server.NewOperatorDatabase(t.Context(), fmt.Sprintf("shop%d", databases.Add(1)))
	if err != nil {
		t.Fatal(err)
	}
	return must(postgres.ParseDSN(dsn))(t)
}

// newDB is newDatabase with a pool and the registry.
func newDB(t *testing.T) *postgres.DB {
	t.Helper()
	db := open(t, newDatabase(t))
	if _, err := db.Bootstrap(t.Context(), "marker", "shared"); err != nil {
		t.Fatal(err)
	}
	return db
}

func open(t *testing.T, cfg postgres.Config) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), cfg, postgres.PoolOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// newTenant provisions a tenant with a password and returns it with its login's settings.
func newTenant(t *testing.T, db *postgres.DB, schema string) (postgres.Tenant, postgres.Config) {
	t.Helper()
	tn := tenant(schema)
	if _, err := db.Provision(t.Context(), tn); err != nil {
		t.Fatal(err)
	}
	return tn, setPassword(t, db, tn)
}

func tenant(schema string) postgres.Tenant {
	return postgres.Tenant{UID: "uid-" + schema, Namespace: "customers", Name: schema, Schema: schema, SharedSchema: "shared"}
}

func setPassword(t *testing.T, db *postgres.DB, tn postgres.Tenant) postgres.Config {
	t.Helper()
	password := postgres.NewPassword()
	verifier := must(postgres.SCRAMVerifier(password))(t)
	if err := db.SetPassword(t.Context(), tn.UID, tn.Schema, verifier); err != nil {
		t.Fatal(err)
	}
	o := observe(t, db, tn)
	return db.Config().WithLogin(o.Roles.App, password)
}

func observe(t *testing.T, db *postgres.DB, tn postgres.Tenant) postgres.Observation {
	t.Helper()
	return must(db.Observe(t.Context(), tn))(t)
}

// asOwner runs SQL as a migration would: as the migrator's login, in the owner's role.
func asOwner(t *testing.T, db *postgres.DB, tn postgres.Tenant, sql ...string) {
	t.Helper()
	cfg := must(db.EnsureMigrator(t.Context(), "team/set"))(t)
	if _, err := db.GrantOwner(t.Context(), tn.UID, tn.Schema, "team/set"); err != nil {
		t.Fatal(err)
	}
	roles := postgres.TenantRoles(cfg.Database(), tn.Schema)
	exec(t, cfg, append([]string{"SET ROLE " + quote(roles.Owner), "SET search_path = " + quote(tn.Schema)}, sql...)...)
}

func admin(t *testing.T, database string) postgres.Config {
	t.Helper()
	return inDatabase(t, must(postgres.ParseDSN(server.AdminDSN()))(t), database)
}

// inDatabase is the same login in another database.
func inDatabase(t *testing.T, cfg postgres.Config, name string) postgres.Config {
	t.Helper()
	at := fmt.Sprintf(":%d/", cfg.Port())
	return must(postgres.ParseDSN(strings.Replace(cfg.URI(), at+cfg.Database()+"?", at+name+"?", 1)))(t)
}

func exec(t *testing.T, cfg postgres.Config, sql ...string) {
	t.Helper()
	if err := tryExec(t, cfg, sql...); err != nil {
		t.Fatal(err)
	}
}

func tryExec(t *testing.T, cfg postgres.Config, sql ...string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), cfg.URI())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, s := range sql {
		if _, err := conn.Exec(t.Context(), s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// query returns the first column of the first row as text.
func query(t *testing.T, cfg postgres.Config, sql string, args ...any) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), cfg.URI())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var text *string
	if err := conn.QueryRow(t.Context(), "SELECT ("+sql+")::text", args...).Scan(&text); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if text == nil {
		return ""
	}
	return *text
}

func quote(names ...string) string { return pgx.Identifier(names).Sanitize() }

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// eventually polls until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatal("not in time: " + what)
		case <-tick.C:
		}
	}
}
