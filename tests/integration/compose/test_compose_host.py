# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host does to a stack: another processor, a full disk, too little memory. All of it for real."""

from __future__ import annotations

import subprocess
import threading

import pytest
from compose_lab import Lab, refused, wait_for
from onebox_testbed import images

TWO = pytest.mark.parametrize("lab", ["docker28+2.40", "podman-compose"], indirect=True)


@TWO
def test_image_for_another_processor_is_refused(lab: Lab):
    name = f"localhost/{lab.project}:arm"
    platform = ["--platform", "linux/arm64"] if lab.backend.engine == "docker" else ["--arch", "arm64"]
    lab.backend.cli("import", *platform, str(images.tiny_tarball()), name)
    lab.services["web"] = lab.service(image=name)
    lab.write()
    message = refused(lab)["wrong_platform"]
    assert "service web" in message
    assert "is for arm64, and this host is amd64" in message


@TWO
def test_full_disk_is_named_before_anything_is_done(lab: Lab):
    small = lab.data / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(small)], check=True)
    try:
        lab.services["web"] = lab.service(volumes=["${DATA}/small:/data"])
        lab.write()
        message = refused(lab)["disk_full"]
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert str(small) in message
    assert "Free some space" in message


@TWO
def test_out_of_memory_is_distinguished_from_a_kill(lab: Lab):
    sick = {"test": ["CMD", "false"], "interval": "1s", "retries": 100}
    hungry = "x=$$(head -c 60000000 /dev/zero | tr '\\0' x); echo $${#x}"
    lab.services["web"] = lab.service(hungry, mem_limit="16m", restart="no", healthcheck=sick)
    lab.write()
    message = lab.stack().converge()["msg"]
    assert "exit code 137: killed because it ran out of memory" in message
    assert "mem_limit" in message

    lab.services["web"] = lab.service("sleep 1001", mem_limit="16m", restart="no", healthcheck=sick)
    lab.write()

    def kill() -> None:
        wait_for(
            lambda: any(row.running and "sleep 1001" in row.command for row in lab.containers().get("web", ())), 30
        )
        lab.backend.cli("kill", "--signal", "KILL", lab.containers()["web"][0].id)

    killer = threading.Thread(target=kill)
    killer.start()
    message = lab.stack().converge()["msg"]
    killer.join()
    assert "exit code 137: killed (SIGKILL), but not for lack of memory" in message


@TWO
def test_invalid_directory_is_refused(lab: Lab):
    lab.services["web"] = lab.service()
    lab.write()
    assert "is not an absolute path" in refused(lab, project_dir="deploy")["relative_project_dir"]
    assert "does not exist" in refused(lab, project_dir="/nowhere/at/all")["no_project_dir"]
