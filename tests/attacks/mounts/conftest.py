# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers with an application that says itself whether it can use its data: the truth a verdict is held against."""

from __future__ import annotations

import typing as t

import pytest
from truth import Lab


@pytest.fixture(params=["podman", "docker"])
def truth_lab(request: pytest.FixtureRequest, python_image: str) -> t.Iterator[Lab]:
    """A test bench on each engine, cleaned up after the test."""
    made = Lab(request.getfixturevalue(f"{request.param}_engine"), python_image)
    try:
        yield made
    finally:
        made.close()
