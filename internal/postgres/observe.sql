-- One tenant as the registry and the catalogs have it, as one JSON document.
-- $1 schema, $2 and $3 owner and app role where the registry has none, $4 search_path, $5 group
-- role, $6 migrator or '', $7 shared login of a class or ''. Columns that only PostgreSQL 16 and newer have are read through to_jsonb.
WITH reg AS MATERIALIZED (
    SELECT * FROM tenantry.tenant WHERE schema_name = $1
), roles AS MATERIALIZED (
    SELECT r.*, r.rolname = coalesce((SELECT owner_role FROM reg), $2) AS is_owner,
        r.rolname = coalesce((SELECT app_role FROM reg), $3) AS is_app,
        r.rolname = coalesce((SELECT app_role FROM reg), $3) || '_b' AS is_second,
        right(r.rolname, 3) = '_ro' AS is_reader, right(r.rolname, 5) = '_ro_b' AS is_second_reader
    FROM pg_catalog.pg_roles r
    WHERE r.rolname IN (coalesce((SELECT owner_role FROM reg), $2), coalesce((SELECT app_role FROM reg), $3),
        coalesce((SELECT app_role FROM reg), $3) || '_b',
        left(coalesce((SELECT app_role FROM reg), $3), -4) || '_ro', left(coalesce((SELECT app_role FROM reg), $3), -4) || '_ro_b')
), role_docs AS (
    SELECT is_owner, is_app, is_second, is_reader, is_second_reader, jsonb_build_object('name', rolname, 'oid', oid::bigint, 'login', rolcanlogin, 'inherit', rolinherit,
        'limit', rolconnlimit, 'powers', array_remove(ARRAY[
            CASE WHEN rolsuper THEN 'SUPERUSER' END, CASE WHEN rolcreaterole THEN 'CREATEROLE' END,
            CASE WHEN rolcreatedb THEN 'CREATEDB' END, CASE WHEN rolreplication THEN 'REPLICATION' END,
            CASE WHEN rolbypassrls THEN 'BYPASSRLS' END], NULL)) AS doc
    FROM roles
), nsp AS MATERIALIZED (
    SELECT * FROM pg_catalog.pg_namespace WHERE nspname = $1
), members AS (
    SELECT m.* FROM pg_catalog.pg_auth_members m WHERE m.roleid IN (SELECT oid FROM roles)
    UNION ALL
    SELECT m.* FROM pg_catalog.pg_auth_members m WHERE m.member IN (SELECT oid FROM roles)
        AND m.roleid NOT IN (SELECT oid FROM roles)
)
SELECT jsonb_build_object(
    'versionNum', current_setting('server_version_num')::int,
    'login', current_user,
    'database', current_database(),
    'row', (SELECT to_jsonb(reg) FROM reg),
    'domains', (SELECT jsonb_agg(host ORDER BY position) FROM tenantry.domain WHERE schema_name = $1),
    'sharedName', EXISTS (SELECT FROM tenantry.shared_schema WHERE schema_name = $1),
    'owner', (SELECT doc FROM role_docs WHERE is_owner),
    'app', (SELECT doc FROM role_docs WHERE is_app),
    'second', (SELECT doc FROM role_docs WHERE is_second),
    'reader', (SELECT doc FROM role_docs WHERE is_reader),
    'secondReader', (SELECT doc FROM role_docs WHERE is_second_reader),
    'hasMigrator', EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = $6),
    'hasClassLogin', EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = $7),
    'schemaOwner', (SELECT pg_get_userbyid(nspowner) FROM nsp),
    'schemaACL', (
        SELECT jsonb_agg(jsonb_build_object('privilege', x.privilege_type,
            'grantee', CASE x.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(x.grantee) END))
        FROM nsp, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) x),
    'defaultACL', (
        SELECT jsonb_agg(jsonb_build_object('type', d.defaclobjtype, 'privilege', x.privilege_type,
            'grantee', CASE x.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(x.grantee) END))
        FROM roles r JOIN pg_catalog.pg_default_acl d ON d.defaclrole = r.oid AND d.defaclnamespace = 0,
            aclexplode(d.defaclacl) x
        WHERE r.is_owner),
    'settings', (
        SELECT to_jsonb(s.setconfig)
        FROM roles r JOIN pg_catalog.pg_db_role_setting s ON s.setrole = r.oid
            JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase AND d.datname = current_database()
        WHERE r.is_app),
    'secondSettings', (
        SELECT to_jsonb(s.setconfig)
        FROM roles r JOIN pg_catalog.pg_db_role_setting s ON s.setrole = r.oid
            JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase AND d.datname = current_database()
        WHERE r.is_second),
    'readerSettings', (
        SELECT to_jsonb(s.setconfig)
        FROM roles r JOIN pg_catalog.pg_db_role_setting s ON s.setrole = r.oid
            JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase AND d.datname = current_database()
        WHERE r.is_reader),
    'secondReaderSettings', (
        SELECT to_jsonb(s.setconfig)
        FROM roles r JOIN pg_catalog.pg_db_role_setting s ON s.setrole = r.oid
            JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase AND d.datname = current_database()
        WHERE r.is_second_reader),
    'wantPath', (SELECT string_agg(quote_ident(p), ', ' ORDER BY i) FROM unnest($4::text[]) WITH ORDINALITY u (p, i)),
    'members', (
        SELECT jsonb_agg(jsonb_build_object('role', pg_get_userbyid(m.roleid), 'member', pg_get_userbyid(m.member),
            'grantor', pg_get_userbyid(m.grantor),
            'inherit', coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, true),
            'set', coalesce((to_jsonb(m) ->> 'set_option')::boolean, true)))
        FROM members m),
    'group', $5::text, 'migrator', $6::text
)
