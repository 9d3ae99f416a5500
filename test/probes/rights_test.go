package probes

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/postgres"
)

// healed lets the operator put the attacker right by Provision and SetPassword, as its passes do.
func healed(t *testing.T, s *stage) { s.heal(t, own, ownSet) }

// resets takes a setting back that a tenant gave itself, as the tenant can.
func resets(t *testing.T, s *stage) {
	exec(t, s.admin, s.names().Replace("ALTER ROLE {own_app} RESET ALL"))
}

// ownRole are attempts on what a login has, and may change, of its own.
var ownRole = group{"What a tenant's login can do to itself", []probe{
	{name: "become superuser", tries: "`ALTER ROLE CURRENT_USER SUPERUSER`", sql: "ALTER ROLE CURRENT_USER SUPERUSER", want: refused(denied)},
	{name: "give itself CREATEROLE", tries: "`ALTER ROLE CURRENT_USER CREATEROLE`", sql: "ALTER ROLE CURRENT_USER CREATEROLE", want: refused(denied)},
	{name: "give itself BYPASSRLS", tries: "`ALTER ROLE CURRENT_USER BYPASSRLS`", sql: "ALTER ROLE CURRENT_USER BYPASSRLS", want: refused(denied)},
	{name: "give itself REPLICATION", tries: "`ALTER ROLE CURRENT_USER REPLICATION`", sql: "ALTER ROLE CURRENT_USER REPLICATION", want: refused(denied)},
	{name: "lift its connection limit", tries: "`ALTER ROLE CURRENT_USER CONNECTION LIMIT -1`", sql: "ALTER ROLE CURRENT_USER CONNECTION LIMIT -1", want: refused(denied)},
	{name: "more sessions than its limit", tries: "one connection more than `limits.connections`", do: tooMany, want: refused("53300")},
	{name: "rename itself", tries: "`ALTER ROLE ... RENAME`", sql: "ALTER ROLE {own_app} RENAME TO x", want: refused("0A000")},
	{name: "its own password", tries: "`ALTER ROLE CURRENT_USER PASSWORD`", sql: "ALTER ROLE CURRENT_USER PASSWORD 'of its own'", after: healed, want: harmless("the operator finds its Secret's password refused and sets it again")},
	{name: "its own search_path", tries: "`ALTER ROLE CURRENT_USER SET search_path`, for all databases", sql: "ALTER ROLE CURRENT_USER SET search_path = globex", after: resets, want: harmless("it counts less than the operator's setting for the database, and a path gives no rights")},
	{name: "its own search_path in the database", tries: "`ALTER ROLE ... IN DATABASE ... SET search_path`", sql: "ALTER ROLE {own_app} IN DATABASE {database} SET search_path = globex", after: healed, want: harmless("a path gives no rights; the operator puts it back")},
	{name: "lift its timeouts", tries: "`SET statement_timeout = 0`", sql: "SET statement_timeout = 0; SHOW statement_timeout", gives: "0", want: open("a timeout of a role is a default, not a wall", "End long statements from outside, or give the customer a server of its own")},
	{name: "take more memory", tries: "`SET work_mem`", sql: "SET work_mem = '64GB'; SHOW work_mem", gives: "64GB", want: open("PostgreSQL has no quota of memory, CPU or disk for a role", "Give a customer that may not slow down others a server of its own")},
	{name: "its own settings at log-in", tries: "`ALTER ROLE CURRENT_USER SET role`", sql: "ALTER ROLE CURRENT_USER SET role = 'postgres'", after: resets, want: harmless("at log-in a role that it may not become is refused with a warning")},
	{name: "switch triggers off", tries: "`SET session_replication_role = replica`", sql: "SET session_replication_role = replica", want: refused(denied)},
	{name: "switch logging off", tries: "`SET log_statement = none`", sql: "SET log_statement = 'none'", want: refused(denied)},
	{name: "give its rights away", tries: "`GRANT SELECT` on its own table to another tenant", sql: "GRANT SELECT ON item TO {sibling_app}; SELECT has_table_privilege({sibling_app_text}, 'acme.item', 'SELECT')", gives: "f", want: harmless("it has no right to grant: PostgreSQL warns and grants nothing")},
	{name: "give its schema away", tries: "`GRANT USAGE` on its own schema to PUBLIC", sql: "GRANT USAGE ON SCHEMA acme TO PUBLIC; SELECT has_schema_privilege({sibling_app_text}, 'acme', 'USAGE')", gives: "f", want: harmless("it has no right to grant: PostgreSQL warns and grants nothing")},
	{name: "give away what it will own", tries: "`ALTER DEFAULT PRIVILEGES ... TO PUBLIC`", sql: "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC", after: func(t *testing.T, s *stage) {
		exec(t, s.uri(own), "ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM PUBLIC")
	}, want: harmless("a login owns no tables; it goes with the login")},
	{name: "drop its own rights", tries: "`DROP OWNED BY CURRENT_USER`", sql: "DROP OWNED BY CURRENT_USER", after: healed, want: harmless("it loses rights on its own tables to come; the operator gives them again")},
	{name: "make a table", tries: "`CREATE TABLE` in its own schema", sql: "CREATE TABLE x ()", want: refused(denied)},
	{name: "make a function", tries: "`CREATE FUNCTION` in its own schema", sql: "CREATE FUNCTION lower(text) RETURNS text LANGUAGE sql AS 'SELECT $1'", want: refused(denied)},
	{name: "make an operator", tries: "`CREATE OPERATOR` in its own schema", sql: "CREATE OPERATOR = (LEFTARG = name, RIGHTARG = text, FUNCTION = texteq)", want: refused(denied)},
	{name: "make a temporary table", tries: "`CREATE TEMPORARY TABLE`", sql: "CREATE TEMPORARY TABLE x ()", want: refused(denied)},
	{name: "make a temporary function", tries: "`CREATE FUNCTION pg_temp.f()`", sql: "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", want: refused(denied)},
	{name: "change its own table", tries: "`ALTER TABLE` of its own schema", sql: "ALTER TABLE item DISABLE TRIGGER ALL", want: refused(denied)},
	{name: "empty its own table", tries: "`TRUNCATE` of its own table", sql: "TRUNCATE item", want: refused(denied)},
	{name: "its own ledger", tries: "`DELETE FROM tenantry_migrations` of its own schema", sql: "DELETE FROM tenantry_migrations", want: refused(denied)},
	{name: "drop its own schema", tries: "`DROP SCHEMA` of its own", sql: "DROP SCHEMA acme CASCADE", want: refused(denied)},
	{name: "hold up another tenant's deletion", tries: "`GRANT` on a large object of its own to another tenant's login, which nobody can drop then", do: grantOnLargeObject, want: harmless("the operator takes such rights back when it drops the other tenant")},
	{name: "hold up another tenant's deletion by a lock", tries: "a transaction that stays open after `ALTER DEFAULT PRIVILEGES ... TO` another tenant's login", do: holdDrop, gives: string(postgres.LockTimeout), want: open("a role cannot be dropped while a transaction names it", "The deletion waits and says so; end that session, or let `limits.idleInTransactionTimeoutSeconds` end it")},
}}

