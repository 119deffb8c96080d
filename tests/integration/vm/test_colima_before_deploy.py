# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""omnivibe's disk: site.yml fails before it deploys into a directory that containers could not use.

site.yml and Ansible are real. tests/testbed/mac/fake_colima.py simulates ``colima``, and ``findmnt`` prints for the
external disk the output of util-linux 2.38 for exFAT, because this kernel may not have a driver for it.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import typing as t

import pytest
from machine_lab import ROOT

FINDMNT = """\
#!/bin/sh
case "$3" in
  "@DISK@"*)
    echo '{ "filesystems": [ {"target":"@DISK@", "fstype":"exfat", "options":"rw,nosuid,nodev,relatime"} ] }' ;;
  *) exec /usr/bin/findmnt "$@" ;;
esac
"""


class Host:
    """A home with a Colima, a project on an external disk and the same project on the home's own disk."""

    def __init__(self, base: pathlib.Path) -> None:
        self.base = base
        self.home = base / "home"
        self.disk = base / "Volumes/Extreme SSD"
        self.outside = self.disk / "02_GitHub.nosync/30_OmniVibePro"
        self.inside = self.home / "Projects/OmniVibePro"
        self.colima = self.home / ".colima"
        for folder in (self.outside, self.inside, self.colima, base / "bin"):
            folder.mkdir(parents=True)
        (base / "bin/colima").symlink_to(ROOT / "tests/testbed/mac/fake_colima.py")
        findmnt = base / "bin/findmnt"
        findmnt.write_text(FINDMNT.replace("@DISK@", str(self.disk)))
        findmnt.chmod(0o755)

    def play(self, *words: str, **values: t.Any) -> tuple[int, str]:
        given = {
            "ansible_connection": "local",
            "ansible_python_interpreter": str(ROOT / ".venv/bin/python"),
            "compose_stack_name": "omnivibe-colima",
            "compose_stack_source": "",
            "compose_stack_project_dir": str(self.base / "deploy"),
            "onebox_state_dir": str(self.base / "state"),
            "data_dirs_base": str(self.base / "data"),
            "data_dirs_directories": [{"path": ".", "class": "data"}],
            "colima_profile_name": "default",
            **values,
        }
        inventory = self.base / "hosts.json"
        inventory.write_text(json.dumps({"all": {"hosts": {"omnivibe": given}}}))
        env = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.base / ".ansible"),
            "PATH": f"{self.base}/bin:{ROOT}/.venv/bin:{os.environ['PATH']}",
            "HOME": str(self.home),
            "COLIMA_HOME": str(self.colima),
            "FAKE_COLIMA": str(self.base / "profiles.json"),
        }
        argv = ["ansible-playbook", "site.yml", "-i", "inventories/hosts.yml", "-i", str(inventory), "-l", "omnivibe"]
        done = subprocess.run(
            [*argv, *words], cwd=ROOT, env=env, text=True, capture_output=True, timeout=300, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def calls(self) -> list[list[str]]:
        """The calls of Colima except ``list``."""
        log = self.base / "profiles.json.log"
        rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return [row for row in rows if row[0] != "list"]


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    return Host(tmp_path)


def test_external_disk_fails_the_run_before_the_deploy(host: Host) -> None:
    code, said = host.play(colima_profile_check_paths=[str(host.outside)])
    assert code != 0
    plain = re.sub(r"\s+", " ", said)
    assert "(exfat): not shared, space in path, no unix permissions" in plain
    ways = [plain.index(words) for words in (
        "1. move the project to the Mac's own APFS disk, for example ~/Projects/30_OmniVibePro",
        f"2. rename the disk: diskutil rename '{host.disk}' ExtremeSSD, then share its new path",
        "3. use Podman 5.5 or later instead of Colima",
    )]  # fmt: skip
    assert ways == sorted(ways)
    assert host.calls() == []
    assert not (host.base / "deploy").exists()
    assert not (host.base / "data").exists()


def test_sharing_a_disk_with_a_space_is_refused(host: Host) -> None:
    mounts = [{"location": str(host.disk)}]
    code, said = host.play(colima_profile_check_paths=[str(host.outside)], colima_profile_mounts=mounts)
    assert code != 0
    assert "Colima cannot share" in said
    assert host.calls() == []


def test_project_below_the_home_directory_is_accepted(host: Host) -> None:
    code, said = host.play("--tags", "reach", colima_profile_check_paths=[str(host.inside)])
    assert code == 0, said
    assert host.calls() == [["start", "--profile", "default"]]
    code, said = host.play("--tags", "reach", colima_profile_check_paths=[str(host.inside)])
    assert code == 0, said
    assert len(host.calls()) == 1


def test_disk_without_a_space_is_shared_in_addition_to_the_home_directory(host: Host) -> None:
    work = host.base / "Volumes/Work"
    work.mkdir()
    wish = {"colima_profile_check_paths": [str(work)], "colima_profile_mounts": [{"location": str(work)}]}
    code, said = host.play("--tags", "reach", **wish)
    assert code == 0, said
    assert host.calls() == [["start", "--profile", "default", "--mount", f"{host.home}:w", "--mount", f"{work}:w"]]
