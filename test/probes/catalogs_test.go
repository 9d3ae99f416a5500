package probes

const (
	namesShow   = "PostgreSQL's catalogs are readable for all of the database"
	opaque      = "Use opaque schema names (`schemaName: t_7f3a9c`), or give the customer a database of its own by a class"
	sourceShows = "Put no secret into SQL"
)

// catalogs are what PostgreSQL shows everybody of a database.
var catalogs = group{"What the catalogs show, to a tenant's login", []probe{
	{name: "names of schemas", tries: "`pg_namespace`", sql: "SELECT count(*) FROM pg_namespace WHERE nspname IN ('globex', 'initech')", gives: "2", want: open(namesShow, opaque)},
	{name: "names of roles", tries: "`pg_roles`", sql: "SELECT count(*) FROM pg_roles WHERE rolname = {sibling_app_text}", gives: "1", want: open("roles belong to the whole server, whatever the database", "Use opaque schema names, which make opaque role names")},
	{name: "names of databases", tries: "`pg_database`", sql: "SELECT count(*) FROM pg_database WHERE datname = {elsewhere_text}", gives: "1", want: open("databases belong to the whole server", "Use opaque names, or a server of its own")},
	{name: "tables and columns", tries: "`pg_class`, `pg_attribute`", sql: "SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relname = 'item' AND c.relnamespace = 'globex'::regnamespace AND attname = 'secret'", gives: "1", want: open(namesShow, "Name no table or column by a customer's secret")},
	{name: "tables by information_schema", tries: "`information_schema.tables`", sql: "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'globex'", gives: "0", want: harmless("it shows only what the login has rights on")},
	{name: "source of functions", tries: "`pg_proc.prosrc`", sql: "SELECT prosrc FROM pg_proc WHERE proname = 'price' AND pronamespace = 'globex'::regnamespace", gives: "SELECT 4711 /* formula */", want: open(namesShow, sourceShows)},
	{name: "source of views", tries: "`pg_get_viewdef` by the view's OID", sql: "SELECT pg_get_viewdef(oid) ~ 'FROM globex.item' FROM pg_class WHERE relname = 'item_view' AND relnamespace = 'globex'::regnamespace", gives: "t", want: open(namesShow, sourceShows)},
	{name: "labels of enums", tries: "`pg_enum`", sql: "SELECT count(*) FROM pg_enum WHERE enumtypid IN (SELECT oid FROM pg_type WHERE typnamespace = 'globex'::regnamespace)", gives: "2", want: open(namesShow, "Put values that belong to a customer into rows")},
	{name: "sizes", tries: "`pg_total_relation_size` by OID", sql: "SELECT pg_total_relation_size(oid) > 0 FROM pg_class WHERE relname = 'item' AND relnamespace = 'globex'::regnamespace", gives: "t", want: open("sizes of files need no right", "A database of its own")},
	{name: "numbers of rows", tries: "`pg_stat_user_tables`, `pg_class.reltuples`", sql: "SELECT count(*) FROM pg_stat_all_tables WHERE schemaname = 'globex' AND relname = 'item'", gives: "1", want: open("counters of tables are shown to all", "A database of its own")},
	{name: "values in statistics", tries: "`pg_stats`", sql: "SELECT count(*) FROM pg_stats WHERE schemaname = 'globex'", gives: "0", want: harmless("it shows columns only to those who may read them")},
	{name: "values in raw statistics", tries: "`pg_statistic`", sql: "SELECT * FROM pg_statistic", want: refused(denied)},
	{name: "who is connected", tries: "logins and `application_name` in `pg_stat_activity`", do: watchSessions, gives: "orders of globex", want: open("only the statement's text and state are masked", "Put nothing into `application_name` that others must not read")},
	{name: "others' statements", tries: "another tenant's SQL in `pg_stat_activity`", do: watchStatements, gives: "<insufficient privilege>", want: harmless("the text is masked")},
	{name: "others' settings", tries: "`pg_db_role_setting`", sql: "SELECT setconfig[1] FROM pg_db_role_setting WHERE setrole = {sibling_app_text}::regrole", gives: "search_path=globex, shared", want: open("settings of roles are shown to all", "Never put a secret into `ALTER ROLE ... SET`")},
	{name: "others' large objects", tries: "number and owner in `pg_largeobject_metadata`", sql: "SELECT count(*) FROM pg_largeobject_metadata WHERE lomowner = {sibling_app_text}::regrole", gives: "1", want: open(namesShow, "Keep files in tables")},
	{name: "contents of large objects", tries: "`SELECT` from `pg_largeobject`", sql: "SELECT data FROM pg_largeobject", want: refused(denied)},
	{name: "locks", tries: "`pg_locks`", sql: "SELECT count(*) > 0 FROM pg_locks", gives: "t", want: open("locks are shown to all, by OID", "A database of its own")},
	{name: "the server's identity", tries: "`pg_control_system()`", sql: "SELECT system_identifier > 0 FROM pg_control_system()", gives: "t", want: harmless("a number that opens nothing")},
	{name: "options of foreign servers", tries: "`pg_user_mappings`", sql: "SELECT count(umoptions) FROM pg_user_mappings", gives: "0", want: harmless("options are masked")},
}}

