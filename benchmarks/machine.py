# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other work on the machine before a benchmark begins: under load, seconds have no meaning, and ratios little."""

from __future__ import annotations

import os

# Of the cores, on average over a minute.
_IDLE = 0.25


def load() -> str:
    """One line about the load of this moment."""
    cores, busy = os.cpu_count() or 1, os.getloadavg()[0]
    words = f"{busy:.1f} processes ran on {cores} cores in the minute before"
    if busy <= _IDLE * cores:
        return f"measured on an idle machine: {words}"
    return f"UNDER LOAD: {words}. Do not compare these figures, repeat them on an idle machine"
