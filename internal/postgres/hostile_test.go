package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// Whatever a DBA calls a database, the whole life of a tenant works in it, and nothing is cut or
// changed on the way to SQL.
func TestHostileDatabaseNames(t *testing.T) {
	for i, name := range []string{
		`Shop`, `sh"op; DROP DATABASE postgres; --`, `shop's`, `a__b`, `ends_`, `лавка`, `$(id)`, `100%s`, `back\slash`, `new shop`,
		"a_very_long_name_of_a_database_to_cut_0123456789_53",
	} {
		t.Run(name, func(t *testing.T) {
			cfg := must(postgres.ParseDSN(must(server.NewOperatorDatabase(t.Context(), name))(t)))(t)
			if cfg.Database() != name {
				t.Fatalf("database = %q", cfg.Database())
			}
			db := open(t, cfg)
			must(db.Bootstrap(t.Context(), "marker'\"", "shared"))(t)
			tn := tenant(fmt.Sprintf("select%d", i))
			tn.UID, tn.Namespace, tn.Name, tn.MigrationSet = `u'";--`, `n'";--`, `x'";--`, `team'"/set;--`
			must(db.EnsureMigrator(t.Context(), tn.MigrationSet))(t)
			must(db.Provision(t.Context(), tn))(t)
			must(db.SetDomains(t.Context(), tn.UID, tn.Schema, []string{`h'";--`, `лавка.example`}))(t)
			login := setPassword(t, db, tn)
			if got := query(t, login, "SELECT current_database() || current_setting('search_path')"); got != name+tn.Schema+", shared" {
				t.Errorf("session = %s", got)
			}
			if probe := must(postgres.Probe(t.Context(), login, tn.Schema))(t); !probe.SchemaUsage || probe.Database != name {
				t.Errorf("probe = %+v", probe)
			}
			if o := observe(t, db, tn); len(o.Drift)+len(o.Foreign) > 0 || o.OwnerUID != tn.UID || o.MigrationSet != tn.MigrationSet {
				t.Errorf("observation = %+v", o)
			}
			if r := must(db.Preflight(t.Context()))(t); len(r.Missing) > 0 || r.TenantCount != 1 {
				t.Errorf("report = %+v", r)
			}
			if err := db.Drop(t.Context(), tn.UID, tn.Schema); err != nil {
				t.Error(err)
			}
		})
	}
}

// Whatever reaches the methods as a schema's name is refused, or finds nothing: it is never cut,
// changed or run.
func TestHostileSchemaNames(t *testing.T) {
	db := newDB(t)
	newTenant(t, db, "acme")
	before := snapshot(t, db)
	verifier := must(postgres.SCRAMVerifier("x"))(t)
	for _, name := range []string{
		"", " ", "acme ", " acme", "ACME", "acme\x00", "acme\x00x", "ac\"me", `acme"; DROP SCHEMA acme CASCADE; --`, "acme'; --", `acme" AUTHORIZATION postgres; --`,
		"acme\n", "acme/*", "acme--", "$$acme$$", `\'acme`, "acme;", "pg_catalog", "tenantry", "%s%n", "аcme", "acme\u200b", "\u202eemca",
		fmt.Sprintf("%063d", 0), fmt.Sprintf("a%0100d", 0),
	} {
		tn := tenant(name)
		tn.UID = "uid-acme"
		calls := map[string]func() error{
			"Observe":     func() error { _, err := db.Observe(t.Context(), tn); return err },
			"Provision":   func() error { _, err := db.Provision(t.Context(), tn); return err },
			"Adopt":       func() error { return db.Adopt(t.Context(), tn, tn.UID) },
			"TakeOver":    func() error { return db.TakeOver(t.Context(), tn, "") },
			"SetPassword": func() error { return db.SetPassword(t.Context(), tn.UID, name, verifier) },
			"SetVersion":  func() error { return second(db.SetVersion(t.Context(), tn.UID, name, "1", "d")) },
			"SetDomains":  func() error { return second(db.SetDomains(t.Context(), tn.UID, name, []string{"a.com"})) },
			"GrantOwner":  func() error { return second(db.GrantOwner(t.Context(), tn.UID, name, "team/set")) },
		}
		for call, do := range calls {
			if err := do(); err == nil {
				t.Errorf("%s(%q) succeeded", call, name)
			}
		}
		for call, do := range map[string]func() error{
			"Drop":          func() error { return db.Drop(t.Context(), tn.UID, name) },
			"Retain":        func() error { return db.Retain(t.Context(), tn.UID, name) },
			"DisableLogins": func() error { return db.DisableLogins(t.Context(), tn.UID, name) },
		} {
			if err := do(); err != nil && fault.KindOf(err) == fault.Invalid {
				t.Errorf("%s(%q) = %v", call, name, err)
			}
		}
	}
	if after := snapshot(t, db); after != before {
		t.Error("something changed")
	}
}

