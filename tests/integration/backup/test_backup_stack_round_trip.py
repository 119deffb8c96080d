# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backup, rehearsal and restore of a real PostgreSQL 15, Redis 7 and files, as plain-file sets."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import (
    configuration,
    rehearse,
    restore,
    run,
    selftest,
    status,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import MismatchError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import load
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from backup_stack import PASSWORD, REDIS_PASSWORD, docker


def make(stack, **more):
    return contexts.make(configuration.read(stack.config(**more)), World.real())


@pytest.fixture(scope="module")
def first(stack):
    """A set that was made while rows were written."""
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            stack.sql("INSERT INTO trades (at, price, raw, ok) VALUES (now(), 1, '{}', true);")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        report = run.backup(make(stack))
    finally:
        stop.set()
        writer.join()
    assert report["error"] == ""
    return report


def test_set_is_committed_with_its_contents(stack, first):
    assert first["snapshot"]["seq"] == 1
    assert first["verified"] is True
    assert [row["ok"] for row in first["sources"]] == [True] * 4
    counts = {row["name"]: row["count"] for row in first["sources"]}
    assert counts["db"] >= 20004
    assert counts["cache"] == 5002
    assert counts["uploads"] == 8
    place = stack.repo / "sets/000001"
    assert (place / "manifest.json").is_file()
    for base, _dirs, names in os.walk(stack.repo):
        assert os.stat(base).st_mode & 0o077 == 0
        for name in names:
            assert os.stat(os.path.join(base, name)).st_mode & 0o777 == 0o600
    metrics = (stack.base / "metrics/onebox.prom").read_text(encoding="utf-8")
    assert f'onebox_backup_last_run_ok{{stack="{stack.name}"}} 1' in metrics


def test_no_secret_is_written_outside_of_the_stack_s_files(stack, first):
    text = json.dumps(first)
    for base, _dirs, names in os.walk(stack.state):
        for name in names:
            with open(os.path.join(base, name), "rb") as file:
                text += file.read().decode("utf-8", "replace")
    with open(stack.repo / "sets/000001/manifest.json", encoding="utf-8") as file:
        text += file.read()
    assert PASSWORD not in text
    assert REDIS_PASSWORD not in text


def test_set_is_restored_equal_in_throwaway_containers(stack, first):
    report = rehearse.rehearse(make(stack))
    assert report["error"] == ""
    assert [row["ok"] for row in report["sources"]] == [True] * 4
    evidence = json.loads((stack.state / "evidence/local-1.json").read_text(encoding="utf-8"))
    assert evidence["ok"] is True
    assert status.status(make(stack))["rehearsals"]["local"]["ok"] is True
    assert docker("ps", "-aq", "--filter", f"label=onebox.stack.throwaway={stack.name}") == ""


def test_every_negative_control_is_caught(stack, first):
    report = selftest.self_test(make(stack))
    assert [row["damage"] for row in report["controls"] if not row["caught"]] == []
    assert len(report["controls"]) == 6
    # The stack has no sources of these kinds. Their own tests run their controls.
    others = (" of MySQL", " of SQLite", " of a volume")
    assert [damage for damage in report["skipped"] if not damage.endswith(others)] == []
    assert report["error"] == ""
    said = {row["damage"]: row["said"] for row in report["controls"]}
    assert "same number of rows and other contents" in said["one altered row, the same number of rows"]


def test_standard_tools_alone_restore_a_set(stack, first, tmp_path):
    place = stack.repo / "sets/000001"
    listed = subprocess.run(["tar", "tf", place / "files/uploads.tar"], capture_output=True, check=True).stdout
    assert b"a file" in listed
    with open(place / "pg/db/coin.dump", "rb") as dump:
        text = subprocess.run(
            ["docker", "exec", "-i", stack.db, "pg_restore", "-f", "-"], stdin=dump, capture_output=True, check=True
        ).stdout
    assert b"COPY public.trades" in text


def test_failing_source_commits_nothing_and_the_others_are_reported(stack, first):
    docker("stop", "-t", "0", stack.cache)
    try:
        report = run.backup(make(stack))
    finally:
        docker("start", stack.cache)
    assert report["exit_code"] == 4
    assert report["snapshot"] == {}
    assert {row["name"]: row["ok"] for row in report["sources"]} == {
        "db": True,
        "cache": False,
        "uploads": True,
        "stack": True,
    }
    assert "exited, not running" in report["error"]
    assert [found.seq for found in make(stack).store.sets()] == [1]
    assert not [name for name in os.listdir(stack.repo) if name.startswith(".")]


