# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Podman's settings stay while a container of any project needs them."""

from __future__ import annotations

import dataclasses
import pathlib
import types
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup import containers_conf
from ansible_collections.onebox.stack.plugins.modules import container_engine_preflight

PROJECT = "obx-settings-other"


@pytest.fixture
def world(podman_engine: t.Any) -> World:
    return dataclasses.replace(World.real(), environ=podman_engine.environ)


@pytest.fixture
def file(tmp_path: pathlib.Path) -> containers_conf.DropIn:
    drop_in = containers_conf.DropIn(str(tmp_path))
    drop_in.write("# settings\n")
    return drop_in


def absent(file: containers_conf.DropIn, world: World, *, check: bool = False) -> dict[str, t.Any]:
    return container_engine_preflight.forget(types.SimpleNamespace(check_mode=check), file, world)


@pytest.mark.parametrize("running", [True, False])
def test_absent_with_a_container_of_another_project_keeps_the_settings(
    podman_engine: t.Any, tiny_image: str, world: World, file: containers_conf.DropIn, running: bool
) -> None:
    name = "obx-settings-users"
    label = f"com.docker.compose.project={PROJECT}"
    words = ["run", "-d"] if running else ["create"]
    podman_engine.run(*words, "--name", name, "--label", label, tiny_image, "sleep", "100")
    try:
        result = absent(file, world)
        assert PROJECT in result["kept_for"]
        assert result["changed"] is False
        assert file.read() == "# settings\n"
    finally:
        podman_engine.run("rm", "-f", "-t", "0", name)


def test_absent_without_containers_removes_the_settings(
    tmp_path: pathlib.Path, podman_engine: t.Any, file: containers_conf.DropIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Storage of its own, as on a host without containers. No socket answers there, so the command line is used."""
    storage = tmp_path / "storage.conf"
    storage.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/graph"\nrunroot = "{tmp_path}/run"\n')
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(storage))
    monkeypatch.setenv("CONTAINERS_CONF", podman_engine.env["CONTAINERS_CONF"])
    environ = {**podman_engine.environ, "XDG_RUNTIME_DIR": str(tmp_path / "runtime"), "CONTAINER_HOST": ""}
    world = dataclasses.replace(World.real(), environ=environ, uid=12345)
    assert absent(file, world, check=True)["changed"] is True
    assert file.read() == "# settings\n"
    result = absent(file, world)
    assert result["kept_for"] == []
    assert file.read() == ""


def test_absent_without_podman_removes_the_settings(tmp_path: pathlib.Path, file: containers_conf.DropIn) -> None:
    world = dataclasses.replace(World.real(), environ={"PATH": str(tmp_path)})
    assert absent(file, world)["changed"] is True
    assert file.read() == ""
