# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which volume is a source's: by labels or the declared name, never by a similar one."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup.configuration import parse
from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import Cli
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import ConfigError, SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.facts_validators import VALIDATORS
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.volume import find
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.schema import Malformed
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.resources import parse_volume


def row(name, project="", key="", podman=False, **more):
    labels = {"com.docker.compose.project": project} if project else None
    if podman:
        labels = {"io.podman.compose.project": project, "com.docker.compose.project": project}
    elif key:
        labels = {**(labels or {}), "com.docker.compose.volume": key}
    return parse_volume({"Name": name, "Driver": "local", "Labels": labels, "Options": None, **more})


class Volumes(Engine):
    name = "docker"
    socket = "/run/none.sock"

    def __init__(self, *rows):
        self.rows = list(rows)

    def all_volumes(self):
        return self.rows


def cli(*rows):
    return Cli(Volumes(*rows), 1.0, World.real())


def declared(**source):
    data = {
        "stack": "blog",
        "state_dir": "/var/lib/x",
        "repository": {"engine": "files", "path": "/var/backups/x"},
        "sources": [{"name": "d", "kind": "volume", **source}],
    }
    return parse(data).sources[0]


@pytest.mark.parametrize("source", [{}, {"volume": "data", "volume_name": "x"}])
def test_source_without_one_name_of_its_volume_is_refused(source):
    with pytest.raises(ConfigError, match="set either volume .* or volume_name"):
        declared(**source)


@pytest.mark.parametrize("option", [{"path": "/srv"}, {"service": "db"}])
def test_option_of_another_kind_is_refused(option):
    with pytest.raises(ConfigError, match="unknown option"):
        declared(volume="data", **option)


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        ([row("blog_data", "blog", "data"), row("blog_data2", "blog", "data2")], "blog_data"),
        # The compose file gave it a name of its own.
        ([row("precious", "blog", "data"), row("blog_data", "", "")], "precious"),
        # podman-compose has no label for the key.
        ([row("blog_data", "blog", podman=True), row("other_data", "other", podman=True)], "blog_data"),
    ],
)
def test_volume_is_found_by_labels(rows, name):
    assert find.find(cli(*rows), "blog", declared(volume="data")).name == name


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "project blog has no volume data in docker, it has none"),
        ([row("blog_data")], "has no volume data"),
        ([row("blog_data", "other", "data")], "Other projects have one: blog_data of project other"),
        ([row("blog_data", "blog", "db")], "its volumes are db"),
        ([row("a", "blog", "data"), row("b", "blog", "data")], "several volumes data: a, b"),
    ],
)
def test_volume_without_its_labels_is_not_guessed(rows, words):
    with pytest.raises(SourceError, match=words):
        find.find(cli(*rows), "blog", declared(volume="data"))


def test_declared_name_is_taken_exactly_and_never_from_another_project():
    spec = declared(volume_name="shared")
    assert find.find(cli(row("shared")), "blog", spec).name == "shared"
    assert find.find(cli(row("shared", "blog", "x")), "blog", spec).name == "shared"
    with pytest.raises(SourceError, match="belongs to the project other, not to blog"):
        find.find(cli(row("shared", "other", "x")), "blog", spec)
    with pytest.raises(SourceError, match="docker has no volume shared"):
        find.find(cli(row("shared2")), "blog", spec)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "no directory on this host"),
        ({"Mountpoint": "/var/lib/docker/volumes/nowhere/_data"}, "the engine runs in a virtual machine or elsewhere"),
        ({"Mountpoint": "/tmp", "Options": {"type": "none", "o": "bind", "device": "/srv/x"}}, "a mount of /srv/x"),
        ({"Mountpoint": "/tmp", "Options": {"type": "nfs"}}, "only while a container uses it"),
    ],
)
def test_volume_without_a_directory_of_this_host_fails(more, words, tmp_path):
    given = {key: str(tmp_path) if value == "/tmp" else value for key, value in more.items()}
    with pytest.raises(SourceError, match=words):
        find.directory(row("v", **given), declared(volume_name="v"))


def test_restore_never_takes_over_a_volume_of_the_recorded_name():
    with pytest.raises(SourceError, match="the volume blog_data of the set exists and is not volume data"):
        find.create(cli(row("blog_data", "other", "data")), "blog", declared(volume="data"), "blog_data")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"volume": "-v"}, "facts.volume is not the name of a volume"),
        ({"volume": "a/b"}, "facts.volume is not the name of a volume"),
        ({"volume": None}, "facts.volume"),
        ({"mapped": 1}, "facts.mapped is not true or false"),
        ({"mapped": True, "archive": ""}, "facts.archive is missing"),
        ({"root": "../x"}, "facts.root is not an absolute path"),
    ],
)
def test_each_fact_that_is_not_as_a_backup_takes_it_is_refused(change, words):
    files = {"files/d.list": "0" * 64, "files/d.tar": "0" * 64}
    facts = {
        "root": "/v/_data", "entries": 1, "bytes": 1, "list": "files/d.list", "archive": "files/d.tar",
        "databases": {}, "volume": "blog_data", "mapped": False,
    }  # fmt: skip
    VALIDATORS["volume"](facts, files, "facts")
    with pytest.raises(Malformed, match=words):
        VALIDATORS["volume"]({**facts, **change}, files, "facts")
