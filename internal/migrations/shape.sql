-- What a schema is made of, a line for each property of each object: kind, name, property. The text is the
-- same for two schemas that are alike, if it is read with the schema first on the path. $1 schema, $2 ledger.
WITH nsp AS MATERIALIZED (
    SELECT oid, nspowner FROM pg_namespace WHERE nspname = $1
), rel AS MATERIALIZED (
    SELECT c.* FROM pg_class c JOIN nsp ON c.relnamespace = nsp.oid
    WHERE c.relname <> $2 AND NOT EXISTS (
        SELECT FROM pg_index i JOIN pg_class l ON l.oid = i.indrelid
        WHERE i.indexrelid = c.oid AND l.relname = $2 AND l.relnamespace = c.relnamespace)
), kinds (code, kind) AS (
    VALUES ('r', 'table'), ('p', 'table'), ('v', 'view'), ('m', 'materialized view'), ('S', 'sequence'), ('f', 'foreign table'),
        ('c', 'type'), ('i', 'index'), ('I', 'index')
), lines AS (
    SELECT k.kind || ' ' || r.relname AS object, 'is ' || concat_ws(', ', r.relkind, r.relpersistence, 'replica identity ' || r.relreplident::text,
            CASE WHEN r.relrowsecurity THEN 'row security' END, CASE WHEN r.relforcerowsecurity THEN 'forced' END,
            nullif(array_to_string(r.reloptions, ' '), ''), (SELECT amname FROM pg_am WHERE oid = r.relam),
            'owner ' || pg_get_userbyid(r.relowner), CASE WHEN r.relispartition THEN pg_get_expr(r.relpartbound, r.oid) END,
            CASE WHEN r.relkind = 'p' THEN pg_get_partkeydef(r.oid) END,
            (SELECT 'inherits ' || string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno) FROM pg_inherits WHERE inhrelid = r.oid)) AS property
    FROM rel r JOIN kinds k ON k.code = r.relkind::text
    UNION ALL
    SELECT k.kind || ' ' || r.relname, 'rights ' || coalesce((SELECT string_agg(x::text, ' ' ORDER BY x::text)
            FROM unnest(coalesce(r.relacl, acldefault(CASE r.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", r.relowner))) x), 'none')
    FROM rel r JOIN kinds k ON k.code = r.relkind::text WHERE r.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    UNION ALL
    SELECT k.kind || ' ' || r.relname, 'column ' || a.attname || ': ' || concat_ws(', ',
            row_number() OVER (PARTITION BY r.oid ORDER BY a.attnum), format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attnotnull THEN 'not null' END, nullif('identity ' || a.attidentity::text, 'identity '), nullif('generated ' || a.attgenerated::text, 'generated '),
            'default ' || pg_get_expr(d.adbin, d.adrelid), 'collation ' || nullif(a.attcollation, 0)::regcollation::text, 'storage ' || a.attstorage::text,
            nullif('compression ' || a.attcompression::text, 'compression '), nullif('statistics ' || coalesce(to_jsonb(a) ->> 'attstattarget', '-1'), 'statistics -1'),
            array_to_string(a.attoptions, ' '), 'rights ' || (SELECT string_agg(x::text, ' ' ORDER BY x::text) FROM unnest(a.attacl) x),
            'comment ' || col_description(r.oid, a.attnum))
    FROM rel r JOIN kinds k ON k.code = r.relkind::text JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
    WHERE r.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
    UNION ALL
    SELECT k.kind || ' ' || r.relname, 'comment ' || obj_description(r.oid, 'pg_class')
    FROM rel r JOIN kinds k ON k.code = r.relkind::text WHERE obj_description(r.oid, 'pg_class') IS NOT NULL
    UNION ALL
    -- NOT NULL constraints, which have names since PostgreSQL 18, are columns' properties.
    SELECT CASE WHEN c.conrelid <> 0 THEN 'table ' || (SELECT relname FROM pg_class WHERE oid = c.conrelid) ELSE 'type ' || c.contypid::regtype END,
        'constraint ' || c.conname || ': ' || pg_get_constraintdef(c.oid, true) || coalesce(', comment ' || obj_description(c.oid, 'pg_constraint'), '')
    FROM pg_constraint c JOIN nsp ON c.connamespace = nsp.oid
    WHERE c.contype <> 'n' AND c.conrelid NOT IN (SELECT oid FROM pg_class WHERE relname = $2 AND relnamespace = nsp.oid)
    UNION ALL
    SELECT 'index ' || r.relname, pg_get_indexdef(i.indexrelid) || concat_ws(' ', '', CASE WHEN NOT i.indisvalid THEN 'invalid' END,
            CASE WHEN i.indisclustered THEN 'clustered' END, CASE WHEN i.indisreplident THEN 'replica identity' END)
    FROM rel r JOIN pg_index i ON i.indexrelid = r.oid
    UNION ALL
    SELECT 'view ' || r.relname, 'is ' || pg_get_viewdef(r.oid, true) || CASE WHEN r.relispopulated THEN '' ELSE ' unpopulated' END
    FROM rel r WHERE r.relkind IN ('v', 'm')
    UNION ALL
    SELECT 'sequence ' || r.relname, concat_ws(', ', format_type(s.seqtypid, NULL), 'start ' || s.seqstart, 'increment ' || s.seqincrement,
            'max ' || s.seqmax, 'min ' || s.seqmin, 'cache ' || s.seqcache, CASE WHEN s.seqcycle THEN 'cycle' END,
            'last value ' || coalesce(pg_sequence_last_value(r.oid)::text, 'none'),
            (SELECT 'owned by ' || o.refobjid::regclass || '.' || a.attname FROM pg_depend o JOIN pg_attribute a ON a.attrelid = o.refobjid AND a.attnum = o.refobjsubid
             WHERE o.classid = 'pg_class'::regclass AND o.objid = r.oid AND o.deptype IN ('a', 'i')))
    FROM rel r JOIN pg_sequence s ON s.seqrelid = r.oid
    UNION ALL
    SELECT 'function ' || p.oid::regprocedure, CASE WHEN p.prokind = 'a'
            THEN (SELECT 'aggregate of ' || concat_ws(', ', aggtransfn, aggfinalfn, aggtranstype::regtype, agginitval, aggsortop::regoper) FROM pg_aggregate WHERE aggfnoid = p.oid)
            ELSE 'is ' || pg_get_functiondef(p.oid) END
    FROM pg_proc p JOIN nsp ON p.pronamespace = nsp.oid
    UNION ALL
    SELECT 'function ' || p.oid::regprocedure, concat_ws(', ', 'owner ' || pg_get_userbyid(p.proowner),
            'rights ' || (SELECT string_agg(x::text, ' ' ORDER BY x::text) FROM unnest(coalesce(p.proacl, acldefault('f', p.proowner))) x),
            'comment ' || obj_description(p.oid, 'pg_proc'))
    FROM pg_proc p JOIN nsp ON p.pronamespace = nsp.oid
    UNION ALL
    SELECT 'table ' || r.relname, 'trigger ' || pg_get_triggerdef(t.oid, true) || ', enabled ' || t.tgenabled::text || coalesce(', comment ' || obj_description(t.oid, 'pg_trigger'), '')
    FROM rel r JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
    UNION ALL
    SELECT 'table ' || r.relname, 'rule ' || pg_get_ruledef(w.oid, true) || ', enabled ' || w.ev_enabled::text
    FROM rel r JOIN pg_rewrite w ON w.ev_class = r.oid AND w.rulename <> '_RETURN'
    UNION ALL
    SELECT 'table ' || r.relname, 'policy ' || p.polname || ': ' || concat_ws(', ', p.polcmd, p.polpermissive,
            (SELECT string_agg(CASE x WHEN 0 THEN 'public' ELSE pg_get_userbyid(x) END, ' ' ORDER BY x) FROM unnest(p.polroles) x),
            pg_get_expr(p.polqual, r.oid), pg_get_expr(p.polwithcheck, r.oid))
    FROM rel r JOIN pg_policy p ON p.polrelid = r.oid
    UNION ALL
    SELECT 'statistics ' || s.stxname, pg_get_statisticsobjdef(s.oid)
    FROM pg_statistic_ext s JOIN nsp ON s.stxnamespace = nsp.oid
    UNION ALL
    SELECT 'type ' || t.typname, concat_ws(', ', t.typtype, 'owner ' || pg_get_userbyid(t.typowner),
            'rights ' || (SELECT string_agg(x::text, ' ' ORDER BY x::text) FROM unnest(coalesce(t.typacl, acldefault('T', t.typowner))) x),
            (SELECT 'values ' || string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid),
            CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END, CASE WHEN t.typnotnull THEN 'not null' END, 'default ' || t.typdefault,
            (SELECT 'range of ' || rngsubtype::regtype FROM pg_range WHERE rngtypid = t.oid), 'comment ' || obj_description(t.oid, 'pg_type'))
    FROM pg_type t JOIN nsp ON t.typnamespace = nsp.oid LEFT JOIN pg_class c ON c.oid = t.typrelid
    WHERE t.typcategory <> 'A' AND (t.typrelid = 0 OR c.relkind = 'c')
    UNION ALL
    -- Kinds that have no lines of their own (operators, collations, text search) are counted.
    SELECT 'objects', c.relname || ': ' || count(*)
    FROM pg_depend d JOIN nsp ON d.refobjid = nsp.oid AND d.refclassid = 'pg_namespace'::regclass JOIN pg_class c ON c.oid = d.classid
    GROUP BY c.relname
    UNION ALL
    SELECT 'default rights', d.defaclobjtype::text || ': ' || (SELECT string_agg(x::text, ' ' ORDER BY x::text) FROM unnest(d.defaclacl) x)
    FROM pg_default_acl d JOIN nsp ON d.defaclnamespace = nsp.oid
)
SELECT object || E'\t' || coalesce(property, '') FROM lines
