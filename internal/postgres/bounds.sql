-- What a login has beyond its bounds, as one JSON document: a list of {what, mend}. $1 schema, $2 shared
-- schema or '', $3 roles that it may be a member of, $4 the schema's owner, $5 the login, '' for the
-- session's own.
--
-- Rights are read from the catalogs' access lists, not asked by has_..._privilege, so that each one is
-- told with its grantee: the login itself, a role that it is in, or PUBLIC. Rights that come by a role
-- that it must not be in are told as that membership alone.
WITH RECURSIVE me AS MATERIALIZED (
    SELECT r.oid, r.rolname, r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolreplication, r.rolbypassrls
    FROM pg_catalog.pg_roles r WHERE r.rolname = coalesce(nullif($5, ''), current_user)
), reached (oid, member, grantor, allowed) AS (
    SELECT m.roleid, m.member, m.grantor, r.rolname = ANY ($3)
    FROM pg_catalog.pg_auth_members m JOIN me ON m.member = me.oid JOIN pg_catalog.pg_roles r ON r.oid = m.roleid
    UNION
    SELECT m.roleid, m.member, m.grantor, r.rolname = ANY ($3)
    FROM reached JOIN pg_catalog.pg_auth_members m ON m.member = reached.oid JOIN pg_catalog.pg_roles r ON r.oid = m.roleid
    WHERE reached.allowed
), who AS MATERIALIZED (
    SELECT 0::oid AS oid, 'PUBLIC' AS name
    UNION SELECT me.oid, quote_ident(me.rolname) FROM me
    UNION SELECT reached.oid, quote_ident(pg_get_userbyid(reached.oid)) FROM reached WHERE reached.allowed
), nsp AS MATERIALIZED (
    SELECT n.oid, n.nspname, quote_ident(n.nspname) AS name, x.privilege_type AS privilege, who.name AS grantee,
        n.nspname = 'tenantry' OR n.nspname <> $1 AND o.rolname LIKE 'tn\_%' AS closed,
        n.nspname IN ($1, $2) OR n.nspname LIKE 'pg\_%' OR n.nspname = 'information_schema' AS known
    FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles o ON o.oid = n.nspowner,
        aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) x JOIN who ON who.oid = x.grantee
), rel AS MATERIALIZED (
    SELECT c.oid, n.name || '.' || quote_ident(c.relname) AS name, c.relkind, c.relacl
    FROM (SELECT DISTINCT oid, name FROM nsp WHERE privilege = 'USAGE' AND NOT known AND NOT closed) n
        JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
), found (place, what, mend) AS (
    SELECT 1, 'is ' || power, 'ALTER ROLE ' || quote_ident(me.rolname) || ' NO' || power
    FROM me, LATERAL (VALUES ('SUPERUSER', rolsuper), ('CREATEROLE', rolcreaterole), ('CREATEDB', rolcreatedb),
        ('REPLICATION', rolreplication), ('BYPASSRLS', rolbypassrls)) v (power, has)
    WHERE has
  UNION ALL
    SELECT 2, 'is a member of ' || quote_ident(pg_get_userbyid(oid)),
        'REVOKE ' || quote_ident(pg_get_userbyid(oid)) || ' FROM ' || quote_ident(pg_get_userbyid(member))
            || CASE WHEN current_setting('server_version_num')::int >= 160000 THEN ' GRANTED BY ' || quote_ident(pg_get_userbyid(grantor)) ELSE '' END
    FROM reached WHERE NOT allowed
  UNION ALL
    SELECT CASE nspname WHEN 'tenantry' THEN 4 ELSE 3 END, 'has ' || privilege || ' on schema ' || name,
        'REVOKE ' || privilege || ' ON SCHEMA ' || name || ' FROM ' || grantee
    FROM nsp WHERE closed
  UNION ALL
    SELECT 5, 'has CREATE on schema ' || name, 'REVOKE CREATE ON SCHEMA ' || name || ' FROM ' || grantee
    FROM nsp WHERE privilege = 'CREATE' AND NOT closed
  UNION ALL
    SELECT DISTINCT 6, 'has ' || x.privilege_type || ' on ' || rel.name,
        'REVOKE ' || x.privilege_type || ' ON ' || CASE relkind WHEN 'S' THEN 'SEQUENCE ' ELSE '' END || rel.name || ' FROM ' || who.name
    FROM rel, aclexplode(rel.relacl) x JOIN who ON who.oid = x.grantee
  UNION ALL
    SELECT 6, 'has ' || x.privilege_type || ' on column ' || quote_ident(a.attname) || ' of ' || rel.name,
        'REVOKE ' || x.privilege_type || ' (' || quote_ident(a.attname) || ') ON ' || rel.name || ' FROM ' || who.name
    FROM rel JOIN pg_catalog.pg_attribute a ON a.attrelid = rel.oid AND a.attacl IS NOT NULL,
        aclexplode(a.attacl) x JOIN who ON who.oid = x.grantee
  UNION ALL
    SELECT 7, 'has ' || x.privilege_type || ' on database ' || quote_ident(d.datname),
        'REVOKE ' || x.privilege_type || ' ON DATABASE ' || quote_ident(d.datname) || ' FROM ' || who.name
    FROM pg_catalog.pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x JOIN who ON who.oid = x.grantee
    WHERE d.datname = current_database() AND x.privilege_type <> 'CONNECT'
  UNION ALL
    -- What PUBLIC has in other databases is PostgreSQL's default, and told by the TenantDatabase.
    SELECT 8, 'has ' || x.privilege_type || ' on database ' || quote_ident(d.datname),
        'REVOKE ' || x.privilege_type || ' ON DATABASE ' || quote_ident(d.datname) || ' FROM ' || who.name
    FROM pg_catalog.pg_database d, aclexplode(d.datacl) x JOIN who ON who.oid = x.grantee
    WHERE d.datname <> current_database() AND who.oid <> 0
  UNION ALL
    -- A large object of its own is the one thing that a login may make, and nobody's but its own.
    SELECT 9, CASE WHEN s.dbid IN (0, d.oid) THEN 'owns ' || pg_describe_object(s.classid, s.objid, 0)
            ELSE 'owns something in database ' || quote_ident(o.datname) END,
        CASE WHEN s.dbid IN (0, d.oid) THEN 'ALTER ' || upper(i.type) || ' ' || i.identity || ' OWNER TO '
                || CASE s.dbid WHEN 0 THEN 'CURRENT_USER' ELSE quote_ident($4) END
            ELSE 'REASSIGN OWNED BY ' || quote_ident(me.rolname) || ' TO CURRENT_USER, in database ' || quote_ident(o.datname) END
    FROM me JOIN pg_catalog.pg_shdepend s ON s.refclassid = 'pg_catalog.pg_authid'::regclass AND s.refobjid = me.oid AND s.deptype = 'o'
        JOIN pg_catalog.pg_database d ON d.datname = current_database()
        LEFT JOIN pg_catalog.pg_database o ON o.oid = s.dbid
        LEFT JOIN LATERAL pg_identify_object(s.classid, s.objid, 0) i ON s.dbid IN (0, d.oid)
    WHERE s.classid <> 'pg_catalog.pg_largeobject'::regclass
  UNION ALL
    -- Functions that are not everybody's from the start: those that read files, and others.
    SELECT 10, 'may call ' || p.oid::regprocedure::text, 'REVOKE EXECUTE ON FUNCTION pg_catalog.' || p.oid::regprocedure::text || ' FROM ' || who.name
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_init_privs i ON i.classoid = 'pg_catalog.pg_proc'::regclass AND i.objoid = p.oid,
        aclexplode(p.proacl) x JOIN who ON who.oid = x.grantee
    WHERE p.pronamespace = 'pg_catalog'::regnamespace AND NOT EXISTS (SELECT FROM aclexplode(i.initprivs) was WHERE was.grantee = x.grantee)
  UNION ALL
    SELECT 11, 'has ' || x.privilege_type || ' on parameter ' || p.parname, 'REVOKE ' || x.privilege_type || ' ON PARAMETER ' || p.parname || ' FROM ' || who.name
    FROM pg_catalog.pg_parameter_acl p, aclexplode(p.paracl) x JOIN who ON who.oid = x.grantee
  UNION ALL
    SELECT 12, 'has USAGE on ' || lower(f.kind) || ' ' || f.name, 'REVOKE USAGE ON ' || f.kind || ' ' || f.name || ' FROM ' || who.name
    FROM (SELECT 'FOREIGN DATA WRAPPER', quote_ident(fdwname), fdwacl FROM pg_catalog.pg_foreign_data_wrapper
        UNION ALL SELECT 'FOREIGN SERVER', quote_ident(srvname), srvacl FROM pg_catalog.pg_foreign_server) f (kind, name, acl),
        aclexplode(f.acl) x JOIN who ON who.oid = x.grantee
  UNION ALL
    SELECT 13, 'has CREATE on tablespace ' || quote_ident(s.spcname), 'REVOKE CREATE ON TABLESPACE ' || quote_ident(s.spcname) || ' FROM ' || who.name
    FROM pg_catalog.pg_tablespace s, aclexplode(s.spcacl) x JOIN who ON who.oid = x.grantee
  UNION ALL
    SELECT 14, 'has ' || x.privilege_type || ' on its ledger of migrations',
        'REVOKE ' || x.privilege_type || ' ON ' || quote_ident($1) || '.tenantry_migrations FROM ' || who.name
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = $1,
        aclexplode(c.relacl) x JOIN who ON who.oid = x.grantee
    WHERE c.relname = 'tenantry_migrations' AND x.privilege_type <> 'SELECT'
)
SELECT coalesce(jsonb_agg(jsonb_build_object('what', what, 'mend', mend) ORDER BY place, what, mend), '[]')
FROM found
