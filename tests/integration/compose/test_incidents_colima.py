# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""omnivibe's empty mount, once more: a real engine in a machine of its own that shares the home directory and no more.

There is no Mac here. A systemd host in a container plays Colima's machine, a tmpfs its virtiofs, ``docker exec`` its
ssh. Real are the engine, the API its clients use, the proof's script in the machine, and the exFAT disk.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack
from ansible_collections.onebox.stack.plugins.module_utils.compose.health import mounts
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.mounts.vm.prover import Prover
from compose_lab import wait_for
from onebox_testbed import docker, hosts, images, ports
from onebox_testbed.base import CHECKOUT, LABEL
from real_stack import RealStack

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "dirs"))

from dirs_lab import Lab as DirsLab  # noqa: E402

APPS = ("api", "worker", "beat")
# The engine of the machine also listens where the Mac expects it, as Colima's forwarding makes it.
LISTEN = """mkdir -p /etc/systemd/system/docker.service.d
printf '[Service]\\nExecStart=\\nExecStart=/usr/sbin/dockerd -H fd:// -H unix://%s\\n' "$1" \\
    >/etc/systemd/system/docker.service.d/mac.conf
systemctl daemon-reload && systemctl restart docker
"""


@dataclasses.dataclass
class Mac:
    """``machine`` is the container that plays Colima's machine, ``disk`` an external exFAT disk it does not share."""

    machine: str
    socket: str
    home: pathlib.Path
    disk: pathlib.Path
    environ: dict[str, str]

    def run(self, argv, **options):
        """Start a process of the Mac; ``colima ssh`` goes into the machine."""
        if list(argv[:2]) == ["colima", "ssh"]:
            return process.run(
                ["docker", "exec", self.machine, *argv[argv.index("--") + 1 :]],
                timeout=options["timeout"],
                env=self.environ,
            )
        return process.run(argv, **options)


@pytest.fixture
def mac(docker_engine, standin_images, tmp_path):
    home, run = tmp_path / "Users" / "omni", tmp_path / "run"
    for place in (home, run):
        place.mkdir(parents=True)
    disks = DirsLab()
    disks.mount("-t", "tmpfs", "tmpfs", at=home)
    outer, name = docker_engine.socket, f"obx-colima-{os.getpid()}"
    inside = functools.partial(docker.docker, outer, "exec", name, "sh", "-c")
    shared = ["-v", f"{home}:{home}", "-v", f"{run}:{run}", "--label", f"{LABEL}={CHECKOUT}"]
    image = images.ensure(outer, "debian13-docker")
    try:
        disk = disks.exfat(tmp_path / "Volumes" / "Extreme SSD", "256M")
        docker.docker(outer, "run", "-d", "--name", name, *hosts.run_arguments(), *shared, image, "/sbin/init")
        wait_for(lambda: inside("systemctl is-system-running --wait || true") in ("running", "degraded"), 90)
        inside(LISTEN, "sh", f"{run}/docker.sock")
        wait_for(lambda: docker.version(f"{run}/docker.sock") is not None, 60)
        archive = home / "images.tar"
        docker.docker(outer, "save", "-o", str(archive), images.PYTHON, standin_images["redis"], timeout=300)
        docker.docker(f"{run}/docker.sock", "load", "-q", "-i", str(archive), timeout=300)
        archive.unlink()
        profile = home / ".colima" / "_lima" / "colima"
        profile.mkdir(parents=True)
        (profile / "colima.yaml").write_text("cpu: 2\nmounts: []\nmountType: virtiofs\n")
        yield Mac(name, f"{run}/docker.sock", home, disk, docker_engine.environ)
    finally:
        docker.docker(outer, "rm", "-f", "-v", name, check=False)
        disks.close()


