package probes

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/migrations"
	"github.com/tenantry/tenantry/internal/postgres"
)

// whenRead is how a statement is refused that the reader of migrations sees.
const whenRead = migrations.ReasonInvalidMigration

const oneTeam = "all tenants of a set have one team's SQL, and one login runs it"

// inside is SQL in a DO block, where the reader of migrations sees nothing but a string.
func inside(statements ...string) string {
	text := "DO $do$ BEGIN "
	for _, sql := range statements {
		text += "EXECUTE $sql$" + sql + "$sql$; "
	}
	return text + "END $do$;"
}

// smuggled hides a statement from a reader that takes backslashes in quotes for what they are by
// default. The last line has the file run statement by statement.
const smuggled = `SET standard_conforming_strings = off;
SELECT 'a\' || '; RESET ROLE; SET ROLE {stranger_owner}; --';
CREATE INDEX CONCURRENTLY i ON item (secret);`

// file makes a probe of a migration.
func file(name, tries, sql string, want outcome) probe {
	return probe{name: name, tries: tries, by: byMigration, sql: sql, want: want}
}

// tried makes a probe of a migration that takes more than one file.
func tried(name, tries string, do func(*testing.T, *stage) (string, error), gives string, want outcome) probe {
	return probe{name: name, tries: tries, by: byMigration, do: do, gives: gives, want: want}
}

