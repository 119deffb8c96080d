# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every test outside the unit tests can be collected.

The heavier tiers run rarely, so a renamed helper or test would stop a whole tier without notice until then.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUN_OTHERWISE = ("unit", "testinfra")  # this very run, and Molecule, which passes the host under test


def test_every_tier_can_be_collected():
    folders = sorted(
        path.name for path in (ROOT / "tests").iterdir() if path.name not in RUN_OTHERWISE and _has_tests(path)
    )
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
        + [f"tests/{name}" for name in folders],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4000:]


def _has_tests(folder: pathlib.Path) -> bool:
    return folder.is_dir() and any(folder.rglob("test_*.py"))
