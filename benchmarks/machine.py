# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine of a benchmark: other work before it begins, and the environment of the programs it compares.

Under load, seconds have no meaning, and ratios little.
"""

from __future__ import annotations

import os

# Of the cores, on average over a minute.
_IDLE = 0.25


def environment(**variables: str) -> dict[str, str]:
    """The environment of this process with ``variables``, as most users have it.

    With PYTHONUNBUFFERED, which many containers set, Python reads a module that Ansible passes to it byte by byte.
    """
    return {name: value for name, value in {**os.environ, **variables}.items() if name != "PYTHONUNBUFFERED"}


def load() -> str:
    """One line about the load of this moment."""
    cores, busy = os.cpu_count() or 1, os.getloadavg()[0]
    words = f"{busy:.1f} processes ran on {cores} cores in the minute before"
    if busy <= _IDLE * cores:
        return f"measured on an idle machine: {words}"
    return f"UNDER LOAD: {words}. Do not compare these figures, repeat them on an idle machine"
