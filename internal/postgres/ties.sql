-- What keeps roles from being dropped although they own nothing in this database any more, as one
-- JSON document. $1 roles. Grantors are the operator's own roles that gave them rights on what they own.
WITH gone AS MATERIALIZED (
    SELECT oid FROM pg_catalog.pg_roles WHERE rolname = ANY ($1)
), ours (role, keeper) AS (
    SELECT owner_role, keeper_role FROM tenantry.tenant
    UNION ALL SELECT app_role, keeper_role FROM tenantry.tenant
    UNION ALL SELECT app_role || '_b', keeper_role FROM tenantry.tenant
    UNION ALL SELECT left(app_role, -4) || '_ro', keeper_role FROM tenantry.tenant
    UNION ALL SELECT left(app_role, -4) || '_ro_b', keeper_role FROM tenantry.tenant
    UNION ALL SELECT owner_role, '' FROM tenantry.shared_schema
), tied AS MATERIALIZED (
    SELECT d.* FROM pg_catalog.pg_shdepend d JOIN gone ON d.refobjid = gone.oid
    WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass
), here AS (
    SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()
)
SELECT jsonb_build_object(
    'grantors', (
        SELECT jsonb_agg(DISTINCT jsonb_build_object('role', ours.role, 'keeper', ours.keeper))
        FROM tied JOIN pg_catalog.pg_shdepend o ON (o.dbid, o.classid, o.objid) = (tied.dbid, tied.classid, tied.objid)
            JOIN pg_catalog.pg_roles r ON r.oid = o.refobjid JOIN ours ON ours.role = r.rolname
        WHERE tied.deptype = 'a' AND tied.dbid = (SELECT oid FROM here)
            AND o.deptype = 'o' AND o.refclassid = 'pg_catalog.pg_authid'::regclass AND o.refobjid NOT IN (SELECT oid FROM gone)),
    'elsewhere', (
        SELECT jsonb_agg(DISTINCT d.datname)
        FROM tied JOIN pg_catalog.pg_database d ON d.oid = tied.dbid
        WHERE tied.dbid <> (SELECT oid FROM here))
)
