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


def _folder(tmp_path):
    """A directory on a memory file system, if there is one, because of thousands of fsyncs."""
    if not os.access("/dev/shm", os.W_OK):
        return contextlib.nullcontext(str(tmp_path))
    return tempfile.TemporaryDirectory(dir="/dev/shm", prefix="obx-backup-")


@pytest.fixture
def site(tmp_path):
    """A directory to back up."""
    with _folder(tmp_path) as place:
        yield Site(os.path.join(place, "site"))


@pytest.fixture(params=sorted(SITES))
def each_site(request, tmp_path):
    """Data of each kind to back up."""
    with _folder(tmp_path) as place:
        yield SITES[request.param](os.path.join(place, "site"))
