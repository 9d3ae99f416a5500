package probes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenantry/tenantry/internal/migrations"
	"github.com/tenantry/tenantry/internal/postgres"
)

// trapFunctions tell who ran them, to a listener that nothing of the tenant's can hide from. They
// are said to be immutable, so that they can stand in indexes.
const trapFunctions = `CREATE FUNCTION trap(what text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
	PERFORM pg_catalog.pg_notify('trapped', session_user || ' as ' || current_user); RETURN true; END $$;
CREATE FUNCTION trap_text(what text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM mallory.trap(what); RETURN what; END $$;
CREATE FUNCTION trap_two(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN mallory.trap(''); END $$;
CREATE FUNCTION trap_names(name, name) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN mallory.trap(''); END $$;
CREATE FUNCTION trap_oids(oid, oid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN mallory.trap(''); END $$;
CREATE FUNCTION trap_state(text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM mallory.trap(''); RETURN $2; END $$;
CREATE FUNCTION trap_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM mallory.trap(''); RETURN coalesce(NEW, OLD); END $$;
`

const nothingRuns = "nothing of it runs in a session of the operator, another tenant's or a migrator's own right"

// planted makes a probe of a trap: what a migration leaves in its schema, and a statement that proves
// that the trap works, for somebody who has the schema on the search_path.
func planted(name, tries, plant, control string) probe {
	return probe{name: name, tries: tries, by: byMigration, want: harmless(nothingRuns), do: func(t *testing.T, s *stage) (string, error) {
		t.Helper()
		return s.trap(t, plant, control)
	}}
}

const insertItem = "INSERT INTO mallory.item (secret) VALUES ('bait')"

