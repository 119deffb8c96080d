# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory that the tests of whole runs back up."""

from __future__ import annotations

import os
import tempfile

import pytest
from boxes import Box


@pytest.fixture
def box(tmp_path):
    """On a memory file system where there is one: thousands of fsyncs are waited for otherwise."""
    if not os.access("/dev/shm", os.W_OK):
        yield Box(tmp_path)
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="obx-backup-") as place:
        yield Box(os.path.join(place, "box"))
