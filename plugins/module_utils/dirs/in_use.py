# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of containers that have a directory mounted, and would lose access to it by another owner or mode."""

from __future__ import annotations

import os
import stat
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import syscalls
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.process import (
    Gone,
    Identity,
    Process,
    Refused,
)

_DAC_OVERRIDE = 1 << 1
_NOBODY = 65534


class Access(t.NamedTuple):
    """Owner, group and mode of a directory."""

    uid: int
    gid: int
    mode: int


class LockedOut(t.NamedTuple):
    """A process that would lose access."""

    pid: int
    name: str
    uid: int


def locked_out(directory: os.stat_result, after: Access) -> LockedOut | None:
    """The first process that has the directory mounted and may do less with it after a change than now.

    Skips processes that the caller may not inspect. Returns None on a system without ``/proc``.

    Args:
        directory: the directory as it is.
        after: its owner, group and mode after the change.
    """
    before = Access(directory.st_uid, directory.st_gid, stat.S_IMODE(directory.st_mode))
    if not os.path.isdir("/proc/self"):
        return None
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            with Process(pid) as process:
                if not process.in_own_mount_namespace():
                    continue
                fields = process.status()
                identity = Process.identity_of(fields, process.link("ns/user"))
                lost = _may(process, identity, before) & ~_may(process, identity, after)
                if lost and _has_mounted(process, directory):
                    return LockedOut(pid, fields["Name"], identity.uid)
        except (Gone, Refused):
            continue
    return None


def _may(process: Process, identity: Identity, access: Access) -> int:
    """The permission bits (4 read, 2 write, 1 enter) that a process has on a directory."""
    if identity.capabilities & _DAC_OVERRIDE and (
        not identity.own_user_namespace
        or _NOBODY not in (process.inside_id("uid_map", access.uid), process.inside_id("gid_map", access.gid))
    ):
        return 7
    if identity.uid == access.uid:
        return access.mode >> 6 & 7
    if access.gid in (identity.gid, *identity.groups):
        return access.mode >> 3 & 7
    return access.mode & 7


def _has_mounted(process: Process, directory: os.stat_result) -> bool:
    """Whether one of the mounts that a process sees is the directory."""
    device = f"{os.major(directory.st_dev)}:{os.minor(directory.st_dev)}"
    root = process.root()
    try:
        # A mount of another file system may hang. Btrfs numbers its subvolumes in another way than its mounts.
        rows = [row for row in process.table().rows if row.device == device or row.fstype == "btrfs"]
        return any(_is(root, row.point, directory) for row in rows)
    finally:
        os.close(root)


def _is(root: int, point: str, directory: os.stat_result) -> bool:
    try:
        descriptor = syscalls.open_in_root(root, point, syscalls.O_PATH)
    except OSError:
        return False
    try:
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    return (found.st_dev, found.st_ino) == (directory.st_dev, directory.st_ino)
