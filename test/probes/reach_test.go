package probes

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// othersData are attempts of a tenant's login on what belongs to other tenants.
var othersData = group{"Other tenants' data, by a tenant's login", []probe{
	{name: "read", tries: "`SELECT` from another tenant's table", sql: "SELECT * FROM globex.item", want: refused(denied)},
	{name: "read from another set", tries: "`SELECT` from a tenant of another MigrationSet", sql: "SELECT * FROM initech.item", want: refused(denied)},
	{name: "read a view", tries: "`SELECT` from another tenant's view", sql: "SELECT * FROM globex.item_view", want: refused(denied)},
	{name: "insert", tries: "`INSERT` into another tenant's table", sql: "INSERT INTO globex.item (secret) VALUES ('x')", want: refused(denied)},
	{name: "update", tries: "`UPDATE` of another tenant's rows", sql: "UPDATE globex.item SET secret = 'x'", want: refused(denied)},
	{name: "delete", tries: "`DELETE` of another tenant's rows", sql: "DELETE FROM globex.item", want: refused(denied)},
	{name: "merge", tries: "`MERGE` into another tenant's table", sql: "MERGE INTO globex.item USING item ON false WHEN NOT MATCHED THEN INSERT (secret) VALUES ('x')", want: refused(denied)},
	{name: "truncate", tries: "`TRUNCATE` of another tenant's table", sql: "TRUNCATE globex.item", want: refused(denied)},
	{name: "copy out", tries: "`COPY ... TO STDOUT`", sql: "COPY globex.item TO STDOUT", want: refused(denied)},
	{name: "lock", tries: "`LOCK TABLE` of another tenant's", sql: "BEGIN; LOCK TABLE globex.item IN ACCESS SHARE MODE", want: refused(denied)},
	{name: "explain", tries: "`EXPLAIN`, whose estimates tell of values", sql: "EXPLAIN SELECT * FROM globex.item WHERE secret < 'm'", want: refused(denied)},
	{name: "read as XML by name", tries: "`table_to_xml`, `query_to_xml`", sql: "SELECT table_to_xml(c.oid, true, true, '') FROM pg_class c WHERE relname = 'item' AND relnamespace = 'globex'::regnamespace", want: refused(denied)},
	{name: "read by a cursor", tries: "`DECLARE CURSOR` over another tenant's table", sql: "BEGIN; DECLARE c CURSOR FOR SELECT * FROM globex.item", want: refused(denied)},
	{name: "call", tries: "another tenant's function, by name", sql: "SELECT globex.price()", want: refused(denied)},
	{name: "call by number", tries: "another tenant's function, by its OID in the protocol's function call", do: callByOID, want: refused(denied)},
	{name: "sequence by number", tries: "`nextval` of another tenant's sequence, by its OID", sql: "SELECT nextval(oid::regclass) FROM pg_class WHERE relname = 'number' AND relnamespace = 'globex'::regnamespace", want: refused(denied)},
	{name: "sequence's state", tries: "`pg_sequence_last_value` and `pg_sequences`", sql: "SELECT count(last_value) FROM pg_sequences WHERE schemaname = 'globex'", gives: "0", want: harmless("the values of others' sequences are null")},
	{name: "use a type", tries: "a cast to another tenant's type", sql: "SELECT 'good'::globex.mood", want: refused(denied)},
	{name: "copy a table's shape", tries: "`CREATE TABLE ... (LIKE ...)`", sql: "CREATE TABLE x (LIKE globex.item)", want: refused(denied)},
	{name: "make a table there", tries: "`CREATE TABLE` in another tenant's schema", sql: "CREATE TABLE globex.x ()", want: refused(denied)},
	{name: "make a function there", tries: "`CREATE FUNCTION` in another tenant's schema", sql: "CREATE FUNCTION globex.price(int) RETURNS int LANGUAGE sql AS 'SELECT 1'", want: refused(denied)},
	{name: "change a table", tries: "`ALTER TABLE` of another tenant's", sql: "ALTER TABLE globex.item ADD COLUMN x int", want: refused(denied)},
	{name: "put a trigger", tries: "`CREATE TRIGGER` on another tenant's table", sql: "CREATE TRIGGER t BEFORE INSERT ON globex.item EXECUTE FUNCTION suppress_redundant_updates_trigger()", want: refused(denied)},
	{name: "drop a table", tries: "`DROP TABLE` of another tenant's", sql: "DROP TABLE globex.item", want: refused(denied)},
	{name: "drop a schema", tries: "`DROP SCHEMA ... CASCADE` of another tenant's", sql: "DROP SCHEMA globex CASCADE", want: refused(denied)},
	{name: "rename a schema", tries: "`ALTER SCHEMA ... RENAME`", sql: "ALTER SCHEMA globex RENAME TO x", want: refused(denied)},
	{name: "take a schema", tries: "`ALTER SCHEMA ... OWNER TO` itself", sql: "ALTER SCHEMA globex OWNER TO {own_app}", want: refused(denied)},
	{name: "grant itself a schema", tries: "`GRANT USAGE ON SCHEMA` of another tenant to itself", sql: "GRANT USAGE ON SCHEMA globex TO {own_app}", want: refused(denied)},
	{name: "comment", tries: "`COMMENT ON` another tenant's table", sql: "COMMENT ON TABLE globex.item IS 'x'", want: refused(denied)},
	{name: "analyze", tries: "`ANALYZE` of another tenant's table", sql: "ANALYZE globex.item", want: refused(denied)},
	{name: "reindex", tries: "`REINDEX SCHEMA` of another tenant", sql: "REINDEX SCHEMA globex", want: refused(denied)},
	{name: "vacuum everything", tries: "`VACUUM` without a name", sql: "VACUUM", want: harmless("tables of others are skipped with a warning")},
	{name: "write a ledger", tries: "`INSERT` into another tenant's `tenantry_migrations`", sql: "INSERT INTO globex.tenantry_migrations (version) VALUES ('9')", want: refused(denied)},
	{name: "read a large object", tries: "`lo_get` of another tenant's", sql: "SELECT lo_get(4711)", want: refused(denied)},
	{name: "write a large object", tries: "`lo_put` into another tenant's", sql: "SELECT lo_put(4711, 0, 'x')", want: refused(denied)},
	{name: "unlink a large object", tries: "`lo_unlink` of another tenant's", sql: "SELECT lo_unlink(4711)", want: refused(denied)},
	{name: "take a large object", tries: "`ALTER LARGE OBJECT ... OWNER TO` itself", sql: "ALTER LARGE OBJECT 4711 OWNER TO {own_app}", want: refused(denied)},
	{name: "a cursor of another session", tries: "`FETCH` from another session's cursor", do: fromOtherSession("BEGIN; DECLARE c CURSOR FOR SELECT secret FROM item", "BEGIN; FETCH c"), want: refused("34000")},
	{name: "a statement of another session", tries: "`EXECUTE` of another session's prepared statement", do: fromOtherSession("PREPARE p AS SELECT secret FROM item", "EXECUTE p"), want: refused("26000")},
	{name: "a transaction of another tenant", tries: "`COMMIT PREPARED` of another tenant's transaction", do: fromOtherSession("BEGIN; INSERT INTO item (secret) VALUES ('x'); PREPARE TRANSACTION 'theirs'", "ROLLBACK PREPARED 'theirs'"), after: rollbackPrepared, want: refused(denied)},
	{name: "a snapshot of another session", tries: "`SET TRANSACTION SNAPSHOT` of another tenant's transaction, to read its tables", do: takeSnapshot, want: refused(denied)},
	{name: "listen", tries: "`LISTEN` to another tenant's channel", do: overhear, gives: "secret of globex", want: open("channels belong to the database, and who listens to a name gets every payload", "Put nothing into a payload that others must not read")},
	{name: "notify", tries: "`NOTIFY` on another tenant's channel", do: forge, gives: "forged", want: open("anybody may send on any channel", "Take a notification as a hint to look, not as news")},
	{name: "advisory lock", tries: "`pg_advisory_lock` with a key that another tenant's program uses", do: takeLock, gives: "false", want: open("the keys belong to the database", "Use row locks in programs; Tenantry itself uses no advisory locks")},
}}

