# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of steps in which a plan is carried out, by the commands that are run."""

from __future__ import annotations

import dataclasses
import pathlib
import tempfile

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Target
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose.driver import PodmanCompose
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan.execute import Execution
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan.plan import Row
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan.resources import Row as Outside
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from compose_facts import model_of


class Cli(Engine):
    """Podman without a socket."""

    name, socket = "podman", ""


def commands(rows, outside=(), model=None, refuse: str = "") -> list[str]:
    seen: list[str] = []

    def run(argv, **options):
        words = " ".join(argv[1:] if argv[0] == "podman" else argv[argv.index("up") :])
        seen.append(words)
        rc = int(bool(refuse) and words.startswith(refuse))
        result = process.Result(tuple(argv), rc, "", "it is in use", 0.0)
        if rc and options.get("check", True):
            raise process.CommandError("failed", result)
        return result

    world = dataclasses.replace(World.real(), run=run)
    source = Source("shop", "/", ("/compose.yml",), "", ())
    with tempfile.TemporaryDirectory() as folder:
        script = pathlib.Path(folder, "podman-compose")
        script.write_text("#!/usr/bin/python3\n")
        tool = PodmanCompose((str(script),), (1, 6, 0), {})
        commands = tool.on(Target(Cli(), "shop", source, world))
        Execution(commands, Cli(), None, model, 1.0).run(rows, (), {}, outside)  # type: ignore[arg-type]
    return seen


MODEL = model_of(
    {
        "web": {"image": "a", "networks": ["inner"]},
        "side": {"image": "a", "network_mode": "service:web"},
        "other": {"image": "a"},
    }
)
NETWORK = Outside("network", "inner", "shop_inner", "n1", "recreate", ["network_changed"])
ROWS = [
    Row("web", "recreate", ["network_changed"], container_ids=("w",)),
    Row("side", "recreate", ["parent_recreated"], container_ids=("s",)),
    Row("other", "recreate", ["env_changed"], container_ids=("o",)),
]


def test_network_goes_after_its_containers_and_before_anything_is_started():
    seen = commands(ROWS, [NETWORK], MODEL)
    gone = seen.index("network rm shop_inner")
    assert [words for words in seen[:gone] if words.startswith("rm")] == ["rm --force s", "rm --force w"]
    assert [words.split()[-1] for words in seen if words.startswith("up")] == ["other", "side"]
    assert all(not words.startswith("up") for words in seen[:gone])
    # Each container is removed once.
    assert sum("w" in words.split() for words in seen if words.startswith("rm")) == 1


def test_network_that_cannot_be_removed_is_a_failure_with_its_name():
    with pytest.raises(ComposeError, match="could not remove network shop_inner, which was changed.*it is in use"):
        commands(ROWS, [NETWORK], MODEL, refuse="network rm")


def test_orphans_go_before_anything_is_started():
    rows = [Row("web", "create", ["missing"]), Row("old", "remove_orphan", ["missing"], container_ids=("x",))]
    seen = commands(rows, model=MODEL)
    assert seen.index("rm --force x") < next(i for i, words in enumerate(seen) if words.startswith("up"))


def test_volume_that_was_changed_is_not_touched():
    volume = Outside("volume", "data", "shop_data", "shop_data", "keep", ["volume_changed"])
    assert not any("volume" in words for words in commands(ROWS, [volume], MODEL))