// migrating are attempts of who writes a tenant's migrations.
var migrating = group{"By a migration", []probe{
	file("RESET ROLE", "`RESET ROLE` in the file", "RESET ROLE", refused(whenRead)),
	file("SET ROLE", "`SET ROLE` to another tenant's owner, in the file", "SET ROLE {sibling_owner}", refused(whenRead)),
	file("SET ROLE spelled otherwise", "`SET LOCAL \"role\" = ...`", `SET LOCAL "role" = 'x'`, refused(whenRead)),
	file("SET SESSION AUTHORIZATION", "`SET SESSION AUTHORIZATION DEFAULT` in the file", "SET SESSION AUTHORIZATION DEFAULT", refused(whenRead)),
	file("DISCARD ALL", "`DISCARD ALL` in the file", "DISCARD ALL", refused(whenRead)),
	file("ROLLBACK", "`ROLLBACK`, to get out of the ledger's transaction", "ROLLBACK", refused(whenRead)),
	file("COMMIT", "`COMMIT` in the middle of the file", "CREATE TABLE x (); COMMIT; CREATE TABLE y ()", refused(whenRead)),
	file("COMMIT in DO", "`COMMIT` in a `DO` block", "DO $$ BEGIN COMMIT; END $$", refused("2D000")),
	file("COMMIT in a procedure", "`COMMIT` in a procedure", "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$; CALL p()", refused("2D000")),
	file("DISCARD ALL in DO", "`DISCARD ALL` in a `DO` block", inside("DISCARD ALL"), refused("25001")),
	file("the ledger", "`DELETE FROM tenantry_migrations` in the file", "DELETE FROM tenantry_migrations", refused(whenRead)),
	file("another's ledger", "`INSERT` into another tenant's ledger, in a `DO` block", inside("INSERT INTO globex.tenantry_migrations (version) VALUES ('9')"), refused(denied)),
	file("the registry by migration", "`UPDATE tenantry.tenant`", "UPDATE tenantry.tenant SET tenant_uid = 'x'", refused(denied)),
	file("the registry, without the role", "`UPDATE tenantry.tenant` after `RESET ROLE` in a `DO` block", inside("RESET ROLE", "UPDATE tenantry.tenant SET tenant_uid = 'x'"), refused(denied)),
	file("another tenant", "`SELECT` from a tenant of the same set", "SELECT * FROM globex.item", refused(denied)),
	file("another tenant, by a path", "`SET LOCAL search_path` to another tenant, and a table by its name alone", "SET LOCAL search_path = globex, pg_catalog; SELECT * FROM item", refused("42P01")),
	tried("a path for later", "`SET search_path` in a file, for the files and tenants behind it", pathForLater, "globex is not there", harmless("the session is cleaned up between two files")),
	file("another tenant, without the role", "the same after `RESET ROLE` in a `DO` block: the migrator inherits nothing", inside("RESET ROLE", "SELECT * FROM globex.item"), refused(denied)),
	tried("another tenant of the set, in its role", "`RESET ROLE` and `SET ROLE` to the owner of another tenant of the same set, in a `DO` block", siblingByRole, "changed",
		open(oneTeam, "Give tenants whose migrations must not see each other a MigrationSet each")),
	file("another set's tenant, in its role", "`SET ROLE` to the owner of a tenant of another set, in a `DO` block", inside("RESET ROLE", "SET ROLE {stranger_owner}"), refused(denied)),
	file("another tenant's login, in its role", "`SET ROLE` to another tenant's login, in a `DO` block", inside("RESET ROLE", "SET ROLE {sibling_app}"), refused(denied)),
	file("the operator, in its role", "`SET ROLE` to the operator, in a `DO` block", inside("RESET ROLE", "SET ROLE {operator}"), refused(denied)),
	file("a keeper, in its role", "`SET ROLE` to a keeper, in a `DO` block", inside("RESET ROLE", "SET ROLE {keeper}"), refused(denied)),
	file("the shared owner, in its role", "`SET ROLE` to the shared schema's owner, in a `DO` block", inside("RESET ROLE", "SET ROLE {shared_owner}"), refused(denied)),
	file("the operator's session", "`SET SESSION AUTHORIZATION` to the operator, in a `DO` block", inside("SET SESSION AUTHORIZATION {operator}"), refused(denied)),
	file("past the reader", "a statement between quotes that the reader takes for text, after `SET standard_conforming_strings = off`", smuggled, refused(denied)),
	file("roles", "`CREATE ROLE` in the file", "CREATE ROLE x", refused(whenRead)),
	file("roles in DO", "`CREATE ROLE` in a `DO` block", inside("CREATE ROLE x"), refused(denied)),
	file("membership", "`GRANT` of its owner to another tenant's login", "GRANT {mallory_owner} TO {sibling_app}", refused(whenRead)),
	file("membership in DO", "the same in a `DO` block", inside("GRANT {mallory_owner} TO {sibling_app}"), refused(denied)),
	file("ALTER SYSTEM in DO", "`ALTER SYSTEM` in a `DO` block", inside("ALTER SYSTEM SET work_mem = '1GB'"), refused("25001")),
	file("ALTER DATABASE in DO", "`ALTER DATABASE ... SET` in a `DO` block", inside("ALTER DATABASE {database} SET search_path = mallory"), refused(denied)),
	file("a schema", "`CREATE SCHEMA`", "CREATE SCHEMA x", refused(denied)),
	file("an extension by migration", "`CREATE EXTENSION` of one that PostgreSQL trusts", "CREATE EXTENSION hstore", refused(denied)),
	file("a function in C", "`CREATE FUNCTION ... LANGUAGE c`", "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'libc', 'system'", refused(denied)),
	file("an internal function", "`CREATE FUNCTION ... LANGUAGE internal`", "CREATE FUNCTION f(text) RETURNS text LANGUAGE internal AS 'pg_read_file_all'", refused(denied)),
	file("a program", "`COPY ... FROM PROGRAM`", "COPY item (secret) FROM PROGRAM 'id'", refused(denied)),
	file("a file of the server", "`COPY ... FROM '/etc/passwd'`", "COPY item (secret) FROM '/etc/passwd'", refused(denied)),
	file("an event trigger by migration", "`CREATE EVENT TRIGGER`", "CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER x ON ddl_command_start EXECUTE FUNCTION e()", refused(denied)),
	file("an operator class for all", "`CREATE OPERATOR CLASS ... DEFAULT FOR TYPE text`", "CREATE OPERATOR CLASS x DEFAULT FOR TYPE text USING btree AS STORAGE text", refused(denied)),
	file("a publication", "`CREATE PUBLICATION`", "CREATE PUBLICATION x", refused(denied)),
	file("a temporary table by migration", "`CREATE TEMPORARY TABLE`", "CREATE TEMPORARY TABLE x ()", refused(denied)),
	file("a view on another tenant", "`CREATE VIEW` over another tenant's table", "CREATE VIEW v AS SELECT * FROM globex.item", refused(denied)),
	file("a foreign key to another tenant", "`REFERENCES globex.item`", "CREATE TABLE x (id bigint REFERENCES globex.item)", refused(denied)),
	file("a child of another tenant's table", "`INHERITS (globex.item)`", "CREATE TABLE x () INHERITS (globex.item)", refused(denied)),
	file("a shared table that is not granted", "`SELECT` from a shared table without a grant", "SELECT * FROM shared.accounts", refused(denied)),
	file("a table in the shared schema", "`CREATE TABLE shared.x`", "CREATE TABLE shared.x ()", refused(denied)),
	tried("its schema for all", "`GRANT USAGE` on its schema and `SELECT` on its tables to PUBLIC", openToAll, "taken back", harmless("it is the tenant's own; the operator takes the schema back at its next pass")),
	tried("its tables to come for all", "`ALTER DEFAULT PRIVILEGES ... TO PUBLIC`", defaultsToAll, "taken back", harmless("the operator takes them back at its next pass")),
	tried("hold up another's deletion by a grant", "`GRANT SELECT` on its table to another tenant's roles, which nobody can drop then", grantOnTable, "", harmless("the operator takes such rights back when it drops the other tenant")),
	tried("a trap in a SECURITY DEFINER function", "a function of the owner that sets the role, called by the login", definer, "", refused(denied)),
	tried("its migrator's password", "`ALTER ROLE` of the migrator itself, in a `DO` block", migratorsPassword, "works again", harmless("the operator finds the login refused and sets a new password")),
	tried("its migrator's settings", "`ALTER ROLE CURRENT_USER SET local_preload_libraries` of the migrator, which lets nobody log in", migratorsSettings, "58P01 for its own set alone", harmless("it stops its own set's migrations; a DBA mends it by `ALTER ROLE ... RESET ALL`")),
	tried("a view in the ledger's place", "a view that runs a function of the migration's as whoever reads the ledger", falseLedger, migrations.ReasonLedgerUnusable, harmless("only the plain table of the owner is read")),
	tried("into another tenant's session", "a trigger behind a foreign key to a shared table, which sets `search_path` in the session of another tenant that deletes the shared row", throughForeignKey, "mallory",
		open("a `REFERENCES` grant lets SQL of one tenant run where another deletes", "Grant `REFERENCES`, and `DELETE` or `UPDATE` on the same table, only where all tenants have one team's migrations")),
	tried("a DBA who looks", "a view with a function of the migration's, which a superuser reads", dbaReads, "superuser",
		open("a function runs as whoever calls it", "`SET ROLE` to the tenant's owner before you look")),
	tried("a DBA who analyzes", "an index on a function of the migration's that sets the role, at a superuser's `ANALYZE`", dbaAnalyzes, "", refused(denied)),
}}

