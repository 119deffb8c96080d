-- Rows and a hash of each table, to be compared after a migration:
--     psql -XqAt -v ON_ERROR_STOP=1 -d DATABASE < onebox-facts.sql > DATABASE.facts
-- It only reads. PostgreSQL 12 or newer.
BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0;
SET search_path = ''; SET row_security = off; SET DateStyle = 'ISO, YMD'; SET TimeZone = 'UTC';
SET IntervalStyle = 'postgres'; SET extra_float_digits = 3; SET bytea_output = 'hex'; SET lc_monetary = 'C';
SET client_encoding = 'UTF8'; SET synchronize_seqscans = off;
SELECT pg_catalog.format('SELECT pg_catalog.json_build_array(%L::text, %L::text,
 pg_catalog.count(*), COALESCE(pg_catalog.sum(pg_catalog.hashtextextended(ROW(obx_row.*)::text, 0)), 0)::text)
 FROM ONLY %I.%I AS obx_row',
 n.nspname, c.relname, n.nspname, c.relname)
 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
 WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e') ORDER BY 1::text \gexec
COMMIT;
