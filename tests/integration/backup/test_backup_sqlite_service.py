# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A SQLite database that a container writes to: backed up meanwhile, restored with the container stopped."""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import (
    automatic,
    configuration,
    rehearse,
    restore,
    run,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from backup_stack import docker

WRITER = """
import sqlite3, time
base = sqlite3.connect('/data/app.db', isolation_level=None, timeout=60)
base.execute('PRAGMA journal_mode = WAL')
base.execute('CREATE TABLE IF NOT EXISTS pairs (n INTEGER PRIMARY KEY, a, b)')
n = 0
while True:
    n += 1
    base.execute('BEGIN IMMEDIATE')
    base.execute('INSERT INTO pairs (a, b) VALUES (?, ?)', (n, 'x' * 500))
    base.execute('INSERT INTO pairs (a, b) VALUES (?, ?)', (-n, 'y' * 500))
    base.execute('COMMIT')
    time.sleep(0.002)
"""


class Service:
    """One container that writes two rows in each transaction."""

    def __init__(self, base, image):
        self.name = f"obx-sqlite-{secrets.token_hex(3)}"
        self.app = f"{self.name}-app"
        self.base = base
        (base / "srv").mkdir(mode=0o755)
        self.path = base / "srv" / "app.db"
        labels = ["--label", f"com.docker.compose.project={self.name}", "--label", "com.docker.compose.service=app"]
        words = ["-v", f"{base}/srv:/data", "--network", "none", "-t"]
        docker("run", "-d", "--name", self.app, *labels, *words, image, "python3", "-c", WRITER)
        self.wait_for(20)

    def rows(self, path=None):
        with contextlib.closing(sqlite3.connect(f"file:{path or self.path}?mode=ro", uri=True, timeout=60)) as base:
            return base.execute("SELECT count(*), sum(a) FROM pairs").fetchone()

    def wait_for(self, count):
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(sqlite3.Error):
                if self.rows()[0] >= count:
                    return
            assert time.monotonic() < deadline, docker("logs", self.app)
            time.sleep(0.1)

    def context(self):
        declared = {
            "stack": self.name,
            "state_dir": str(self.base / "state"),
            "repository": {"engine": "files", "path": str(self.base / "repo")},
            "container_engine": "docker",
            "reserve_mib": 1,
            "sources": [{"name": "app", "kind": "sqlite", "path": str(self.path)}],
        }
        config = self.base / "config.json"
        config.write_text(json.dumps(declared), encoding="utf-8")
        return contexts.make(configuration.read(str(config)), World.real())


@pytest.fixture
def service(python_image, docker_engine, tmp_path):
    made = Service(tmp_path, python_image)
    try:
        yield made
    finally:
        docker("rm", "-f", "-v", made.app, check=False)


def test_database_is_backed_up_while_its_service_writes_and_restored_while_it_is_stopped(service):
    proposed = automatic.sources(service.name, "docker", None, "", World.real())
    assert proposed.sources == [
        {"name": "app-srv", "kind": "directory", "path": str(service.base / "srv"), "sqlite": ["app.db"]}
    ]
    report = run.backup(service.context())
    assert report["error"] == ""
    taken = report["sources"][0]["count"]
    # Both rows of each transaction, or none.
    assert taken >= 20
    assert taken % 2 == 0
    assert rehearse.rehearse(service.context())["error"] == ""
    service.wait_for(taken + 50)

    steps = restore.restore(service.context(), restore.Request())["steps"]
    assert steps[0].endswith(f"meanwhile {service.app} stops")
    report = restore.restore(service.context(), restore.Request(), confirm=service.name)
    assert report["error"] == ""
    (previous,) = report["aside"]
    kept, total = service.rows(previous)
    assert (kept >= taken + 50, total) == (True, 0)
    # The service runs again, and continues from the restored rows.
    service.wait_for(taken + 2)
    assert service.rows()[1] == 0
    assert service.rows()[0] < kept
    assert docker("inspect", "-f", "{{.State.Running}}", service.app) == "true"
