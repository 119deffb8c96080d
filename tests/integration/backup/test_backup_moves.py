# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Data of a volume in use moves to a directory and to a volume of the other engine, equal, with its source kept."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup.moves import move, tree
from ansible_collections.onebox.stack.plugins.module_utils.backup.moves.ends import End
from ansible_collections.onebox.stack.plugins.module_utils.core import beneath
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from volume_stack import VolumeStack

ROOT = pathlib.Path(__file__).resolve().parents[3]
WRITER = "i=0; while true; do i=$((i+1)); echo $i >> /data/log; echo $i > /data/n.tmp; mv /data/n.tmp /data/n; done"


@pytest.fixture(params=["docker", "podman"])
def engine(request):
    """The engine of the source."""
    return request.getfixturevalue(f"{request.param}_engine")


@pytest.fixture
def stack(engine, tiny_image, tmp_path):
    made = VolumeStack(engine.run, engine.name, tiny_image, tmp_path)
    try:
        made.start()
        engine.run("exec", "-d", made.app, "sh", "-c", WRITER)
        deadline = time.monotonic() + 30
        while engine.run("exec", made.app, "cat", "/data/n", check=False).returncode:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield made
    finally:
        made.down()


@pytest.fixture
def other(request, engine, stack):
    """The engine of the target."""
    found = request.getfixturevalue("podman_engine" if engine.name == "docker" else "docker_engine")
    yield found
    found.run("rm", "-f", f"{stack.name}-new", check=False)
    found.run("volume", "rm", "-f", stack.volume, check=False)


def request(stack, engine, target):
    source = End(volume=stack.volume, engine=engine.name, socket=engine.socket)
    return move.Request(stack.name, source, target, "", str(stack.base / "moves"))


def running(engine, name):
    return engine.run("inspect", "-f", "{{.State.Running}}", name).stdout.strip()


def equal(result):
    with beneath.open_directory(result.source) as source:
        found = tree.compare(source, result.target)
    return found.differing == [] and found.sha256 == result.sha256


def test_volume_moves_to_a_directory_while_it_is_written_to(stack, engine, tmp_path):
    os.chmod(tmp_path, 0o755)
    result = move.move(request(stack, engine, End(path=str(tmp_path / "srv" / "data"))), World.real())
    assert (result.changed, result.stopped) == (True, [stack.app])
    assert equal(result)
    assert running(engine, stack.app) == "false"
    # The last line that the stopped service wrote is there.
    lines = (tmp_path / "srv" / "data" / "log").read_text().split()
    assert lines[-1] in ((tmp_path / "srv" / "data" / "n").read_text().strip(), str(len(lines)))
    mount = ["-v", f"{tmp_path}/srv/data:/data", "--network", "none"]
    seen = engine.run("run", "--rm", *mount, stack.image, "cat", "/data/sub/x").stdout
    assert seen == "deep\n"
    assert move.move(request(stack, engine, End(path=str(tmp_path / "srv" / "data"))), World.real()).changed is False


def test_volume_moves_to_a_volume_of_the_other_engine_while_it_is_written_to(stack, engine, other, tiny_image):
    target = End(volume=stack.volume, key="data", engine=other.name, socket=other.socket)
    result = move.move(request(stack, engine, target), World.real())
    assert result.changed
    assert equal(result)
    labels = other.run("volume", "inspect", "-f", "{{.Labels}}", stack.volume).stdout
    assert f"com.docker.compose.project:{stack.name}" in labels
    assert "com.docker.compose.volume:data" in labels
    words = ["--name", f"{stack.name}-new", "--network", "none", "-v", f"{stack.volume}:/data"]
    show = "cat /data/a '/data/b c' /data/sub/x; stat -c '%u %g %a' /data/a"
    seen = other.run("run", *words, tiny_image, "sh", "-c", show)
    assert seen.stdout.split() == ["one", "two", "deep", "999", "998", "600"]


def test_failed_move_starts_the_service_again(stack, engine, tmp_path, monkeypatch):
    os.chmod(tmp_path, 0o755)
    real = tree.compare
    monkeypatch.setattr(tree, "compare", lambda *args: real(*args)._replace(differing=["a"]))
    with pytest.raises(move.MismatchError, match="another process writes"):
        move.move(request(stack, engine, End(path=str(tmp_path / "srv"))), World.real())
    assert running(engine, stack.app) == "true"
    assert not (tmp_path / "srv").exists()


def test_playbook_checks_a_move_and_then_moves(stack, engine, tmp_path):
    os.chmod(tmp_path, 0o755)
    target = tmp_path / "srv" / "data"
    values = {
        "ansible_python_interpreter": sys.executable,
        "compose_stack_name": stack.name,
        "move_source": {"volume": stack.volume, "engine": engine.name, "socket": engine.socket},
        "move_target": {"path": str(target)},
    }
    program = ["ansible-playbook", "-i", "localhost,", "-c", "local", str(ROOT / "playbooks/move_data.yml")]
    program += ["-e", json.dumps(values)]

    def play(*words):
        environ = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        return subprocess.run([*program, *words], env=environ, capture_output=True, text=True, check=False, timeout=300)

    checked = play("--check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert (running(engine, stack.app), target.exists()) == ("true", False)
    moved = play()
    assert moved.returncode == 0, moved.stdout + moved.stderr
    assert f"Stopped until the next deploy: {stack.app}" in moved.stdout
    assert (running(engine, stack.app), (target / "a").read_text()) == ("false", "one\n")
