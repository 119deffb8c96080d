-- Data with the corners that break backups: odd names, big text, sequences, roles, views, partitions, large objects.
CREATE ROLE trader LOGIN PASSWORD 'x';
CREATE SCHEMA "Odd ""schema""";
CREATE TABLE trades (id bigserial PRIMARY KEY, at timestamptz NOT NULL, price numeric(20,8), raw jsonb, ok bool);
INSERT INTO trades (at, price, raw, ok)
  SELECT '2026-01-01Z'::timestamptz + n * interval '1 s', n * 1.1, jsonb_build_object('n', n, 't', md5(n::text)), n % 3 = 0
  FROM generate_series(1, 20000) n;
CREATE TABLE "Odd ""schema"""."-- new
line; $x %s" (t text, b bytea, f float8);
INSERT INTO "Odd ""schema"""."-- new
line; $x %s" VALUES (E'a\nb\\', '\xdeadbeef', 'NaN'), (NULL, '', 1e-300), ('ü', NULL, '-Infinity');
CREATE INDEX ON trades (at);
CREATE VIEW recent AS SELECT * FROM trades WHERE ok;
ALTER TABLE trades OWNER TO trader;
CREATE TABLE parts (k int, v text) PARTITION BY RANGE (k);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
INSERT INTO parts VALUES (1, 'one');
CREATE SEQUENCE never_used;
SELECT lo_from_bytea(0, 'large object');
ALTER DATABASE coin SET work_mem = '5MB';
CREATE DATABASE "odd = name; '%s/../ü";
\connect "dbname='odd = name; \'%s/../ü' user=coin"
CREATE TABLE x (a int);
INSERT INTO x VALUES (7);
