-- Whether a login may have anything beyond its bounds by itself, found by what the server notes of each role:
-- true only says that bounds.sql has to tell. $1 schema, $2 the login, $3 the role whose rights it has, or
-- itself, $4 the group of all tenants. What that group and PUBLIC have is not looked for outside the schema.
WITH named AS MATERIALIZED (
    SELECT to_regrole(quote_ident($2))::oid AS login, coalesce(to_regrole(quote_ident($3))::oid, 0) AS app,
        coalesce(to_regrole(quote_ident($4))::oid, 0) AS everybody,
        to_regnamespace(quote_ident($1))::oid AS nsp, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) AS db
)
SELECT me.rolsuper OR me.rolcreaterole OR me.rolcreatedb OR me.rolreplication OR me.rolbypassrls
    OR has_schema_privilege(login, nsp, 'CREATE') IS NOT FALSE
    OR EXISTS (SELECT FROM pg_catalog.pg_auth_members m
        WHERE m.member IN (login, app, everybody) AND (m.roleid NOT IN (app, everybody) OR m.roleid = login))
    -- What it owns, but for large objects, and what names it in its access list, but in its own schema.
    OR EXISTS (SELECT FROM pg_catalog.pg_shdepend s
        WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass AND s.refobjid IN (login, app)
            AND s.classid NOT IN ('pg_catalog.pg_largeobject'::regclass, 'pg_catalog.pg_default_acl'::regclass)
            AND (s.deptype = 'o' OR s.deptype = 'a' AND s.dbid IN (0, db)
                AND NOT (s.classid = 'pg_catalog.pg_namespace'::regclass AND s.objid = nsp)
                AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = s.classid AND d.objid = s.objid
                    AND d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.refobjid = nsp)))
    OR EXISTS (SELECT FROM pg_catalog.pg_class c, aclexplode(c.relacl) x
        WHERE c.relnamespace = nsp AND c.relname = 'tenantry_migrations' AND x.privilege_type <> 'SELECT'
            AND x.grantee IN (0, login, app, everybody))
FROM named JOIN pg_catalog.pg_roles me ON me.oid = named.login
