# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the engine of a Mac is: the API socket of the machine that podman talks to by default."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import discover


class Home:
    """A home with a Podman machine, as podman's own files describe it."""

    def __init__(self, base: pathlib.Path, default: str, sockets: list[str]) -> None:
        self.base = base
        self.config = base / ".config/containers"
        self.config.mkdir(parents=True)
        self.runtime = base / "T/podman"
        self.runtime.mkdir(parents=True)
        connections = {"Connection": {"Default": default, "Connections": {default: {"URI": "ssh://core@127.0.0.1:1"}}}}
        (self.config / "podman-connections.json").write_text(json.dumps(connections))
        for name in sockets:
            (self.runtime / name).touch()
        self.environ = {"HOME": str(base), "TMPDIR": f"{base}/T", "XDG_RUNTIME_DIR": f"{base}/T"}

    def world(self, uid: int) -> World:
        return dataclasses.replace(World.real(), environ=self.environ, uid=uid)


@pytest.mark.parametrize("default", ["97layerOS", "97layerOS-root"])
def test_socket_of_the_default_machine_is_tried_last_on_a_mac(tmp_path, default):
    home = Home(tmp_path, default, ["97layerOS-api.sock", "other-api.sock"])
    assert discover.sockets("podman", home.world(501), "darwin")[-1] == f"{home.runtime}/97layerOS-api.sock"


def test_machine_whose_name_ends_like_the_root_connection(tmp_path):
    home = Home(tmp_path, "my-root", ["my-root-api.sock"])
    assert discover.machine_sockets(home.world(501), "darwin") == [f"{home.runtime}/my-root-api.sock"]


def test_linux_runs_containers_itself_unless_podman_is_only_a_client(tmp_path):
    home = Home(tmp_path, "97layerOS", ["97layerOS-api.sock"])
    assert discover.machine_sockets(home.world(1000), "linux") == []
    (home.config / "containers.conf").write_text("[engine]\n# remote = true\n")
    assert discover.machine_sockets(home.world(1000), "linux") == []
    (home.config / "containers.conf").write_text("[engine]\nremote = true\n")
    assert discover.machine_sockets(home.world(1000), "linux") == [f"{home.runtime}/97layerOS-api.sock"]


def test_no_machine_no_socket(tmp_path):
    home = Home(tmp_path, "97layerOS", [])
    assert discover.machine_sockets(home.world(501), "darwin") == []
    (home.config / "podman-connections.json").write_text("{}")
    assert discover.machine_sockets(home.world(501), "darwin") == []
    (home.config / "podman-connections.json").unlink()
    assert discover.machine_sockets(home.world(501), "darwin") == []


def test_docker_is_never_tried_at_the_machine_socket(tmp_path):
    home = Home(tmp_path, "97layerOS", ["97layerOS-api.sock"])
    assert not any("97layerOS" in place for place in discover.sockets("docker", home.world(501), "darwin"))


def test_docker_of_colima_is_tried_last(tmp_path):
    place = tmp_path / "colima/default/docker.sock"
    environ = {"HOME": str(tmp_path), "COLIMA_HOME": f"{tmp_path}/colima"}
    world = dataclasses.replace(World.real(), environ=environ, uid=501)
    assert str(place) not in discover.sockets("docker", world, "darwin")
    place.parent.mkdir(parents=True)
    place.touch()
    assert discover.sockets("docker", world, "darwin")[-1] == str(place)