// sharing are attempts on and through the schema that all tenants see.
var sharing = group{"The shared schema, by a tenant's login", []probe{
	{name: "read what is granted", tries: "`SELECT` from a shared table with a grant", sql: "SELECT name FROM shared.plans", gives: "basic", want: harmless("the TenantDatabase grants it")},
	{name: "read what is not granted", tries: "`SELECT` from a shared table without a grant", sql: "SELECT * FROM shared.accounts", want: refused(denied)},
	{name: "write what is granted to read", tries: "`UPDATE` of a shared table with SELECT", sql: "UPDATE shared.plans SET name = 'x'", want: refused(denied)},
	{name: "lock what is granted to read", tries: "`LOCK ... IN EXCLUSIVE MODE` of a shared table with SELECT", sql: "BEGIN; LOCK shared.plans IN EXCLUSIVE MODE", want: refused(denied)},
	{name: "lock what is granted to write", tries: "`LOCK ... IN ACCESS EXCLUSIVE MODE` of a shared table with DELETE", sql: "BEGIN; LOCK shared.offers IN ACCESS EXCLUSIVE MODE; ROLLBACK; SELECT 'held'", gives: "held", want: open("who may change rows may lock the table", "Grant SELECT only, and let a program of the platform write")},
	{name: "a sequence that is not granted", tries: "`nextval` of a shared sequence", sql: "SELECT nextval('shared.accounts_number')", want: refused(denied)},
	{name: "make a table in the shared schema", tries: "`CREATE TABLE shared.x`", sql: "CREATE TABLE shared.x ()", want: refused(denied)},
	{name: "a trigger on a shared table", tries: "`CREATE TRIGGER ON shared.plans`", sql: "CREATE TRIGGER t BEFORE INSERT ON shared.plans EXECUTE FUNCTION suppress_redundant_updates_trigger()", want: refused(denied)},
	{name: "a rule on a shared table", tries: "`CREATE RULE ON shared.plans`", sql: "CREATE RULE r AS ON INSERT TO shared.plans DO INSTEAD NOTHING", want: refused(denied)},
	{name: "row security of a shared table", tries: "`ALTER TABLE shared.plans ENABLE ROW LEVEL SECURITY`", sql: "ALTER TABLE shared.plans ENABLE ROW LEVEL SECURITY", want: refused(denied)},
	{name: "give the shared schema away", tries: "`GRANT ... ON shared.plans` to another role", sql: "GRANT SELECT ON shared.plans TO {stranger_migrator}; SELECT has_table_privilege({stranger_migrator_text}, 'shared.plans', 'SELECT')", gives: "f", want: harmless("it has no right to grant: PostgreSQL warns and grants nothing")},
}}