// callByOID calls a function as JDBC's fast path does: no name is looked up.
func callByOID(t *testing.T, s *stage) (string, error) {
	t.Helper()
	var oid uint32
	if _, err := fmt.Sscan(value(t, s.admin, "'globex.price()'::regprocedure::oid"), &oid); err != nil {
		t.Fatal(err)
	}
	conn := must(pgx.Connect(t.Context(), s.uri(own)))(t)
	defer hangUp(t, conn)
	front := conn.PgConn().Frontend()
	front.Send(&pgproto3.FunctionCall{Function: oid, ResultFormatCode: 0})
	if err := front.Flush(); err != nil {
		t.Fatal(err)
	}
	for {
		switch message := must(front.Receive())(t).(type) {
		case *pgproto3.ErrorResponse:
			return "", pgconn.ErrorResponseToPgError(message)
		case *pgproto3.FunctionCallResponse:
			return string(message.Result), nil
		}
	}
}

// fromOtherSession lets another tenant do something in a session that stays, and then tries.
func fromOtherSession(theirs, attempt string) func(*testing.T, *stage) (string, error) {
	return func(t *testing.T, s *stage) (string, error) {
		t.Helper()
		conn := must(pgx.Connect(t.Context(), s.uri(sibling)))(t)
		defer hangUp(t, conn)
		if _, err := lastValue(t, conn, theirs); err != nil {
			t.Fatal(err)
		}
		return s.session(t, s.uri(own), nil, attempt)
	}
}

