# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images on real engines: registries that hang, refuse or do not exist; substitute images built from real packages."""

import dataclasses
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import PodmanCli, SocketEngine
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup.images import ImageError, Images, StandIn
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup.pull import pull

TINY = StandIn("bookworm", ("ca-certificates",), ("cat", "/etc/debian_version"), {"GREETING": "two words"})


@pytest.fixture(params=["docker", "podman"])
def engine(request):
    return request.getfixturevalue(f"{request.param}_engine")


@pytest.fixture
def silent_registry():
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def world_with(environ):
    return dataclasses.replace(World.real(), environ=environ)


def try_pull(engine, reference, registry_timeout=3.0):
    began = time.monotonic()
    world = world_with(engine.environ)
    why = pull(engine.name, reference, world=world, registry_timeout=registry_timeout, pull_timeout=60)
    return why, time.monotonic() - began


def test_registry_that_hangs_costs_no_more_than_its_time(engine, silent_registry):
    why, seconds = try_pull(engine, f"{silent_registry}/obx-engine/nosuch:1")
    assert why == "the registry did not answer within 3 s"
    assert 2.9 < seconds < 6


def test_registry_without_an_address_answers_at_once(engine):
    why, seconds = try_pull(engine, "registry.invalid/obx-engine/nosuch:1", 30)
    assert "no such host" in why or "server misbehaving" in why
    assert seconds < 15


def test_engine_that_is_not_installed():
    why = pull("nosuch-engine", "x", world=World.real(), registry_timeout=1, pull_timeout=1)
    assert why == "cannot run nosuch-engine: No such file or directory"


def images(engine, scratch):
    reader = SocketEngine(engine.socket) if engine.name == "docker" else PodmanCli(World.real())
    world = world_with(engine.environ)
    return Images(reader, world=world, registry_timeout=10, pull_timeout=60, scratch=str(scratch))


def test_unknown_image_is_named_with_the_fix(engine, tmp_path):
    with pytest.raises(ImageError, match=r"registry.invalid/obx-engine/nosuch:1 cannot be pulled .*standins"):
        images(engine, tmp_path).obtain("registry.invalid/obx-engine/nosuch:1", None)


BUILD = """
import sys
sys.path.insert(0, sys.argv[1])
import conftest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import SocketEngine
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup.images import Images, StandIn
engine = SocketEngine(sys.argv[2])
images = Images(engine, world=World.real(), registry_timeout=10, pull_timeout=60, scratch=sys.argv[3])
images.obtain(sys.argv[4], StandIn("bookworm", ()))
"""


def processes_with(text):
    """The processes with this text in their command line or environment: apt's helpers have it only in TMPDIR."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            said = [(entry / name).read_bytes().decode(errors="replace") for name in ("cmdline", "environ")]
            if entry.name.isdigit() and any(text in one for one in said):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def test_killed_build_leaves_no_image_and_the_next_one_is_clean(docker_engine, tmp_path):
    reference = "registry.invalid/obx-engine/standin:1"
    tests = pathlib.Path(__file__).resolve().parents[2]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    first = subprocess.Popen(
        [sys.executable, "-c", BUILD, str(tests), docker_engine.socket, str(scratch), reference],
        env=docker_engine.environ,
        start_new_session=True,
    )
    try:
        # apt has begun to fetch: the unpacked system is half there.
        wait_for(lambda: any(scratch.glob("standin-*/mmdebstrap.*/var/cache/apt/archives/partial")), 60)
        first.send_signal(signal.SIGKILL)
        first.wait(10)
        for pid in processes_with(str(scratch)):
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not processes_with(str(scratch)), 30)
        assert list(scratch.glob("standin-*"))
        subject = images(docker_engine, scratch)
        assert subject.present(reference) is None

        row = subject.obtain(reference, TINY)
        assert row["how"] == "standin"
        assert row["standin"] is True
        assert row["note"] == "substitute image: Debian bookworm with ca-certificates"
        assert [entry.name for entry in scratch.iterdir()] == ["builder.lock"]
        assert docker_engine.run("run", "--rm", reference).stdout.startswith("12")
        assert docker_engine.run("run", "--rm", reference, "sh", "-c", 'echo "$GREETING"').stdout == "two words\n"
    finally:
        first.kill()
        docker_engine.run("image", "rm", "-f", reference, check=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system takes root")
def test_full_disk_is_named_and_leaves_nothing(docker_engine, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=30m", "obx-engine", str(small)], check=True)
    try:
        with pytest.raises(ImageError, match="is full"):
            images(docker_engine, small).obtain("registry.invalid/obx-engine/full:1", TINY)
        assert list(small.iterdir()) == []
        assert images(docker_engine, small).present("registry.invalid/obx-engine/full:1") is None
    finally:
        subprocess.run(["umount", str(small)], check=True)
        shutil.rmtree(small)


def test_release_that_does_not_exist_says_so(docker_engine, tmp_path):
    with pytest.raises(ImageError, match=r"cannot be built from Debian nosuch: .*package mirror"):
        images(docker_engine, tmp_path).obtain("registry.invalid/obx-engine/nosuite:1", StandIn("nosuch", ()))
