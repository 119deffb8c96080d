-- Changes of the database that zoo.sql makes. Each is a name, what is done, and what undoes it (nothing: it stays).

--: row value in place
UPDATE gen SET a = 1000 WHERE a = 100;
--<
UPDATE gen SET a = 100 WHERE a = 1000;

--: other values in place
UPDATE rls SET o = CASE o WHEN 'x' THEN 'y' ELSE 'x' END;
--<
UPDATE rls SET o = CASE o WHEN 'y' THEN 'x' ELSE 'app' END;

--: scale of a number
UPDATE fl SET n = 1.0 WHERE n::text = '1.00';
--<
UPDATE fl SET n = 1.00 WHERE n::text = '1.0';

--: minus zero
UPDATE fl SET g = '0' WHERE g::text = '-0';
--<
UPDATE fl SET g = '-0' WHERE g::text = '0';

--: row more in an unlogged table
INSERT INTO unl VALUES ('z');
--<
DELETE FROM unl WHERE x = 'z';

--: role password
ALTER ROLE app PASSWORD 'other';

--: role superuser
ALTER ROLE app SUPERUSER;
--<
ALTER ROLE app NOSUPERUSER;

--: role may log in
ALTER ROLE grp LOGIN;
--<
ALTER ROLE grp NOLOGIN;

--: role bypasses row security
ALTER ROLE grp BYPASSRLS;
--<
ALTER ROLE grp NOBYPASSRLS;

--: role connection limit
ALTER ROLE app CONNECTION LIMIT 4;
--<
ALTER ROLE app CONNECTION LIMIT 3;

--: role valid until
ALTER ROLE app VALID UNTIL '2031-01-01';
--<
ALTER ROLE app VALID UNTIL '2030-01-01';

--: role comment
COMMENT ON ROLE app IS 'x';
--<
COMMENT ON ROLE app IS NULL;

--: role more
CREATE ROLE spy LOGIN;
--<
DROP ROLE spy;

--: role renamed
ALTER ROLE later RENAME TO soon;
--<
ALTER ROLE soon RENAME TO later;

--: role membership gone
REVOKE grp FROM app;
--<
GRANT grp TO app WITH ADMIN OPTION;

--: role membership more
GRANT app TO later;
--<
REVOKE app FROM later;

--: role admin option
REVOKE ADMIN OPTION FOR grp FROM app;
--<
GRANT grp TO app WITH ADMIN OPTION;

--: role setting
ALTER ROLE app RESET work_mem;
--<
ALTER ROLE app SET work_mem = '9MB';

--: role setting of the first user
ALTER ROLE coin SET work_mem = '9MB';
--<
ALTER ROLE coin RESET work_mem;

--: role in database setting
ALTER ROLE app IN DATABASE coin RESET search_path;
--<
ALTER ROLE app IN DATABASE coin SET search_path = x, public;

--: database setting
ALTER DATABASE coin RESET statement_timeout;
--<
ALTER DATABASE coin SET statement_timeout = '5min';

--: database setting changed
ALTER DATABASE coin SET statement_timeout = '6min';
--<
ALTER DATABASE coin SET statement_timeout = '5min';

--: database privileges
GRANT CONNECT ON DATABASE coin TO public;
--<
REVOKE CONNECT ON DATABASE coin FROM public;

--: database connection limit
ALTER DATABASE coin CONNECTION LIMIT 0;
--<
ALTER DATABASE coin CONNECTION LIMIT -1;

--: database is a template
ALTER DATABASE coin IS_TEMPLATE true;
--<
ALTER DATABASE coin IS_TEMPLATE false;

--: database comment
COMMENT ON DATABASE coin IS 'x';
--<
COMMENT ON DATABASE coin IS 'of the lab';

--: another database gone
DROP DATABASE "we""ird=x/y'z";
--<
CREATE DATABASE "we""ird=x/y'z";

--: parameter privilege
REVOKE SET ON PARAMETER work_mem FROM app;
--<
GRANT SET ON PARAMETER work_mem TO app;

--: large object owner
ALTER LARGE OBJECT 4711 OWNER TO coin;
--<
ALTER LARGE OBJECT 4711 OWNER TO app;

--: large object privileges
REVOKE SELECT ON LARGE OBJECT 4711 FROM grp;
--<
GRANT SELECT ON LARGE OBJECT 4711 TO grp;

--: large object comment
COMMENT ON LARGE OBJECT 4711 IS 'd';
--<
COMMENT ON LARGE OBJECT 4711 IS 'c';

--: large object content
SELECT lo_put(4711, 0, '\xff');
--<
SELECT lo_put(4711, 0, '\xde');

--: large object more
SELECT lo_create(4712);
--<
SELECT lo_unlink(4712);

--: materialized view emptied
REFRESH MATERIALIZED VIEW mv WITH NO DATA;
--<
REFRESH MATERIALIZED VIEW mv;