func rollbackPrepared(t *testing.T, s *stage) { exec(t, s.uri(sibling), "ROLLBACK PREPARED 'theirs'") }

func takeSnapshot(t *testing.T, s *stage) (string, error) {
	t.Helper()
	conn := must(pgx.Connect(t.Context(), s.uri(sibling)))(t)
	defer hangUp(t, conn)
	id, err := lastValue(t, conn, "BEGIN; SELECT pg_export_snapshot()")
	if err != nil {
		t.Fatal(err)
	}
	return s.session(t, s.uri(own), nil, "BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '"+id+"'; SELECT secret FROM globex.item")
}

func overhear(t *testing.T, s *stage) (string, error) {
	t.Helper()
	return hear(t, s.uri(own), s.uri(sibling), "secret of globex")
}

func forge(t *testing.T, s *stage) (string, error) {
	t.Helper()
	return hear(t, s.uri(sibling), s.uri(own), "forged")
}

func hear(t *testing.T, listener, speaker, payload string) (string, error) {
	t.Helper()
	conn := must(pgx.Connect(t.Context(), listener))(t)
	defer hangUp(t, conn)
	if _, err := conn.Exec(t.Context(), "LISTEN orders_of_globex"); err != nil {
		return "", err
	}
	exec(t, speaker, "NOTIFY orders_of_globex, '"+payload+"'")
	n, err := conn.WaitForNotification(t.Context())
	if err != nil {
		return "", err
	}
	return n.Payload, nil
}

func takeLock(t *testing.T, s *stage) (string, error) {
	t.Helper()
	conn := must(pgx.Connect(t.Context(), s.uri(own)))(t)
	defer hangUp(t, conn)
	if _, err := conn.Exec(t.Context(), "SELECT pg_advisory_lock(4711)"); err != nil {
		return "", err
	}
	return value(t, s.uri(sibling), "SELECT pg_try_advisory_lock(4711)"), nil
}