def test_wrong_password_fails_soon_and_is_not_shown(stack, first, tmp_path):
    secret = tmp_path / "pw"
    secret.write_text("wrong-and-secret\n", encoding="utf-8")
    more = stack.configured()
    del more["sources"][1]["password_variable"]
    more["sources"][1]["password_file"] = str(secret)
    report = run.backup(make(stack, sources=more["sources"]))
    assert report["exit_code"] == 4
    assert "NOAUTH" in report["error"]
    assert "wrong-and-secret" not in json.dumps(report)


def test_emptied_source_is_refused_until_accepted(stack, first):
    more = stack.configured()
    empty = stack.base / "unmounted"
    empty.mkdir()
    more["sources"][2]["path"] = str(empty)
    report = run.backup(make(stack, sources=more["sources"]))
    assert report["exit_code"] == 4
    assert "source uploads is empty" in report["error"]
    assert "--accept-drop uploads" in report["error"]
    stack.sql("BEGIN; CREATE TABLE kept AS SELECT * FROM trades; TRUNCATE trades; COMMIT;")
    stack.sql("DROP TABLE kept;")
    try:
        dropped = run.backup(make(stack))
        assert "source db went from" in dropped["error"]
        accepted = run.backup(make(stack), accept_drop=["db"])
        assert accepted["error"] == ""
        assert accepted["snapshot"]["seq"] > 3
    finally:
        pass


def test_lost_database_is_restored_from_the_older_set(stack, first):
    refused = restore.restore(make(stack), restore.Request(wanted="1", sources=("db",), databases=("coin",)))
    assert refused["done"] is False
    assert "renamed to coin_before_" in refused["steps"][0]
    assert stack.sql("SELECT count(*) FROM trades;") == "0"
    report = restore.restore(
        make(stack), restore.Request(wanted="1", sources=("db",), databases=("coin",)), confirm=stack.name
    )
    assert report["error"] == ""
    assert int(stack.sql("SELECT count(*) FROM trades;")) >= 20000
    assert stack.sql("SHOW work_mem;") == "5MB"
    aside = report["aside"][0].split()[-1]
    assert stack.sql("SELECT count(*) FROM trades;", aside) == "0"
    stack.sql(f'DROP DATABASE "{aside}";', "postgres")


def test_flushed_cache_is_restored_with_appendonly_on(stack, first):
    stack.redis("FLUSHALL")
    report = restore.restore(make(stack), restore.Request(wanted="1", sources=("cache",)), confirm=stack.name)
    assert report["error"] == ""
    assert stack.redis("DBSIZE") == "5001"
    assert stack.redis("CONFIG", "GET", "appendonly").split() == ["appendonly", "yes"]
    docker("restart", "-t", "5", stack.cache)
    deadline = time.monotonic() + 60
    while stack.redis("PING", check=False) != "PONG":
        assert time.monotonic() < deadline
    assert stack.redis("DBSIZE") == "5001"
    assert stack.redis("-n", "3", "HGET", "hash", "f") == "v"
    assert "pre-restore-" in docker("exec", stack.cache, "ls", "/data")


def test_directory_is_restored_and_the_previous_one_is_kept(stack, first):
    (stack.files / "a file").unlink()
    report = restore.restore(make(stack), restore.Request(wanted="1", sources=("uploads",)), confirm=stack.name)
    assert report["error"] == ""
    assert (stack.files / "a file").stat().st_size == 300_000
    assert (stack.files / "sub/ro").stat().st_uid == 1234
    assert (stack.files / "sub/ro").stat().st_mode & 0o777 == 0o440
    assert os.path.isdir(report["aside"][0])
    assert not (stack.files / "cache").exists()


def test_damaged_newest_set_is_found_and_the_previous_one_is_named(stack, first):
    newest = max(os.listdir(stack.repo / "sets"))
    path = stack.repo / "sets" / newest / "redis/cache.rdb"
    with open(path, "r+b") as file:
        file.seek(100)
        byte = file.read(1)
        file.seek(100)
        file.write(bytes([byte[0] ^ 4]))
    report = rehearse.rehearse(make(stack))
    assert report["exit_code"] != 0
    assert "redis/cache.rdb is damaged" in report["error"]
    assert report["fallback"]["ok"] is True
    assert report["fallback"]["seq"] == 1
    known = status.status(make(stack))
    assert known["healthy"] is False
    assert known["rehearsals"]["local"]["ok"] is False


def test_database_without_a_source_is_a_warning_in_the_plan(stack, first):
    more = [row for row in stack.configured()["sources"] if row["name"] != "cache"]
    plan = run.preview(make(stack, sources=more))
    assert [line for line in plan["warnings_found"] if "service cache" in line and "no backup source" in line]
    assert not [line for line in run.preview(make(stack))["warnings_found"] if "no backup source" in line]


