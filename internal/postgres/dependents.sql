-- Objects outside a schema that would go with it by CASCADE; at most five, described for people.
-- $1 schema. The namespace of a dependent is its own, or that of the relation it is a part of.
WITH nsp AS MATERIALIZED (
    SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1
), inside (classid, objid) AS (
    SELECT 'pg_catalog.pg_class'::regclass, oid FROM pg_catalog.pg_class WHERE relnamespace = (SELECT oid FROM nsp)
    UNION ALL
    SELECT 'pg_catalog.pg_type'::regclass, oid FROM pg_catalog.pg_type WHERE typnamespace = (SELECT oid FROM nsp)
    UNION ALL
    SELECT 'pg_catalog.pg_proc'::regclass, oid FROM pg_catalog.pg_proc WHERE pronamespace = (SELECT oid FROM nsp)
    UNION ALL
    SELECT 'pg_catalog.pg_operator'::regclass, oid FROM pg_catalog.pg_operator WHERE oprnamespace = (SELECT oid FROM nsp)
    UNION ALL
    SELECT 'pg_catalog.pg_collation'::regclass, oid FROM pg_catalog.pg_collation WHERE collnamespace = (SELECT oid FROM nsp)
), dependents AS (
    SELECT DISTINCT d.classid, d.objid, d.objsubid
    FROM inside i JOIN pg_catalog.pg_depend d ON d.refclassid = i.classid AND d.refobjid = i.objid
), placed AS (
    SELECT d.*, coalesce(t.typnamespace, p.pronamespace, o.oprnamespace, c.relnamespace) AS namespace
    FROM dependents d
        LEFT JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = d.objid
        LEFT JOIN pg_catalog.pg_attrdef a ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND a.oid = d.objid
        LEFT JOIN pg_catalog.pg_trigger g ON d.classid = 'pg_catalog.pg_trigger'::regclass AND g.oid = d.objid
        LEFT JOIN pg_catalog.pg_policy l ON d.classid = 'pg_catalog.pg_policy'::regclass AND l.oid = d.objid
        LEFT JOIN pg_catalog.pg_constraint k ON d.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = d.objid
        LEFT JOIN pg_catalog.pg_type t ON t.oid = CASE d.classid WHEN 'pg_catalog.pg_type'::regclass THEN d.objid
            WHEN 'pg_catalog.pg_constraint'::regclass THEN nullif(k.contypid, 0) END
        LEFT JOIN pg_catalog.pg_proc p ON d.classid = 'pg_catalog.pg_proc'::regclass AND p.oid = d.objid
        LEFT JOIN pg_catalog.pg_operator o ON d.classid = 'pg_catalog.pg_operator'::regclass AND o.oid = d.objid
        LEFT JOIN pg_catalog.pg_class c ON c.oid = CASE d.classid WHEN 'pg_catalog.pg_class'::regclass THEN d.objid
            ELSE coalesce(r.ev_class, a.adrelid, g.tgrelid, l.polrelid, nullif(k.conrelid, 0)) END
)
SELECT pg_catalog.pg_describe_object(classid, objid, objsubid)
FROM placed
WHERE namespace <> (SELECT oid FROM nsp) AND namespace <> 'pg_toast'::regnamespace
ORDER BY 1
LIMIT 5
