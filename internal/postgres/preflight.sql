-- The server and the login, as one JSON document. $1 group role, $2 keepers. The registry's tables are found by what
-- depends on its schema: the catalog of tables has no index by schema, and it holds every tenant's.
SELECT jsonb_build_object(
    'version', current_setting('server_version'),
    'versionNum', current_setting('server_version_num')::int,
    'inRecovery', pg_is_in_recovery(),
    'readOnly', current_setting('transaction_read_only')::boolean,
    'encrypted', coalesce((SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid()), false),
    'local', coalesce(host(inet_client_addr()) IN ('127.0.0.1', '::1'), true),
    'login', me.rolname,
    'superuser', me.rolsuper,
    'createRole', me.rolcreaterole,
    'database', d.datname,
    'databaseOID', d.oid::bigint,
    'ownsDatabase', pg_has_role(d.datdba, 'USAGE'),
    'mayReadIdentity', has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE'),
    'hasRegistry', EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'tenantry' AND c.relname = 'identity'),
    'registryForeign', EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'tenantry' AND NOT pg_has_role(nspowner, 'USAGE')),
    'registryTables', (
        SELECT jsonb_agg(c.relname ORDER BY c.relname)
        FROM pg_catalog.pg_namespace n
            JOIN pg_catalog.pg_depend dep ON dep.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND dep.refobjid = n.oid
            JOIN pg_catalog.pg_class c ON c.oid = dep.objid
        WHERE n.nspname = 'tenantry' AND dep.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.relkind = 'r'
            AND NOT pg_has_role(c.relowner, 'USAGE')),
    'foreignRoles', (
        SELECT jsonb_agg(r.rolname ORDER BY r.rolname) FROM pg_catalog.pg_roles r
        WHERE (r.rolname = $1 OR r.rolname = ANY ($2)) AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_auth_members m WHERE m.roleid = r.oid AND m.member = me.oid AND m.admin_option)),
    'powers', array_remove(ARRAY[
        CASE WHEN me.rolbypassrls THEN 'BYPASSRLS' END, CASE WHEN me.rolreplication THEN 'REPLICATION' END], NULL),
    'memberships', (
        SELECT jsonb_agg(r.rolname ORDER BY r.rolname) FROM pg_catalog.pg_roles r
        WHERE r.rolname IN ('pg_read_all_data', 'pg_write_all_data', 'pg_execute_server_program',
            'pg_read_server_files', 'pg_write_server_files') AND pg_has_role(r.oid, 'MEMBER')),
    'openDatabases', (
        SELECT jsonb_agg(o.datname ORDER BY o.datname) FROM pg_catalog.pg_database o
        WHERE o.datallowconn AND o.oid <> d.oid AND has_database_privilege('public', o.oid, 'CONNECT'))
)
FROM pg_catalog.pg_database d, pg_catalog.pg_roles me
WHERE d.datname = current_database() AND me.rolname = current_user
