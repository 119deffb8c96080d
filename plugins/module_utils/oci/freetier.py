# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Oracle gives away, as data with its date, and the check that an instance stays within it.

Since 15 June 2026 the Arm allowance is 1,500 OCPU-hours and 9,000 GB-hours a month: 2 OCPU and 12 GB in all. Before
that it was twice as much, and most tools still ask for the old figures, which are now refused or billed. Instances over
the limit were terminated from 18 August 2026 on. (Oracle's Always Free page, as quoted in ripienaar/free-for-dev#4476.)
"""

from __future__ import annotations

import typing as t

AS_OF = "2026-06-15"
ARM_SHAPE = "VM.Standard.A1.Flex"
ARM_OCPUS = 2.0
ARM_MEMORY_GB = 12.0
MICRO_SHAPE = "VM.Standard.E2.1.Micro"
MICRO_INSTANCES = 2
BLOCK_STORAGE_GB = 200
BOOT_VOLUME_MIN_GB = 50

# An instance in these states neither costs nor counts.
GONE = ("TERMINATING", "TERMINATED")


def over_allowance(
    shape: str,
    ocpus: float,
    memory_gb: float,
    boot_volume_gb: float,
    others: t.Iterable[t.Mapping[str, t.Any]] = (),
) -> list[str]:
    """Why an instance would not be free beside ``others`` (instances as the API returns them); empty when it is."""
    alive = [row for row in others if row.get("lifecycleState") not in GONE and row.get("shape") == shape]
    found = []
    if shape == ARM_SHAPE:
        used_ocpus = sum(float((row.get("shapeConfig") or {}).get("ocpus") or 0) for row in alive)
        used_memory = sum(float((row.get("shapeConfig") or {}).get("memoryInGBs") or 0) for row in alive)
        if used_ocpus + ocpus > ARM_OCPUS:
            found.append(_excess("OCPU", ocpus, used_ocpus, ARM_OCPUS))
        if used_memory + memory_gb > ARM_MEMORY_GB:
            found.append(_excess("GB of memory", memory_gb, used_memory, ARM_MEMORY_GB))
    elif shape == MICRO_SHAPE:
        if len(alive) + 1 > MICRO_INSTANCES:
            found.append(f"{len(alive)} {MICRO_SHAPE} exist already, {MICRO_INSTANCES} are free")
    else:
        found.append(f"{shape} is not an Always Free shape ({ARM_SHAPE} and {MICRO_SHAPE} are)")
    if boot_volume_gb > BLOCK_STORAGE_GB:
        found.append(f"{boot_volume_gb:g} GB of boot volume asked, {BLOCK_STORAGE_GB} GB are free")
    return found


def _excess(what: str, asked: float, used: float, free: float) -> str:
    already = f" and {used:g} in use" if used else ""
    return f"{asked:g} {what} asked{already}, {free:g} are free"
