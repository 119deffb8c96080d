# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Oracle's Always Free allowance, with its date, and the check that an instance stays within it.

Since 15 June 2026 the Arm allowance is 1,500 OCPU-hours and 9,000 GB-hours a month: 2 OCPU and 12 GB in all. Before
that it was twice as much. Most tools still request the old figures, which are now refused or billed. Instances over
the limit were terminated from 18 August 2026 on. (Oracle's Always Free page, as quoted in ripienaar/free-for-dev#4476.)
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

AS_OF = "2026-06-15"
ARM_SHAPE = "VM.Standard.A1.Flex"
ARM_OCPUS = 2.0
ARM_MEMORY_GB = 12.0
MICRO_SHAPE = "VM.Standard.E2.1.Micro"
MICRO_INSTANCES = 2
BLOCK_STORAGE_GB = 200
BOOT_VOLUME_MIN_GB = 50

# An instance in these states does not count.
GONE = ("TERMINATING", "TERMINATED")


@dataclass(frozen=True)
class Usage:
    """The usage of a whole tenancy.

    ``instances`` exist, in every compartment that could be read; ``storage_gb`` is the size of the volumes there.
    ``ocpus``, ``memory_gb`` and ``count`` are the figures of Oracle's limits service for the shape: they include what
    the user may not read, and lag. ``unread`` names what could not be read.
    """

    instances: tuple[t.Mapping[str, t.Any], ...] = ()
    storage_gb: int = 0
    ocpus: float = 0.0
    memory_gb: float = 0.0
    count: float = 0.0
    unread: tuple[str, ...] = ()


def over_allowance(
    shape: str,
    ocpus: float,
    memory_gb: float,
    boot_volume_gb: float,
    others: t.Iterable[t.Mapping[str, t.Any]] = (),
    usage: Usage | None = None,
) -> list[str]:
    """The reasons why an instance would not be free, empty if it is.

    Args:
        shape: the requested shape.
        ocpus: its OCPUs.
        memory_gb: its GB of memory.
        boot_volume_gb: GB of its boot volume.
        others: the other instances, as the API returns them.
        usage: the usage of the tenancy, the instances of its other compartments included.
    """
    usage = usage or Usage()
    rows = {str(row.get("id") or number): row for number, row in enumerate([*others, *usage.instances])}
    alive = [row for row in rows.values() if row.get("lifecycleState") not in GONE and row.get("shape") == shape]
    found = []
    if shape == ARM_SHAPE:
        used_ocpus = sum(float((row.get("shapeConfig") or {}).get("ocpus") or 0) for row in alive)
        used_memory = sum(float((row.get("shapeConfig") or {}).get("memoryInGBs") or 0) for row in alive)
        found += _excess("OCPU", ocpus, used_ocpus, usage.ocpus, ARM_OCPUS)
        found += _excess("GB of memory", memory_gb, used_memory, usage.memory_gb, ARM_MEMORY_GB)
    elif shape == MICRO_SHAPE:
        existing = max(len(alive), int(usage.count))
        if existing + 1 > MICRO_INSTANCES:
            found.append(f"{existing} {MICRO_SHAPE} exist already, {MICRO_INSTANCES} are free")
    else:
        found.append(f"{shape} is not an Always Free shape ({ARM_SHAPE} and {MICRO_SHAPE} are)")
    if boot_volume_gb + usage.storage_gb > BLOCK_STORAGE_GB:
        exist = f" and {usage.storage_gb} GB of volumes exist in the tenancy" if usage.storage_gb else ""
        found.append(f"{boot_volume_gb:g} GB of boot volume requested{exist}, {BLOCK_STORAGE_GB} GB are free")
    return found


def _excess(what: str, requested: float, seen: float, counted: float, free: float) -> list[str]:
    used = max(seen, counted)
    if used + requested <= free:
        return []
    already = f" and {used:g} in use" if used else ""
    whose = " in the tenancy by Oracle's limits (which lag by up to an hour)" if counted > seen else ""
    return [f"{requested:g} {what} requested{already}{whose}, {free:g} are free"]
