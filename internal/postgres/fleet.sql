-- Every tenant of the registry as observe.sql has one, in one query: a row each, with its schema and the
-- document. $1 is the shared schema that comes second in the logins' search_path, or ''. What observe.sql
-- says of names that are still free is left out.
WITH tenant AS MATERIALIZED (
    SELECT * FROM tenantry.tenant
), role AS MATERIALIZED (
    SELECT oid, rolname, jsonb_build_object('name', rolname, 'oid', oid::bigint,
        'login', rolcanlogin, 'inherit', rolinherit,
        'limit', rolconnlimit, 'powers', array_remove(ARRAY[
            CASE WHEN rolsuper THEN 'SUPERUSER' END, CASE WHEN rolcreaterole THEN 'CREATEROLE' END,
            CASE WHEN rolcreatedb THEN 'CREATEDB' END, CASE WHEN rolreplication THEN 'REPLICATION' END,
            CASE WHEN rolbypassrls THEN 'BYPASSRLS' END], NULL)) AS doc
    FROM pg_catalog.pg_roles
), own AS MATERIALIZED (
    SELECT schema_name, 'owner' AS kind, role.* FROM tenant JOIN role ON rolname = owner_role
    UNION ALL SELECT schema_name, 'app', role.* FROM tenant JOIN role ON rolname = app_role
    UNION ALL SELECT schema_name, 'second', role.* FROM tenant JOIN role ON rolname = app_role || '_b'
    UNION ALL SELECT schema_name, 'reader', role.* FROM tenant JOIN role ON rolname = left(app_role, -4) || '_ro'
    UNION ALL SELECT schema_name, 'secondReader', role.* FROM tenant JOIN role ON rolname = left(app_role, -4) || '_ro_b'
), space AS MATERIALIZED (
    SELECT nspname, pg_get_userbyid(nspowner) AS owner, (
        SELECT jsonb_agg(jsonb_build_object('privilege', x.privilege_type,
            'grantee', CASE x.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(x.grantee) END))
        FROM aclexplode(coalesce(nspacl, acldefault('n', nspowner))) x) AS acl
    FROM pg_catalog.pg_namespace WHERE nspname IN (SELECT schema_name FROM tenant)
), defaults AS (
    SELECT own.schema_name, jsonb_agg(jsonb_build_object('type', d.defaclobjtype, 'privilege', x.privilege_type,
        'grantee', CASE x.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(x.grantee) END)) AS doc
    FROM own JOIN pg_catalog.pg_default_acl d ON d.defaclrole = own.oid AND d.defaclnamespace = 0, aclexplode(d.defaclacl) x
    WHERE own.kind = 'owner' GROUP BY 1
), settings AS MATERIALIZED (
    SELECT own.schema_name, own.kind, to_jsonb(s.setconfig) AS doc
    FROM own JOIN pg_catalog.pg_db_role_setting s ON s.setrole = own.oid
        JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase AND d.datname = current_database()
), membership AS MATERIALIZED (
    SELECT roleid, member, grantor, coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, true) AS inherit,
        coalesce((to_jsonb(m) ->> 'set_option')::boolean, true) AS set
    FROM pg_catalog.pg_auth_members m
), members AS (
    SELECT schema_name, jsonb_agg(jsonb_build_object('role', pg_get_userbyid(roleid), 'member', pg_get_userbyid(member),
        'grantor', pg_get_userbyid(grantor), 'inherit', inherit, 'set', set)) AS doc
    FROM (
        SELECT own.schema_name, m.* FROM own JOIN membership m ON m.roleid = own.oid
        UNION SELECT own.schema_name, m.* FROM own JOIN membership m ON m.member = own.oid) both_ways
    GROUP BY 1
), hosts AS (
    SELECT schema_name, jsonb_agg(host ORDER BY position) AS doc FROM tenantry.domain GROUP BY 1
)
SELECT t.schema_name, jsonb_build_object(
    'versionNum', current_setting('server_version_num')::int, 'login', current_user, 'database', current_database(),
    'row', to_jsonb(t), 'domains', h.doc,
    'owner', o.doc, 'app', a.doc, 'second', b.doc, 'reader', r.doc, 'secondReader', q.doc,
    'schemaOwner', n.owner, 'schemaACL', n.acl, 'defaultACL', d.doc,
    'settings', sa.doc, 'secondSettings', sb.doc, 'readerSettings', sr.doc, 'secondReaderSettings', sq.doc, 'members', m.doc,
    'wantPath', quote_ident(t.schema_name) || CASE $1 WHEN '' THEN '' ELSE ', ' || quote_ident($1) END)
FROM tenant t
    LEFT JOIN own o ON o.schema_name = t.schema_name AND o.kind = 'owner'
    LEFT JOIN own a ON a.schema_name = t.schema_name AND a.kind = 'app'
    LEFT JOIN own b ON b.schema_name = t.schema_name AND b.kind = 'second'
    LEFT JOIN own r ON r.schema_name = t.schema_name AND r.kind = 'reader'
    LEFT JOIN own q ON q.schema_name = t.schema_name AND q.kind = 'secondReader'
    LEFT JOIN space n ON n.nspname = t.schema_name
    LEFT JOIN defaults d ON d.schema_name = t.schema_name
    LEFT JOIN settings sa ON sa.schema_name = t.schema_name AND sa.kind = 'app'
    LEFT JOIN settings sb ON sb.schema_name = t.schema_name AND sb.kind = 'second'
    LEFT JOIN settings sr ON sr.schema_name = t.schema_name AND sr.kind = 'reader'
    LEFT JOIN settings sq ON sq.schema_name = t.schema_name AND sq.kind = 'secondReader'
    LEFT JOIN members m ON m.schema_name = t.schema_name
    LEFT JOIN hosts h ON h.schema_name = t.schema_name
