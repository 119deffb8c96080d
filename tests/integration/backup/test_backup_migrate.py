# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Import from old servers (PostgreSQL 15, Redis 7) into a running stack (PostgreSQL 17, Redis 8), all of it real.

The old servers represent Minikube: the tests only run commands in their containers, as ``kubectl exec`` would.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import migrate, run
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    ConfigError,
    MigrationError,
    RestoreRefused,
)
from backup_stack import REDIS_PASSWORD, ROOT
from examples_runner import run_examples
from migration_stacks import databases, dump, everything, fresh, make, moved, sql, untouched


@pytest.fixture
def stack(new):
    return fresh(new)


def test_whole_stack_is_imported_once_and_previous_data_is_kept(old, stack):
    planned = migrate.migrate(make(stack), everything(old), dry=True)
    assert [row["state"] for row in planned["data"]] == ["move"] * 3
    assert len(planned["steps"]) == 3
    assert migrate.migrate(make(stack), everything(old))["done"] is False
    with pytest.raises(RestoreRefused, match="type the name of the stack"):
        migrate.migrate(make(stack), everything(old), confirm="other")
    assert untouched(stack)

    report = migrate.migrate(make(stack), everything(old), confirm=stack.name)
    assert report["error"] == ""
    assert report["changed"]
    assert moved(stack)
    entries = len(list((old.place / "uploads").rglob("*"))) - 2  # app.db-wal and -shm are merged into app.db
    assert [row["found"] for row in report["data"]] == [
        {"tables": 3, "rows": 20004},
        {"keys": 5002},
        {"entries": entries},
    ]
    assert stack.sql("SHOW work_mem;") == "7MB"  # what was set for the stack's own database holds
    (former,) = databases(stack) - {"postgres", "coin"}
    assert stack.sql("SELECT a FROM mine;", former) == "1"
    listed = stack.do("exec", stack.cache, "sh", "-c", "ls -A /data /data/pre-restore-*")
    assert "appendonlydir" in listed
    (before,) = stack.files.parent.glob("up loads ü.before-*")
    assert (before / "mine").read_text(encoding="utf-8") == "1"

    again = migrate.migrate(make(stack), everything(old), confirm=stack.name)
    assert [row["state"] for row in again["data"]] == ["there"] * 3
    assert (again["changed"], again["steps"], again["error"]) == (False, [], "")
    # The imported data can be backed up, and written to.
    stack.redis("SET", "after", "1")
    assert run.backup(make(stack))["error"] == ""


def test_database_postgres_is_imported_like_any_other(old, stack):
    datum = migrate.Datum("db", str(old.place / "c.dump"), database="postgres", owners=False)
    report = migrate.migrate(make(stack), migrate.Request((datum,)), confirm=stack.name)
    assert report["error"] == ""
    assert stack.sql("SELECT count(*) FROM trades;", "postgres") == "20000"
    (former,) = [name for name in databases(stack) if name.startswith("postgres_before_")]
    stack.sql("DROP DATABASE postgres; ", "template1")
    stack.sql(f'ALTER DATABASE "{former}" RENAME TO postgres;', "template1")


def test_directory_copied_again_counts_as_imported(old, stack, tmp_path):
    def arrive(place):
        request = migrate.Request((migrate.Datum("uploads", str(place)),))
        return migrate.migrate(make(stack), request, confirm=stack.name)

    assert arrive(old.place / "uploads")["changed"] is True
    (stack.files / "of later").write_text("since it arrived", encoding="utf-8")
    again = tmp_path / "uploads"
    shutil.copytree(old.place / "uploads", again, symlinks=True)
    for base, _dirs, names in os.walk(os.fsencode(old.place / "uploads")):
        for name in names:
            path = os.path.join(base, name)
            status = os.lstat(path)
            to = os.path.join(os.fsencode(again), os.path.relpath(path, os.fsencode(old.place / "uploads")))
            os.chown(to, status.st_uid, status.st_gid, follow_symlinks=False)
    os.utime(again / "a file", (1, 1))
    assert arrive(again)["changed"] is False
    assert (stack.files / "of later").is_file()


def test_owners_need_their_roles_and_the_error_gives_the_fix(old, stack):
    report = migrate.migrate(make(stack), migrate.Request((dump(old),)), confirm=stack.name)
    assert report["exit_code"] == 11
    assert "role trader is not in the stack: set globals" in report["error"]
    assert untouched(stack)
    request = migrate.Request((dump(old, globals_file=str(old.place / "globals.sql")),))
    assert migrate.migrate(make(stack), request, confirm=stack.name)["error"] == ""
    assert stack.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'trades';") == "trader"
    stack.sql("DROP DATABASE coin WITH (FORCE);", "postgres")
    stack.sql("DROP ROLE trader;", "postgres")


