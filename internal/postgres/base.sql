-- What Bootstrap compares, as one JSON document. $1 group role, $2 keepers. The registry's tables are found by what
-- depends on its schema: the catalog of tables has no index by schema, and it holds every tenant's.
WITH k AS (
    SELECT name, r.oid, r.rolcreaterole, m.acts, EXISTS (
            SELECT FROM pg_catalog.pg_auth_members a JOIN pg_catalog.pg_roles g ON g.oid = a.roleid AND g.rolname = $1
            WHERE a.member = r.oid AND a.admin_option) AS gives
    FROM unnest($2::text[]) name LEFT JOIN pg_catalog.pg_roles r ON r.rolname = name
        LEFT JOIN LATERAL (
            SELECT bool_or(coalesce((to_jsonb(m) ->> 'set_option')::boolean, true)) AS acts
            FROM pg_catalog.pg_auth_members m
            WHERE m.roleid = r.oid AND pg_get_userbyid(m.member) = current_user) m ON true
)
SELECT jsonb_build_object(
    'versionNum', current_setting('server_version_num')::int,
    'login', current_user,
    'database', d.datname,
    'databaseOID', d.oid::bigint,
    'systemID', (SELECT system_identifier::text FROM pg_control_system()),
    'hasRegistry', EXISTS (
        SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'tenantry' AND c.relname = 'identity'),
    'tables', (
        SELECT jsonb_agg(c.relname)
        FROM pg_catalog.pg_namespace n
            JOIN pg_catalog.pg_depend dep ON dep.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND dep.refobjid = n.oid
            JOIN pg_catalog.pg_class c ON c.oid = dep.objid
        WHERE n.nspname = 'tenantry' AND dep.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.relkind = 'r'),
    'hasProof', EXISTS (
        SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'tenantry' AND c.relname = 'tenant' AND a.attname = 'login_proof'),
    'hasAdoptions', EXISTS (
        SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'tenantry' AND c.relname = 'tenant' AND a.attname = 'baseline'),
    'hasSharedVersion', EXISTS (
        SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'tenantry' AND c.relname = 'shared_schema' AND a.attname = 'version'),
    'hasGroup', EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = $1),
    'noKeepers', (SELECT jsonb_agg(name ORDER BY name) FROM k WHERE oid IS NULL),
    'weakKeepers', (SELECT jsonb_agg(name ORDER BY name) FROM k WHERE NOT rolcreaterole),
    'idleKeepers', (SELECT jsonb_agg(name ORDER BY name) FROM k WHERE acts IS NOT TRUE),
    'groupKeepers', (SELECT jsonb_agg(name ORDER BY name) FROM k WHERE NOT gives),
    'groupConnects', EXISTS (
        SELECT FROM aclexplode(d.datacl) x JOIN pg_catalog.pg_roles r ON r.oid = x.grantee
        WHERE r.rolname = $1 AND x.privilege_type = 'CONNECT'),
    -- TEMPORARY alone is a DBA's decision for migrations that make temporary tables, and lets nobody in.
    'publicConnects', EXISTS (
        SELECT FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x WHERE x.grantee = 0 AND x.privilege_type <> 'TEMPORARY'),
    -- A schema public that belongs to somebody else is left out: the operator could not change it.
    'publicCreates', EXISTS (
        SELECT FROM pg_catalog.pg_namespace n, aclexplode(n.nspacl) x
        WHERE n.nspname = 'public' AND x.grantee = 0 AND x.privilege_type = 'CREATE' AND pg_has_role(n.nspowner, 'USAGE'))
)
FROM pg_catalog.pg_database d
WHERE d.datname = current_database()
