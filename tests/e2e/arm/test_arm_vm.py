# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clone's own playbooks on an Arm host, by SSH: engine, directories, a built image, proof, backup, restore.

The processor is emulated, the rest of the guest is Debian's. Each test continues with the host of the previous one.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import time
import typing as t

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "testbed" / "arm"))

import arm_vm  # noqa: E402

HOST = "arm"
BACKUPS = [
    {"name": "notes", "kind": "directory", "path": "/srv/arm/notes", "exclude": ["notes.db"]},
    {"name": "db", "kind": "sqlite", "path": "/srv/arm/notes/notes.db"},
]
ROWS = 1000
WRITE = (
    "import sqlite3; c = sqlite3.connect('/srv/arm/notes/notes.db'); c.execute('create table note (text)'); "
    f"c.executemany('insert into note values (?)', [(str(n),) for n in range({ROWS})]); c.commit()"
)
COUNT = (
    "import sqlite3; c = sqlite3.connect('/srv/arm/notes/notes.db'); "
    "print(c.execute('select count(*) from note').fetchone()[0])"
)


class Box:
    """The guest and an inventory with it."""

    def __init__(self, guest: arm_vm.Guest, folder: pathlib.Path) -> None:
        self.guest = guest
        self.folder = folder
        values = {
            "ansible_host": "127.0.0.1",
            "ansible_port": guest.port,
            "ansible_user": arm_vm.USER,
            "ansible_become": True,
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_ssh_private_key_file": str(guest.key),
            "ansible_ssh_common_args": " ".join(guest.ssh_options()),
            "onebox_stack": "arm",
            "onebox_engine": "docker",
            "onebox_stacks_dir": str(folder / "stacks"),
            "data_dirs_base": "/srv/arm",
            "data_dirs_directories": [{"path": "notes", "class": "data", "owner": "1000", "group": "1000"}],
            "compose_stack_wait_timeout": 900,
        }
        self.inventory = folder / "hosts.json"
        self.inventory.write_text(json.dumps({"all": {"hosts": {HOST: values}}}))

    def play(self, playbook: str, *words: str) -> str:
        """Run a playbook that must succeed, print its time, and return its output."""
        began = time.monotonic()
        argv = ["ansible-playbook", playbook, "-i", str(self.inventory), "-l", HOST, *words]
        # The report's lines are not wrapped.
        environ = {**os.environ, "COLUMNS": "200", "ANSIBLE_TIMEOUT": "120"}
        done = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=3600, check=False)
        print(f"{playbook}: {time.monotonic() - began:.0f} s on the emulated processor")
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        return done.stdout

    def ssh(self, command: str) -> str:
        """The output of a command on the guest, as root."""
        done = self.guest.run(f"sudo sh -c {shlex.quote(command)}", 600)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Box]:
    folder = tmp_path_factory.mktemp("arm")
    built = arm_vm.build()
    shutil.copytree(pathlib.Path(__file__).parent / "stack", folder / "stacks" / "arm")
    shutil.copy(built / "vm/busybox", folder / "stacks/arm/app/busybox")
    guest = arm_vm.Guest(built, folder)
    try:
        print(f"the guest answers by SSH after {guest.wait(1800):.0f} s")
        yield Box(guest, folder)
    finally:
        guest.stop()


def test_stack_with_a_built_image_is_deployed_and_proven(box: Box) -> None:
    assert box.ssh("uname -m") == "aarch64"
    said = box.play("site.yml")
    assert "arm on arm: OK - 1 of 1 services healthy, 1 of 1 mounts proven" in said
    assert re.search(r"/srv/arm/notes +/notes +notes +inode, write tried", said), said
    assert box.ssh("docker image inspect --format {{.Architecture}} obx-arm-notes") == "arm64"


def test_backup_is_taken_and_rehearsed(box: Box) -> None:
    box.ssh("echo hello > /srv/arm/notes/index.html")
    box.ssh(f"python3 -c {shlex.quote(WRITE)}")
    said = box.play("site.yml", "-e", json.dumps({"backups_sources": BACKUPS}))
    assert re.search(r"1 set, newest .*; rehearsed", said), said
    assert box.ssh("busybox wget -qO- http://127.0.0.1:8080/index.html") == "hello"


def test_second_run_changes_nothing(box: Box) -> None:
    said = box.play("site.yml", "-e", json.dumps({"backups_sources": BACKUPS}))
    assert re.search(rf"(?m)^{HOST}\s+:.*changed=0 .*failed=0", said), said


def test_lost_rows_are_restored(box: Box) -> None:
    box.ssh("rm /srv/arm/notes/notes.db")
    box.play("playbooks/restore.yml", "-e", json.dumps({"backups_sources": BACKUPS, "confirm": "arm"}))
    assert box.ssh(f"python3 -c {shlex.quote(COUNT)}") == str(ROWS)
