# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""new_stack.yml reads the path of the project as the user's shell does: relative to the current directory."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("written", ["../wiki", "~/wiki"])
def test_project_is_found_from_the_current_directory(written: str, tmp_path: pathlib.Path) -> None:
    origin, here = tmp_path / "wiki", tmp_path / "here"
    origin.mkdir()
    here.mkdir()
    (origin / "compose.yml").write_text("services: {web: {image: web}}\n")
    values = ["-e", f"from={written}", "-e", "host=box", "-e", f"onebox_inventory={here}"]
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", str(ROOT / "playbooks/new_stack.yml"), *values],
        cwd=here,
        env={
            **os.environ,
            "PWD": str(here),
            "HOME": str(tmp_path),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "LC_ALL": "C.UTF-8",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (here / "stacks/wiki/compose.yml").read_text() == (origin / "compose.yml").read_text()