--: materialized view filled
REFRESH MATERIALIZED VIEW mv2;
--<
REFRESH MATERIALIZED VIEW mv2 WITH NO DATA;

--: sequence was used
SELECT setval('sq2', 42, true);
--<
SELECT setval('sq2', 42, false);

--: sequence not used, elsewhere
SELECT setval('sq2', 1, false);
--<
SELECT setval('sq2', 42, false);

--: sequence used first
SELECT nextval('sq3');
--<
SELECT setval('sq3', 1, false);

--: sequence of an identity
SELECT setval('gen_c_seq', 5);
--<
SELECT setval('gen_c_seq', 698);

--: sequence that cycles
SELECT setval('sq', 4);
--<
SELECT setval('sq', 1);

--: sequence cycles no more
ALTER SEQUENCE sq NO CYCLE;
--<
ALTER SEQUENCE sq CYCLE;

--: sequence increment
ALTER SEQUENCE sq2 INCREMENT 2;
--<
ALTER SEQUENCE sq2 INCREMENT 1;

--: sequence cache
ALTER SEQUENCE sq2 CACHE 20;
--<
ALTER SEQUENCE sq2 CACHE 1;

--: table owner
ALTER TABLE fl OWNER TO app;
--<
ALTER TABLE fl OWNER TO coin;

--: grant on a table
REVOKE UPDATE ON rls FROM later;
--<
GRANT UPDATE ON rls TO later;

--: grant option
REVOKE GRANT OPTION FOR SELECT ON rls FROM aaa;
--<
GRANT SELECT ON rls TO aaa WITH GRANT OPTION;

--: row security off
ALTER TABLE rls DISABLE ROW LEVEL SECURITY;
--<
ALTER TABLE rls ENABLE ROW LEVEL SECURITY;

--: policy for one role less
ALTER POLICY p ON rls TO grp, app;
--<
ALTER POLICY p ON rls TO grp, app, aaa;

--: trigger enabled
ALTER TABLE gen ENABLE TRIGGER t;
--<
ALTER TABLE gen DISABLE TRIGGER t;

--: event trigger off
ALTER EVENT TRIGGER et DISABLE;
--<
ALTER EVENT TRIGGER et ENABLE;

--: constraint gone
ALTER TABLE nv DROP CONSTRAINT c;
--<
ALTER TABLE nv ADD CONSTRAINT c CHECK (a > 0) NOT VALID;

--: index gone
DROP INDEX gen_a;
--<
CREATE INDEX gen_a ON gen (a);

--: default privileges
ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM app;
--<
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO app;

--: comment in a function
CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$
-- other
BEGIN
  PERFORM 1;
  RETURN 1;
END $$;
--<
CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$
-- comment
BEGIN
  PERFORM 1;
  RETURN 1;
END $$;

--: lines of a function swapped
CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$
-- comment
BEGIN
  RETURN 1;
  PERFORM 1;
END $$;
--<
CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$
-- comment
BEGIN
  PERFORM 1;
  RETURN 1;
END $$;

--: labels of an enum swapped
ALTER TYPE en RENAME VALUE 'a' TO 'z'; ALTER TYPE en RENAME VALUE 'c' TO 'a'; ALTER TYPE en RENAME VALUE 'z' TO 'c';
--<
ALTER TYPE en RENAME VALUE 'a' TO 'z'; ALTER TYPE en RENAME VALUE 'c' TO 'a'; ALTER TYPE en RENAME VALUE 'z' TO 'c';

--: view
CREATE OR REPLACE VIEW v AS SELECT a, b, c FROM gen WHERE a > 0;
--<
CREATE OR REPLACE VIEW v AS SELECT a, b, c FROM gen;

--: publication of a table less
ALTER PUBLICATION pub DROP TABLE zero;
--<
ALTER PUBLICATION pub ADD TABLE zero;

--: password of a user mapping
ALTER USER MAPPING FOR app SERVER s OPTIONS (SET password 'x');
--<
ALTER USER MAPPING FOR app SERVER s OPTIONS (SET password 'fdwpw');

--: table logged
ALTER TABLE unl SET LOGGED;
--<
ALTER TABLE unl SET UNLOGGED;

--: storage parameter
ALTER TABLE fl SET (fillfactor = 50);
--<
ALTER TABLE fl RESET (fillfactor);

--: statistics object gone
DROP STATISTICS st;
--<
CREATE STATISTICS st ON a, b FROM gen;

--: extension gone
DROP EXTENSION pgcrypto;
--<
CREATE EXTENSION pgcrypto;

--: subscription gone
ALTER SUBSCRIPTION sub SET (slot_name = NONE); DROP SUBSCRIPTION sub;

--: large object gone
SELECT lo_unlink(4711);

--: database owner
ALTER DATABASE coin OWNER TO app;
