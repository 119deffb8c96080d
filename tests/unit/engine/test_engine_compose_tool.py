# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compose tools next to the system: complete or missing, at whatever step an installation ends.

The commands (venv, pip, apt) are played by a function that makes the files they would make; the real ones run in the
integration tests.
"""

import dataclasses
import os
import pathlib

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import lock, process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup import compose_tool


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it to tidy up in words."""


class Commands:
    def __init__(self, fail_at: int = 0, error: type[BaseException] = Killed) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.fail_at = fail_at
        self.error = error

    def __call__(self, words, *, timeout, cwd=None):
        self.calls.append(tuple(words))
        if len(self.calls) == self.fail_at:
            if self.error is process.CommandError:
                raise process.CommandError("pip failed: no index", process.Result(tuple(words), 1, "", "", 0.0))
            raise self.error
        out = ""
        if words[1:3] == ["-m", "venv"]:
            pathlib.Path(words[-1], "bin").mkdir()
        elif "install" in words:
            pathlib.Path(words[0]).with_name("podman-compose").write_text(words[-1])
        elif "indextargets" in words:
            out = "http://ppa.example.org/x jammy\nhttp://mirror.example.org/debian bookworm\n"
        elif "download" in words:
            pathlib.Path(cwd, "docker-compose_2.deb").write_text("")
        elif words[0] == "dpkg-deb":
            plugins = pathlib.Path(cwd, "usr/libexec/docker/cli-plugins")
            plugins.mkdir(parents=True)
            (plugins / "docker-compose").write_text("v2")
            (plugins / "docker-buildx").write_text("bx")
        return process.Result(tuple(words), 0, out, "", 0.0)


@pytest.fixture
def places(tmp_path):
    return str(tmp_path / "opt"), str(tmp_path / "bin")


def installer(places, commands):
    return compose_tool.Installer(*places, dataclasses.replace(World.real(), run=commands))


def install(places, commands, requirement="podman-compose==1.6.0"):
    return installer(places, commands).podman_compose(requirement, "/usr/bin/python3")


def test_podman_compose_is_linked_where_commands_are(places):
    path = install(places, Commands())
    assert path == f"{places[0]}/podman-compose/bin/podman-compose"
    assert os.readlink(f"{places[1]}/podman-compose") == path
    assert pathlib.Path(path).read_text() == "podman-compose==1.6.0"


@pytest.mark.parametrize("step", [1, 2])
def test_killed_installation_leaves_the_previous_tool_and_the_next_one_tidies(places, step):
    path = install(places, Commands())
    with pytest.raises(Killed):
        install(places, Commands(step), "podman-compose==1.7.0")
    assert pathlib.Path(path).read_text() == "podman-compose==1.6.0"
    # As kill -9 leaves it: without a cleanup.
    os.mkdir(f"{places[0]}/podman-compose.killed")
    install(places, Commands(), "podman-compose==1.7.0")
    assert pathlib.Path(path).read_text() == "podman-compose==1.7.0"
    assert len(os.listdir(places[0])) == 2


def test_plain_directory_of_the_name_is_replaced(places):
    os.makedirs(f"{places[0]}/podman-compose/bin")
    path = install(places, Commands())
    assert os.path.islink(f"{places[0]}/podman-compose")
    assert os.path.exists(path)
    assert len(os.listdir(places[0])) == 2


def test_command_of_someone_else_stays(places):
    os.makedirs(places[1])
    pathlib.Path(places[1], "podman-compose").write_text("theirs")
    install(places, Commands())
    assert pathlib.Path(places[1], "podman-compose").read_text() == "theirs"


def test_failed_step_is_reported_with_advice(places):
    with pytest.raises(compose_tool.ToolError, match=r"no index; check that pip reaches a package index"):
        install(places, Commands(2, process.CommandError))
    assert os.listdir(places[0]) == []


@pytest.mark.parametrize("place", [0, 1])
def test_directory_that_cannot_be_written_is_named_with_what_to_do(places, place):
    pathlib.Path(places[place]).write_text("a file")
    with pytest.raises(compose_tool.ToolError, match=rf"cannot write below {places[place]}: .*; check the permissions"):
        install(places, Commands())


def test_second_installation_waits_for_the_first(places):
    os.makedirs(places[0])
    now = [0.0]
    subject = installer(places, Commands())
    subject._world = dataclasses.replace(
        subject._world, monotonic=lambda: now[0], sleep=lambda seconds: now.__setitem__(0, now[0] + seconds)
    )
    with (
        lock.directory_held(places[0], timeout=0, world=World.real()),
        pytest.raises(lock.LockHeld, match=r"opt is locked by another run; waited 1800 s"),
    ):
        subject.podman_compose("podman-compose==1.6.0", "/usr/bin/python3")


def test_docker_compose_comes_from_the_debian_mirror_of_this_host(places):
    commands = Commands()
    path = installer(places, commands).docker_compose("trixie", ["docker-compose", "docker-buildx"])
    assert pathlib.Path(path).read_text() == "v2"
    assert sorted(os.listdir(places[1])) == ["docker-buildx", "docker-compose"]
    update = next(words for words in commands.calls if words[-1] == "update")
    assert any("sourceparts" in word for word in update)
    assert not os.path.exists(f"{places[0]}/docker-compose/apt")


def test_host_without_a_debian_mirror(places):
    class Ubuntu(Commands):
        def __call__(self, words, **options):
            return process.Result(tuple(words), 0, "http://mirror.example.org/ubuntu noble\n", "", 0.0)

    with pytest.raises(compose_tool.ToolError, match="does not use a Debian archive"):
        installer(places, Ubuntu()).docker_compose("trixie", ["docker-compose"])
