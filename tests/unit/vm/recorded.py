# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serve recorded output of real podman commands; commands without a recording are refused."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import health, model
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.client import Podman

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
VERSIONS = ("5.4.2", "5.8.6", "6.1.1")


def text(version: str, name: str) -> str:
    return (FIXTURES / version / name).read_text()


def data(version: str, name: str) -> t.Any:
    return json.loads(text(version, name))


class Recorded:
    """A runner that answers ``podman machine <verb> …`` with one recording each, and records its calls."""

    def __init__(self, version: str, answers: t.Mapping[str, tuple[str, str]]) -> None:
        self.version = version
        self.answers = answers
        self.calls: list[tuple[tuple[str, ...], dict[str, str]]] = []

    def __call__(self, argv: t.Sequence[str], **options: t.Any) -> process.Result:
        words = tuple(argv[1:])
        self.calls.append((words, dict(options.get("env") or {})))
        if words == ("--version",):
            return process.Result(tuple(argv), 0, f"podman version {self.version}\n", "", 0.0)
        folder, name = self.answers[words[1]]
        base = FIXTURES / folder / name
        if base.suffix == ".json":
            return process.Result(tuple(argv), 0, base.read_text(), "", 0.0)
        rc = int((FIXTURES / folder / f"{name}.cmd").read_text().rsplit("rc=", 1)[1])
        out, err = text(folder, f"{name}.stdout"), text(folder, f"{name}.stderr")
        return process.Result(tuple(argv), rc, out, err, 0.0)


def home_with(tmp_path: pathlib.Path, *configs: tuple[str, t.Mapping[str, t.Any]]) -> dict[str, str]:
    """A home with these (provider, configuration) files. Returns its environment."""
    for provider, config in configs:
        folder = tmp_path / ".config/containers/podman/machine" / provider
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{config['Name']}.json").write_text(json.dumps(config))
    return {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path / "tmp")}


def dead(socket: str) -> health.Health:
    return health.DEAD


def alive(socket: str) -> health.Health:
    return health.Health(True, "5.8.6", 0.0)


def world(**changes: t.Any) -> World:
    """This host, with what a test replaces."""
    return dataclasses.replace(World.real(), **changes)


def client(recorded: process.Runner, env: t.Mapping[str, str], ping: health.Ping = dead, **changes: t.Any) -> Podman:
    """A client whose processes are ``recorded``; ``changes`` replace more of its world."""
    return Podman("podman", env, 10.0, world(run=recorded, **changes), ping)


SEED = data("derived-macos", "config-libkrun-97layerOS.json")


def seed(**changes: t.Any) -> model.Machine:
    """The machine of the seed, running and healthy, with ``changes``; ``config_…`` changes its file."""
    config = model.parse_config(SEED, "libkrun", "/Users/97layer/97layerOS.json", 3600.0)
    inner = {key[7:]: changes.pop(key) for key in list(changes) if key.startswith("config_")}
    values: dict[str, t.Any] = {
        "config": model.ConfigFile(**{**config.__dict__, **inner}),
        "state": "running",
        "healthy": True,
        "starting": False,
        "cpus": 5,
        "memory_mib": 4768,
        "disk_gib": 93,
        "rootful": False,
        "socket": "/tmp/api.sock",
        "ssh_port": 57397,
        "ssh_identity": "/key",
        "last_up": model.NEVER,
        "default": True,
        "podman_client": "5.8.6",
        "podman_server": "5.8.6",
        "clock_drift": 0.0,
        "image_there": True,
    }
    return model.Machine(**{**values, **changes})
