# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real engines of the testbed, for tests. One that is missing is an error that says what to run, never a skip."""

import dataclasses
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "testbed"))

from onebox_testbed import compose, docker, images, podman  # noqa: E402


@dataclasses.dataclass(frozen=True)
class TestEngine:
    """A container engine for tests.

    Attributes:
        name: ``docker`` or ``podman``; also its command.
        socket: path of its API socket.
        env: the environment of its command line, in addition to that of the process.
    """

    __test__ = False
    name: str
    socket: str
    env: dict[str, str]

    @property
    def environ(self) -> dict[str, str]:
        """The whole environment of a process that uses this engine."""
        return {**os.environ, **self.env}

    def run(self, *argv: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess:
        """Run the engine's command with ``argv``; what it said is in the error when it fails."""
        result = subprocess.run(
            [self.name, *argv], env=self.environ, capture_output=True, text=True, timeout=timeout, check=False
        )
        if check and result.returncode != 0:
            raise AssertionError(f"{self.name} {' '.join(argv)} failed: {result.stdout}{result.stderr}")
        return result


@dataclasses.dataclass(frozen=True)
class TestCompose:
    """A compose command for tests: ``argv`` to put before its arguments, ``env`` to give it."""

    __test__ = False
    argv: tuple[str, ...]
    version: str
    env: dict[str, str]

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, **self.env}


def _missing(what: str) -> None:
    pytest.fail(f"{what}; run: make testbed", pytrace=False)


@pytest.fixture(scope="session")
def docker_engine() -> TestEngine:
    """The Docker engine of the testbed, with the tiny image and python:3.11-slim."""
    socket = docker.find()
    if socket is None:
        _missing("no Docker engine answers")
    return TestEngine("docker", socket, docker.environment(socket))


@pytest.fixture(scope="session")
def podman_engine():
    """Rootful Podman of this machine with an API socket for the session, the tiny image and python:3.11-slim."""
    if not podman.ready():
        _missing("Podman is not set up")
    with podman.served():
        yield TestEngine("podman", str(podman.SOCKET), podman.environment())


@pytest.fixture(scope="session")
def compose_v2(docker_engine: TestEngine) -> TestCompose:
    """``docker compose`` v2 against the testbed's Docker."""
    env = {**docker_engine.env, **compose.environment()}
    asked = subprocess.run(
        ["docker", "compose", "version", "--short"],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode != 0:
        _missing("docker compose v2 is not there")
    return TestCompose(("docker", "compose"), asked.stdout.strip(), env)


@pytest.fixture(scope="session")
def podman_compose(podman_engine: TestEngine) -> TestCompose:
    """podman-compose against the testbed's Podman; its folder leads PATH, so that code under test finds it."""
    folder = podman.COMPOSE_VENV / "bin"
    if not (folder / "podman-compose").exists():
        _missing("podman-compose is not there")
    env = {**podman_engine.env, "PATH": f"{folder}:{os.environ['PATH']}"}
    return TestCompose((str(folder / "podman-compose"),), podman.PODMAN_COMPOSE.rpartition("=")[2], env)


@pytest.fixture(scope="session")
def tiny_image() -> str:
    """The tag of a 2 MB busybox image that both engines hold."""
    return images.TINY


@pytest.fixture(scope="session")
def python_image() -> str:
    """The tag of python:3.11-slim, a registry's or built from Debian packages."""
    return images.PYTHON
