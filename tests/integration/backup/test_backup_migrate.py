# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an old place (PostgreSQL 15, Redis 7) into a running stack (PostgreSQL 17, Redis 8), all of it real.

The old place stands for Minikube: all that is used of it is what ``kubectl exec`` would run in its containers.
"""

from __future__ import annotations

import gzip
import json
import os
import pathlib
import random
import secrets
import shutil
import signal
import subprocess
import sys
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup import declaration, migrate, run
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    DeclarationError,
    MigrationError,
    RestoreRefused,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.postgresql import migrations as sql_migrations
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from backup_stack import REDIS_PASSWORD, ROOT, Stack
from examples_runner import run_examples

FACTS_SQL = ROOT / "playbooks/files/onebox-facts.sql"


class Old(Stack):
    """The old place, and what one takes away from it."""

    def take(self, place: pathlib.Path) -> None:
        self.place = place
        place.mkdir()
        words = ["-U", "coin", "-d", "coin"]
        self.do("exec", self.db, "pg_dump", "-Fc", "-f", "/tmp/c.dump", *words)
        self.do("exec", self.db, "pg_dump", "-f", "/tmp/c.sql", *words)
        self.do("exec", self.db, "pg_dumpall", "-U", "coin", "--globals-only", "-f", "/tmp/globals.sql")
        for name in ("c.dump", "c.sql", "globals.sql"):
            self.do("cp", f"{self.db}:/tmp/{name}", str(place / name))
        facts = self.do(
            "exec", "-i", self.db, "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", *words, text=FACTS_SQL.read_text()
        )
        (place / "c.facts").write_text(facts, encoding="utf-8")
        self.redis("--rdb", "/tmp/c.rdb")
        self.do("cp", f"{self.cache}:/tmp/c.rdb", str(place / "c.rdb"))
        for name in os.listdir(place):
            os.chown(place / name, 0, 0)
        shutil.copytree(self.files, place / "uploads", symlinks=True)


@pytest.fixture(scope="module")
def old(images, tmp_path_factory):
    made = Old(f"obx-migrate-old-{secrets.token_hex(3)}", tmp_path_factory.mktemp("old"))
    try:
        made.start(images)
        made.fill()
        made.take(made.base / "taken")
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def new(images, tmp_path_factory):
    made = Stack(f"obx-migrate-{secrets.token_hex(3)}", tmp_path_factory.mktemp("new"), ("pg17", "redis8"))
    try:
        made.start(images)
        yield made
    finally:
        left = made.do("ps", "-aq", "--filter", f"label=onebox.stack.throwaway={made.name}")
        for container in left.split():
            made.do("rm", "-f", "-v", container)
        made.stop()
        assert left == "", "a throwaway container was left behind"


def databases(stack):
    return set(stack.sql("SELECT datname FROM pg_database WHERE NOT datistemplate;", "postgres").split())


@pytest.fixture
def stack(new):
    """The new stack, with data of its own that must not be lost."""
    for name in databases(new) - {"postgres"}:
        new.sql(f'DROP DATABASE "{name}" WITH (FORCE);', "postgres")
    new.sql("CREATE DATABASE coin;", "postgres")
    new.sql("ALTER DATABASE coin SET work_mem = '7MB'; CREATE TABLE mine (a int); INSERT INTO mine VALUES (1);")
    new.redis("FLUSHALL")
    new.redis("SET", "mine", "1")
    shutil.rmtree(new.base / "srv", ignore_errors=True)
    shutil.rmtree(new.state, ignore_errors=True)
    new.files.mkdir(parents=True)
    (new.files / "mine").write_text("1", encoding="utf-8")
    (new.base / "compose.yml").write_text("services: {}\n", encoding="utf-8")
    (new.base / ".env").write_text("A=1\n", encoding="utf-8")
    return new


def make(stack):
    return contexts.make(declaration.read(stack.config()), World.real())


def dump(old, name="c.dump", **more):
    return migrate.Datum("db", str(old.place / name), database="coin", **more)


def everything(old):
    return migrate.Request(
        (
            dump(old, owners=False, facts_file=str(old.place / "c.facts")),
            migrate.Datum("cache", str(old.place / "c.rdb")),
            migrate.Datum("uploads", str(old.place / "uploads")),
        )
    )


def untouched(stack):
    return (
        stack.sql("SELECT a FROM mine;") == "1"
        and stack.redis("GET", "mine") == "1"
        and (stack.files / "mine").read_text(encoding="utf-8") == "1"
        and databases(stack) == {"postgres", "coin"}
    )


def moved(stack):
    return (
        stack.sql("SELECT count(*) FROM trades;") == "20000"
        and stack.redis("DBSIZE") == "5001"
        and (stack.files / "a file").stat().st_size == 300_000
    )


def test_a_whole_stack_moves_in_once_and_the_former_data_is_aside(old, stack):
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
    entries = len(list((old.place / "uploads").rglob("*"))) - 2  # what was in app.db-wal and -shm is in app.db now
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
    # What is there can be backed up, and written to.
    stack.redis("SET", "after", "1")
    assert run.backup(make(stack))["error"] == ""


def test_the_database_postgres_arrives_as_any_other(old, stack):
    datum = migrate.Datum("db", str(old.place / "c.dump"), database="postgres", owners=False)
    report = migrate.migrate(make(stack), migrate.Request((datum,)), confirm=stack.name)
    assert report["error"] == ""
    assert stack.sql("SELECT count(*) FROM trades;", "postgres") == "20000"
    (former,) = [name for name in databases(stack) if name.startswith("postgres_before_")]
    stack.sql("DROP DATABASE postgres; ", "template1")
    stack.sql(f'ALTER DATABASE "{former}" RENAME TO postgres;', "template1")


def test_a_directory_that_was_copied_again_is_the_one_that_arrived(old, stack, tmp_path):
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


def test_owners_need_their_roles_and_the_error_says_how(old, stack):
    report = migrate.migrate(make(stack), migrate.Request((dump(old),)), confirm=stack.name)
    assert report["exit_code"] == 11
    assert "role trader is not in the stack: give globals" in report["error"]
    assert untouched(stack)
    request = migrate.Request((dump(old, globals_file=str(old.place / "globals.sql")),))
    assert migrate.migrate(make(stack), request, confirm=stack.name)["error"] == ""
    assert stack.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'trades';") == "trader"
    stack.sql("DROP DATABASE coin WITH (FORCE);", "postgres")
    stack.sql("DROP ROLE trader;", "postgres")


def test_sql_dumps_also_packed(old, stack, tmp_path):
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
def test_what_is_cut_never_arrives(old, stack, tmp_path, name, part):
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


def test_a_row_that_changed_between_dump_and_facts_is_named(old, stack, tmp_path):
    rows = [json.loads(line) for line in (old.place / "c.facts").read_text(encoding="utf-8").splitlines()]
    assert ["public", "trades"] in [row[:2] for row in rows]
    wrong = [[*row[:3], "1"] if row[1] == "trades" else row for row in rows]
    facts = tmp_path / "facts"
    facts.write_text("".join(json.dumps(row) + "\n" for row in wrong), encoding="utf-8")
    request = migrate.Request((dump(old, owners=False, facts_file=str(facts)),))
    report = migrate.migrate(make(stack), request, confirm=stack.name)
    assert "table public.trades has the right number of rows and other contents" in report["error"]
    assert untouched(stack)


def sql(*files, **more):
    made = []
    for number, text in enumerate(files):
        options = {"required": True, "transaction": True, **more.get(f"m{number}", {})}
        made.append(sql_migrations.Migration("db", "coin", f"{number}.sql", text, **options))
    return migrate.Request((), tuple(made))


def test_sql_is_applied_in_order_once_and_optional_ones_may_fail(stack):
    files = [
        "CREATE TABLE risk (day date PRIMARY KEY); -- no semicolon at the end\nINSERT INTO risk VALUES ('2026-02-22')",
        "ALTER TABLE risk ADD COLUMN buy_count int NOT NULL DEFAULT 0;",
        "ALTER TABLE agent_decisions ADD COLUMN reason text;",
        "INSERT INTO risk VALUES ('2026-02-23', 5);",
    ]
    optional = {"m2": {"required": False}}
    report = migrate.migrate(make(stack), sql(*files, **optional))
    assert report["error"] == ""
    assert [row["state"] for row in report["migrations"]] == ["applied", "applied", "failed", "applied"]
    assert 'relation "agent_decisions" does not exist' in report["warnings"][0]
    assert stack.sql("SELECT sum(buy_count) FROM risk;") == "5"

    stack.sql("CREATE TABLE agent_decisions (id int);")
    again = migrate.migrate(make(stack), sql(*files, **optional))
    assert [row.get("now", False) for row in again["migrations"]] == [False, False, True, False]
    assert migrate.migrate(make(stack), sql(*files, **optional))["changed"] is False

    changed = [files[0], files[1] + " -- and more", *files[2:]]
    with pytest.raises(
        MigrationError, match=r"1\.sql was applied to database coin at .* what is applied cannot be changed"
    ):
        migrate.migrate(make(stack), sql(*changed, "CREATE TABLE later (a int);"))
    assert stack.sql("SELECT to_regclass('later') IS NULL;") == "t"


def test_a_required_one_that_fails_leaves_nothing_of_itself_and_stops(stack):
    request = sql("CREATE TABLE a (x int);", "CREATE TABLE b (x int); SELECT 1/0;", "CREATE TABLE c (x int);")
    report = migrate.migrate(make(stack), request)
    assert report["exit_code"] == 11
    assert "1.sql on database coin failed" in report["error"]
    assert "division by zero" in report["error"]
    assert (
        stack.sql("SELECT string_agg(tablename, ',' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public';")
        == "a,mine"
    )
    report = migrate.migrate(make(stack), sql("CREATE TABLE a (x int);", "CREATE TABLE b (x int);"))
    assert [row.get("now", False) for row in report["migrations"]] == [False, True]


def test_what_no_transaction_holds_is_applied_outside_of_one(stack):
    text = "CREATE INDEX CONCURRENTLY IF NOT EXISTS mine_a ON mine (a);"
    with_one = migrate.migrate(make(stack), sql(text))
    assert "cannot run inside a transaction block" in with_one["error"]
    assert migrate.migrate(make(stack), sql(text, m0={"transaction": False}))["error"] == ""
    assert migrate.migrate(make(stack), sql(text, m0={"transaction": False}))["changed"] is False


@pytest.mark.parametrize(
    "text", ["CREATE TABLE open (a int); /* never closed", "SELECT 'never closed;", "SELECT $x$ open;"]
)
def test_an_unclosed_comment_or_quote_is_no_success(stack, text):
    report = migrate.migrate(make(stack), sql(text))
    assert report["error"]
    assert stack.sql("SELECT to_regclass('open') IS NULL;") == "t"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (migrate.Request((migrate.Datum("nosuch", "/x"),)), "there is no source 'nosuch'"),
        (migrate.Request((migrate.Datum("stack", "/x"),)), "takes no data"),
        (migrate.Request((migrate.Datum("db", "/x"),)), "database is missing"),
        (migrate.Request((migrate.Datum("cache", "x"),)), "absolute path"),
        (migrate.Request((migrate.Datum("cache", "/x", database="coin"),)), "are for PostgreSQL"),
        (sql("BEGIN; CREATE TABLE x (a int); COMMIT;"), "has a BEGIN; of its own"),
        (sql(" "), "is empty"),
    ],
)
def test_a_request_that_does_not_fit_is_refused_by_name(new, request_, words):
    with pytest.raises(DeclarationError, match=words):
        migrate.migrate(make(new), request_)


RUNNER = """
import json, sys
from ansible_collections.onebox.stack.plugins.module_utils.backup import context, declaration, migrate
from ansible_collections.onebox.stack.plugins.module_utils.backup.postgresql import migrations
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
config, stack, data, sql = sys.argv[1:]
request = migrate.Request(
    tuple(migrate.Datum(**one) for one in json.loads(data)),
    tuple(migrations.Migration(**one) for one in json.loads(sql)),
)
report = migrate.migrate(context.make(declaration.read(config), World.real()), request, confirm=stack, wait=60)
print(json.dumps(report["error"]))
"""


def test_killed_anywhere_it_converges_and_nothing_is_ever_half_there(old, stack):
    """kill -9 at random moments; after each, every source has its former or its new data whole, or is being moved."""
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
    # The former data is still somewhere, each of it once.
    formers = [name for name in databases(stack) if name not in ("postgres", "coin")]
    assert [stack.sql("SELECT a FROM mine;", name) for name in formers] == ["1"]
    assert len(list(stack.files.parent.glob("*before*"))) == 1
    print(f"{kills} kills")
    assert kills >= 3


def test_a_redis_that_a_killed_run_left_stopped_gets_its_data_back(old, stack):
    """Killed exactly while the RDB is loaded: the note is there, the service stopped, its data aside."""
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
    assert "former data back, started" in report["warnings"][0]
    deadline = time.monotonic() + 30
    while stack.redis("PING") != "PONG":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert stack.redis("GET", "mine") == "1"
    assert stack.redis("DBSIZE") == "1"
    assert stack.do("ps", "-aq", "--filter", f"name=onebox-restore-{stack.name}") == ""
    assert REDIS_PASSWORD not in json.dumps(report)


def test_the_examples_of_the_module(old, stack, tmp_path):
    place = tmp_path / "move"
    shutil.copytree(ROOT / "stacks/coinpilot/migrations", place / "sql")
    for name, target in (("c.dump", "coinpilot.dump"), ("c.facts", "coinpilot.facts"), ("c.rdb", "dump.rdb")):
        shutil.copy(old.place / name, place / target)
    replace = {
        "/root/move": str(place),
        "name: coinpilot\n": f"name: {stack.name}\n    config: {stack.config()}\n",
        "confirm: coinpilot": f"confirm: {stack.name}",
    }
    shown, done = "Show what moving the old box's data in would do", "Do it, and apply the SQL of the new version"
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
