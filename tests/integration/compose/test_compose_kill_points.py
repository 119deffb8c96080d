# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``kill -9`` before and after every command a deploy runs, and before and after every file it writes.

Nothing is simulated: a process is killed there by itself, with the real engine going on. After each, one clean run must
converge, and a healthy service that was not to be changed must not have been touched.
"""

import os
import signal

import pytest
from ansible_collections.onebox.stack.plugins.module_utils import process
from compose_lab import Lab


class Bomb:
    """Counts the moments something happens, and ends the process at one of them."""

    def __init__(self, at: int | None) -> None:
        self.count = 0
        self._at = at

    def tick(self) -> None:
        """One moment."""
        self.count += 1
        if self.count == self._at:
            os.kill(os.getpid(), signal.SIGKILL)

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
        for name in ("replace", "rename", "ftruncate", "fsync"):
            setattr(os, name, bomb.around(getattr(os, name)))
        lab.world_run = bomb.around(process.run)
        status = 1
        try:
            status = 1 if lab.stack().converge().get("failed") else 0
        finally:
            os.write(writing, str(bomb.count).encode())
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
def test_every_moment(lab: Lab, record_property):
    change(lab, 0)
    lab.deploy(remove_orphans=True)
    steady = lab.containers()["steady"][0]
    change(lab, 1)
    lab.write()
    status, moments = converge_in_child(lab, None)
    assert status == 0
    tried = 0
    for moment in range(1, moments + 1):
        change(lab, moment + 1)
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
        assert lab.backend.cli("exec", now["built"][0].id, "cat", "/app") == str(moment + 1), here
        assert f"LEVEL={moment + 1}" in now["web"][0].env, here
        assert (now["steady"][0].id, now["steady"][0].started_at) == (steady.id, steady.started_at), here
        assert all(len(rows) == 1 for rows in now.values()), here
    record_property("moments", tried)
    print(f"{lab.backend.name}: killed at {tried} moments, every next run converged")
    assert tried >= 20
