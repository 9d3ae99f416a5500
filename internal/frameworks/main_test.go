package frameworks_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/test/platform"
)

var server *platform.Postgres

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if server, err = platform.StartPostgres(context.Background(), platform.PostgresSetting("fsync", "off")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	return m.Run()
}

var databases atomic.Int32

// schema is a tenant's schema with its owner, and the migrator that reads it.
type schema struct {
	admin, owner, app string
	reader            *postgres.DB
}

func newSchema(t *testing.T) *schema {
	t.Helper()
	name := fmt.Sprintf("ledger%d", databases.Add(1))
	dsn, err := server.NewOperatorDatabase(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	config, err := postgres.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	db := open(t, config)
	if _, err := db.Bootstrap(t.Context(), "marker", ""); err != nil {
		t.Fatal(err)
	}
	migrator, err := db.EnsureMigrator(t.Context(), "shop/app")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Provision(t.Context(), postgres.Tenant{UID: "acme", Namespace: "shop", Name: "acme", Schema: "acme", MigrationSet: "shop/app"}); err != nil {
		t.Fatal(err)
	}
	roles := postgres.TenantRoles(name, "acme")
	return &schema{strings.Replace(server.AdminDSN(), "/postgres?", "/"+name+"?", 1), roles.Owner, roles.App, open(t, migrator)}
}

func open(t *testing.T, config postgres.Config) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), config, postgres.PoolOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// exec runs SQL as the schema's owner, as a framework does.
func (s *schema) exec(t *testing.T, sql string) {
	t.Helper()
	s.admins(t, "SET ROLE "+pgx.Identifier{s.owner}.Sanitize()+"; SET search_path = acme; "+sql)
}

func (s *schema) admins(t *testing.T, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.admin)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}
