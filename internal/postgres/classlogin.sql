-- The shared login of a class, as one JSON document. $1 its role; the second login's name is with _b.
WITH roles AS MATERIALIZED (
    SELECT r.*, r.rolname = $1 AS is_first FROM pg_catalog.pg_roles r WHERE r.rolname IN ($1, $1 || '_b')
), docs AS (
    SELECT r.is_first, jsonb_build_object('name', r.rolname, 'login', r.rolcanlogin, 'inherit', r.rolinherit, 'limit', r.rolconnlimit,
        'connects', EXISTS (
            SELECT FROM pg_catalog.pg_database d, aclexplode(d.datacl) x
            WHERE d.datname = current_database() AND x.grantee = r.oid AND x.privilege_type = 'CONNECT'),
        'settings', (
            SELECT to_jsonb(s.setconfig) FROM pg_catalog.pg_db_role_setting s
                JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase AND d.datname = current_database()
            WHERE s.setrole = r.oid)) AS doc
    FROM roles r
)
SELECT jsonb_build_object(
    'versionNum', current_setting('server_version_num')::int,
    'operator', current_user,
    'database', current_database(),
    'row', (SELECT to_jsonb(l) FROM tenantry.login l WHERE role_name = $1),
    'first', (SELECT doc FROM docs WHERE is_first),
    'second', (SELECT doc FROM docs WHERE NOT is_first),
    'chained', EXISTS (
        SELECT FROM pg_catalog.pg_auth_members m JOIN roles f ON f.oid = m.roleid AND f.is_first JOIN roles s ON s.oid = m.member AND NOT s.is_first),
    'tenants', (
        SELECT count(DISTINCT m.roleid) FROM pg_catalog.pg_auth_members m JOIN roles f ON f.oid = m.member AND f.is_first)
)
