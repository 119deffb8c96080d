# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine of the fake cloud, reached only with the records of the role."""

import json
import os
import pathlib
import subprocess

import pytest
import yaml


class Cloud:
    """The controller's side: its requests and its records."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder

    def launches(self) -> int:
        return (self.folder / "requests").read_text().splitlines().count("POST /20160918/instances")

    def state(self) -> dict:
        return json.loads((self.folder / "state" / "coinpilot-ins.json").read_text())

    def connection(self) -> dict:
        return yaml.safe_load((self.folder / "captured.yml").read_text())["all"]["hosts"]["oci-vm"]

    def knows(self, name: str) -> bool:
        """Whether a host key is remembered under a name; the file may hold hashes of names only."""
        argv = ["ssh-keygen", "-F", name, "-f", str(self.folder / "state" / "known_hosts")]
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0

    def ssh(self, command: str) -> str:
        host = self.connection()
        argv = ["ssh", "-o", "BatchMode=yes", *host["ansible_ssh_common_args"].split()]
        argv += ["-i", host["ansible_ssh_private_key_file"], "-l", "ubuntu", host["ansible_host"], command]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def cloud() -> Cloud:
    return Cloud(pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "cloud")
