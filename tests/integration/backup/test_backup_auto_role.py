# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role with ``backups_sources: auto`` on a running compose stack: sources, first set, rehearsal, second run.

The facts say that the user is an ordinary one, so that the role writes to a home of this test only.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import sqlite3
import subprocess
import time

import pytest
import yaml
from backup_stack import ROOT


class Stack:
    """A database, an application with a volume, a bound directory, and a service that loses its data."""

    def __init__(self, images, tiny, compose, base):
        self.name = f"obx-auto-{secrets.token_hex(3)}"
        self.base = base
        self.environ = compose.environ
        self.home = base / "home"
        self.pages = base / "pages"
        self.home.mkdir()
        self.pages.mkdir()
        (self.pages / "page").write_text("worth keeping", encoding="utf-8")
        idle = {"image": tiny, "command": ["sleep", "100000"], "network_mode": "none", "stop_grace_period": "1s"}
        database = {"image": images.ensure("pg15"), "environment": {"POSTGRES_PASSWORD": "x"}, "network_mode": "none"}
        services = {
            "db": {**database, "volumes": ["db:/var/lib/postgresql/data"]},
            "app": {**idle, "volumes": ["files:/data"], "environment": {"DATA_DIR": "/data"}},
            "web": {**idle, "volumes": [f"{self.pages}:/pages"]},
            "lost": {**idle, "volumes": ["/cache"], "environment": {"DATA_DIR": "/cache"}},
        }
        (base / "compose.yml").write_text(json.dumps({"services": services, "volumes": {"db": {}, "files": {}}}))
        self._compose = [*compose.argv, "-p", self.name, "-f", str(base / "compose.yml")]

    def run(self, *words, check=True):
        argv = ["docker", *words[1:]] if words[0] == "docker" else [*self._compose, *words]
        done = subprocess.run(argv, env=self.environ, capture_output=True, text=True, check=False, timeout=300)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self):
        self.run("up", "-d")
        deadline = time.monotonic() + 240
        # By TCP: the server that initdb is followed by has only a socket.
        ready = [
            "exec",
            "-T",
            "-e",
            "PGPASSWORD=x",
            "db",
            "psql",
            "-h",
            "127.0.0.1",
            "-XAtU",
            "postgres",
            "-c",
            "SELECT 1",
        ]
        while self.run(*ready, check=False) != "1":
            assert time.monotonic() < deadline
            time.sleep(0.2)
        self.run("exec", "-T", "db", "psql", "-XqU", "postgres", "-c", "CREATE TABLE t AS SELECT 1 AS a")
        self.run("exec", "-T", "lost", "sh", "-c", "echo x > /cache/x")
        place = self.run("docker", "volume", "inspect", "-f", "{{.Mountpoint}}", f"{self.name}_files")
        with contextlib.closing(sqlite3.connect(f"{place}/app.db")) as made:
            made.execute("CREATE TABLE t (a)")

    def play(self, **more):
        """Exit code, number of changed tasks, output."""
        facts = {
            "ansible_system": "Linux",
            "ansible_service_mgr": "sysvinit",
            "ansible_user_uid": 1000,
            "ansible_user_dir": str(self.home),
            "cacheable": True,
        }
        values = {"backups_stack": self.name, "backups_sources": "auto", "backups_container_engine": "docker"}
        role = {"ansible.builtin.include_role": {"name": "onebox.stack.backups"}}
        play = {"hosts": "all", "gather_facts": False, "vars": {**values, "backups_reserve_mib": 0, **more}}
        play["tasks"] = [{"ansible.builtin.set_fact": facts}, role]
        book = self.base / "play.yml"
        book.write_text(yaml.safe_dump([play]))
        places = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_HOME": str(self.base / ".ansible")}
        python = f"ansible_python_interpreter={ROOT}/.venv/bin/python"
        argv = [str(ROOT / ".venv/bin/ansible-playbook"), "-i", "box,", "-c", "local", "-e", python, str(book)]
        done = subprocess.run(
            argv, env={**self.environ, **places}, cwd=ROOT, text=True, capture_output=True, timeout=600, check=False
        )
        changed = re.search(r"changed=(\d+)", done.stdout)
        return done.returncode, int(changed.group(1)) if changed else -1, done.stdout + done.stderr

    def sources(self):
        config = self.home / ".config" / "onebox" / "backup" / f"{self.name}.json"
        return json.loads(config.read_text(encoding="utf-8"))["sources"]

    def sets(self):
        return sorted(os.listdir(self.home / ".local" / "share" / "onebox-backups" / self.name / "sets"))


@pytest.fixture
def stack(images, tiny_image, compose_v2, tmp_path):
    made = Stack(images, tiny_image, compose_v2, tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.run("down", "-v", "-t", "0", check=False)


def test_role_backs_up_what_the_map_finds_and_names_the_rest(stack):
    code, _changed, said = stack.play()
    assert code == 0, said
    found = sorted(stack.sources(), key=lambda row: row["name"])
    assert found == [
        {"name": "db", "kind": "postgresql", "service": "db"},
        {"name": "files", "kind": "volume", "volume": "files", "sqlite": ["app.db"]},
        {"name": "stack", "kind": "compose", "files": [str(stack.base / "compose.yml")]},
        {"name": "web-pages", "kind": "directory", "path": str(stack.pages)},
    ]
    assert "in a volume without a name" in " ".join(said.split())
    assert stack.sets() == ["000001"]
    manifest = json.loads(
        (stack.home / f".local/share/onebox-backups/{stack.name}/sets/000001/manifest.json").read_text()
    )
    assert sorted(row["name"] for row in manifest["sources"]) == ["db", "files", "stack", "web-pages"]
    evidence = stack.home / ".local" / "state" / "onebox-backup" / stack.name / "evidence"
    assert any(json.loads(path.read_text()).get("ok") for path in evidence.iterdir())

    code, changed, said = stack.play()
    assert (code, changed) == (0, 0), said
    # A stack that is down keeps its sources.
    stack.run("down", "-t", "0")
    code, changed, said = stack.play()
    assert (code, changed) == (0, 0), said
    assert sorted(stack.sources(), key=lambda row: row["name"]) == found
