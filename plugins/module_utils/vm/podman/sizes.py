# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Convert sizes from the units of users to those of podman.

``podman machine`` expects memory in MiB and disks in GiB, prints memory in GiB, and its desktop application offers
decimal gigabytes rounded down: "5 GB" becomes 4768 MiB and "100 GB" becomes 93 GiB. So the unit is always parsed, never
guessed.
"""

from __future__ import annotations

import re

from ansible_collections.onebox.stack.plugins.module_utils.vm.errors import MachineError

_BYTES = {
    "b": 1,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
}
_SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*$")


def parse(text: str, unit: str, option: str) -> int:
    """``text`` in whole ``unit`` s, rounded down.

    Args:
        text: a number of ``unit`` s, or a number with one of B, KiB, MiB, GiB, TiB, KB, MB, GB, TB.
        unit: ``MiB`` or ``GiB``.
        option: the name of the option, for the error.

    Raises:
        MachineError: not a size; also for a bare ``G`` or ``M``, which tools interpret in two ways.
    """
    found = _SIZE.match(text)
    if not found:
        raise MachineError(f"{option}: {text!r} is not a size. Write for example 4768, 4768MiB, 4GiB or 5GB.")
    number, suffix = float(found.group(1)), found.group(2).lower()
    if suffix and suffix not in _BYTES:
        raise MachineError(
            f"{option}: {found.group(2)!r} in {text!r} is not a unit; "
            "write MiB or GiB (powers of 1024), MB or GB (powers of 1000)"
        )
    factor = _BYTES[suffix or unit.lower()]
    return int(number * factor) // _BYTES[unit.lower()]
