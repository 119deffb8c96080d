# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real MariaDB and MySQL: backed up, rehearsed, damaged in many ways, restored."""

from __future__ import annotations

import json
import os
import pathlib
import secrets
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration, rehearse, restore, run, selftest
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import lookup
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.mysql import load
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.mysql.model import MysqlFacts
from ansible_collections.onebox.stack.plugins.module_utils.core import trees
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from backup_stack import docker

PASSWORD = "my-" + secrets.token_hex(8)
# Each must be seen by a rehearsal, in a restored server.
MUTATIONS = {
    "value": "UPDATE coin.parent SET n = 'uno' WHERE id = 1",
    "binary": "UPDATE coin.`odd ``name` SET b = 0x00ff0a0d28 WHERE id = 1",
    "fraction": "UPDATE coin.`odd ``name` SET w = '2026-01-02 03:04:05.678902' WHERE id = 1",
    "null": "UPDATE coin.plain SET w = '' WHERE w IS NULL",
    "row of a table without key": "DELETE FROM coin.plain WHERE v = 1 LIMIT 1",
    "table": "DROP TABLE second.t",
    "table too many": "CREATE TABLE second.more (a INT)",
    "index": "CREATE INDEX i ON coin.parent (n)",
    "default": "ALTER TABLE coin.plain ALTER COLUMN v SET DEFAULT 5",
    "auto increment": "ALTER TABLE coin.`odd ``name` AUTO_INCREMENT = 99",
    "foreign key": "ALTER TABLE coin.child DROP FOREIGN KEY child_ibfk_1",
    "trigger": "DROP TRIGGER coin.filled",
    "view": "CREATE OR REPLACE VIEW coin.b_view AS SELECT id, 'x' AS n FROM coin.parent",
    "procedure": "DROP PROCEDURE coin.proc",
    "function": "ALTER FUNCTION coin.twice COMMENT 'x'",
    "event": "ALTER EVENT coin.nightly ON SCHEDULE EVERY 2 DAY",
    "password": "ALTER USER reader@'10.%' IDENTIFIED BY 'other'",
    "grant": "GRANT INSERT ON coin.* TO reader@'10.%'",
    "column grant": "REVOKE SELECT (n) ON coin.parent FROM reader@'10.%'",
    "role": "REVOKE staff FROM reader@'10.%'",
    "account too many": "CREATE USER extra",
}


class Database:
    """A stack of one server."""

    def __init__(self, part, images, base):
        self.name = f"obx-mysql-{secrets.token_hex(3)}"
        self.server = f"{self.name}-db"
        self.base = base
        self.image = images.ensure(part)
        self.client = "mysql" if part.startswith("mysql") else "mariadb"

    def start(self):
        labels = ["--label", f"com.docker.compose.project={self.name}", "--label", "com.docker.compose.service=db"]
        env = [f"MYSQL_ROOT_PASSWORD={PASSWORD}", "MYSQL_DATABASE=coin", "MYSQL_USER=coin", "MYSQL_PASSWORD=coin"]
        words = [word for each in env for word in ("-e", each)]
        docker("run", "-d", "--network", "none", "--name", self.server, *labels, *words, self.image)
        deadline = time.monotonic() + 240
        while docker("exec", self.server, "cat", "/proc/1/comm", check=False) not in ("mysqld", "mariadbd") or (
            "1" not in self.sql("SELECT 1", check=False)
        ):
            assert time.monotonic() < deadline, docker("logs", self.server)
            time.sleep(0.2)
        self.sql(pathlib.Path(__file__).with_name("mysql.sql").read_text(encoding="utf-8"))

    def sql(self, text, check=True):
        words = ["-uroot", "--default-character-set=utf8mb4", "-N", "-B", "coin"]
        return docker(
            "exec", "-i", "-e", f"MYSQL_PWD={PASSWORD}", self.server, self.client, *words, text=text, check=check
        )

    def context(self, **source):
        declared = {
            "stack": self.name,
            "state_dir": str(self.base / "state"),
            "repository": {"engine": "files", "path": str(self.base / "repo")},
            "container_engine": "docker",
            "reserve_mib": 1,
            "timeout": 300,
            "sources": [{"name": "db", "kind": "mysql", "service": "db", **source}],
        }
        config = self.base / "config.json"
        config.write_text(json.dumps(declared), encoding="utf-8")
        return contexts.make(configuration.read(str(config)), World.real())


@pytest.fixture(scope="module", params=["mariadb10", "mariadb11", "mysql9"])
def database(request, images, tmp_path_factory):
    made = Database(request.param, images, tmp_path_factory.mktemp("mysql"))
    try:
        made.start()
        yield made
    finally:
        docker("rm", "-f", "-v", made.server, check=False)
        left = docker("ps", "-aq", "--filter", f"label=onebox.stack.throwaway={made.name}")
        for container in left.split():
            docker("rm", "-f", "-v", container)
        assert left == "", "a throwaway container was left behind"


