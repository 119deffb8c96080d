# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways to drive a stack: Docker with Compose, Podman's socket with Compose, podman-compose.

``docker`` and ``podman`` are the testbed's engines, whatever their version; ``docker26`` and ``docker28`` are Debian
13's and sid's, each with the Compose of its suite, and ``podman54`` is Debian 13's. The images of ``docker28c`` are in
the store of containerd.
"""

from __future__ import annotations

import itertools
import os
import pathlib
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from compose_lab import Backend, Lab, environ_of  # noqa: E402
from onebox_testbed import compose as testbed_compose  # noqa: E402
from onebox_testbed import docker, podman, ports, standins  # noqa: E402
from own_docker import OwnDocker  # noqa: E402
from own_podman import OwnPodman  # noqa: E402
from registry_lab import Registry  # noqa: E402

BACKENDS = ("docker26+2.26", "docker28+2.40", "podman+2.40", "podman54+2.40", "podman-compose")
SUITES = {"26": "trixie", "28": "sid", "2.26": "trixie", "2.40": "sid"}
_NUMBERS = itertools.count(1)


def _backend(name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, image: str) -> Backend:
    kind, _plus, version = name.partition("+")
    engine = request.getfixturevalue("podman_engine" if kind == "podman-compose" else f"{kind}_engine")
    for key, value in engine.env.items():
        monkeypatch.setenv(key, value)
    if name == "podman-compose":
        tool = request.getfixturevalue("podman_compose")
        return Backend(name, "podman", None, "podman-compose", tool.argv[0], environ_of(tool.env), image)
    plugin = str(testbed_compose.plugin(SUITES[version]))
    env = environ_of({**engine.env, "DOCKER_CONFIG": str(pathlib.Path(plugin).parents[1])})
    return Backend(name, engine.name, engine.socket, "docker-compose", plugin, env, image)


def _engine_of(version: str, *, containerd_store: bool = False):
    """Docker of that version as a daemon of our own, with the tiny image, for as long as the session."""
    with tempfile.TemporaryDirectory(prefix="obx-docker-", dir="/var/tmp") as root:
        programs = docker.programs_of(SUITES[version])
        own = OwnDocker(pathlib.Path(root), dict(os.environ), programs, containerd_store=containerd_store)
        own.start()
        assert own.cli("version", "--format", "{{.Server.Version}}").startswith(f"{version}.")
        own.load_tiny()
        yield own
        own.clean()


@pytest.fixture(scope="session")
def docker26_engine():
    """Debian 13's Docker."""
    yield from _engine_of("26")


@pytest.fixture(scope="session")
def docker28_engine():
    """Debian sid's Docker."""
    yield from _engine_of("28")


@pytest.fixture(scope="session")
def docker28c_engine():
    """Debian sid's Docker with the image store that new installations of Docker 29 have."""
    yield from _engine_of("28", containerd_store=True)


@pytest.fixture(scope="session")
def podman54_engine():
    """Debian 13's Podman."""
    if not podman.ready():
        pytest.fail("Podman is not set up; run: make testbed", pytrace=False)
    with tempfile.TemporaryDirectory(prefix="obx-podman-", dir="/var/tmp") as root:
        own = OwnPodman(pathlib.Path(root))
        own.start()
        assert own.cli("version", "--format", "{{.Server.Version}}").startswith("5.4.")
        own.load_tiny()
        yield own
        own.clean()


@pytest.fixture
def make_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tiny_image: str):
    """Make a :class:`Backend` by its name in ``BACKENDS``."""
    return lambda name: _backend(name, request, monkeypatch, tiny_image)


@pytest.fixture
def make_lab(make_backend, tmp_path: pathlib.Path):
    """Make a :class:`Lab` on a backend; everything it made on the engine goes away afterwards."""
    labs: list[Lab] = []

    def make(name: str, kind: type[Lab] = Lab) -> Lab:
        root = tmp_path / str(len(labs))
        root.mkdir()
        lab = kind(make_backend(name), f"obx-compose-{os.getpid()}-{next(_NUMBERS)}", root)
        labs.append(lab)
        return lab

    yield make
    for lab in labs:
        lab.clean()


@pytest.fixture(params=BACKENDS)
def lab(request: pytest.FixtureRequest, make_lab) -> Lab:
    """A test stack on each of the backends."""
    return make_lab(request.param)


@pytest.fixture(scope="module")
def make_module_lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_image: str):
    """As ``make_lab``, for one stack that all tests of a file share."""
    labs: list[Lab] = []
    with pytest.MonkeyPatch.context() as monkeypatch:

        def make(name: str, kind: type[Lab]) -> Lab:
            backend = _backend(name, request, monkeypatch, tiny_image)
            labs.append(kind(backend, f"obx-compose-{os.getpid()}-{next(_NUMBERS)}", tmp_path_factory.mktemp("lab")))
            return labs[-1]

        yield make
        for lab in labs:
            lab.clean()


@pytest.fixture(scope="module")
def registry_control(tmp_path_factory: pytest.TempPathFactory):
    """A real registry that tests may stop and start."""
    registry = Registry(tmp_path_factory.mktemp("registry"), str(ports.claim()))
    registry.start()
    yield registry
    registry.stop()


@pytest.fixture(scope="module")
def registry(registry_control: Registry) -> str:
    """Its address."""
    return registry_control.address


@pytest.fixture(scope="session")
def standin_images(docker_engine) -> dict[str, str]:
    """Service -> the testbed's name of what stands in for its public image."""
    return {name: standins.ensure(docker_engine.socket, name) for name in ("postgres", "redis", "prometheus")}


@pytest.fixture
def compose_tool(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of Docker Compose without an engine: to resolve a stack needs none."""
    monkeypatch.setenv("DOCKER_CONFIG", str(pathlib.Path(testbed_compose.plugin("trixie")).parents[1]))
    return dict(os.environ)
