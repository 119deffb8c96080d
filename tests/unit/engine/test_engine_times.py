# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times as the engines write them."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.engine.times import epoch_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-21T09:51:08.5Z", 1795254668.5),
        ("2026-11-21T09:51:08.500000001Z", 1795254668.500000001),  # Docker
        ("2026-11-21T10:51:08.5+01:00", 1795254668.5),  # podman inspect
        ("2026-11-21 09:51:08.5 +0000 UTC", 1795254668.5),  # podman, formatted
        ("2026-11-21T09:51:08", 1795254668.0),
        ("1970-01-01T00:00:01Z", 1.0),
        ("", 0.0),
        ("never", 0.0),
    ],
)
def test_times_of_engines(text: str, seconds: float) -> None:
    assert epoch_of(text) == pytest.approx(seconds, abs=1e-6)
