# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Automatic sources: each persistent path of a stack is in a source, or named as not backed up."""

from __future__ import annotations

import contextlib
import json
import sqlite3

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import automatic, configuration
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import parse_inspect
from ansible_collections.onebox.stack.plugins.module_utils.engine.resources import parse_volume

POSTGRES = {"Env": ["PGDATA=/pg/18"], "Entrypoint": ["entry"], "Cmd": ["postgres"], "Volumes": {"/pg": {}}}
REDIS = {"Entrypoint": ["entry"], "Cmd": ["redis-server"], "WorkingDir": "/data", "Volumes": {"/data": {}}}
MONGO = {"Entrypoint": ["entry"], "Cmd": ["mongod"], "Volumes": {"/data/db": {}}}
MARIA = {"Entrypoint": ["entry"], "Cmd": ["mariadbd"], "Volumes": {"/var/lib/mysql": {}}}


class Paper(Engine):
    """An engine with the containers and volumes of a test."""

    name = "docker"

    def __init__(self, folder):
        self.folder = folder
        self.rows = []
        self.images = {}
        self.known = []

    def add(self, service, config, *mounts, command=None, env=(), labels=()):
        """A container with mounts: a directory or file of the test, or ``volume:NAME``, and the destination."""
        self.images[service] = config
        rows = []
        for source, target in mounts:
            kind = "volume" if source.startswith("volume:") else "bind"
            name = source.partition(":")[2] if kind == "volume" else ""
            path = str(self.folder / (name or source))
            rows.append({"Type": kind, "Name": name, "Source": path, "Destination": target, "RW": True})
        self.rows.append(parse_inspect({
            "Id": service, "Name": f"/shop-{service}-1", "Image": service, "State": {"Status": "exited"},
            "Config": {
                "Image": service, "Env": [*config.get("Env", ()), *env], "Cmd": command or config.get("Cmd"),
                "Entrypoint": config.get("Entrypoint"), "WorkingDir": config.get("WorkingDir", ""),
                "Labels": {
                    "com.docker.compose.project": "shop", "com.docker.compose.service": service, **dict(labels),
                },
            },
            "HostConfig": {}, "Mounts": rows, "GraphDriver": {"Data": {"UpperDir": str(self.folder)}},
        }))  # fmt: skip

    def containers(self, project=None, names=()):
        assert project == "shop"
        return self.rows

    def image(self, reference):
        return {"Config": self.images[reference.rpartition(":")[2]]}

    def volumes(self, names):
        found = {row.name: row for row in self.known}
        return {name: found.get(name) for name in names}


@pytest.fixture
def engine(tmp_path):
    for name in ("pg", "redis", "files", "files/inner", "all", "all/pg", "shop_data", "other"):
        (tmp_path / name).mkdir()
    return Paper(tmp_path)


def proposed(engine):
    found = automatic.propose(engine, "shop", World.real())
    if not found.sources:
        return found
    # Whatever is proposed is a valid backup configuration.
    configuration.parse({
        "stack": "shop", "state_dir": "/s", "repository": {"engine": "files", "path": "/r"}, "sources": found.sources,
    })  # fmt: skip
    return found


def test_each_kind_of_data_gets_its_source(engine, tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "files" / "app.db")) as base:
        base.execute("CREATE TABLE t (a)")
    for copy in ("one.sqlite", "shop_data/app.db", "shop_data/of\nlines.db", "shop_data/app.db-wal"):
        (tmp_path / copy).write_bytes((tmp_path / "files" / "app.db").read_bytes())
    (tmp_path / "compose.yml").write_text("services: {}")
    (tmp_path / ".env").write_text("A=1")
    folder = {
        "com.docker.compose.project.config_files": str(tmp_path / "compose.yml"),
        "com.docker.compose.project.working_dir": str(tmp_path),
    }
    engine.known = [
        parse_volume({"Name": "shop_data", "Driver": "local", "Options": None, "Labels": {
            "com.docker.compose.project": "shop", "com.docker.compose.volume": "data"}}),
        parse_volume({"Name": "other", "Driver": "local", "Options": None, "Labels": None}),
    ]  # fmt: skip
    engine.add("db", POSTGRES, ("pg", "/pg"), labels=folder)
    engine.add("maria", MARIA, ("volume:maria", "/var/lib/mysql"))
    engine.add("cache", REDIS, ("redis", "/data"), command=["redis-server", "--requirepass", "x"], env=["CODE=x"])
    engine.add("web", {}, ("files", "/files"), ("files/inner", "/inner"), ("volume:shop_data", "/data"))
    engine.add("job", {}, ("volume:shop_data", "/data"), ("volume:other", "/other"), ("one.sqlite", "/one.sqlite"))
    found = proposed(engine)
    assert found.not_backed_up == []
    assert found.sources == [
        {"name": "db", "kind": "postgresql", "service": "db"},
        {"name": "maria", "kind": "mysql", "service": "maria"},
        {"name": "cache", "kind": "redis", "service": "cache", "password_variable": "CODE"},
        {"name": "data", "kind": "volume", "volume": "data", "sqlite": ["app.db"]},
        {"name": "web-files", "kind": "directory", "path": str(tmp_path / "files"), "sqlite": ["app.db"]},
        {"name": "job-one.sqlite", "kind": "sqlite", "path": str(tmp_path / "one.sqlite")},
        {"name": "other", "kind": "volume", "volume_name": "other"},
        {"name": "stack", "kind": "compose", "files": [str(tmp_path / "compose.yml"), str(tmp_path / ".env")]},
    ]


def test_directory_above_that_of_a_database_excludes_it(engine, tmp_path):
    engine.add("db", POSTGRES, ("all/pg", "/pg"))
    engine.add("web", {}, ("all", "/all"))
    assert proposed(engine).sources == [
        {"name": "db", "kind": "postgresql", "service": "db"},
        {"name": "web-all", "kind": "directory", "path": str(tmp_path / "all"), "exclude": ["pg"]},
    ]


@pytest.mark.parametrize(
    ("service", "words"),
    [
        (("m", MONGO, ("files", "/data/db")), "keeps MongoDB in /data/db: no kind of source dumps it"),
        (("db", POSTGRES, ("volume:" + "a" * 64, "/pg")), "in a volume without a name"),
        (("web", {}, ("compose.txt", "/compose.txt")), "the single file"),
    ],
)
def test_data_without_a_source_is_named(engine, tmp_path, service, words):
    (tmp_path / "compose.txt").write_text("x")
    (tmp_path / ("a" * 64)).mkdir()
    (tmp_path / ("a" * 64) / "x").write_text("x")
    engine.add(*service)
    found = proposed(engine)
    assert found.sources == []
    (text,) = found.not_backed_up
    assert words in text


def test_redis_whose_password_is_unknown_is_named(engine):
    engine.add("cache", REDIS, ("redis", "/data"), command=["redis-server", "--requirepass", "x"])
    found = proposed(engine)
    assert found.sources == []
    assert "Set REDIS_PASSWORD in its environment" in found.not_backed_up[0]


def test_sources_of_the_configuration_are_read_and_damage_is_none():
    assert automatic.recorded(json.dumps({"sources": [{"name": "a"}]})) == [{"name": "a"}]
    assert [automatic.recorded(text) for text in ("", "{", "[]", '{"sources": 1}')] == [[], [], [], []]