def test_database_postgres_is_restored_like_any_other(stack, first, monkeypatch):
    """Other databases are restored from a session in postgres. A killed restore may have renamed it."""
    request = restore.Request(wanted="1", sources=("db",), databases=("postgres",))
    stack.sql("CREATE TABLE of_before AS SELECT 1 AS n;", "postgres")

    def differs(server, expected, **how):
        raise MismatchError("it differs")

    with monkeypatch.context() as patch:
        patch.setattr(load, "compare", differs)
        failed = restore.restore(make(stack), request, confirm=stack.name)
    assert "postgres could not be restored and is unchanged: it differs" in failed["error"]
    assert stack.sql("SELECT n FROM of_before;", "postgres") == "1"

    stack.sql("ALTER DATABASE postgres RENAME TO postgres_elsewhere;", "template1")
    without = run.backup(make(stack), accept_drop=["db"])
    assert without["error"] == ""
    assert rehearse.rehearse(make(stack))["error"] == ""
    back = restore.restore(make(stack), request, confirm=stack.name)
    assert back["error"] == ""
    assert stack.sql("SELECT to_regclass('of_before') IS NULL;", "postgres") == "t"
    stack.sql("DROP DATABASE postgres_elsewhere;", "postgres")


def test_client_that_reconnects_at_once_does_not_block_the_rename(stack, first, monkeypatch):
    """A service connects to the name again as soon as there is a database of that name."""
    request = restore.Request(wanted="1", sources=("db",), databases=("coin",))
    stack.sql("CREATE TABLE of_before AS SELECT 1 AS n;")
    sessions = []

    def differs(server, expected, **how):
        words = ["docker", "exec", stack.db, "psql", "-U", "coin", "-d", "coin", "-c", "SELECT 'in', pg_sleep(300)"]
        sessions.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        active = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'coin' AND query LIKE '%pg_sleep(300)%';"
        deadline = time.monotonic() + 60
        while stack.sql(active, "template1") == "0":
            assert time.monotonic() < deadline
        raise MismatchError("it differs")

    monkeypatch.setattr(load, "compare", differs)
    failed = restore.restore(make(stack), request, confirm=stack.name)
    assert [session.wait(60) for session in sessions] != [0]
    assert "coin could not be restored and is unchanged: it differs" in failed["error"]
    assert stack.sql("SELECT n FROM of_before;") == "1"
    stack.sql("DROP TABLE of_before;")


def test_error_of_a_failed_rollback_names_its_cause_and_the_previous_database(stack, first, monkeypatch):
    request = restore.Request(wanted="1", sources=("db",), databases=("coin",))

    def differs(server, expected, **how):
        (former,) = [name for name in server.databases() if name.startswith("coin_before_")]
        stack.sql(f'ALTER DATABASE "{former}" RENAME TO held;', "template1")  # so it cannot get its name back
        raise MismatchError("it differs")

    monkeypatch.setattr(load, "compare", differs)
    failed = restore.restore(make(stack), request, confirm=stack.name)
    former = failed["aside"][0].split()[-1]
    assert (
        f"it differs; the previous one is {former}: stop the services, drop coin and rename it back" in failed["error"]
    )
    assert failed["exit_code"] == 8
    stack.sql("ALTER DATABASE held RENAME TO coin;", "template1")


def test_restore_does_not_change_existing_roles(stack, first):
    stack.sql("ALTER ROLE trader NOLOGIN PASSWORD 'newer'; CREATE ROLE \"of now\";")
    before = stack.sql("SELECT rolcanlogin, rolpassword FROM pg_authid WHERE rolname = 'trader';")
    request = restore.Request(wanted="1", sources=("db",), databases=("coin",))
    report = restore.restore(make(stack), request, confirm=stack.name)
    assert report["error"] == ""
    assert stack.sql("SELECT rolcanlogin, rolpassword FROM pg_authid WHERE rolname = 'trader';") == before
    aside = report["aside"][0].split()[-1]
    stack.sql(f'DROP DATABASE "{aside}";', "postgres")


def test_file_is_copied_into_a_tmpfs_for_the_user_of_the_container_alone(stack, tmp_path):
    name = f"{stack.name}-user"
    file = tmp_path / "secret"
    file.write_text("a dump", encoding="utf-8")
    file.chmod(0o600)
    words = ["--network", "none", "--user", "postgres", "--tmpfs", "/tmp", "--entrypoint", "sleep"]
    docker("run", "-d", "--name", name, *words, stack.images["db"], "infinity")
    try:
        cli = make(stack).open_cli()
        cli.copy_in(str(file), name, "/tmp/in")
        assert cli.run(name, ["cat", "/tmp/in"]).stdout == "a dump"
        assert cli.run(name, ["stat", "-c", "%a %U", "/tmp/in"]).stdout.strip() == "600 postgres"
    finally:
        docker("rm", "-f", "-v", name)
