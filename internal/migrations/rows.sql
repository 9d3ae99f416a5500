-- The tables of a schema and what of their columns is the same at every run: not what has a default that
-- reads a clock or draws by chance; and whether its policies bind the owner, too. $1 schema, $2 ledger.
SELECT c.relname, coalesce(string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FILTER (
    WHERE coalesce(pg_get_expr(d.adbin, d.adrelid), '') !~* '\m(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|current_timestamp|current_date|current_time|localtimestamp|localtime|random|random_normal|gen_random_uuid|uuidv4|uuidv7|uuid_generate_v[14]|txid_current|pg_current_xact_id)\M'), ''), c.relforcerowsecurity
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE n.nspname = $1 AND c.relkind = 'r' AND c.relname <> $2
GROUP BY c.relname, c.relforcerowsecurity
