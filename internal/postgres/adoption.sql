-- What is in a schema, and who owns it, as one JSON document. $1 schema. Parts of tables (indexes, row types,
-- the sequences of their columns) follow their table and are left out; so are what has no owner, and the
-- functions that the server makes with a range type, which are the superuser's. The names are the server's
-- own, qualified and quoted. What an extension made is told by the extension alone.
WITH nsp AS MATERIALIZED (
    SELECT oid, nspowner FROM pg_catalog.pg_namespace WHERE nspname = $1
), every (classid, objid, owner, kind) AS (
    SELECT 'pg_catalog.pg_class'::regclass::oid, c.oid, c.relowner, CASE c.relkind
        WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END
    FROM nsp JOIN pg_catalog.pg_class c ON c.relnamespace = nsp.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    WHERE c.relkind <> 'S' OR NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
            AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i'))
    UNION ALL
    SELECT 'pg_catalog.pg_type'::regclass::oid, t.oid, t.typowner, CASE t.typtype WHEN 'm' THEN 'MULTIRANGE' ELSE 'TYPE' END
    FROM nsp JOIN pg_catalog.pg_type t ON t.typnamespace = nsp.oid AND t.typtype <> 'p'
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid)
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid AND c.relkind <> 'c')
    UNION ALL
    SELECT 'pg_catalog.pg_proc'::regclass::oid, p.oid, p.proowner, 'ROUTINE' FROM nsp JOIN pg_catalog.pg_proc p ON p.pronamespace = nsp.oid
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')
    UNION ALL
    SELECT 'pg_catalog.pg_operator'::regclass::oid, o.oid, o.oprowner, 'OPERATOR' FROM nsp JOIN pg_catalog.pg_operator o ON o.oprnamespace = nsp.oid
    UNION ALL
    SELECT 'pg_catalog.pg_opclass'::regclass::oid, o.oid, o.opcowner, 'OPERATOR CLASS' FROM nsp JOIN pg_catalog.pg_opclass o ON o.opcnamespace = nsp.oid
    UNION ALL
    SELECT 'pg_catalog.pg_opfamily'::regclass::oid, o.oid, o.opfowner, 'OPERATOR FAMILY' FROM nsp JOIN pg_catalog.pg_opfamily o ON o.opfnamespace = nsp.oid
    UNION ALL
    SELECT 'pg_catalog.pg_collation'::regclass::oid, c.oid, c.collowner, 'COLLATION' FROM nsp JOIN pg_catalog.pg_collation c ON c.collnamespace = nsp.oid
    UNION ALL
    SELECT 'pg_catalog.pg_conversion'::regclass::oid, c.oid, c.conowner, 'CONVERSION' FROM nsp JOIN pg_catalog.pg_conversion c ON c.connamespace = nsp.oid
    UNION ALL
    SELECT 'pg_catalog.pg_statistic_ext'::regclass::oid, s.oid, s.stxowner, 'STATISTICS' FROM nsp JOIN pg_catalog.pg_statistic_ext s ON s.stxnamespace = nsp.oid
    UNION ALL
    SELECT 'pg_catalog.pg_ts_dict'::regclass::oid, d.oid, d.dictowner, 'TEXT SEARCH DICTIONARY' FROM nsp JOIN pg_catalog.pg_ts_dict d ON d.dictnamespace = nsp.oid
    UNION ALL
    SELECT 'pg_catalog.pg_ts_config'::regclass::oid, c.oid, c.cfgowner, 'TEXT SEARCH CONFIGURATION' FROM nsp JOIN pg_catalog.pg_ts_config c ON c.cfgnamespace = nsp.oid
), members AS MATERIALIZED (
    SELECT every.*, d.refobjid AS extension FROM every JOIN pg_catalog.pg_depend d ON d.classid = every.classid AND d.objid = every.objid
        AND d.deptype = 'e' AND d.refclassid = 'pg_catalog.pg_extension'::regclass
), found AS (
    SELECT * FROM every WHERE (classid, objid) NOT IN (SELECT classid, objid FROM members)
), owners AS (
    SELECT owner AS oid FROM found UNION SELECT nspowner FROM nsp
)
SELECT jsonb_build_object(
    'versionNum', current_setting('server_version_num')::int,
    'login', me.rolname, 'inherits', me.rolinherit,
    'owner', (SELECT pg_get_userbyid(nspowner) FROM nsp),
    'scratch', EXISTS (SELECT FROM tenantry.scratch WHERE schema_name = $1),
    'owners', (
        SELECT jsonb_agg(jsonb_build_object('name', r.rolname, 'super', r.rolsuper, 'usable', pg_has_role(r.oid, 'USAGE')) ORDER BY r.rolname)
        FROM owners JOIN pg_catalog.pg_roles r ON r.oid = owners.oid),
    'objects', (
        SELECT jsonb_agg(jsonb_build_object('kind', f.kind, 'owner', pg_get_userbyid(f.owner),
            'name', (pg_identify_object(f.classid, f.objid, 0)).identity) ORDER BY f.kind, f.objid)
        FROM found f),
    'tables', (SELECT jsonb_agg(c.relname) FROM nsp JOIN pg_catalog.pg_class c ON c.relnamespace = nsp.oid AND c.relkind IN ('r', 'p')),
    'extensions', (
        SELECT jsonb_agg(x.extname ORDER BY x.extname) FROM pg_catalog.pg_extension x
        WHERE x.extnamespace IN (SELECT oid FROM nsp) OR x.oid IN (SELECT extension FROM members))
)
FROM pg_catalog.pg_roles me WHERE me.rolname = current_user
