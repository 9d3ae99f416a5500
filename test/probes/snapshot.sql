-- Everything of a database and of the server's roles that a probe might change, a line each. The
-- operator sets migrators' and Jobs' passwords anew as it needs.
SELECT line FROM (
    SELECT format('role %s %s %s %s %s %s %s %s limit %s until %s password %s', rolname, rolsuper, rolinherit, rolcreaterole,
        rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit, rolvaliduntil, CASE WHEN rolname !~ '^tenantry_mig_|_job$' THEN rolpassword END) AS line FROM pg_authid
    UNION ALL SELECT format('member %s in %s by %s %s', pg_get_userbyid(member), pg_get_userbyid(roleid), pg_get_userbyid(grantor),
        to_jsonb(m) - 'oid' - 'roleid' - 'member' - 'grantor') FROM pg_auth_members m
    UNION ALL SELECT format('setting %s %s %s', coalesce(pg_get_userbyid(nullif(setrole, 0)), '*'),
        (SELECT datname FROM pg_database WHERE oid = setdatabase), setconfig) FROM pg_db_role_setting
    UNION ALL SELECT format('file setting %s %s', name, setting) FROM pg_file_settings WHERE sourcefile ~ 'auto.conf$'
    UNION ALL SELECT format('database %s %s %s %s', datname, pg_get_userbyid(datdba), datconnlimit, datacl) FROM pg_database
    UNION ALL SELECT format('tablespace %s %s', spcname, spcacl) FROM pg_tablespace
    UNION ALL SELECT format('schema %s %s %s', nspname, pg_get_userbyid(nspowner), nspacl) FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp'
    UNION ALL SELECT format('relation %s %s %s %s rules %s rls %s', oid::regclass, relkind, pg_get_userbyid(relowner),
        relacl, relhasrules, relrowsecurity) FROM pg_class WHERE relpersistence <> 't' AND relnamespace <> 'pg_toast'::regnamespace
    UNION ALL SELECT format('column %s.%s %s %s %s', attrelid::regclass, attname, format_type(atttypid, atttypmod), atthasdef, attacl)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE attnum > 0 AND (relnamespace NOT IN ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace, 'information_schema'::regnamespace) OR attacl IS NOT NULL)
    UNION ALL SELECT format('routine %s %s %s %s %s', oid::regprocedure, pg_get_userbyid(proowner), prosecdef, md5(prosrc), proacl) FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT format('routines %s %s', count(*), sum(xmin::text::bigint)) FROM pg_proc WHERE oid < 16384
    UNION ALL SELECT format('type %s %s %s', format_type(oid, NULL), pg_get_userbyid(typowner), typacl) FROM pg_type
        WHERE typnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    UNION ALL SELECT format('operator %s %s', oid::regoperator, pg_get_userbyid(oprowner)) FROM pg_operator WHERE oid >= 16384
    UNION ALL SELECT format('cast %s to %s by %s', castsource::regtype, casttarget::regtype, castfunc::regprocedure) FROM pg_cast WHERE oid >= 16384
    UNION ALL SELECT format('language %s %s %s', lanname, pg_get_userbyid(lanowner), lanacl) FROM pg_language
    UNION ALL SELECT format('default right %s %s %s %s', pg_get_userbyid(defaclrole), defaclnamespace::regnamespace, defaclobjtype, defaclacl) FROM pg_default_acl
    UNION ALL SELECT format('large object %s %s %s', oid, pg_get_userbyid(lomowner), lomacl) FROM pg_largeobject_metadata
    UNION ALL SELECT format('large object %s %s', loid, md5(string_agg(data, '' ORDER BY pageno))) FROM pg_largeobject GROUP BY loid
    UNION ALL SELECT format('trigger %s on %s', tgname, tgrelid::regclass) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT format('policy %s on %s', polname, polrelid::regclass) FROM pg_policy
    UNION ALL SELECT format('event trigger %s', evtname) FROM pg_event_trigger
    UNION ALL SELECT format('extension %s', extname) FROM pg_extension
    UNION ALL SELECT format('publication %s', pubname) FROM pg_publication
    UNION ALL SELECT format('subscription %s', subname) FROM pg_subscription
    UNION ALL SELECT format('foreign %s', srvname) FROM pg_foreign_server
    UNION ALL SELECT format('foreign %s', fdwname) FROM pg_foreign_data_wrapper
    UNION ALL SELECT format('slot %s', slot_name) FROM pg_replication_slots
    UNION ALL SELECT format('prepared %s', gid) FROM pg_prepared_xacts
    UNION ALL SELECT format('comment %s %s', objoid, description) FROM pg_shdescription
    UNION ALL SELECT format('comment %s %s %s', classoid::regclass, objoid, description) FROM pg_description
        WHERE classoid = 'pg_class'::regclass AND objoid >= 16384
) s ORDER BY line
