# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory that the tests of whole runs back up."""

from __future__ import annotations

import os
import tempfile

import pytest
from backup_sites import Site


@pytest.fixture
def site(tmp_path):
    """A site on a memory file system, if there is one, because of thousands of fsyncs."""
    if not os.access("/dev/shm", os.W_OK):
        yield Site(tmp_path)
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="obx-backup-") as place:
        yield Site(os.path.join(place, "site"))