// pathForLater leaves a path to the next file, and to the next tenant on the same session.
func pathForLater(t *testing.T, s *stage) (string, error) {
	t.Helper()
	target := s.add(t, attacker, ownSet)
	defer s.leave(t, attacker)
	pool := s.migrator(t, ownSet).Pool()
	set := load(t, tenantFiles, "SET search_path = globex", "CREATE TABLE later AS SELECT current_setting('search_path') AS path")
	if _, err := migrations.Apply(t.Context(), pool, target, set, ""); err != nil {
		return "", err
	}
	var now string
	if err := pool.QueryRow(t.Context(), "SHOW search_path").Scan(&now); err != nil {
		t.Fatal(err)
	}
	if path := value(t, s.admin, "SELECT path FROM mallory.later"); strings.Contains(path+now, "globex") {
		return path + "; " + now, nil
	}
	return "globex is not there", nil
}

// siblingByRole changes a row of another tenant, in a transaction that is taken back.
func siblingByRole(t *testing.T, s *stage) (string, error) {
	t.Helper()
	err := s.migrate(t, inside("RESET ROLE", "SET ROLE {sibling_owner}", "UPDATE globex.item SET secret = 'x'"))
	got := value(t, s.admin, "SELECT secret = 'x' FROM globex.item")
	exec(t, s.admin, "UPDATE globex.item SET secret = 'secret of globex'")
	if err == nil && got == "true" {
		return "changed", nil
	}
	return "not changed", err
}

func openToAll(t *testing.T, s *stage) (string, error) {
	t.Helper()
	return s.takenBack(t, "GRANT USAGE ON SCHEMA mallory TO PUBLIC; GRANT SELECT ON item TO PUBLIC",
		"SELECT has_schema_privilege({sibling_app_text}, 'mallory', 'USAGE')")
}

func defaultsToAll(t *testing.T, s *stage) (string, error) {
	t.Helper()
	return s.takenBack(t, "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC",
		"SELECT EXISTS (SELECT FROM pg_default_acl d, aclexplode(defaclacl) x WHERE defaclrole = {mallory_owner_text}::regrole AND x.grantee = 0)")
}

// takenBack runs a migration that gives something away, and then the operator's next pass.
func (s *stage) takenBack(t *testing.T, sql, given string) (string, error) {
	t.Helper()
	target := s.add(t, attacker, ownSet)
	defer s.leave(t, attacker)
	names := s.names("{mallory_owner}", target.Owner)
	_, err := migrations.Apply(t.Context(), s.migrator(t, ownSet).Pool(), target, load(t, tenantFiles, names.Replace(sql)), "")
	if err != nil {
		return "", err
	}
	if value(t, s.admin, names.Replace(given)) != "true" {
		return "nothing was given", nil
	}
	provision(t, s.db, tenantOf(attacker, ownSet))
	if value(t, s.admin, names.Replace(given)) != "false" {
		return "still given", nil
	}
	return "taken back", nil
}

// grantOnTable is what grantOnLargeObject does, by a migration.
func grantOnTable(t *testing.T, s *stage) (string, error) {
	t.Helper()
	theirs := s.add(t, victim, ownSet)
	target := s.add(t, attacker, ownSet)
	roles := pgx.Identifier{theirs.App}.Sanitize() + ", " + pgx.Identifier{theirs.Owner}.Sanitize()
	set := load(t, tenantFiles, "GRANT SELECT ON item TO "+roles+"; GRANT UPDATE (secret) ON item TO "+roles+"; GRANT EXECUTE ON FUNCTION price() TO "+roles+
		"; GRANT USAGE ON SCHEMA mallory TO "+roles+"; GRANT USAGE ON TYPE mood TO "+roles+"; GRANT USAGE ON SEQUENCE number TO "+roles)
	if _, err := migrations.Apply(t.Context(), s.migrator(t, ownSet).Pool(), target, set, ""); err != nil {
		t.Fatal(err)
	}
	err := s.db.Drop(t.Context(), "uid-"+victim, victim)
	s.leave(t, attacker)
	s.leave(t, victim)
	return "", err
}

func definer(t *testing.T, s *stage) (string, error) {
	t.Helper()
	target := s.add(t, attacker, ownSet)
	defer s.leave(t, attacker)
	const text = `CREATE FUNCTION trap() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN PERFORM set_config('role', 'none', false); RETURN current_user; END $$`
	if _, err := migrations.Apply(t.Context(), s.migrator(t, ownSet).Pool(), target, load(t, tenantFiles, text), ""); err != nil {
		t.Fatal(err)
	}
	return s.session(t, s.uri(attacker), nil, "SELECT trap()")
}

// migratorsPassword gives the login of its own set another password, and then does what the operator
// does with a login that is refused.
func migratorsPassword(t *testing.T, s *stage) (string, error) {
	t.Helper()
	if err := s.migrate(t, inside("RESET ROLE", "ALTER ROLE CURRENT_USER PASSWORD 'known'")); err != nil {
		return "", err
	}
	if err := postgres.Login(t.Context(), must(s.db.EnsureMigrator(t.Context(), ownSet))(t)); postgres.CauseOf(err) != postgres.AuthenticationFailed {
		return "the password is the old one", err
	}
	s.forgetMigrator(t, ownSet)
	_, err := migrations.ReadLedger(t.Context(), s.migrator(t, ownSet).Pool(), s.target(own))
	return "works again", err
}

// migratorsSettings spoils the login of its own set, and looks at another set's.
func migratorsSettings(t *testing.T, s *stage) (string, error) {
	t.Helper()
	if err := s.migrate(t, inside("RESET ROLE", "ALTER ROLE CURRENT_USER SET local_preload_libraries = 'nothing'")); err != nil {
		return "", err
	}
	spoiled := postgres.Login(t.Context(), must(s.db.EnsureMigrator(t.Context(), ownSet))(t))
	_, err := migrations.ReadLedger(t.Context(), s.migrator(t, strangerSet).Pool(), s.target(stranger))
	exec(t, s.admin, s.names().Replace("ALTER ROLE {migrator} RESET ALL"))
	return stateOf(spoiled) + " for its own set alone", err
}

func falseLedger(t *testing.T, s *stage) (string, error) {
	t.Helper()
	target := s.add(t, attacker, ownSet)
	defer s.leave(t, attacker)
	set := load(t, tenantFiles, inside("ALTER TABLE tenantry_migrations RENAME TO real_one",
		"CREATE FUNCTION trap() RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trapped''; END'",
		"CREATE VIEW tenantry_migrations AS SELECT trap() AS version, file, checksum, state, finished, in_doubt, prefix, runner, applied_at FROM real_one"))
	pool := s.migrator(t, ownSet).Pool()
	if _, err := migrations.Apply(t.Context(), pool, target, set, ""); err != nil {
		return "", err
	}
	_, err := migrations.Apply(t.Context(), pool, target, set, "")
	return fault.ReasonOf(err), nil
}