// registryAndOperator are attempts on what is Tenantry's own.
var registryAndOperator = group{"The registry and the operator, by a tenant's login", []probe{
	{name: "read the registry", tries: "`SELECT` from `tenantry.tenant`", sql: "SELECT * FROM tenantry.tenant", want: refused(denied)},
	{name: "write the registry", tries: "`UPDATE tenantry.tenant` to own another schema", sql: "UPDATE tenantry.tenant SET tenant_uid = 'uid-acme' WHERE schema_name = 'globex'", want: refused(denied)},
	{name: "take a host", tries: "`INSERT INTO tenantry.domain`", sql: "INSERT INTO tenantry.domain VALUES ('globex.example.com', 'acme', 0)", want: refused(denied)},
	{name: "lock the registry", tries: "`LOCK tenantry.tenant`, to stop the operator", sql: "BEGIN; LOCK tenantry.tenant", want: refused(denied)},
	{name: "lock a catalog", tries: "`LOCK pg_catalog.pg_authid`, to stop the operator", sql: "BEGIN; LOCK pg_catalog.pg_authid IN SHARE MODE", want: refused(denied)},
	{name: "lock a catalog that it may read", tries: "`LOCK pg_catalog.pg_namespace IN ACCESS EXCLUSIVE MODE`", sql: "BEGIN; LOCK pg_catalog.pg_namespace IN ACCESS EXCLUSIVE MODE", want: refused(denied)},
	{name: "drop the registry", tries: "`DROP SCHEMA tenantry CASCADE`", sql: "DROP SCHEMA tenantry CASCADE", want: refused(denied)},
	{name: "make something in the registry", tries: "`CREATE TABLE tenantry.x`", sql: "CREATE TABLE tenantry.x ()", want: refused(denied)},
	{name: "a table in public", tries: "`CREATE TABLE public.x`", sql: "CREATE TABLE public.x ()", want: refused(denied)},
	{name: "a table in pg_catalog", tries: "`CREATE TABLE pg_catalog.x`", sql: "CREATE TABLE pg_catalog.x ()", want: refused(denied)},
	{name: "write a catalog", tries: "`UPDATE pg_catalog.pg_proc`", sql: "UPDATE pg_catalog.pg_proc SET prosrc = ''", want: refused(denied)},
	{name: "what the operator runs", tries: "the operator's SQL in `pg_stat_activity`", sql: "SELECT count(*) FROM pg_stat_activity WHERE usename = {operator_text} AND query <> '<insufficient privilege>'", gives: "0", want: harmless("the text of others' statements is masked")},
	{name: "hide from the operator's look", tries: "a wrong answer to the probe that logs in as the tenant, by `search_path` of its role", sql: "ALTER ROLE {own_app} IN DATABASE {database} SET search_path = acme, pg_catalog", after: func(t *testing.T, s *stage) {
		if r := must(postgres.Probe(t.Context(), s.logins[own], own))(t); !r.SchemaUsage || r.User != s.logins[own].User() {
			t.Errorf("the probe was misled: %+v", r)
		}
		healed(t, s)
	}, want: harmless("the probe sets its own path in its transaction")},
}}

