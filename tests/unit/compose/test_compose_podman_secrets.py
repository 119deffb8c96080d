# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that Podman keeps, given by its command line. Real ones are in the integration tests of the role."""

from __future__ import annotations

import dataclasses
import pathlib

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose import (
    secrets as podman_secrets,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine


class Podman(Engine):
    """The secrets of a Podman, changed by its command line."""

    name, socket = "podman", ""

    def __init__(self, version: str) -> None:
        self.version = version
        self.values: dict[str, str] = {}
        self.argv: list[str] = []

    def secret(self, name: str) -> dict | None:
        return {"ID": name} if name in self.values else None

    def run(self, argv, *, stdin=None, **options) -> process.Result:
        self.argv += argv
        words = [word for word in argv[2:] if word != "-"]
        shown = ""
        if words[0] == "inspect":
            assert self.version >= "4.7"
            shown = self.values[words[-1]] + "\n"
        elif words[0] == "rm":
            del self.values[words[1]]
        elif words[0] == "create":
            assert "--replace" in words or words[1] not in self.values
            assert "--replace" not in words or self.version >= "4.7"
            self.values[words[-1]] = stdin.decode()
        return process.Result(tuple(argv), 0, shown, "", 0.0)


@pytest.fixture(params=["4.3.1", "5.4.2"])
def podman(request) -> Podman:
    return Podman(request.param)


def test_secret_is_given_once_and_again_when_its_value_changes(podman: Podman, tmp_path: pathlib.Path):
    world = dataclasses.replace(World.real(), run=podman.run)

    def coming(value: str) -> list[str]:
        wanted = Request("shop", "/opt/x", secrets=({"name": "key", "value": value},), state_dir=str(tmp_path))
        found = list(podman_secrets.coming(wanted, podman, world))
        podman_secrets.set_values(wanted, podman, world, found)
        return found

    assert coming("hunter22") == ["key"]
    assert coming("hunter22") == []
    assert coming("hunter33") == ["key"]
    assert podman.values == {"key": "hunter33"}
    podman.values.clear()
    assert coming("hunter33") == ["key"]
    assert not [word for word in podman.argv if "hunter" in word]
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in written if b"hunter" in path.read_bytes() or path.stat().st_mode & 0o077]


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", ".hidden"])
def test_name_that_podman_does_not_take_is_refused(podman: Podman, name: str):
    request = Request("shop", "/opt/x", secrets=({"name": name or " ", "value": "x"},))
    assert [problem.code for problem in podman_secrets.problems(request, podman)] == ["bad_secret_name"]
    assert podman_secrets.coming(request, podman, World.real()) == {}


def test_docker_gets_no_secret_and_is_named():
    docker = Podman("28.0")
    docker.name = "docker"
    request = Request("shop", "/opt/x", secrets=({"name": "key", "value": "x"},))
    assert [problem.code for problem in podman_secrets.problems(request, docker)] == ["external_secret"]
    assert podman_secrets.coming(request, docker, World.real()) == {}
