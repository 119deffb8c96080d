# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""backup.yml, rehearse.yml and restore.yml on a stack of files, without containers.

A restore that goes through, with the deploy at its end, is in the Molecule scenario backups_rebuild.
"""

from __future__ import annotations

import json
import os
import pathlib
import secrets
import subprocess

import pytest
from backup_stack import ROOT


class Site:
    """A directory, its backup configuration in the default path, and the playbooks."""

    def __init__(self, base: pathlib.Path) -> None:
        self.base = base
        self.name = f"obx-playbooks-{secrets.token_hex(3)}"
        self.config = pathlib.Path(f"/etc/onebox/backup/{self.name}.json")
        self.files = base / "pages"
        self.files.mkdir()
        (self.files / "a page").write_text("worth keeping", encoding="utf-8")
        self.config.parent.mkdir(parents=True, exist_ok=True)
        declared = {
            "stack": self.name,
            "state_dir": str(base / "state"),
            "repository": {"engine": "files", "path": str(base / "repo")},
            "reserve_mib": 1,
            "retention": {"daily": 1, "weekly": 0, "min_keep": 1, "max_delete": 3},
            "sources": [{"name": "pages", "kind": "directory", "path": str(self.files)}],
        }
        self.config.write_text(json.dumps(declared), encoding="utf-8")

    def play(self, name: str, *words: str, **values: object) -> tuple[int, str]:
        values = {
            "compose_stack_name": self.name,
            "ansible_python_interpreter": str(ROOT / ".venv/bin/python"),
            **values,
        }
        argv = [str(ROOT / ".venv/bin/ansible-playbook"), str(ROOT / "playbooks" / name), "-i", "box,", "-c", "local"]
        env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_HOME": str(self.base / ".ansible")}
        done = subprocess.run(
            [*argv, "-e", json.dumps(values), *words],
            env=env, cwd=ROOT, text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=300, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def sets(self) -> list[str]:
        return sorted(os.listdir(self.base / "repo/sets"))


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    yield made
    made.config.unlink()


def test_backup_is_planned_and_made(site):
    for number in (1, 2):
        code, said = site.play("backup.yml")
        assert code == 0, said
        assert site.sets()[-1] == f"{number:06d}"
    assert site.sets() == ["000002"]  # one of each day is kept, and the newest
    code, said = site.play("backup.yml", "--check")
    assert code == 0, said
    assert "newest" in said
    assert '"delete": []' in said or "delete: []" in said
    assert site.sets() == ["000002"]


def test_rehearsal_finds_the_damage_of_its_self_test(site):
    site.play("backup.yml")
    code, said = site.play("rehearse.yml")
    assert code == 0, said
    code, said = site.play("rehearse.yml", "-e", "self_test=true")
    assert code == 0, said
    assert said.count("caught") >= 3
    assert "caught: false" not in said.lower()
    assert '"caught": false' not in said.lower()
    (damaged,) = (site.base / "repo/sets").rglob("pages.tar")
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(bytes(data))
    code, said = site.play("rehearse.yml")
    assert code != 0
    assert "pages.tar is damaged" in said


def test_restore_is_planned_and_needs_the_name(site):
    site.play("backup.yml")
    (site.files / "a page").write_text("changed since", encoding="utf-8")
    for words in (["--check"], ["-e", "confirm=another"]):
        code, said = site.play("restore.yml", *words)
        assert (code == 0) == (words == ["--check"]), said
        assert f"directory {site.files}: the previous one renamed to" in " ".join(said.split())
        assert (site.files / "a page").read_text(encoding="utf-8") == "changed since"
    assert "type the name of the stack" in " ".join(said.split())
    assert [path.name for path in site.base.iterdir() if path.name.startswith("pages")] == ["pages"]
