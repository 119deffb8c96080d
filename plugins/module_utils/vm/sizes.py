# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse implausible sizes of a virtual machine, for example from a wrong unit, because a disk can never shrink."""

from __future__ import annotations

import shutil

# No Mac has more, and Apple's and QEMU's raw disks are tested up to about this size.
MOST_DISK_GIB = 64 * 1024
# A disk that grows while it is used may be larger than the free space now. With a wrong unit it is 1000 times larger.
_MOST_TIMES_FREE = 10


def free_gib(path: str) -> int | None:
    """Free GiB at ``path``, None if they cannot be read."""
    try:
        return shutil.disk_usage(path).free // 2**30
    except OSError:
        return None


def disk(wanted_gib: float | None, has_gib: float, free_gib: int | None) -> str:
    """The reason against a disk of ``wanted_gib``, "" without one.

    Args:
        wanted_gib: None for a disk that stays as it is.
        has_gib: its size now, 0 for a new one.
        free_gib: GiB free on the host, None if unknown.
    """
    if wanted_gib is None or wanted_gib <= has_gib:
        return ""
    undone = "A disk cannot be made smaller again"
    if wanted_gib > MOST_DISK_GIB:
        return (
            f"disk_gib: {wanted_gib:g} GiB is more than {MOST_DISK_GIB} GiB (64 TiB). {undone}: write the size in GiB, "
            "or with its unit"
        )
    grows = wanted_gib - has_gib
    if free_gib is not None and grows > _MOST_TIMES_FREE * max(free_gib, 1):
        return (
            f"disk_gib: the disk would grow by {grows:g} GiB, more than {_MOST_TIMES_FREE} times the {free_gib} GiB "
            f"that are free on this host. {undone}: write a smaller size in GiB, or make room first"
        )
    return ""
