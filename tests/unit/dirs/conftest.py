# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack's directories for each test."""

from __future__ import annotations

import pathlib

import pytest
from dirs_stack import Stack


@pytest.fixture
def stack(tmp_path: pathlib.Path) -> Stack:
    """A stack without directories yet."""
    return Stack(tmp_path)