def test_sql_dumps_are_imported_also_compressed(old, stack, tmp_path):
    packed = tmp_path / "c.sql.gz"
    packed.write_bytes(gzip.compress((old.place / "c.sql").read_bytes()))
    request = migrate.Request(
        (migrate.Datum("db", str(packed), database="coin", globals_file=str(old.place / "globals.sql")),)
    )
    report = migrate.migrate(make(stack), request, confirm=stack.name)
    assert report["error"] == ""
    assert stack.sql("SELECT count(*) FROM trades;") == "20000"
    stack.sql("DROP DATABASE coin WITH (FORCE);", "postgres")
    stack.sql("DROP ROLE trader;", "postgres")


@pytest.mark.parametrize(("name", "part"), [("c.dump", 0.3), ("c.dump", 0.99), ("c.sql", 0.5), ("c.rdb", 0.9)])
def test_truncated_file_is_not_imported(old, stack, tmp_path, name, part):
    data = (old.place / name).read_bytes()
    cut = tmp_path / name
    cut.write_bytes(data[: int(len(data) * part)])
    datum = migrate.Datum("cache", str(cut)) if name == "c.rdb" else migrate.Datum("db", str(cut), database="coin")
    try:
        error = migrate.migrate(make(stack), migrate.Request((datum,)), confirm=stack.name)["error"]
    except MigrationError as raised:
        error = str(raised)
    assert str(cut) in error
    assert untouched(stack)


def test_row_that_changed_between_dump_and_facts_is_named(old, stack, tmp_path):
    rows = [json.loads(line) for line in (old.place / "c.facts").read_text(encoding="utf-8").splitlines()]
    assert ["public", "trades"] in [row[:2] for row in rows]
    wrong = [[*row[:3], "1"] if row[1] == "trades" else row for row in rows]
    facts = tmp_path / "facts"
    facts.write_text("".join(json.dumps(row) + "\n" for row in wrong), encoding="utf-8")
    request = migrate.Request((dump(old, owners=False, facts_file=str(facts)),))
    report = migrate.migrate(make(stack), request, confirm=stack.name)
    assert "table public.trades has the same number of rows and other contents" in report["error"]
    assert untouched(stack)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (migrate.Request((migrate.Datum("nosuch", "/x"),)), "there is no source 'nosuch'"),
        (migrate.Request((migrate.Datum("stack", "/x"),)), "cannot be imported"),
        (migrate.Request((migrate.Datum("db", "/x"),)), "database is missing"),
        (migrate.Request((migrate.Datum("cache", "x"),)), "absolute path"),
        (migrate.Request((migrate.Datum("cache", "/x", database="coin"),)), "are for PostgreSQL"),
        (sql("BEGIN; CREATE TABLE x (a int); COMMIT;"), "contains BEGIN;"),
        (sql(" "), "is empty"),
    ],
)
def test_request_that_does_not_match_is_refused_by_name(new, request_, words):
    with pytest.raises(ConfigError, match=words):
        migrate.migrate(make(new), request_)


RUNNER = """
import json, sys
from ansible_collections.onebox.stack.plugins.module_utils.backup import context, configuration, migrate
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import migrations
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
config, stack, data, sql = sys.argv[1:]
request = migrate.Request(
    tuple(migrate.Datum(**one) for one in json.loads(data)),
    tuple(migrations.Migration(**one) for one in json.loads(sql)),
)
report = migrate.migrate(context.make(configuration.read(config), World.real()), request, confirm=stack, wait=60)
print(json.dumps(report["error"]))
"""


