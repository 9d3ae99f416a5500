-- The registry, as one JSON document. Roles that it names, that the server has, and that their
-- keeper does not manage, came from elsewhere, as by a restore. Memberships are compared row by
-- row: pg_has_role walks them all anew for each role, which takes minutes for a thousand tenants.
WITH named (keeper, role) AS (
    SELECT keeper_role, owner_role FROM tenantry.tenant
    UNION ALL SELECT keeper_role, app_role FROM tenantry.tenant
    UNION ALL SELECT current_user, owner_role FROM tenantry.shared_schema
)
SELECT jsonb_build_object(
    'identity', (SELECT to_jsonb(i) FROM tenantry.identity i),
    'tenants', (SELECT count(*) FROM tenantry.tenant),
    'retainedTenants', (SELECT count(*) FROM tenantry.tenant WHERE state = 'retained'),
    'retained', (
        SELECT jsonb_agg(to_jsonb(k) ORDER BY k.namespace, k.name, k.schema)
        FROM (
            SELECT namespace, name, schema_name AS schema FROM tenantry.tenant WHERE state = 'retained'
            ORDER BY namespace, name, schema_name LIMIT $1) k),
    'sets', (
        SELECT jsonb_agg(DISTINCT s) FROM (
            SELECT migration_set FROM tenantry.tenant UNION SELECT migration_set FROM tenantry.shared_schema) x (s)
        WHERE s <> ''),
    'unkept', (
        SELECT jsonb_agg(jsonb_build_object('keeper', keeper, 'roles', roles) ORDER BY keeper)
        FROM (
            SELECT n.keeper, jsonb_agg(n.role ORDER BY n.role) AS roles
            FROM named n JOIN pg_catalog.pg_roles r ON r.rolname = n.role JOIN pg_catalog.pg_roles k ON k.rolname = n.keeper
                LEFT JOIN pg_catalog.pg_auth_members m ON m.roleid = r.oid AND m.member = k.oid AND m.admin_option
            WHERE m.roleid IS NULL
            GROUP BY n.keeper) u)
)
