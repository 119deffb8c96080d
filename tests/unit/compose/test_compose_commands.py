# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command lines of each driver for the same commands, on both engines."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Target
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.docker_compose.driver import DockerCompose
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose.driver import PodmanCompose
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine

WEB, TWO = {"w1": "web"}, {"w1": "web", "d1": "db", "w2": "web"}
SOURCE = Source("shop", "/srv/shop", ("/srv/shop/compose.yml",), "", ())


class Named(Engine):
    """An engine with a name and a socket."""

    def __init__(self, name: str) -> None:
        self.name, self.socket = name, "/run/engine.sock"


@pytest.fixture
def script(tmp_path):
    """A podman-compose with a Python interpreter."""
    path = tmp_path / "podman-compose"
    path.write_text("#!/usr/bin/python3\n")
    return str(path)


def commands(
    script: str, kind: str, engine: str = "podman", source: Source | None = SOURCE, version=(2, 40, 3), **more
):
    """The commands of a driver, and the list of command lines that they run."""
    seen: list[str] = []

    def run(argv, **options):
        seen.append(" ".join(argv[argv.index("/dev/null") + 1 :] if "/dev/null" in argv else argv[1:]))
        return process.Result(tuple(argv), 0, "shop_default\n" if "ls" in argv else "", "", 0.0)

    world = dataclasses.replace(World.real(), run=run)
    driver = (
        DockerCompose(("docker-compose",), version, {})
        if kind == "docker-compose"
        else PodmanCompose((script,), (1, 6, 0), {})
    )
    return driver.on(Target(Named(engine), "shop", source, world, **more)), seen


def test_replaced_and_other_services_are_started_by_two_calls_of_docker_compose(script):
    docker, seen = commands(script, "docker-compose")
    docker.up(["web", "db", "job"], ["db"])
    assert seen == [
        "up -d --no-build --no-deps --force-recreate db",
        "up -d --no-build --no-deps --no-recreate web job",
    ]


def test_services_are_started_by_one_call_of_podman_compose(script):
    podman, seen = commands(script, "podman-compose")
    podman.up(["web", "db", "job"], ["db"])
    assert seen == ["up -d --no-build --no-deps web db job"]


def test_old_docker_compose_starts_services_with_their_dependencies(script):
    docker, seen = commands(script, "docker-compose", version=(2, 26, 1))
    docker.up(["web"], [])
    assert seen == ["up -d --no-build --no-recreate web"]


@pytest.mark.parametrize(
    ("engine", "in_namespace", "removed"),
    [("docker", True, False), ("docker", False, False), ("podman", True, True), ("podman", False, False)],
)
def test_docker_compose_removes_only_what_podman_cannot_replace(script, engine, in_namespace, removed):
    docker, seen = commands(script, "docker-compose", engine)
    docker.clear(WEB, in_namespace=in_namespace)
    assert seen == (["-p shop rm --stop --force web"] if removed else [])


def test_podman_compose_removes_each_replaced_container(script):
    podman, seen = commands(script, "podman-compose", grace={"w1": 30})
    podman.clear(WEB, in_namespace=False)
    assert seen == ["stop --time 30 w1", "rm --force w1"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("docker-compose", ["-p shop restart web db"]),
        ("podman-compose", ["restart --time 7 w1 w2", "restart --time 10 d1"]),
    ],
)
def test_restart_uses_the_stop_timeout_of_each_service(script, kind, expected):
    driver, seen = commands(script, kind)
    driver.restart({"web": ("w1", "w2"), "db": ("d1",)}, {"web": 7, "db": 10})
    assert seen == expected


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("docker-compose", ["-p shop stop db web", "-p shop unpause db web", "-p shop down --remove-orphans"]),
        (
            "podman-compose",
            [
                *("stop --time 10 w1 d1 w2", "unpause w1 d1 w2", "stop --time 10 w1 d1 w2", "rm --force w1 d1 w2"),
                "network ls --quiet --filter label=com.docker.compose.project=shop",
                "network rm shop_default",
            ],
        ),
    ],
)
def test_stack_is_stopped_continued_and_removed(script, kind, expected):
    driver, seen = commands(script, kind)
    driver.stop(TWO)
    driver.unpause(TWO)
    driver.down(TWO)
    assert seen == expected


@pytest.mark.parametrize("kind", ["docker-compose", "podman-compose"])
def test_command_without_containers_runs_nothing(script, kind):
    driver, seen = commands(script, kind)
    driver.stop({})
    driver.remove({})
    driver.unpause({})
    driver.restart({}, {})
    driver.build([])
    driver.pull({})
    assert seen == []


@pytest.mark.parametrize("kind", ["docker-compose", "podman-compose"])
def test_command_that_needs_the_compose_file_is_refused_without_it(script, kind):
    driver, seen = commands(script, kind, source=None)
    with pytest.raises(ComposeError, match="stack shop: cannot start web, because its compose file is unknown"):
        driver.up(["web"], [])
    assert seen == []