// becomingOthers are attempts of a tenant's login to get another role's rights.
var becomingOthers = group{"Other roles, by a tenant's login", append(append(setRoles(
	"its own owner", "{own_owner}", "another tenant's owner", "{sibling_owner}", "another tenant's login", "{sibling_app}",
	"another set's owner", "{stranger_owner}", "the operator", "{operator}", "its set's migrator", "{migrator}",
	"another set's migrator", "{stranger_migrator}", "its keeper", "{keeper}", "another keeper", "{sibling_keeper}",
	"the shared schema's owner", "{shared_owner}", "the superuser", "postgres",
	"who reads all data", "pg_read_all_data", "who runs programs", "pg_execute_server_program"),
	probe{name: "SET ROLE to the group", tries: "`SET ROLE` to the tenants' group", sql: "SET ROLE {group}; SELECT has_schema_privilege('globex', 'USAGE')", gives: "f", want: refused(denied), want15: harmless("15 cannot forbid it to members; the group has nothing that its members have not")},
), []probe{
	{name: "SET SESSION AUTHORIZATION to another tenant", tries: "`SET SESSION AUTHORIZATION` to another tenant's login", sql: "SET SESSION AUTHORIZATION {sibling_app}", want: refused(denied)},
	{name: "SET SESSION AUTHORIZATION to the operator", tries: "`SET SESSION AUTHORIZATION` to the operator", sql: "SET SESSION AUTHORIZATION {operator}", want: refused(denied)},
	{name: "SET SESSION AUTHORIZATION to the superuser", tries: "`SET SESSION AUTHORIZATION postgres`", sql: "SET SESSION AUTHORIZATION postgres", want: refused(denied)},
	{name: "role in the start-up packet", tries: "`options=-c role=...` of the connection", do: startWith("-c role=", "{sibling_owner}"), want: refused(denied)},
	{name: "session_authorization in the start-up packet", tries: "`options=-c session_authorization=...`", do: startWith("-c session_authorization=", "{operator}"), want: refused(denied)},
	{name: "grant itself a tenant's owner", tries: "`GRANT` of another tenant's owner to itself", sql: "GRANT {sibling_owner} TO {own_app}", want: refused(denied)},
	{name: "grant itself its own owner", tries: "`GRANT` of its owner to itself", sql: "GRANT {own_owner} TO {own_app}", want: refused(denied)},
	{name: "grant itself pg_read_all_data", tries: "`GRANT pg_read_all_data` to itself", sql: "GRANT pg_read_all_data TO {own_app}", want: refused(denied)},
	{name: "grant itself to another", tries: "`GRANT` of its own login to another tenant's", sql: "GRANT {own_app} TO {sibling_app}", want: refused(denied)},
	{name: "grant the group", tries: "`GRANT` of the tenants' group to another role", sql: "GRANT {group} TO {stranger_migrator}", want: refused(denied)},
	{name: "put others out of the group", tries: "`REVOKE` of the group from another tenant", sql: "REVOKE {group} FROM {sibling_app}", want: refused(denied)},
	{name: "make a role", tries: "`CREATE ROLE`", sql: "CREATE ROLE x", want: refused(denied)},
	{name: "drop a role", tries: "`DROP ROLE` of another tenant's login", sql: "DROP ROLE {sibling_app}", want: refused(denied)},
	{name: "another's password", tries: "`ALTER ROLE ... PASSWORD` of another tenant's login", sql: "ALTER ROLE {sibling_app} PASSWORD 'x'", want: refused(denied)},
	{name: "another's search_path", tries: "`ALTER ROLE ... SET search_path` of another tenant's login", sql: "ALTER ROLE {sibling_app} SET search_path = acme", want: refused(denied)},
	{name: "the operator's search_path", tries: "`ALTER ROLE ... SET search_path` of the operator", sql: "ALTER ROLE {operator} SET search_path = acme", want: refused(denied)},
	{name: "another's connection limit", tries: "`ALTER ROLE ... CONNECTION LIMIT 0` of another tenant's login", sql: "ALTER ROLE {sibling_app} CONNECTION LIMIT 0", want: refused(denied)},
	{name: "own what another owns", tries: "`REASSIGN OWNED BY` another tenant", sql: "REASSIGN OWNED BY {sibling_owner} TO {own_app}", want: refused(denied)},
	{name: "drop what another owns", tries: "`DROP OWNED BY` another tenant", sql: "DROP OWNED BY {sibling_owner}", want: refused(denied)},
	{name: "another owner's defaults", tries: "`ALTER DEFAULT PRIVILEGES FOR ROLE` another tenant's owner", sql: "ALTER DEFAULT PRIVILEGES FOR ROLE {sibling_owner} GRANT ALL ON TABLES TO {own_app}", want: refused(denied)},
	{name: "end the operator's sessions", tries: "`pg_terminate_backend` of the operator", sql: "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = {operator_text}", want: refused(denied)},
	{name: "end another tenant's sessions", tries: "`pg_cancel_backend` of another tenant", do: cancelOther, want: refused(denied)},
	{name: "read the verifiers", tries: "`SELECT` from `pg_authid`", sql: "SELECT rolpassword FROM pg_authid", want: refused(denied)},
	{name: "read the verifiers by a view", tries: "`SELECT` from `pg_shadow`", sql: "SELECT passwd FROM pg_shadow", want: refused(denied)},
}...)}

// setRoles makes a probe of each role: who it is, and its name.
func setRoles(roles ...string) (all []probe) {
	for i := 0; i < len(roles); i += 2 {
		all = append(all, probe{
			name: "SET ROLE to " + roles[i], tries: "`SET ROLE` to " + roles[i],
			sql: "SET ROLE " + roles[i+1], want: refused(denied),
		})
	}
	return all
}

// startWith asks for a setting in the start-up packet, where a program's user may put it.
func startWith(option, name string) func(*testing.T, *stage) (string, error) {
	return func(t *testing.T, s *stage) (string, error) {
		t.Helper()
		config := must(pgx.ParseConfig(s.logins[own].URI()))(t)
		config.RuntimeParams["options"] = option + unquoted(s, name)
		conn, err := pgx.ConnectConfig(t.Context(), config)
		if err != nil {
			return "", err
		}
		defer hangUp(t, conn)
		return lastValue(t, conn, "SELECT current_user")
	}
}

// unquoted is the name for which a {word} stands.
func unquoted(s *stage, word string) string { return strings.Trim(s.names().Replace(word), `"`) }
