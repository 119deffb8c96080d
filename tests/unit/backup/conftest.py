# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data that the tests of whole runs back up."""

from __future__ import annotations

import contextlib
import os
import tempfile

import pytest
from backup_sites import SITES, Site


@contextlib.contextmanager
def _folder(tmp_path):
    """A directory on a memory file system, if there is one, because of thousands of fsyncs."""
    if not os.access("/dev/shm", os.W_OK):
        yield str(tmp_path)
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="obx-backup-") as place:
        yield os.path.join(place, "site")


@pytest.fixture
def site(tmp_path):
    """A directory to back up."""
    with _folder(tmp_path) as place:
        yield Site(place)


@pytest.fixture(params=sorted(SITES))
def each_site(request, tmp_path):
    """Data of each kind to back up."""
    with _folder(tmp_path) as place:
        yield SITES[request.param](place)
