-- What the shared login of a class has beyond the app roles that it may act as, as a list of {what, mend}.
-- $1 its first role, $2 a tenant's schema that it may not use before SET ROLE, or '', $3 the login, '' for
-- the session's own.
WITH me AS MATERIALIZED (
    SELECT r.* FROM pg_catalog.pg_roles r WHERE r.rolname IN (coalesce(nullif($3, ''), current_user), $1)
), found (what, mend) AS (
    SELECT 'is ' || power, 'ALTER ROLE ' || quote_ident(me.rolname) || ' NO' || power
    FROM me, LATERAL (VALUES ('SUPERUSER', rolsuper), ('CREATEROLE', rolcreaterole), ('CREATEDB', rolcreatedb),
        ('REPLICATION', rolreplication), ('BYPASSRLS', rolbypassrls)) v (power, has)
    WHERE has
  UNION ALL
    SELECT 'is a member of ' || quote_ident(r.rolname), 'REVOKE ' || quote_ident(r.rolname) || ' FROM ' || quote_ident(me.rolname)
    FROM pg_catalog.pg_auth_members m JOIN me ON me.oid = m.member JOIN pg_catalog.pg_roles r ON r.oid = m.roleid
    WHERE r.rolname <> $1 AND r.rolname !~ '^tn_.*_app$'
  UNION ALL
    SELECT 'has ' || x.privilege_type || ' on schema ' || quote_ident(n.nspname),
        'REVOKE ' || x.privilege_type || ' ON SCHEMA ' || quote_ident(n.nspname) || ' FROM ' || quote_ident(me.rolname)
    FROM pg_catalog.pg_namespace n, aclexplode(n.nspacl) x JOIN me ON me.oid = x.grantee
  UNION ALL
    SELECT 'can use schema ' || quote_ident(n.nspname) || ' without SET ROLE', 'ALTER ROLE ' || quote_ident($1) || ' NOINHERIT'
    FROM pg_catalog.pg_namespace n WHERE n.nspname = $2 AND has_schema_privilege(coalesce(nullif($3, ''), current_user)::name, n.oid, 'USAGE')
)
SELECT coalesce(jsonb_agg(jsonb_build_object('what', what, 'mend', mend) ORDER BY what, mend), '[]') FROM found
