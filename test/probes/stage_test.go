package probes

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/migrations"
	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/test/platform"
)

// majors are the oldest server that is supported and the newest.
var majors = []int{15, 18}

var postgresServers struct {
	sync.Mutex
	running map[int]*platform.Postgres
}

// serverOf starts a server at its first use. Autovacuum is off so that nothing happens between two
// looks at the catalogs.
func serverOf(t *testing.T, major int) *platform.Postgres {
	t.Helper()
	postgresServers.Lock()
	defer postgresServers.Unlock()
	if server := postgresServers.running[major]; server != nil {
		return server
	}
	server, err := platform.StartPostgres(t.Context(), platform.PostgresMajor(major),
		platform.PostgresSetting("fsync", "off"), platform.PostgresSetting("autovacuum", "off"),
		platform.PostgresSetting("max_prepared_transactions", "4"))
	if err != nil {
		t.Fatal(err)
	}
	if postgresServers.running == nil {
		postgresServers.running = map[int]*platform.Postgres{}
	}
	postgresServers.running[major] = server
	return server
}

func stopPostgres() error {
	var errs []error
	for _, server := range postgresServers.running {
		errs = append(errs, server.Stop())
	}
	return errors.Join(errs...)
}

// onServers runs a test on servers of each version.
func onServers(t *testing.T, versions []int, test func(t *testing.T, server *platform.Postgres)) {
	t.Helper()
	for _, major := range versions {
		t.Run(fmt.Sprintf("PostgreSQL%d", major), func(t *testing.T) { test(t, serverOf(t, major)) })
	}
}

// Who is on the stage: the attacker, a tenant of the same MigrationSet, one of another, and one of
// another database of the same server.
const (
	own, sibling, stranger, abroad = "acme", "globex", "initech", "vault"
	ownSet, strangerSet, sharedSet = "team/shop", "others/crm", "team/shared"
	sharedSchema                   = "shared"
)

// stage is one database with tenants, made by the operator's own code, and what the probes do there.
type stage struct {
	server *platform.Postgres
	// where is the server's name in the tables.
	where string
	db    *postgres.DB
	// admin is a superuser's URI, for the test's own looks and interventions.
	admin string
	// eyes is a superuser's session that stays.
	eyes      *pgx.Conn
	logins    map[string]postgres.Config
	migrators map[string]*postgres.DB
	// verifiers are what the server has of the logins' passwords.
	verifiers map[string]string
	// before is the snapshot to which the next is compared.
	before []string
	// elsewhere is the operator's database that is none of the attacker's business.
	elsewhere *postgres.DB
}

// newStage makes the databases. Their names are prefix and what they are for.
func newStage(t *testing.T, server *platform.Postgres, prefix string) *stage {
	t.Helper()
	s := &stage{
		server: server, where: fmt.Sprintf("PostgreSQL %d", server.Major), logins: map[string]postgres.Config{}, verifiers: map[string]string{}, migrators: map[string]*postgres.DB{},
		db: newDatabase(t, server, prefix+"shop"), elsewhere: newDatabase(t, server, prefix+"bank"),
	}
	s.admin = inDatabase(t, must(postgres.ParseDSN(server.AdminDSN()))(t), s.db.Config().Database()).URI()
	s.eyes = must(pgx.Connect(t.Context(), s.admin))(t)
	t.Cleanup(func() {
		hangUp(t, s.eyes)
		for _, db := range s.migrators {
			db.Close()
		}
	})
	s.share(t)
	s.add(t, own, ownSet)
	s.add(t, sibling, ownSet)
	s.add(t, stranger, strangerSet)
	provision(t, s.elsewhere, tenantOf(abroad, ""))
	s.setPassword(t, s.elsewhere, tenantOf(abroad, ""))
	exec(t, s.uri(sibling), "SELECT lo_from_bytea(4711, 'secret of globex')")
	return s
}

