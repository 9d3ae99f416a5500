-- The registry, as one JSON document. Roles that it names, and the server has, and on which the
-- login lacks ADMIN, were made by another login.
SELECT jsonb_build_object(
    'identity', (SELECT to_jsonb(i) FROM tenantry.identity i),
    'tenants', (SELECT count(*) FROM tenantry.tenant),
    'foreignRoles', (
        SELECT jsonb_agg(r.rolname ORDER BY r.rolname) FROM pg_catalog.pg_roles r
        WHERE r.rolname IN (
                SELECT owner_role FROM tenantry.tenant UNION ALL SELECT app_role FROM tenantry.tenant
                UNION ALL SELECT owner_role FROM tenantry.shared_schema)
            AND NOT pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION'))
)
