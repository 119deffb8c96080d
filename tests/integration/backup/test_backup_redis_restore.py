# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Redis whose settings changed after the backup, and restores of it that fail midway."""

from __future__ import annotations

import dataclasses
import json
import secrets
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration, restore, run
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis import load as redis_load
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis import restore as redis_restore
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from backup_stack import docker


class Cache:
    """One service with a volume, created again with other settings like a deployment."""

    def __init__(self, base, images):
        self.name = f"obx-bkredis-{secrets.token_hex(3)}"
        self.volume = f"{self.name}-data"
        self.base = base
        self.images = images
        self.user = ""

    def start(self, *words, part="redis7", volumes=()):
        docker("rm", "-f", self.name, check=False)
        label = ["--label", f"com.docker.compose.project={self.name}", "--label", "com.docker.compose.service=cache"]
        mounts = [word for volume in (f"{self.volume}:/data", *volumes) for word in ("-v", volume)]
        docker(
            "run", "-d", "--network", "none", "--name", self.name, *label, *mounts, self.images.ensure(part),
            "redis-server", "--dir", "/data", "--save", "", "--repl-diskless-sync-delay", "0", *words,
        )  # fmt: skip
        self.answers()

    def answers(self):
        deadline = time.monotonic() + 60
        while self.cli("PING", check=False) != "PONG":
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def cli(self, *words, check=True, text=None):
        return docker("exec", "-i", self.name, "redis-cli", *words, check=check, text=text)

    def fill(self, count):
        self.cli(text="".join(f"SET key:{n} value{n}\r\n" for n in range(count)))

    def context(self):
        source = {"name": "cache", "kind": "redis", "service": "cache", "allow_empty": True}
        if self.user:
            (self.base / "password").write_text("pw\n", encoding="utf-8")
            source.update(user=self.user, password_file=str(self.base / "password"))
        return contexts.make(
            configuration.parse(
                {
                    "stack": self.name,
                    "state_dir": str(self.base / "state"),
                    "repository": {"engine": "files", "path": str(self.base / "repo")},
                    "container_engine": "docker",
                    "reserve_mib": 1,
                    "timeout": 120,
                    "sources": [source],
                }
            ),
            World.real(),
        )

    def backup(self):
        assert run.backup(self.context())["error"] == ""

    def restore(self):
        return restore.restore(self.context(), restore.Request(), confirm=self.name)

    def note(self):
        return json.loads((self.base / "state" / "redis-under-way.json").read_text(encoding="utf-8"))


@pytest.fixture
def cache(images, tmp_path):
    made = Cache(tmp_path, images)
    yield made
    docker("rm", "-f", "-v", made.name, check=False)
    for helper in docker("ps", "-aq", "--filter", f"label=onebox.stack.restoring={made.name}").split():
        docker("rm", "-f", helper)
    for volume in docker("volume", "ls", "-q", "--filter", f"name={made.name}").split():
        docker("volume", "rm", volume)


def test_set_without_append_only_is_restored_into_a_service_with_it(cache):
    cache.start("--appendonly", "no")
    cache.fill(500)
    cache.backup()
    cache.start("--appendonly", "yes", "--appenddirname", "other dir", "--dbfilename", "odd name.rdb")
    cache.fill(3)
    report = cache.restore()
    assert report["error"] == ""
    assert cache.cli("DBSIZE") == "500"
    cache.start("--appendonly", "yes", "--appenddirname", "other dir", "--dbfilename", "odd name.rdb")
    assert cache.cli("DBSIZE") == "500"
    (aside,) = report["aside"]
    assert "other dir" in docker("exec", cache.name, "ls", aside.split(" in ")[0])


def test_user_without_access_to_settings_restores_into_append_only(cache):
    acl = ["--user", "backup", "on", ">pw", "~*", "+psync", "+sync", "+replconf", "+ping", "+info"]
    cache.user = "backup"
    cache.start("--appendonly", "yes", *acl)
    cache.fill(500)
    cache.backup()
    cache.cli("FLUSHALL")
    report = cache.restore()
    assert report["error"] == ""
    assert cache.cli("DBSIZE") == "500"


def test_set_of_an_older_version_is_restored_into_a_newer_one(cache):
    cache.start("--appendonly", "yes", part="redis6")
    cache.fill(500)
    cache.backup()
    docker("rm", "-f", cache.name)
    docker("volume", "rm", cache.volume)
    cache.start("--appendonly", "yes", part="redis7")
    assert cache.restore()["error"] == ""
    assert cache.cli("DBSIZE") == "500"


def test_service_that_starts_with_other_data_is_an_error(cache, monkeypatch):
    cache.start("--appendonly", "yes")
    cache.fill(500)
    cache.backup()
    # The mode of loading is wrong on purpose: then the service ignores the dump and starts empty.
    real = redis_restore.as_served
    monkeypatch.setattr(
        redis_restore,
        "as_served",
        lambda taken, live: dataclasses.replace(real(taken, live), config={"appendonly": "no"}),
    )
    report = cache.restore()
    assert report["exit_code"] == 8
    assert "500 keys" in report["error"]
    assert "the service has 0" in report["error"]
    assert "pre-restore-" in report["error"]
    assert cache.note() == {}


def test_previous_data_that_cannot_be_moved_is_not_changed(cache):
    # A mount inside the data: moving it fails after dump.rdb was moved.
    cache.start("--appendonly", "no", volumes=[f"{cache.name}-inner:/data/appendonlydir"])
    cache.fill(500)
    cache.cli("SAVE")
    cache.backup()
    report = cache.restore()
    assert report["error"] != ""
    cache.answers()
    assert cache.cli("DBSIZE") == "500"
    assert cache.note() == {}


class Interrupted(BaseException):
    """An exception like KeyboardInterrupt, which would end the tests."""


def interrupted(*_words):
    raise Interrupted


def test_interrupted_restore_restores_the_previous_data(cache, monkeypatch):
    cache.start("--appendonly", "yes")
    cache.fill(500)
    cache.backup()
    cache.fill(700)
    monkeypatch.setattr(redis_load, "load", interrupted)
    with pytest.raises(Interrupted):
        cache.restore()
    cache.answers()
    assert cache.cli("DBSIZE") == "700"
    assert cache.note() == {}


def test_previous_data_that_cannot_be_restored_is_restored_by_the_next_run(cache, monkeypatch):
    cache.start("--appendonly", "yes")
    cache.fill(500)
    cache.backup()
    cache.fill(700)
    with monkeypatch.context() as patch:
        patch.setattr(redis_load, "load", interrupted)
        patch.setattr(redis_restore, "_BACK", "exit 1")
        report = cache.restore()
    assert report["exit_code"] == 4
    assert "stays stopped" in report["error"]
    assert docker("inspect", "-f", "{{.State.Running}}", cache.name) == "false"
    assert cache.note()["loaded"] is False
    assert "previous data restored" in redis_restore.recover(cache.context())
    cache.answers()
    assert cache.cli("DBSIZE") == "700"
    assert cache.note() == {}
