# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fast tier: real podman command lines of three versions; machines are created, changed and removed, not booted."""

from __future__ import annotations

import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "testbed" / "mac")]

import podman_cli  # noqa: E402
from machine_lab import Lab  # noqa: E402


@pytest.fixture(params=["5.4.2", "5.8.6", "6.1.1"])
def lab(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Lab:
    """A new home for each supported podman."""
    return Lab(tmp_path / "home", podman_cli.build(request.param))


@pytest.fixture
def lab5(tmp_path: pathlib.Path) -> Lab:
    """A new home for podman 5, for tests that need one version only."""
    return Lab(tmp_path / "home", podman_cli.build("5.8.6"))
