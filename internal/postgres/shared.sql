-- The shared schema as the registry and the catalogs have it, as one JSON document.
-- $1 schema, $2 owner where the registry has none, $3 group role, $4 migrator or ''.
WITH reg AS MATERIALIZED (
    SELECT * FROM tenantry.shared_schema WHERE schema_name = $1
), own AS MATERIALIZED (
    SELECT * FROM pg_catalog.pg_roles WHERE rolname = coalesce((SELECT owner_role FROM reg), $2)
), nsp AS MATERIALIZED (
    SELECT * FROM pg_catalog.pg_namespace WHERE nspname = $1
), ver AS (
    SELECT current_setting('server_version_num')::int AS num
), members AS MATERIALIZED (
    SELECT pg_get_userbyid(m.member) AS name, coalesce((to_jsonb(m) ->> 'set_option')::boolean, true) AS can_set,
        pg_get_userbyid(m.grantor) AS grantor,
        (SELECT num FROM ver) < 160000 OR coalesce(pg_has_role(current_user, m.grantor, 'USAGE'), false) AS may_take
    FROM pg_catalog.pg_auth_members m WHERE m.roleid = (SELECT oid FROM own)
)
SELECT jsonb_build_object(
    'versionNum', (SELECT num FROM ver),
    'regOwner', (SELECT owner_role FROM reg),
    'regSet', (SELECT migration_set FROM reg),
    'regVersion', coalesce((SELECT version FROM reg), ''),
    'isTenants', EXISTS (SELECT FROM tenantry.tenant WHERE schema_name = $1),
    'hasOwner', EXISTS (SELECT FROM own),
    'canAct', coalesce((SELECT pg_has_role(oid, CASE WHEN (SELECT num FROM ver) >= 160000 THEN 'SET' ELSE 'MEMBER' END) FROM own), false),
    'schemaOwner', (SELECT pg_get_userbyid(nspowner) FROM nsp),
    'groupUses', EXISTS (
        SELECT FROM nsp, aclexplode(nspacl) x JOIN pg_catalog.pg_roles r ON r.oid = x.grantee
        WHERE r.rolname = $3 AND x.privilege_type = 'USAGE'),
    'migratorIn', EXISTS (SELECT FROM members WHERE name = $4 AND can_set),
    'others', (
        SELECT jsonb_agg(jsonb_build_object('name', name, 'grantor', grantor, 'mayTake', may_take) ORDER BY name, grantor)
        FROM members WHERE name LIKE 'tenantry\_mig\_%' AND name <> $4)
)