// planting are traps for whoever comes by.
var planting = group{"Traps that a migration leaves for the operator, the migrator and others", []probe{
	planted("operators", "operators `=` for text, name and oid", `CREATE OPERATOR = (LEFTARG = text, RIGHTARG = text, FUNCTION = trap_two);
CREATE OPERATOR = (LEFTARG = name, RIGHTARG = name, FUNCTION = trap_names); CREATE OPERATOR = (LEFTARG = oid, RIGHTARG = oid, FUNCTION = trap_oids)`, "SELECT 'a'::text = 'b'::text"),
	planted("functions", "functions named as PostgreSQL's (`lower`, `current_database`, `pg_get_userbyid`, `pg_has_role`, `now`)", `CREATE FUNCTION lower(text) RETURNS text LANGUAGE sql AS 'SELECT mallory.trap_text($1)';
CREATE FUNCTION current_database() RETURNS name LANGUAGE sql AS 'SELECT mallory.trap_text(''shop'')::name'; CREATE FUNCTION now() RETURNS timestamptz LANGUAGE sql AS 'SELECT CASE WHEN mallory.trap('''') THEN pg_catalog.now() END';
CREATE FUNCTION pg_get_userbyid(oid) RETURNS name LANGUAGE sql AS 'SELECT mallory.trap_text(''x'')::name'; CREATE FUNCTION pg_has_role(oid, text) RETURNS boolean LANGUAGE sql AS 'SELECT mallory.trap('''')'`, "SELECT lower('A')"),
	planted("aggregates", "an aggregate `count(anyelement)`, `max(text)`", `CREATE AGGREGATE max(text) (SFUNC = trap_state, STYPE = text)`, "SELECT max('a'::text)"),
	planted("views", "views named as catalogs (`pg_roles`, `pg_class`, `pg_namespace`)", `CREATE VIEW pg_roles AS SELECT trap_text(rolname) AS rolname FROM pg_catalog.pg_roles;
CREATE VIEW pg_namespace AS SELECT trap_text(nspname) AS nspname FROM pg_catalog.pg_namespace; CREATE VIEW pg_class AS SELECT trap_text(relname) AS relname FROM pg_catalog.pg_class`, "SELECT rolname FROM pg_roles LIMIT 1"),
	planted("types", "domains named as PostgreSQL's types (`regclass`, `jsonb`)", `CREATE DOMAIN regclass AS text CHECK (mallory.trap(VALUE)); CREATE DOMAIN jsonb AS text CHECK (mallory.trap(VALUE))`, "SELECT 'pg_class'::mallory.regclass"),
	planted("casts", "implicit casts between text and a type of its own", `CREATE TYPE sly AS (t text); CREATE FUNCTION to_sly(text) RETURNS sly LANGUAGE sql AS 'SELECT ROW(mallory.trap_text($1))::mallory.sly';
CREATE CAST (text AS sly) WITH FUNCTION to_sly(text) AS IMPLICIT; CREATE FUNCTION from_sly(sly) RETURNS text LANGUAGE sql AS 'SELECT mallory.trap_text(($1).t)'; CREATE CAST (sly AS text) WITH FUNCTION from_sly(sly) AS IMPLICIT`, "SELECT 'a'::text::mallory.sly"),
	planted("triggers", "triggers on its tables", `CREATE TRIGGER t BEFORE INSERT OR UPDATE OR DELETE ON item FOR EACH ROW EXECUTE FUNCTION trap_row();
CREATE TRIGGER u BEFORE TRUNCATE ON item FOR EACH STATEMENT EXECUTE FUNCTION trap_row()`, insertItem),
	planted("triggers on the ledger", "a trigger on `tenantry_migrations`, made in a `DO` block", inside("CREATE TRIGGER t BEFORE INSERT OR UPDATE OR DELETE ON tenantry_migrations FOR EACH ROW EXECUTE FUNCTION trap_row()"),
		"UPDATE mallory.tenantry_migrations SET prefix = ''"),
	planted("rules", "a rule on its table", `CREATE RULE r AS ON INSERT TO item DO ALSO SELECT mallory.trap('')`, insertItem),
	planted("defaults", "a default expression", `ALTER TABLE item ADD COLUMN d boolean DEFAULT mallory.trap('')`, insertItem),
	planted("generated columns", "a generated column", `ALTER TABLE item ADD COLUMN g text GENERATED ALWAYS AS (mallory.trap_text(secret)) STORED`, insertItem),
	planted("constraints", "a check constraint", `ALTER TABLE item ADD CHECK (mallory.trap(secret))`, insertItem),
	planted("indexes", "an index on an expression", `CREATE INDEX ON item (mallory.trap_text(secret))`, insertItem),
	planted("statistics", "extended statistics on an expression", `CREATE STATISTICS st ON (mallory.trap_text(secret)), id FROM item`, "ANALYZE mallory.item"),
	planted("row security", "a policy, with `FORCE ROW LEVEL SECURITY`", `ALTER TABLE item ENABLE ROW LEVEL SECURITY; ALTER TABLE item FORCE ROW LEVEL SECURITY; CREATE POLICY p ON item USING (mallory.trap(secret))`, "SET ROLE {mallory_owner}; SELECT * FROM mallory.item"),
	planted("partitions", "a partition key with a function", `CREATE TABLE parted (x text) PARTITION BY LIST (mallory.trap_text(x)); CREATE TABLE part PARTITION OF parted DEFAULT`, "INSERT INTO mallory.parted VALUES ('a')"),
	planted("materialized views", "a materialized view with a function", `CREATE MATERIALIZED VIEW m AS SELECT mallory.trap_text(secret) FROM item`, "REFRESH MATERIALIZED VIEW mallory.m"),
	planted("names that are SQL", "tables, columns and functions whose names are SQL, more than one transaction drops", `DO $do$ BEGIN FOR i IN 1..140 LOOP
	EXECUTE format('CREATE TABLE %I (id int PRIMARY KEY, %I text UNIQUE)', 't' || i || '"; DROP SCHEMA globex CASCADE; --', 'c'' || (SELECT mallory.trap('''')) --'); END LOOP; END $do$;
CREATE FUNCTION "f(); DROP SCHEMA globex CASCADE; --"() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TABLE U&"line\000Abreak %s %n $1 \202E" ()`, "SELECT mallory.trap('')"),
}}

// trap lets a migration leave something, proves that it works, and then runs everything that the
// operator does with a tenant, up to its deletion. It answers with those whom the trap caught and
// should not have caught.
func (s *stage) trap(t *testing.T, plant, control string) (string, error) {
	t.Helper()
	target := s.add(t, attacker, ownSet)
	gone := false
	defer func() {
		if !gone {
			s.leave(t, attacker)
		}
	}()
	names := s.names("{mallory_owner}", target.Owner, "{mallory_app}", target.App)
	files := []string{tenantFiles, trapFunctions, names.Replace(plant)}
	migrator := s.migrator(t, ownSet)
	if _, err := migrations.Apply(t.Context(), migrator.Pool(), target, load(t, files...), ""); err != nil {
		return "", err
	}
	caught := s.listen(t)
	exec(t, s.admin, "SET search_path = mallory, pg_catalog; "+names.Replace(control))
	if len(caught()) == 0 {
		t.Error("the trap does not work")
	}
	s.life(t, target, migrator, append(files, "ALTER TABLE item ADD COLUMN more int;", "CREATE INDEX CONCURRENTLY more ON item (more);"))
	gone = true
	delete(s.logins, attacker)
	allowed := []string{
		migrator.Config().User() + " as " + target.Owner, // its own migrations
		target.App + " as " + target.App, target.App + " as " + target.Owner,
	}
	return strings.Join(slices.DeleteFunc(caught(), func(who string) bool { return slices.Contains(allowed, who) }), "; "), nil
}