def test_backup_is_rehearsed_and_its_facts_count_rows(database):
    report = run.backup(database.context())
    assert report["error"] == ""
    assert "old_kind (MyISAM) are not transactional" in "; ".join(report["warnings"])
    facts = database.context().store.sets()[-1].understood().source("db").facts
    rows = {name: row[0] for name, row in facts["databases"]["coin"]["tables"].items()}
    assert rows == {"`odd ``name`": 3, "`plain`": 4, "`parent`": 2, "`child`": 2, "`old_kind`": 1}
    report = rehearse.rehearse(database.context())
    assert report["error"] == ""
    assert report["sources"][0]["found"]["rows"] == 14
    assert "settings of the server" in "; ".join(report["sources"][0]["found"]["not_compared"])


def test_each_mutation_of_a_restored_server_is_found(database):
    context = database.context()
    assert run.backup(context)["error"] == ""
    chosen = context.store.sets()[-1]
    facts = MysqlFacts.from_dict(chosen.understood().source("db").facts)
    staged = str(database.base / "staged")
    trees.private_dir(staged)
    context.store.fetch(chosen, staged)
    cli, found = context.open_cli(), {}
    image = lookup.image_of(cli, facts.image)
    name = lookup.throwaway_name(database.name, "db")
    # One server for all, restored in the way of a rehearsal before each mutation.
    with load.throwaway(cli, database.name, name, image, facts) as server:
        for what, sql in {"nothing": "SELECT 1", **MUTATIONS}.items():
            for account in server.accounts():
                server.query(f"DROP {'USER' if '@' in account and 'staff' not in account else 'ROLE'} {account}")
            created, kept = load.create_accounts(server, facts)
            load.load_all(server, facts, list(facts.databases), staged)
            refused = load.grant(server, facts, created)
            server.query(sql)
            problems = load.compare_accounts(server, facts)
            problems += load.compare(server, facts, list(facts.databases), str(database.base))
            found[what] = [*kept, *refused, *problems]
    assert found.pop("nothing") == []
    assert [what for what, problems in found.items() if not problems] == []


def test_damage_of_a_dump_is_found(database):
    assert run.backup(database.context())["error"] == ""
    report = selftest.self_test(database.context())
    assert report["error"] == ""
    caught = "; ".join(row["damage"] for row in report["controls"] if row["caught"])
    assert "cut, without the checksum" in caught
    assert "one altered row of MySQL" in caught


def test_restore_replaces_all_and_keeps_a_dump_of_the_previous(database):
    assert run.backup(database.context())["error"] == ""
    database.sql("DROP TRIGGER filled; DELETE FROM child; UPDATE parent SET n = 'lost'; DROP DATABASE second;")
    database.sql("DROP USER reader@'10.%'")
    report = restore.restore(database.context(), restore.Request(), confirm=database.name)
    assert report["error"] == ""
    assert database.sql("SELECT n FROM parent ORDER BY id") == "one\ntwo"
    assert database.sql("SELECT COUNT(*) FROM second.t") == "2"
    assert "GRANT" in database.sql("SHOW GRANTS FOR reader@'10.%'")
    (kept,) = [line.partition(" ")[2] for line in report["aside"]]
    saved = pathlib.Path(kept).read_text(encoding="utf-8")
    assert "lost" in saved
    # The dropped database left a view without its table, which no dump can hold.
    assert saved.startswith("-- View across: select ")
    assert "view across of database coin refers to something that is missing" in "; ".join(report["warnings"])
    assert os.stat(kept).st_mode & 0o777 == 0o600
    assert run.backup(database.context())["error"] == ""
    assert rehearse.rehearse(database.context())["error"] == ""


def test_failed_restore_puts_the_previous_database_back(database, monkeypatch):
    assert run.backup(database.context())["error"] == ""
    database.sql("UPDATE parent SET n = 'later' WHERE id = 2")
    real = load.load_all

    def spoil(server, facts, names, staged):
        real(server, facts, names, staged)
        server.query("DELETE FROM coin.child")

    monkeypatch.setattr(load, "load_all", spoil)
    request = restore.Request(databases=("coin",))
    report = restore.restore(database.context(), request, confirm=database.name)
    assert report["exit_code"] == 8
    assert "database coin could not be restored; the server is as it was before" in report["error"]
    assert database.sql("SELECT n FROM parent ORDER BY id") == "one\nlater"
    assert database.sql("SELECT COUNT(*) FROM child") == "2"


def test_databases_that_are_emptied_or_gone_are_named(database):
    assert run.backup(database.context())["error"] == ""
    database.sql("DELETE FROM second.t")
    report = run.backup(database.context())
    assert "database second went from 2 to 0 rows" in report["error"]
    database.sql("DROP DATABASE second; DROP VIEW across")
    assert "has no database second any more" in run.backup(database.context())["error"]
    report = run.backup(database.context(databases=["second"]))
    assert "has no database second, it has coin" in report["error"]