func newDatabase(t *testing.T, server *platform.Postgres, name string) *postgres.DB {
	t.Helper()
	dsn, err := server.NewOperatorDatabase(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	db, err := postgres.Open(t.Context(), must(postgres.ParseDSN(dsn))(t), postgres.PoolOptions{MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if _, err := db.Bootstrap(t.Context(), "marker", sharedSchema); err != nil {
		t.Fatal(err)
	}
	return db
}

// sharedFiles make tables of which tenants may read one and not the other.
const sharedFiles = `CREATE TABLE plans (id int PRIMARY KEY, name text);
INSERT INTO plans VALUES (1, 'basic');
CREATE TABLE accounts (id int PRIMARY KEY, email text);
INSERT INTO accounts VALUES (1, 'secret of all');
CREATE SEQUENCE accounts_number;
CREATE TABLE offers (id int PRIMARY KEY, name text);
INSERT INTO offers VALUES (1, 'first'), (2, 'second');`

// share makes the shared schema as a TenantDatabase's reconcile does.
func (s *stage) share(t *testing.T) {
	t.Helper()
	migrator := s.migrator(t, sharedSet)
	shared, _, err := s.db.EnsureShared(t.Context(), sharedSchema, sharedSet)
	if err != nil {
		t.Fatal(err)
	}
	target := migrations.Target{Schema: sharedSchema, Owner: shared.Owner}
	if _, err := migrations.Apply(t.Context(), migrator.Pool(), target, load(t, sharedFiles), ""); err != nil {
		t.Fatal(err)
	}
	must(s.db.SetSharedGrants(t.Context(), sharedSchema, s.grants()))(t)
}

func (s *stage) grants() []postgres.TableGrant {
	return []postgres.TableGrant{
		{Table: "plans", Privileges: []string{"SELECT"}},
		{Table: "offers", Privileges: []string{"SELECT", "DELETE", "REFERENCES"}},
	}
}

// tenantFiles make one thing of each kind that somebody else might want.
const tenantFiles = `CREATE TABLE item (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, secret text NOT NULL);
CREATE VIEW item_view AS SELECT secret FROM item;
CREATE FUNCTION price() RETURNS int LANGUAGE sql AS 'SELECT 4711 /* formula */';
CREATE SEQUENCE number;
CREATE TYPE mood AS ENUM ('good', 'bad');`

// tenantOf is the same tenant each time.
func tenantOf(schema, set string) postgres.Tenant {
	return postgres.Tenant{
		UID: "uid-" + schema, Namespace: "customers", Name: schema, Schema: schema,
		SharedSchema: sharedSchema, MigrationSet: set, ConnectionLimit: 8,
	}
}

// add makes a tenant as a Tenant's reconcile does: roles and schema, a password, migrations. It
// returns what its migrations run on.
func (s *stage) add(t *testing.T, schema, set string) migrations.Target {
	t.Helper()
	migrator := s.migrator(t, set)
	tn := tenantOf(schema, set)
	provision(t, s.db, tn)
	s.setPassword(t, s.db, tn)
	target := s.target(schema)
	if _, err := migrations.Apply(t.Context(), migrator.Pool(), target, load(t, tenantFiles), ""); err != nil {
		t.Fatal(err)
	}
	exec(t, s.uri(schema), "INSERT INTO item (secret) VALUES ('secret of "+schema+"')")
	return target
}

func (s *stage) target(schema string) migrations.Target {
	roles := postgres.TenantRoles(s.db.Config().Database(), schema)
	return migrations.Target{Schema: schema, Owner: roles.Owner, App: roles.App, SharedSchema: sharedSchema}
}

// migrator is the pool that the operator keeps for a MigrationSet.
func (s *stage) migrator(t *testing.T, set string) *postgres.DB {
	t.Helper()
	if db := s.migrators[set]; db != nil {
		return db
	}
	db, err := postgres.Open(t.Context(), must(s.db.EnsureMigrator(t.Context(), set))(t), postgres.PoolOptions{MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	s.migrators[set] = db
	return db
}

// forgetMigrator is what the operator does when the login does not work.
func (s *stage) forgetMigrator(t *testing.T, set string) {
	t.Helper()
	s.db.ForgetMigrator(set)
	s.migrator(t, set).Close()
	delete(s.migrators, set)
}

// drop deletes a tenant as a deleted Tenant's reconcile does.
func (s *stage) drop(t *testing.T, schema string) {
	t.Helper()
	if err := s.db.Drop(t.Context(), "uid-"+schema, schema); err != nil {
		t.Error(err)
	}
}

// heal lets the operator put a tenant right that changed something of itself.
func (s *stage) heal(t *testing.T, schema, set string) {
	t.Helper()
	tn := tenantOf(schema, set)
	provision(t, s.db, tn)
	if err := s.db.SetPassword(t.Context(), tn.UID, schema, s.verifiers[schema]); err != nil {
		t.Error(err)
	}
	if err := postgres.Login(t.Context(), s.logins[schema]); err != nil {
		t.Error(err)
	}
}

func provision(t *testing.T, db *postgres.DB, tn postgres.Tenant) {
	t.Helper()
	if _, err := db.Provision(t.Context(), tn); err != nil {
		t.Fatal(err)
	}
}

// setPassword gives a tenant's login a password, as its Secret has it.
func (s *stage) setPassword(t *testing.T, db *postgres.DB, tn postgres.Tenant) {
	t.Helper()
	password := postgres.NewPassword()
	s.verifiers[tn.Schema] = must(postgres.SCRAMVerifier(password))(t)
	if err := db.SetPassword(t.Context(), tn.UID, tn.Schema, s.verifiers[tn.Schema]); err != nil {
		t.Fatal(err)
	}
	s.logins[tn.Schema] = db.Config().WithLogin(postgres.TenantRoles(db.Config().Database(), tn.Schema).App, password)
}

func load(t *testing.T, texts ...string) *migrations.Set {
	t.Helper()
	var files []migrations.File
	for i, text := range texts {
		files = append(files, migrations.File{Name: fmt.Sprintf("%04d_file.sql", i+1), Content: []byte(text)})
	}
	return must(migrations.Load(files, migrations.Plain))(t)
}

// uri is the connection string in a tenant's Secret.
func (s *stage) uri(schema string) string { return s.logins[schema].URI(schema, sharedSchema) }

// exec runs statements in one session; they must succeed.
func exec(t testing.TB, uri string, sql ...string) {
	t.Helper()
	conn := must(pgx.Connect(t.Context(), uri))(t)
	defer hangUp(t, conn)
	for _, q := range sql {
		if _, err := conn.Exec(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

func hangUp(t testing.TB, conn *pgx.Conn) { _ = conn.Close(context.WithoutCancel(t.Context())) }

// value returns the one value of a query, as text.
func value(t testing.TB, uri, sql string) string {
	t.Helper()
	conn := must(pgx.Connect(t.Context(), uri))(t)
	defer hangUp(t, conn)
	var text *string
	if err := conn.QueryRow(t.Context(), "SELECT ("+sql+")::text").Scan(&text); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if text == nil {
		return ""
	}
	return *text
}

// inDatabase is the same login in another database.
func inDatabase(t *testing.T, cfg postgres.Config, name string) postgres.Config {
	t.Helper()
	at := fmt.Sprintf(":%d/", cfg.Port())
	return must(postgres.ParseDSN(strings.Replace(cfg.URI(), at+cfg.Database()+"?", at+name+"?", 1)))(t)
}

// names puts quoted names in the place of {words}, and texts in the place of {words_text}.
func (s *stage) names(more ...string) *strings.Replacer {
	database := s.db.Config().Database()
	pairs := []string{
		"{operator}", s.db.Config().User(), "{group}", postgres.GroupRole(database), "{database}", database,
		"{keeper}", postgres.KeeperRole(database, own), "{sibling_keeper}", postgres.KeeperRole(database, sibling),
		"{migrator}", postgres.MigratorRole(database, ownSet), "{stranger_migrator}", postgres.MigratorRole(database, strangerSet),
		"{shared_owner}", postgres.SharedOwnerRole(database, sharedSchema), "{elsewhere}", s.elsewhere.Config().Database(),
		"{abroad_app}", s.logins[abroad].User(),
	}
	for word, schema := range map[string]string{"own": own, "sibling": sibling, "stranger": stranger, "classmate": classmate} {
		roles := postgres.TenantRoles(database, schema)
		pairs = append(pairs, "{"+word+"_app}", roles.App, "{"+word+"_owner}", roles.Owner, "{"+word+"_job}", roles.Job())
	}
	pairs = append(pairs, more...)
	var all []string
	for i := 0; i < len(pairs); i += 2 {
		word, name := pairs[i], pairs[i+1]
		all = append(all, word, pgx.Identifier{name}.Sanitize(), strings.Replace(word, "}", "_text}", 1), "'"+name+"'")
	}
	return strings.NewReplacer(all...)
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func mapKeys[K comparable, V any](m map[K]V) iter.Seq[K] { return maps.Keys(m) }
