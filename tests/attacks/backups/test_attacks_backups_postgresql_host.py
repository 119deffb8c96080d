# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Data outside of dumps: restored separately, carried into the rehearsal, or reported by the backup."""

from __future__ import annotations

import copy
import json
import subprocess

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import rehearse
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import load
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import manifest
from databases import IMAGES, ServerStack, docker


@pytest.fixture
def srv(tmp_path):
    with ServerStack(tmp_path) as srv:
        yield srv


def test_dump_larger_than_the_service_s_tmp_is_restored(srv):
    srv.postgres(args=["--read-only", "--tmpfs", "/tmp:size=1m", "--tmpfs", "/run/postgresql:mode=1777"])
    srv.sql("CREATE TABLE big AS SELECT i, md5(i::text) || md5((i + 1)::text) AS x FROM generate_series(1, 60000) i")
    assert srv.backup()["error"] == ""
    dump = srv.base / "repo/sets/000001/pg/db/coin.dump"
    assert dump.stat().st_size > 1 << 20
    assert srv.rehearse()["error"] == ""
    assert srv.restore()["error"] == ""
    assert srv.sql("SELECT count(*) FROM big") == "60000"


def test_databases_that_refuse_connections_are_named_and_templates_are_in_the_set(srv):
    srv.postgres()
    for name, how in (("tenant_template", "IS_TEMPLATE true"), ("archive2025", "ALLOW_CONNECTIONS false")):
        srv.sql(f"CREATE DATABASE {name}")
        srv.sql("CREATE TABLE precious (a int); INSERT INTO precious VALUES (1)", name)
        srv.sql(f"ALTER DATABASE {name} {how}")
    # The state after a killed DROP DATABASE: no user can connect to it, and a dump of all would fail.
    srv.sql("CREATE DATABASE torn; UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'torn'")
    srv.sql("CREATE EXTENSION hstore", "template1")
    srv.sql("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
    report = srv.backup()
    assert report["error"] == ""
    told = "\n".join(report["warnings"])
    assert "database archive2025 is in no set: it refuses connections" in told
    assert "database torn is in no set: an interrupted DROP DATABASE" in told
    assert "template1 is in no set and holds hstore" in told
    assert "tenant_template" not in told
    assert srv.rehearse()["error"] == ""
    assert srv.restore(databases=("tenant_template",))["error"] == ""
    assert srv.sql("SELECT datistemplate FROM pg_database WHERE datname = 'tenant_template'") == "t"
    assert srv.sql("SELECT a FROM precious", "tenant_template") == "1"
    srv.sources[0]["databases"] = ["archive2025"]
    assert "no database 'archive2025'" in srv.backup()["error"]


def test_settings_of_alter_system_are_named_and_carried(srv):
    srv.postgres("postgres", "-c", "session_preload_libraries=auto_explain", "-c", "auto_explain.log_min_duration=7min")
    srv.sql("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements', 'pg_prewarm'")
    srv.sql("ALTER SYSTEM SET work_mem = '77MB'")
    docker("restart", f"{srv.name}-db")
    srv.wait("db", "pg_isready", "-q", "-h", "127.0.0.1")
    srv.sql("CREATE EXTENSION pg_stat_statements; CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
    report = srv.backup()
    (warning,) = report["warnings"]
    assert "ALTER SYSTEM" in warning
    assert "shared_preload_libraries" in warning
    assert "work_mem = 77MB" in warning
    found = {}

    def look(server) -> None:
        for name in ("shared_preload_libraries", "session_preload_libraries", "auto_explain.log_min_duration"):
            found[name] = server.query("postgres", f"SHOW {name};")[0]

    with srv.fetched() as (context, chosen, source, staged):
        rehearse.check_source(context, context.store, chosen, source, str(staged), "", look)
    assert found == {
        "shared_preload_libraries": "pg_stat_statements, pg_prewarm",
        "session_preload_libraries": "auto_explain",
        "auto_explain.log_min_duration": "7min",
    }
    srv.postgres()  # a rebuilt host: the same compose file, an empty data directory
    srv.sql("CREATE TABLE untouched (a int)")
    refused = srv.restore()
    assert "shared_preload_libraries lacks pg_stat_statements, pg_prewarm" in refused["error"]
    assert srv.sql("SELECT count(*) FROM untouched") == "0"


def test_tables_in_a_tablespace_are_restored_with_a_warning(srv):
    srv.postgres(args=["--tmpfs", "/ts:rw,mode=0777"])
    docker("exec", f"{srv.name}-db", "sh", "-c", "mkdir /ts/x && chown postgres /ts/x && chmod 700 /ts/x")
    srv.sql("CREATE TABLESPACE fast LOCATION '/ts/x'")
    srv.sql("CREATE TABLE t (a int PRIMARY KEY USING INDEX TABLESPACE fast) TABLESPACE fast; INSERT INTO t VALUES (1)")
    srv.sql("CREATE TABLE u (a int); CREATE DATABASE whole TABLESPACE fast")
    srv.sql("CREATE TABLE v (a int); INSERT INTO v VALUES (3)", "whole")
    report = srv.backup()
    assert report["error"] == ""
    assert "tablespaces fast are in no set" in report["warnings"][0]
    assert srv.rehearse()["error"] == ""
    assert srv.restore()["error"] == ""
    assert srv.sql("SELECT a FROM t") == "1"


def test_image_that_installs_an_extension_itself_is_rehearsed(srv, tmp_path):
    scripts = tmp_path / "image"
    scripts.mkdir()
    (scripts / "10.sql").write_text(
        "CREATE EXTENSION hstore; CREATE ROLE setup LOGIN PASSWORD 'x';\n"
        "CREATE DATABASE template_gis IS_TEMPLATE true;\nCREATE TABLE here (a int);\n",
        encoding="utf-8",
    )
    (scripts / "Containerfile").write_text(
        f"FROM {IMAGES.ensure('pg15')}\nCOPY 10.sql /docker-entrypoint-initdb.d/10.sql\n", encoding="utf-8"
    )
    image = f"{srv.name}-image"
    docker("build", "-q", "-t", image, "-f", str(scripts / "Containerfile"), str(scripts))
    try:
        srv.postgres(image=image)
        srv.sql("CREATE TABLE t (a int, h hstore); INSERT INTO t VALUES (1, 'a=>1')")
        srv.sql("ALTER ROLE setup PASSWORD 'another'; CREATE TABLE p (a int)", "coin")
        assert srv.backup()["error"] == ""
        assert srv.rehearse()["error"] == ""
        assert srv.restore()["error"] == ""
        assert srv.sql("SELECT h -> 'a' FROM t") == "1"
    finally:
        srv.__exit__()
        docker("rmi", "-f", image, check=False)


def test_subscription_stops_in_both_databases_with_a_warning(srv):
    srv.postgres("postgres", "-c", "wal_level=logical")
    srv.sql("CREATE DATABASE src")
    srv.sql(
        "CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE PUBLICATION p FOR TABLE t; "
        "SELECT pg_create_logical_replication_slot('sl', 'pgoutput')",
        "src",
    )
    srv.sql("CREATE TABLE t (a int PRIMARY KEY)")
    srv.sql(
        "CREATE SUBSCRIPTION s CONNECTION 'dbname=src user=coin' PUBLICATION p "
        "WITH (create_slot = false, slot_name = 'sl')"
    )
    srv.wait("db", "sh", "-c", "test $(psql -XAt -U coin -d coin -c 'select count(*) from t') = 1")
    srv.sources[0]["databases"] = ["coin"]
    report = srv.backup()
    assert report["error"] == ""
    told = "\n".join(report["warnings"])
    assert "database coin has subscriptions (s)" in told
    assert "replication slots sl are in no set" in told
    assert srv.rehearse()["error"] == ""
    restored = srv.restore()
    assert restored["error"] == ""
    (said,) = [warning for warning in restored["warnings"] if "subscription" in warning]
    assert "is disabled in coin_before_" in said
    former = restored["aside"][0].partition(" ")[2]
    for database in ("coin", former):
        assert srv.sql("SELECT count(*) FROM pg_subscription WHERE subenabled", database) == "0"
    # A failed restore keeps the previous database unchanged, and its subscription enabled.
    srv.sql("ALTER SUBSCRIPTION s ENABLE")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load, "compare", lambda *_words, another: (["another"], []))
        failed = srv.restore()
    assert "is unchanged" in failed["error"]
    assert srv.sql("SELECT subenabled FROM pg_subscription WHERE subname = 's' AND subdbid = "
                   "(SELECT oid FROM pg_database WHERE datname = 'coin')") == "t"  # fmt: skip


def test_database_that_is_read_only_by_its_settings_is_restored(srv):
    srv.postgres()
    srv.sql("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
    srv.sql("ALTER DATABASE coin SET default_transaction_read_only = on; ALTER DATABASE coin SET statement_timeout = 1")
    assert srv.backup()["error"] == ""
    assert srv.rehearse()["error"] == ""
    assert srv.restore()["error"] == ""
    assert srv.sql("SHOW default_transaction_read_only") == "on"


def test_outdated_extension_is_reported_and_restored(srv):
    srv.postgres()
    srv.sql("CREATE EXTENSION hstore VERSION '1.7'; CREATE TABLE t (h hstore); INSERT INTO t VALUES ('a=>1')")
    report = srv.backup()
    (said,) = report["warnings"]
    assert "extension hstore in version 1.7, and the image brings 1.8" in said
    rehearsed = srv.rehearse()
    assert rehearsed["error"] == ""
    assert "extension hstore is of version 1.8, in the dump 1.7" in rehearsed["warnings"][0]
    assert srv.restore()["error"] == ""


def test_outdated_materialized_view_is_reported(srv):
    srv.postgres()
    srv.sql("CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE MATERIALIZED VIEW m AS SELECT sum(a) FROM t")
    srv.sql("INSERT INTO t VALUES (2)")
    assert srv.backup()["error"] == ""
    report = srv.rehearse()
    assert report["error"] == ""
    (said,) = report["warnings"]
    assert "materialized view public.m was refreshed" in said


def test_existing_roles_are_kept_with_a_warning(srv):
    srv.postgres()
    srv.sql("CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE ROLE app LOGIN PASSWORD 'then'")
    assert srv.backup()["error"] == ""
    srv.sql("ALTER ROLE app PASSWORD 'now' CONNECTION LIMIT 5; CREATE ROLE more")
    kept = srv.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'")
    report = srv.restore()
    assert report["error"] == ""
    (said,) = report["warnings"]
    assert "role app differs: password; rolconnlimit is 5, in the dump -1; the server's own was kept" in said
    assert srv.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'") == kept
    assert subprocess.run(["docker", "ps", "-q", "--filter", "name=onebox-rehearsal-" + srv.name], capture_output=True,
                          check=True).stdout == b""  # fmt: skip


def test_only_the_version_in_a_manifest_leaves_the_schema_out_of_a_restore(srv):
    srv.postgres()
    srv.sql("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
    assert srv.backup()["error"] == ""
    place = srv.base / "repo/sets/000001/manifest.json"
    whole = json.loads(place.read_text(encoding="utf-8"))
    (srv.base / "state/authentication.json").unlink()

    def restored(**more):
        """Restore a set that an attacker changed and its owner accepted."""
        body = copy.deepcopy(whole)
        del body["sha256"], body["authentication"]
        facts = body["sources"][0]["facts"]
        facts.update(more.pop("facts", {}))
        facts["databases"]["coin"].update(more)
        place.write_bytes(manifest._seal(body))
        return srv.restore(wanted="1", accepted=1)

    entries = whole["sources"][0]["facts"]["databases"]["coin"]["entries"]
    other = [[name, "0" * 64] for name, _digest in entries]
    assert "database coin: the schema differs: changed TABLE public.t" in restored(entries=other)["error"]
    assert srv.sql("SELECT a FROM t") == "1"
    report = restored(entries=other, facts={"version": "12.1"})
    assert report["error"] == ""
    assert "another major version words it differently" in "\n".join(report["warnings"])
    for version in ("12.1", whole["sources"][0]["facts"]["version"]):
        with pytest.raises(StoreError, match="entries is missing, and so is schema"):
            restored(entries=None, facts={"version": version})