class OnMac(RealStack):
    """A stack whose engine is in the machine."""

    mac: Mac

    def move_to(self, mac: Mac) -> None:
        self.mac = mac
        environ = {**self.backend.environ, "HOME": str(mac.home), "DOCKER_HOST": f"unix://{mac.socket}"}
        self.backend = dataclasses.replace(self.backend, socket=mac.socket, environ=environ)
        self.data = mac.home
        self.world_run = mac.run
        folder = mac.home / ".local" / "share" / "onebox"
        shutil.copytree(self.folder, folder)
        self.folder = folder

    def stack(self, **changes):
        return super().stack(**{"vm": "colima", **changes})

    def clean(self) -> None:
        """All of it goes with the machine."""


@pytest.fixture
def omnivibe(make_lab, mac, standin_images, monkeypatch) -> OnMac:
    """omnivibe with its code mounted from a checkout on the external disk."""

    def prover(machine, world) -> Prover:
        return Prover(machine, dataclasses.replace(world, home=str(mac.home)), share_types=("tmpfs",))

    monkeypatch.setattr(mounts.prover, "Prover", prover)
    stack = make_lab("docker+2.40", OnMac)
    stack.take("omnivibe", {"redis": standin_images["redis"]})
    stack.move_to(mac)
    stack.files.insert(1, "compose.dev.yml")
    checkout = mac.disk / "02_GitHub.nosync" / "30_OmniVibePro" / "backend"
    shutil.copytree(stack.folder / "backend", checkout)
    stack.variables = {
        "OMNIVIBE_REDIS_DIR": stack.directory("redis", 999),
        "OMNIVIBE_OUTPUTS_DIR": stack.directory("outputs", 0),
        "OMNIVIBE_PORT": str(ports.claim()),
        "OMNIVIBE_CODE_DIR": str(checkout),
    }
    stack.write()
    return stack


def test_empty_mount_is_refused_and_works_below_the_home_directory(omnivibe, mac, tmp_path):
    disk = omnivibe.variables["OMNIVIBE_CODE_DIR"]

    # As it was: without a check, the engine created an empty directory inside the machine.
    omnivibe.bare(
        "-f", str(omnivibe.folder / "compose.dev.yml"), "-f", str(omnivibe.folder / "images.yml"), "up", "-d", "worker"
    )
    container = omnivibe.backend.cli(
        "ps",
        "-aq",
        "--filter",
        f"label=com.docker.compose.project={omnivibe.project}",
        "--filter",
        "label=com.docker.compose.service=worker",
    )
    wait_for(lambda: "No module named" in omnivibe.backend.cli("logs", container) + logged(omnivibe, container), 30)
    assert os.path.exists(f"{disk}/app/main.py")

    # With the option, the plan names it, and a deploy refuses it before anything is changed.
    found = omnivibe.info()["problems"]
    assert {row["code"] for row in found} == {"vm_not_shared"}, found
    assert {row["where"] for row in found} == {f"service {name}, volume {disk}/app:/app/app" for name in APPS}
    with pytest.raises(BadStack) as caught:
        omnivibe.stack().converge()
    assert "empty directory" in str(caught.value)
    assert "space" in str(caught.value)
    # And an exFAT disk cannot hold a database, even if it were shared.
    disks = DirsLab()
    assert "stores no owners and modes" in disks.refused({"path": f"{mac.disk}/redis", "class": "data", "owner": "999"})
    disks.close()

    # The way out: move it below the home directory.
    moved = mac.home / "Projects" / "OmniVibePro"
    shutil.copytree(pathlib.Path(disk).parent, moved)
    omnivibe.variables["OMNIVIBE_CODE_DIR"] = str(moved / "backend")
    result = omnivibe.deploy()
    rows = {(row["source"], row["verdict"]) for each in result["mounts"]["containers"] for row in each["mounts"]}
    assert (f"{moved}/backend/app", "ok") in rows
    assert {verdict for _source, verdict in rows} == {"ok"}


def logged(stack: OnMac, container: str) -> str:
    done = subprocess.run(
        ["docker", "logs", container], env=stack.backend.environ, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr
