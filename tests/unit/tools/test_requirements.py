# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every supported Python gets one ansible-core that supports it, and what is declared fits that."""

from __future__ import annotations

import pathlib
import re
import sys

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))

import matrix  # noqa: E402

LINES = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and not line.startswith("#")]
# The first Python that each series of ansible-core runs on.
FLOORS = {"2.19": (3, 11), "2.20": (3, 12), "2.21": (3, 12), "2.22": (3, 13)}


@pytest.mark.parametrize("python", matrix.PYTHONS)
def test_python_gets_one_core_that_supports_it(python: str) -> None:
    requirements = [Requirement(line) for line in LINES]
    pins = [each for each in requirements if each.marker is None or each.marker.evaluate({"python_version": python})]
    assert len(pins) == 1
    version = next(iter(pins[0].specifier)).version
    series = ".".join(version.split(".")[:2])
    assert FLOORS[series] <= tuple(map(int, python.split(".")))
    requires = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["requires_ansible"]
    assert version in SpecifierSet(requires)


def test_hosted_matrix_names_every_series_and_python() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/matrix.yml").read_text())
    cells = workflow["jobs"]["matrix"]["strategy"]["matrix"]
    assert set(cells["core"]) == set(matrix.CORES)
    assert set(cells["python"]) == set(matrix.PYTHONS)


def test_readme_of_the_tool_and_pins_name_the_same_series() -> None:
    pinned = {re.match(r"ansible-core==(\d+\.\d+)", line).group(1) for line in LINES}
    assert pinned <= set(matrix.CORES)