// serverAndDatabases are attempts on the server, its files and its other databases.
var serverAndDatabases = group{"The server and other databases, by a tenant's login", []probe{
	{name: "ALTER SYSTEM", tries: "`ALTER SYSTEM SET`", sql: "ALTER SYSTEM SET work_mem = '1GB'", want: refused(denied)},
	{name: "ALTER DATABASE SET", tries: "`ALTER DATABASE ... SET`", sql: "ALTER DATABASE {database} SET search_path = acme", want: refused("42501")},
	{name: "rename the database", tries: "`ALTER DATABASE ... RENAME`", sql: "ALTER DATABASE {database} RENAME TO x", want: refused(denied)},
	{name: "make a database", tries: "`CREATE DATABASE`", sql: "CREATE DATABASE x", want: refused(denied)},
	{name: "drop another database", tries: "`DROP DATABASE`", sql: "DROP DATABASE {elsewhere}", want: refused(denied)},
	{name: "make a schema", tries: "`CREATE SCHEMA`", sql: "CREATE SCHEMA x", want: refused(denied)},
	{name: "another Tenantry database", tries: "a connection to another TenantDatabase of the server", do: connectTo("{elsewhere}"), want: refused(denied)},
	{name: "the database postgres", tries: "a connection to `postgres`", do: connectTo("postgres"), gives: "postgres", want: open("PostgreSQL lets every login connect there", "`REVOKE CONNECT ON DATABASE postgres FROM PUBLIC`, as the condition `Privileged` says; nothing of Tenantry's is in it")},
	{name: "hold up its own deletion", once: true, tries: "a large object of its own in `postgres`, which the operator cannot drop", do: ownElsewhere, gives: string(postgres.DependentObjects), want: open("a role cannot be dropped while it owns something in another database", "The deletion waits and names the database; `REVOKE CONNECT ON DATABASE postgres FROM PUBLIC`, and `DROP OWNED BY` there")},
	{name: "copy a program's output", tries: "`COPY ... FROM PROGRAM`", sql: "COPY item (secret) FROM PROGRAM 'id'", want: refused(denied)},
	{name: "copy to a program", tries: "`COPY ... TO PROGRAM`", sql: "COPY item TO PROGRAM 'cat'", want: refused(denied)},
	{name: "copy a file", tries: "`COPY ... FROM '/etc/passwd'`", sql: "COPY item (secret) FROM '/etc/passwd'", want: refused(denied)},
	{name: "write a file", tries: "`COPY ... TO` a file of the server", sql: "COPY item TO '/tmp/x'", want: refused(denied)},
	{name: "read a file", tries: "`pg_read_file`", sql: "SELECT pg_read_file('PG_VERSION')", want: refused(denied)},
	{name: "read a file as bytes", tries: "`pg_read_binary_file`", sql: "SELECT pg_read_binary_file('global/pg_filenode.map')", want: refused(denied)},
	{name: "list files", tries: "`pg_ls_dir`", sql: "SELECT pg_ls_dir('.')", want: refused(denied)},
	{name: "read the log's folder", tries: "`pg_ls_logdir`, `pg_current_logfile`", sql: "SELECT pg_ls_logdir()", want: refused(denied)},
	{name: "import a file", tries: "`lo_import`", sql: "SELECT lo_import('/etc/passwd')", want: refused(denied)},
	{name: "export a file", tries: "`lo_export`", sql: "SELECT lo_export(1, '/tmp/x')", want: refused(denied)},
	{name: "read pg_hba.conf", tries: "`pg_hba_file_rules`", sql: "SELECT * FROM pg_hba_file_rules", want: refused(denied)},
	{name: "read the server's paths", tries: "`SHOW data_directory`", sql: "SHOW data_directory", want: refused(denied)},
	{name: "read protected settings", tries: "`pg_settings` of superusers", sql: "SELECT count(*) FROM pg_settings WHERE name IN ('data_directory', 'config_file', 'hba_file', 'ident_file')", gives: "0", want: harmless("they are not shown")},
	{name: "reload the settings", tries: "`pg_reload_conf`", sql: "SELECT pg_reload_conf()", want: refused(denied)},
	{name: "checkpoint", tries: "`CHECKPOINT`", sql: "CHECKPOINT", want: refused(denied)},
	{name: "log memory", tries: "`pg_log_backend_memory_contexts` of another session", sql: "SELECT pg_log_backend_memory_contexts(pg_backend_pid())", want: refused(denied)},
	{name: "stream the log", tries: "a replication connection", do: replicate, want: refused(denied)},
	{name: "decode the log", tries: "`pg_create_logical_replication_slot`", sql: "SELECT pg_create_logical_replication_slot('x', 'test_decoding')", want: refused(denied)},
	{name: "publish", tries: "`CREATE PUBLICATION`", sql: "CREATE PUBLICATION x FOR ALL TABLES", want: refused(denied)},
	{name: "subscribe", tries: "`CREATE SUBSCRIPTION`", sql: "CREATE SUBSCRIPTION x CONNECTION '' PUBLICATION y WITH (connect = false)", want: refused(denied)},
	{name: "an extension", tries: "`CREATE EXTENSION` of one that reaches out (`dblink`, `file_fdw`)", sql: "CREATE EXTENSION dblink", want: refused(denied)},
	{name: "a trusted extension", tries: "`CREATE EXTENSION` of one that PostgreSQL trusts (`hstore`)", sql: "CREATE EXTENSION hstore", want: refused(denied)},
	{name: "drop an extension", tries: "`DROP EXTENSION plpgsql`", sql: "DROP EXTENSION plpgsql CASCADE", want: refused(denied)},
	{name: "a foreign server", tries: "`CREATE SERVER`", sql: "CREATE FOREIGN DATA WRAPPER x", want: refused(denied)},
	{name: "an untrusted language", tries: "`CREATE LANGUAGE`", sql: "CREATE LANGUAGE plpython3u", want: refused(denied)},
	{name: "load a library", tries: "`LOAD`", sql: "LOAD 'auto_explain'", want: refused(denied)},
	{name: "preload a library", tries: "`session_preload_libraries` in the start-up packet", do: startWith("-c session_preload_libraries=auto_explain", ""), want: refused(denied)},
	{name: "an event trigger", tries: "`CREATE EVENT TRIGGER`", sql: "CREATE EVENT TRIGGER x ON ddl_command_start EXECUTE FUNCTION suppress_redundant_updates_trigger()", want: refused(denied)},
	{name: "a tablespace", tries: "`CREATE TABLESPACE`", sql: "CREATE TABLESPACE x LOCATION '/tmp'", want: refused(denied)},
	{name: "reset the statistics", tries: "`pg_stat_reset`", sql: "SELECT pg_stat_reset()", want: refused(denied)},
	{name: "anonymous code", tries: "`DO` with whatever it may do itself", sql: "DO $$ BEGIN EXECUTE 'SELECT secret FROM globex.item'; END $$", want: refused(denied)},
	{name: "fill the lock table", once: true, tries: "as many advisory locks as the server has room for", do: fillLockTable, gives: "53200", want: open("the lock table is the server's", "Raise `max_locks_per_transaction`; give a customer that you do not trust a server of its own")},
	{name: "hold up another's index", once: true, tries: "a transaction that stays open while another tenant's migration runs `CREATE INDEX CONCURRENTLY`", do: holdIndex, gives: "57014", want: open("it waits for all older transactions of the database", "End that session, or let `limits.idleInTransactionTimeoutSeconds` end it")},
}}

// connectTo connects with a tenant's own login to another database.
func connectTo(name string) func(*testing.T, *stage) (string, error) {
	return func(t *testing.T, s *stage) (string, error) {
		t.Helper()
		cfg := inDatabase(t, s.logins[own], unquoted(s, name))
		conn, err := pgx.Connect(t.Context(), cfg.URI())
		if err != nil {
			return "", err
		}
		defer hangUp(t, conn)
		return lastValue(t, conn, "SELECT current_database()")
	}
}

func replicate(t *testing.T, s *stage) (string, error) {
	t.Helper()
	config := must(pgx.ParseConfig(s.logins[own].URI()))(t)
	config.RuntimeParams["replication"] = "database"
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		return "", err
	}
	hangUp(t, conn)
	return "", nil
}
