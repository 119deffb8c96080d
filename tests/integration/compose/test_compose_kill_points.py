# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``kill -9`` before and after every command of a deploy, every request to the engine, every written file.

Nothing is simulated: the process kills itself there, while the real engine continues. After each kill, one clean run
must converge, a healthy unchanged service must not be touched, and no image is kept without a release. A deploy has
some hundred such moments, so a sample of them is tried.
"""

import http.client
import os
import shutil
import signal
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.releases import Releases
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from compose_lab import Lab

MOMENTS = 34
# In addition to the commands: replaced files, image tags, files of a release, the history, the health gate.
PLACES = (
    (os, "replace"),
    (os, "rename"),
    (os, "ftruncate"),
    (os, "fsync"),
    (os, "write"),
    (os, "unlink"),
    (shutil, "copy"),
    (shutil, "rmtree"),
    (http.client.HTTPConnection, "request"),
    (time, "sleep"),
)


class Bomb:
    """Counts the moments something happens, and ends the process at one of them."""

    def __init__(self, at: int | None) -> None:
        self.count = 0
        self._at = at
        self._process = os.getpid()

    def tick(self) -> None:
        """One moment; not those of helpers, which are processes of their own."""
        if os.getpid() != self._process:
            return
        self.count += 1
        if self.count == self._at:
            os.kill(os.getpid(), signal.SIGKILL)

    def disarm(self) -> None:
        """Nothing ends the process any more."""
        self._at = None

    def around(self, function):
        """``function`` with a moment before and one after."""

        def wrapped(*args, **options):
            self.tick()
            made = function(*args, **options)
            self.tick()
            return made

        return wrapped


def converge_in_child(lab: Lab, at: int | None) -> tuple[int, int]:
    """Converge in a forked process that dies at moment ``at``: its exit status, and the moments it counted."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        bomb = Bomb(at)
        for where, name in PLACES:
            setattr(where, name, bomb.around(getattr(where, name)))
        lab.world_run = bomb.around(process.run)
        status = 1
        try:
            status = 1 if lab.stack().converge().get("failed") else 0
        finally:
            count = str(bomb.count).encode()
            bomb.disarm()
            os.write(writing, count)
            os._exit(status)
    os.close(writing)
    counted = b""
    while True:
        piece = os.read(reading, 64)
        if not piece:
            break
        counted += piece
    os.close(reading)
    _pid, status = os.waitpid(child, 0)
    return status, int(counted or b"0")


def change(lab: Lab, number: int) -> None:
    """What each run is to bring about: a new image, another variable, one service more or less."""
    (lab.folder / "ctx").mkdir(exist_ok=True)
    (lab.folder / "ctx" / "Dockerfile").write_text(f"FROM {lab.backend.image}\nCOPY app /app\n")
    (lab.folder / "ctx" / "app").write_text(str(number))
    lab.variables["LEVEL"] = str(number)
    lab.services["built"] = lab.service(image=f"localhost/{lab.project}:1", build="./ctx")
    lab.services["web"] = lab.service(environment={"LEVEL": "${LEVEL}"}, volumes=["${DATA}:/data"])
    lab.services["steady"] = lab.service(volumes=["${DATA}:/data"])
    lab.services.pop("extra", None)
    if number % 2:
        lab.services["extra"] = lab.service()


@pytest.mark.parametrize("lab", ["docker+2.40", "podman-compose"], indirect=True)
def test_kill_at_every_moment_loses_nothing(lab: Lab, record_property):
    change(lab, 0)
    lab.deploy(remove_orphans=True)
    steady = lab.containers()["steady"][0]
    change(lab, 1)
    lab.write()
    status, moments = converge_in_child(lab, None)
    assert status == 0
    tried = 0
    step = max(1.0, (moments - 1) / (MOMENTS - 1))
    for number, moment in enumerate(sorted({round(1 + step * index) for index in range(MOMENTS)}), 1):
        change(lab, number + 1)
        lab.write()
        status, _count = converge_in_child(lab, moment)
        if not os.WIFSIGNALED(status):
            continue  # this change took fewer moments
        tried += 1
        here = f"killed at moment {moment} of {moments}"
        result = lab.stack(remove_orphans=True, lock_timeout=5.0).converge()
        assert not result.get("failed"), f"{here}: {result['msg']}"
        assert {row["action"] for row in lab.info()["plan"]} == {"keep"}, here
        now = lab.containers()
        assert lab.backend.cli("exec", now["built"][0].id, "cat", "/app") == str(number + 1), here
        assert f"LEVEL={number + 1}" in now["web"][0].env, here
        assert (now["steady"][0].id, now["steady"][0].started_at) == (steady.id, steady.started_at), here
        assert all(len(rows) == 1 for rows in now.values()), here
        assert kept(lab) == in_sets(lab), here
    record_property("moments", tried)
    print(f"{lab.backend.name}: killed at {tried} of {moments} moments, every next run converged")
    assert tried >= 30


def kept(lab: Lab) -> set[str]:
    """Names of images that are kept for a set."""
    named = lab.backend.cli("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
    return {name for name in named if f"/onebox/{lab.project}/" in name}


def in_sets(lab: Lab) -> set[str]:
    sets = Releases(str(lab.root / "state" / lab.project), lab.project).sets()
    assert 1 <= len(sets) <= 3
    return {row["kept_as"] for each in sets for row in each.images.values()}
