# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SSH connection is lost in the middle of a deploy: by ansible-playbook over a real server, at each stage.

With pipelining the module is not notified and continues alone; with a terminal it gets SIGHUP, and its processes
continue without it. The next run must wait for the remaining ones, and converge.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import subprocess

import pytest
from compose_lab import Lab, wait_for
from onebox_testbed import ports
from sshd_lab import Sshd

ROOT = pathlib.Path(__file__).resolve().parents[3]
# Replaces the compose tool: runs it, and waits at the word in the file "stop" until it may continue.
_TOOL = """#!/bin/sh
stop=$(cat "{folder}/stop" 2>/dev/null)
for word in "$@"; do
  if [ "$word" = "$stop" ]; then
    rm -f "{folder}/stop"
    touch "{folder}/reached"
    while [ ! -e "{folder}/go" ]; do sleep 0.05; done
  fi
done
exec "{tool}" "$@"
"""
# Words of the commands a deploy runs, in their order, and the wait for health after all of them.
STAGES = ("config", "build", "--force-recreate", "--no-recreate", "gate")


class Box:
    """This machine as an inventory host behind SSH, with one stack whose deploys can be stopped at a stage."""

    def __init__(self, lab: Lab, sshd: Sshd, home: pathlib.Path) -> None:
        self.lab, self.sshd = lab, sshd
        self._home = home
        tool = home / "docker-compose"
        tool.write_text(_TOOL.format(folder=home, tool=lab.backend.provider_path))
        tool.chmod(0o755)
        self._play = {
            "hosts": "all",
            "gather_facts": False,
            "tasks": [
                {
                    "name": "Deploy",
                    "onebox.stack.compose_stack": {
                        "name": lab.project,
                        "project_dir": str(lab.folder),
                        "state_dir": str(lab.root / "state"),
                        "engine": "docker",
                        "socket": lab.backend.socket,
                        "provider": "docker-compose",
                        "provider_path": str(tool),
                        "wait_timeout": 60,
                    },
                    "environment": {"DOCKER_CONFIG": lab.backend.environ["DOCKER_CONFIG"]},
                }
            ],
        }
        (home / "play.json").write_text(json.dumps([self._play]))
        variables = {**sshd.variables(), "ansible_python_interpreter": str(ROOT / ".venv/bin/python")}
        (home / "hosts.json").write_text(json.dumps({"all": {"hosts": {"box": variables}}}))

    def start(self, pipelining: bool) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["ansible-playbook", "-i", str(self._home / "hosts.json"), str(self._home / "play.json")],
            cwd=ROOT,
            env={
                **self.lab.backend.environ,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_PIPELINING": str(pipelining),
                "ANSIBLE_REMOTE_TMP": str(self._home / "tmp"),
                "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def stop_at(self, stage: str) -> None:
        for name in ("stop", "reached", "go", "well"):
            (self._home / name).unlink(missing_ok=True)
        if stage == "gate":
            return  # the health of the new container waits for its file
        self.be_well()
        (self._home / "stop").write_text(stage)

    def reached(self, stage: str) -> bool:
        if stage != "gate":
            return (self._home / "reached").exists()
        rows = self.lab.containers().get("web") or ()
        return any(f"LEVEL={self.lab.variables['LEVEL']}" in row.env and row.running for row in rows)

    def at_the_lock(self) -> set[int]:
        """Processes that have the stack's lock open."""
        lock, found = str(self.lab.root / "state" / self.lab.project / "lock"), set()
        for place in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if any(os.readlink(entry) == lock for entry in (place / "fd").iterdir()):
                    found.add(int(place.name))
        return found

    def go_on(self) -> None:
        (self._home / "go").touch()
        self.be_well()

    def be_well(self) -> None:
        (self._home / "well").touch()

    def change(self, number: int) -> None:
        lab = self.lab
        (lab.folder / "ctx").mkdir(exist_ok=True)
        (lab.folder / "ctx" / "Dockerfile").write_text(f"FROM {lab.backend.image}\nCOPY app /app\n")
        (lab.folder / "ctx" / "app").write_text(str(number))
        lab.variables.update(LEVEL=str(number), HOME_OF_TEST=str(self._home))
        lab.services["built"] = lab.service(image=f"localhost/{lab.project}:1", build="./ctx")
        lab.services["web"] = lab.service(
            environment={"LEVEL": "${LEVEL}"},
            volumes=["${HOME_OF_TEST}:/home:ro"],
            healthcheck={"test": ["CMD", "test", "-e", "/home/well"], "interval": "1s", "retries": 100},
        )
        lab.services["steady"] = lab.service(volumes=["${DATA}:/data"])
        lab.services[f"new{number}"] = lab.service()
        lab.write()


@pytest.fixture
def box(make_lab, tmp_path):
    home = tmp_path / "ssh"
    home.mkdir()
    with Sshd(home, str(ports.claim())) as sshd:
        box = Box(make_lab("docker+2.40"), sshd, home)
        yield box
        box.go_on()


def ended(process: subprocess.Popen[str], seconds: float = 120) -> tuple[int, str]:
    said, _nothing = process.communicate(timeout=seconds)
    return process.returncode, said


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "terminal"])
@pytest.mark.parametrize("lost", ["the client is killed", "the session is cut"])
def test_lost_connection_at_each_stage_is_repaired_by_the_next_run(
    box: Box, pipelining: bool, lost: str, record_property
):
    lab = box.lab
    box.be_well()
    box.change(0)
    code, said = ended(box.start(pipelining))
    assert code == 0, said
    steady = lab.containers()["steady"][0]
    for number, stage in enumerate(STAGES, 1):
        here = f"{lost} at {stage}"
        box.change(number)
        box.stop_at(stage)
        first = box.start(pipelining)
        with contextlib.ExitStack() as always:
            always.callback(first.kill)
            wait_for(lambda stage=stage, first=first: box.reached(stage) or first.poll() is not None, 60)
            assert first.poll() is None, f"{here}: {ended(first)}"
            if lost == "the client is killed":
                box.sshd.kill_clients()
            box.sshd.cut_sessions()
            code, said = ended(first)
            assert code != 0, f"{here}: {said}"
            assert re.search(r"unreachable=1|failed=1", said), said
        # The leftovers of the first run continue only when the next run is there.
        left = box.at_the_lock()
        second = box.start(pipelining)
        wait_for(lambda left=left, second=second: box.at_the_lock() - left or second.poll() is not None, 60)
        box.go_on()
        code, said = ended(second)
        assert code == 0, f"{here}: {said}"
        assert {row["action"] for row in lab.info()["plan"]} == {"keep"}, here
        now = lab.containers()
        assert lab.backend.cli("exec", now["built"][0].id, "cat", "/app") == str(number), here
        assert f"LEVEL={number}" in now["web"][0].env, here
        assert (now["steady"][0].id, now["steady"][0].started_at) == (steady.id, steady.started_at), here
        assert all(len(rows) == 1 for rows in now.values()), here
    record_property("lost", len(STAGES))
    print(f"{lost}, {'pipelining' if pipelining else 'a terminal'}: at {len(STAGES)} stages, every next run converged")