// A call that is cut off at any moment leaves nothing half done: the next one finishes the work.
func TestInterruptedCalls(t *testing.T) {
	db := newDB(t)
	must(db.EnsureMigrator(t.Context(), "team/set"))(t)
	tn := tenant("acme")
	tn.MigrationSet = "team/set"
	verifier := must(postgres.SCRAMVerifier("pw"))(t)
	steps := []func(ctx context.Context) error{
		func(ctx context.Context) error { return second(db.Provision(ctx, tn)) },
		func(ctx context.Context) error { return db.SetPassword(ctx, tn.UID, "acme", verifier) },
		func(ctx context.Context) error { return second(db.SetDomains(ctx, tn.UID, "acme", []string{"a.com"})) },
		func(ctx context.Context) error { return db.Retain(ctx, tn.UID, "acme") },
		func(ctx context.Context) error { return db.Adopt(ctx, tn, tn.UID) },
		func(ctx context.Context) error { return db.Drop(ctx, tn.UID, "acme") },
	}
	interrupted := 0
	for delay := 50 * time.Microsecond; delay < 20*time.Millisecond; delay *= 2 {
		for _, step := range steps {
			ctx, cancel := context.WithTimeout(t.Context(), delay)
			if err := step(ctx); err != nil {
				interrupted++
			}
			cancel()
			eventually(t, "the server gave up too", func() bool {
				return query(t, admin(t, "postgres"), "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND state <> 'idle'", db.Config().User()) == "0"
			})
			if err := step(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if interrupted == 0 {
		t.Error("nothing was interrupted")
	}
	if rows := must(db.Tenants(t.Context()))(t); len(rows) > 0 {
		t.Errorf("left: %v", rows)
	}
}

// The connection is lost in the middle of a transaction, as in a failover.
func TestLostConnections(t *testing.T) {
	db := newDB(t)
	const kills = 40
	killed := make(chan int)
	super := connect(t, admin(t, "postgres"))
	go func() {
		count := 0
		tick := time.NewTicker(8 * time.Millisecond)
		defer tick.Stop()
		for range kills {
			<-tick.C
			var n int
			_ = super.QueryRow(context.Background(), "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = $1 AND state <> 'idle'", db.Config().User()).Scan(&n)
			count += n
		}
		killed <- count
	}()
	for i := range 20 {
		tn := tenant(fmt.Sprintf("t%d", i))
		for _, step := range []func() error{
			func() error { return second(db.Provision(t.Context(), tn)) },
			func() error { return db.Drop(t.Context(), tn.UID, tn.Schema) },
		} {
			eventually(t, "a try gets through", func() bool {
				err := step()
				if err != nil && !postgres.Retryable(err) && !errors.Is(err, context.Canceled) {
					t.Fatalf("%v is %s", err, postgres.CauseOf(err))
				}
				return err == nil
			})
		}
	}
	if <-killed == 0 {
		t.Error("no connection was lost")
	}
	if rows := must(db.Tenants(t.Context()))(t); len(rows) > 0 {
		t.Errorf("left: %v", rows)
	}
	if got := query(t, db.Config(), "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'tn\\_' || current_database() || '\\_\\_%'"); got != "0" {
		t.Errorf("%s roles left", got)
	}
}

// Names that somebody gave to what is in an adopted schema, and to its owner, reach SQL as names alone.
func TestHostileNamesInAnAdoptedSchema(t *testing.T) {
	db := newDB(t)
	before := query(t, admin(t, db.Config().Database()), "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relnamespace = 'tenantry'::regnamespace")
	for i, name := range []string{
		`x"; DROP TABLE tenantry.tenant; --`, `x'; DROP TABLE tenantry.tenant; --`, `$$`, `a.b`, `Upper`, `select`, "new\nline", `back\slash`, `%s`, `лавка`, ` `,
	} {
		t.Run(name, func(t *testing.T) {
			schema, owner := fmt.Sprintf("legacy%d", i), name+" of "+db.Config().Database()
			n := quote(name)
			exec(t, admin(t, db.Config().Database()), "CREATE ROLE "+quote(owner), "GRANT "+quote(owner)+" TO "+quote(db.Config().User()),
				"CREATE SCHEMA "+schema+" AUTHORIZATION "+quote(owner), "SET ROLE "+quote(owner), "SET search_path = "+schema,
				"CREATE TYPE "+n+" AS ENUM ('a')", "CREATE TABLE "+quote(name+"t")+" ("+n+" "+n+", PRIMARY KEY ("+n+"))", "CREATE VIEW "+quote(name+"v")+" AS SELECT 1 AS "+n,
				"CREATE SEQUENCE "+quote(name+"s"), "CREATE FUNCTION "+n+"("+n+" "+n+") RETURNS int LANGUAGE sql AS 'SELECT 1'")
			tn := tenant(schema)
			if err := db.TakeOver(t.Context(), tn, `'; DROP TABLE tenantry.tenant; --`); err != nil {
				t.Fatal(err)
			}
			if o := observe(t, db, tn); len(o.Drift)+len(o.Foreign) > 0 || !o.Adopted {
				t.Errorf("observation = %+v", o)
			}
			if got, want := owners(t, db, schema), postgres.TenantRoles(db.Config().Database(), schema).Owner; got != want {
				t.Errorf("owners: %s", got)
			}
			exec(t, setPassword(t, db, tn), "SELECT "+n+"('a') FROM "+quote(name+"v")+", "+quote(name+"t"), "SELECT nextval("+literal(quote(name+"s"))+")")
		})
	}
	if after := query(t, admin(t, db.Config().Database()), "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relnamespace = 'tenantry'::regnamespace"); after != before {
		t.Errorf("the registry has %s, had %s", after, before)
	}
}

func literal(text string) string {
	return " E'" + strings.NewReplacer(`\`, `\\`, "'", "''").Replace(text) + "'"
}
