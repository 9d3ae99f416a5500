-- What a login may do, as one JSON document. $1 schema, $2 the login, '' for the session's own. What is in
-- the schema is found by what depends on it: the catalogs of tables and functions have no index by schema,
-- and they hold every tenant's.
WITH me AS MATERIALIZED (
    SELECT COALESCE(NULLIF($2, ''), current_user)::pg_catalog.name AS login
), nsp AS MATERIALIZED (
    SELECT oid, nspname FROM pg_catalog.pg_namespace WHERE nspname = $1
), rel AS MATERIALIZED (
    SELECT c.oid, c.relname, c.relkind
    FROM nsp JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = nsp.oid
        JOIN pg_catalog.pg_class c ON c.oid = d.objid
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
), proc AS MATERIALIZED (
    SELECT p.oid, p.proname
    FROM nsp JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = nsp.oid
        JOIN pg_catalog.pg_proc p ON p.oid = d.objid
    WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
), held AS ( -- one pass over all relations: each question of its own would be planned anew for every new schema
    SELECT pg_catalog.count(*) FILTER (WHERE relkind IN ('r', 'p', 'f') AND NOT ledger) AS tables,
        COALESCE(pg_catalog.bool_or(pg_catalog.has_table_privilege(login, oid, 'INSERT, UPDATE, DELETE, TRUNCATE')) FILTER (WHERE ledger), false) AS writes_ledger,
        pg_catalog.jsonb_agg(relname ORDER BY relname) FILTER (WHERE NOT ledger AND (
            relkind IN ('r', 'p', 'f', 'v', 'm') AND NOT pg_catalog.has_table_privilege(login, oid, 'SELECT')
            OR relkind IN ('r', 'p', 'f') AND NOT (pg_catalog.has_table_privilege(login, oid, 'UPDATE')
                AND pg_catalog.has_table_privilege(login, oid, 'DELETE')))) AS lacking_tables,
        pg_catalog.jsonb_agg(relname ORDER BY relname) FILTER (WHERE NOT ledger AND relkind IN ('r', 'p', 'f')
            AND pg_catalog.has_table_privilege(login, oid, 'SELECT') AND pg_catalog.has_table_privilege(login, oid, 'UPDATE')
            AND pg_catalog.has_table_privilege(login, oid, 'DELETE') AND NOT pg_catalog.has_table_privilege(login, oid, 'INSERT')) AS lacking_insert,
        pg_catalog.jsonb_agg(relname ORDER BY relname) FILTER (WHERE relkind IN ('r', 'p', 'f', 'v')
            AND pg_catalog.has_table_privilege(login, oid, 'INSERT, UPDATE, DELETE, TRUNCATE')) AS writes,
        pg_catalog.jsonb_agg(relname ORDER BY relname) FILTER (WHERE
            CASE relkind WHEN 'S' THEN NOT pg_catalog.has_sequence_privilege(login, oid, 'USAGE') END) AS lacking_sequences
    FROM me, LATERAL (SELECT oid, relname, relkind, relname = 'tenantry_migrations' AS ledger FROM rel) r
)
SELECT pg_catalog.jsonb_build_object(
    'user', login,
    'database', pg_catalog.current_database(),
    'usage', COALESCE((SELECT pg_catalog.has_schema_privilege(login, oid, 'USAGE') FROM nsp), false),
    'creates', COALESCE((SELECT pg_catalog.has_schema_privilege(login, oid, 'CREATE') FROM nsp), false),
    'tables', tables, 'writesLedger', writes_ledger, 'lackingTables', lacking_tables, 'lackingInsert', lacking_insert,
    'writes', writes, 'lackingSequences', lacking_sequences,
    'lackingFunctions', (SELECT pg_catalog.jsonb_agg(DISTINCT proname) FROM proc
        WHERE NOT pg_catalog.has_function_privilege(login, oid, 'EXECUTE'))
)
FROM me, held