// listen returns what ends the waiting: who ran into a trap since the last call.
func (s *stage) listen(t *testing.T) func() []string {
	t.Helper()
	config := must(pgx.ParseConfig(s.admin))(t)
	var heard []string
	config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) { heard = append(heard, n.Payload) }
	conn := must(pgx.ConnectConfig(t.Context(), config))(t)
	t.Cleanup(func() { hangUp(t, conn) })
	mustRun := func(sql string) {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	mustRun("LISTEN trapped")
	return func() []string {
		// One's own notification comes behind all that were committed before it.
		mustRun("NOTIFY trapped, 'end'")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for !slices.Contains(heard, "end") {
			if _, err := conn.WaitForNotification(ctx); err != nil {
				t.Fatal(err)
			}
		}
		all := slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(heard))), func(who string) bool { return who == "end" })
		heard = nil
		return all
	}
}

// life is everything that the operator does with a tenant and beside it.
func (s *stage) life(t *testing.T, target migrations.Target, migrator *postgres.DB, files []string) {
	t.Helper()
	tn := tenantOf(attacker, ownSet)
	ctx := t.Context()
	login := s.logins[attacker]
	do := func(what string, errs ...error) {
		t.Helper()
		for _, err := range errs {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	// What is amiss makes Provision act as keeper, as itself and as the tenant's owner.
	exec(t, s.admin, s.names("{app}", target.App, "{owner}", target.Owner).Replace(
		"REVOKE USAGE ON SCHEMA mallory FROM {app}; ALTER SCHEMA mallory OWNER TO {operator}; ALTER ROLE {app} CONNECTION LIMIT 1; ALTER DEFAULT PRIVILEGES FOR ROLE {owner} REVOKE SELECT ON TABLES FROM {app}"))
	_, observe := s.db.Observe(ctx, tn)
	_, provision := s.db.Provision(ctx, tn)
	do("Observe, Provision", observe, provision)
	set := load(t, files...)
	_, apply := migrations.Apply(ctx, migrator.Pool(), target, set, "")
	_, read := migrations.ReadLedger(ctx, migrator.Pool(), target)
	_, others := migrations.ReadLedger(ctx, migrator.Pool(), s.target(sibling))
	do("migrations", apply, read, others)
	do("SetPassword", s.db.SetPassword(ctx, tn.UID, tn.Schema, must(postgres.SCRAMVerifier(login.Password()))(t)), postgres.Login(ctx, login))
	_, probed := postgres.Probe(ctx, login, tn.Schema)
	_, domains := s.db.SetDomains(ctx, tn.UID, tn.Schema, []string{"mallory.example.com"})
	_, version := s.db.SetVersion(ctx, tn.UID, tn.Schema, "5", "digest")
	do("Probe, SetDomains, SetVersion", probed, domains, version)
	_, tenants := s.db.Tenants(ctx)
	_, found, find := s.db.FindTenant(ctx, tn.UID)
	_, known := s.db.KnowsName(ctx, tn.Namespace, tn.Name)
	_, files1 := s.db.AppliedFiles(ctx, ownSet)
	_, preflight := s.db.Preflight(ctx)
	do("the registry", tenants, find, known, files1, preflight)
	if !found {
		t.Error("the registry does not know the tenant")
	}
	_, bootstrap := s.db.Bootstrap(ctx, "marker", sharedSchema)
	_, _, shared := s.db.EnsureShared(ctx, sharedSchema, sharedSet)
	_, granted := s.db.SetSharedGrants(ctx, sharedSchema, s.grants())
	do("Bootstrap", bootstrap, shared, granted)
	_, away := s.db.GrantOwner(ctx, tn.UID, tn.Schema, strangerSet)
	_, back := s.db.GrantOwner(ctx, tn.UID, tn.Schema, ownSet)
	do("GrantOwner", away, back)
	hold := must(pgx.Connect(ctx, login.URI()))(t)
	defer hangUp(t, hold)
	do("DisableLogins", s.db.DisableLogins(ctx, tn.UID, tn.Schema))
	do("Retain, Adopt, Drop", s.db.Retain(ctx, tn.UID, tn.Schema), s.db.Adopt(ctx, tn, tn.UID), s.db.Drop(ctx, tn.UID, tn.Schema))
	if left := value(t, s.admin, "SELECT count(*) FROM pg_roles WHERE rolname IN ('"+target.App+"', '"+target.Owner+"')"); left != "0" {
		t.Error(fmt.Sprint(left, " roles are left"))
	}
}
