# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The four ways to drive a stack: Docker with two Compose versions, Podman's socket with Compose, podman-compose."""

from __future__ import annotations

import itertools
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from compose_lab import Backend, Lab, environ_of  # noqa: E402
from onebox_testbed import compose as testbed_compose  # noqa: E402

BACKENDS = ("docker+2.26", "docker+2.40", "podman+2.40", "podman-compose")
_NUMBERS = itertools.count(1)


def _plugin(suite: str) -> str:
    found = sorted(testbed_compose.of_suite(suite).glob("usr/lib*/docker/cli-plugins/docker-compose"))
    return str(found[0])


@pytest.fixture
def make_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tiny_image: str):
    """Make a :class:`Backend` by its name in ``BACKENDS``."""

    def make(name: str) -> Backend:
        kind, _plus, version = name.partition("+")
        engine = request.getfixturevalue("docker_engine" if kind == "docker" else "podman_engine")
        for key, value in engine.env.items():
            monkeypatch.setenv(key, value)
        if name == "podman-compose":
            tool = request.getfixturevalue("podman_compose")
            return Backend(name, "podman", None, "podman-compose", tool.argv[0], environ_of(tool.env), tiny_image)
        plugin = _plugin({"2.26": "trixie", "2.40": "sid"}[version])
        env = environ_of({**engine.env, "DOCKER_CONFIG": str(pathlib.Path(plugin).parents[1])})
        return Backend(name, engine.name, engine.socket, "docker-compose", plugin, env, tiny_image)

    return make


@pytest.fixture
def make_lab(make_backend, tmp_path: pathlib.Path):
    """Make a :class:`Lab` on a backend; everything it made on the engine goes away afterwards."""
    labs: list[Lab] = []

    def make(name: str) -> Lab:
        root = tmp_path / str(len(labs))
        root.mkdir()
        lab = Lab(make_backend(name), f"obx-compose-{os.getpid()}-{next(_NUMBERS)}", root)
        labs.append(lab)
        return lab

    yield make
    for lab in labs:
        lab.clean()


@pytest.fixture(params=BACKENDS)
def lab(request: pytest.FixtureRequest, make_lab) -> Lab:
    """A lab on each of the backends."""
    return make_lab(request.param)
