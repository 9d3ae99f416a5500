-- What the group role and PUBLIC have in the shared schema, as one JSON document.
-- $1 schema, $2 group role. A right on a column alone has its column's name.
WITH rel AS MATERIALIZED (
    SELECT c.* FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
), acl AS (
    SELECT rel.relname, rel.relkind, x.grantee, x.privilege_type, '' AS column_name
    FROM rel, aclexplode(rel.relacl) x
    UNION ALL
    SELECT rel.relname, rel.relkind, x.grantee, x.privilege_type, a.attname
    FROM rel JOIN pg_catalog.pg_attribute a ON a.attrelid = rel.oid AND a.attacl IS NOT NULL, aclexplode(a.attacl) x
)
SELECT jsonb_build_object(
    'owner', (SELECT owner_role FROM tenantry.shared_schema WHERE schema_name = $1),
    'tables', (SELECT jsonb_agg(relname) FROM rel WHERE relkind <> 'S'),
    'sequences', (
        SELECT jsonb_agg(jsonb_build_object('name', s.relname, 'table', t.relname))
        FROM rel s
            LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = s.oid
                AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')
            LEFT JOIN rel t ON t.oid = d.refobjid
        WHERE s.relkind = 'S'),
    'grants', (
        SELECT jsonb_agg(jsonb_build_object('object', relname, 'privilege', privilege_type,
            'public', grantee = 0, 'column', column_name) ORDER BY relname, privilege_type, column_name)
        FROM acl
        WHERE grantee = 0 OR grantee = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $2))
)