def test_migration_killed_anywhere_converges_without_partial_data(old, stack):
    """kill -9 at random moments. Every source has its complete previous or new data, or is being replaced."""
    data = [
        {"source": "db", "file": str(old.place / "c.dump"), "database": "coin", "owners": False},
        {"source": "cache", "file": str(old.place / "c.rdb")},
        {"source": "uploads", "file": str(old.place / "uploads")},
    ]
    more = [
        {"source": "db", "database": "coin", "name": f"{n}.sql", "text": f"CREATE TABLE m{n} AS SELECT {n} AS a;"}
        for n in range(3)
    ]
    argv = [sys.executable, "-c", RUNNER, stack.config(), stack.name, json.dumps(data), json.dumps(more)]
    env = {**os.environ, "PYTHONPATH": str(ROOT / ".collections")}
    rng = random.Random(9)
    kills = 0
    for number in range(int(os.environ.get("OBX_MIGRATE_KILLS", "12"))):
        child = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        try:
            child.wait(timeout=rng.uniform(0.5, 4.0 + 4.0 * number))
            break
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            kills += 1
        (count,) = stack.sql("SELECT count(*) FROM pg_tables WHERE tablename IN ('mine', 'trades');").split()
        assert count == "1"
        if "trades" in stack.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public';"):
            assert stack.sql("SELECT count(*) FROM trades;") == "20000"
        for n in range(3):
            done = stack.sql(f"SELECT to_regclass('m{n}') IS NOT NULL;") == "t"
            noted = done and stack.sql(f"SELECT count(*) FROM onebox.migrations WHERE name = '{n}.sql';")
            assert not done or noted == "1"
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=900, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, '""'), done.stdout + done.stderr
    assert moved(stack)
    assert stack.sql("SELECT a FROM m0 UNION SELECT a FROM m1 UNION SELECT a FROM m2 ORDER BY 1;") == "0\n1\n2"
    # The previous data still exists, each part once.
    formers = [name for name in databases(stack) if name not in ("postgres", "coin")]
    assert [stack.sql("SELECT a FROM mine;", name) for name in formers] == ["1"]
    assert len(list(stack.files.parent.glob("*before*"))) == 1
    print(f"{kills} kills")
    assert kills >= 3


def test_redis_left_stopped_by_a_killed_run_is_restored(old, stack):
    """Killed while the RDB is loaded: the note exists, the service is stopped, and its data is renamed."""
    request = [{"source": "cache", "file": str(old.place / "c.rdb")}]
    argv = [sys.executable, "-c", RUNNER, stack.config(), stack.name, json.dumps(request), "[]"]
    env = {**os.environ, "PYTHONPATH": str(ROOT / ".collections")}
    child = subprocess.Popen(
        argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    note = stack.state / "redis-under-way.json"
    deadline = time.monotonic() + 300
    while True:
        helpers = stack.do("ps", "-q", "--filter", f"name=onebox-restore-{stack.name}")
        if helpers and "pre-restore" in stack.do("exec", helpers.split()[0], "ls", "/data", check=False):
            break
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    assert json.loads(note.read_text(encoding="utf-8"))["aside"].startswith("pre-restore-")
    assert stack.do("inspect", "-f", "{{.State.Status}}", stack.cache) == "exited"
    report = migrate.migrate(make(stack), migrate.Request((migrate.Datum("cache", str(old.place / "c.rdb")),)))
    assert "previous data restored, started" in report["warnings"][0]
    deadline = time.monotonic() + 30
    while stack.redis("PING") != "PONG":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert stack.redis("GET", "mine") == "1"
    assert stack.redis("DBSIZE") == "1"
    assert stack.do("ps", "-aq", "--filter", f"name=onebox-restore-{stack.name}") == ""
    assert REDIS_PASSWORD not in json.dumps(report)


def test_examples_of_the_module_run(old, stack, tmp_path):
    place = tmp_path / "move"
    shutil.copytree(ROOT / "stacks/coinpilot/migrations", place / "sql")
    for name, target in (("c.dump", "coinpilot.dump"), ("c.facts", "coinpilot.facts"), ("c.rdb", "dump.rdb")):
        shutil.copy(old.place / name, place / target)
    replace = {
        "/root/move": str(place),
        "name: coinpilot\n": f"name: {stack.name}\n    config: {stack.config()}\n",
        "confirm: coinpilot": f"confirm: {stack.name}",
    }
    shown, done = "Show the steps of an import from the old host", "Import the data and apply the SQL migrations"
    checked = run_examples("stack_migrate", replace=replace, check=True)
    assert checked[shown]["changed"]
    assert stack.sql("SELECT a FROM mine;") == "1"
    assert "coinpilot" not in databases(stack)
    rows = run_examples("stack_migrate", replace=replace)
    assert (rows[shown]["changed"], rows[shown]["moves"]) == (False, True)
    assert rows[done]["changed"]
    assert rows[done]["verified"]
    assert [row["state"] for row in rows[done]["migrations"]] == ["applied", "failed"]  # the optional one
    assert stack.sql("SELECT count(*) FROM trades;", "coinpilot") == "20000"
    assert stack.sql("SELECT count(*) FROM news_articles;", "coinpilot") == "0"
    assert not run_examples("stack_migrate", replace=replace)[done]["changed"]
