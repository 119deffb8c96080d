# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode only reads."""

import os
import pathlib

CLOUD = pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "cloud"


def test_nothing_was_sent_that_changes_anything():
    requests = (CLOUD / "requests").read_text().splitlines()
    assert requests
    assert [line for line in requests if not line.startswith("GET ")] == []


def test_nothing_was_written():
    for name in ("keys", "state", "captured.yml"):
        assert not (CLOUD / name).exists(), name
