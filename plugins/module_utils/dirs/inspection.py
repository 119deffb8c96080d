# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inspect directories and find the changes that each needs, without changing anything."""

from __future__ import annotations

import os
import stat
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError, Problem
from ansible_collections.onebox.stack.plugins.module_utils.dirs import in_use, own, records
from ansible_collections.onebox.stack.plugins.module_utils.dirs.filesystem import (
    OWNERLESS,
    VOLATILE,
    Mounts,
    Space,
    where,
)
from ansible_collections.onebox.stack.plugins.module_utils.dirs.request import (
    Parts,
    Wanted,
    in_deploy_dir,
    join,
    look_alike_in_deploy_dir,
    split,
)
from ansible_collections.onebox.stack.plugins.module_utils.dirs.walk import Cursor, Place, opened

# The code of every problem with a directory.
CODE = "directory"
# Number of files to inspect in a directory of secrets.
_SECRETS = 1000


@dataclass
class Found:
    """One directory and the changes that it needs. ``stat`` is None while it does not exist."""

    wanted: Wanted
    space: Space
    stat: os.stat_result | None
    missing: bool = False
    parents: list[str] = field(default_factory=list)  # missing ones that are not listed
    owner: bool = False
    group: bool = False
    mode: bool = False
    recurse: own.Owned | None = None
    disk: bool = False  # whether to write an identity on the disk, or to record it

    @property
    def changes(self) -> bool:
        return bool(self.missing or self.owner or self.group or self.mode or self.recurse is not None or self.disk)


@dataclass
class Inspection:
    """All findings."""

    found: list[Found] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Inspector:
    """Inspects directories.

    Args:
        mounts: the mount table.
        memory: the records of earlier runs.
        deploy_dir: the directory that must not contain any of the directories, or None.
        uid: the effective user.
    """

    def __init__(self, mounts: Mounts, memory: records.Records, deploy_dir: str | None, uid: int) -> None:
        self._mounts = mounts
        self._memory = memory
        self._deploy_dir = None if deploy_dir is None else split(deploy_dir)
        self._uid = uid
        self._deployed = _identity(deploy_dir) if deploy_dir else None
        self._groups = {os.getegid(), *os.getgroups()}
        self._inspection = Inspection()
        self._inodes: dict[int, int] = {}
        self._warned: set[tuple[str, int]] = set()
        self._made: set[tuple[str, ...]] = set()

    def inspect(self, directories: t.Sequence[Wanted]) -> Inspection:
        """Inspect all ``directories``, which are sorted. Their problems are returned, not raised."""
        with Cursor() as cursor:
            for wanted in directories:
                try:
                    self._one(cursor, wanted)
                except OneboxError as error:
                    self._problem(wanted, str(error))
                except OSError as error:
                    self._problem(wanted, f"{wanted.path}: {error.strerror}")
        return self._inspection

    def _problem(self, wanted: Wanted, message: str) -> None:
        self._inspection.problems.append(Problem(CODE, wanted.path, message))

    def _warn(self, topic: str, device: int, message: str) -> None:
        """Warn once for each file system."""
        if (topic, device) not in self._warned:
            self._warned.add((topic, device))
            self._inspection.warnings.append(message)

    def _one(self, cursor: Cursor, wanted: Wanted) -> None:
        place, depth = cursor.go(wanted.parts)
        space = self._mounts.space(place)
        there = depth == len(wanted.parts)
        found = Found(wanted, space, place.stat if there else None)
        self._inspection.found.append(found)
        if self._deploy_dir is not None:
            self._check_deploy_dir(wanted, place, self._deploy_dir)
        self._check_file_system(wanted, place, space)
        if wanted.mountpoint:
            self._check_disk(found, place, there)
        if not there:
            self._plan_new(found, place, depth)
            return
        if space.fstype in OWNERLESS:
            return
        now = place.stat
        found.owner = wanted.uid is not None and now.st_uid != wanted.uid
        found.group = wanted.gid is not None and now.st_gid != wanted.gid
        found.mode = stat.S_IMODE(now.st_mode) != wanted.mode
        if found.owner or found.group or found.mode:
            self._check_may_change(found, place)
            self._check_in_use(wanted, place)
        if wanted.recursive and (found.owner or found.group or self._memory.get("owned", wanted.path) != owned(found)):
            with opened(place) as fd:
                found.recurse = own.give(fd, wanted.uid, wanted.gid, wanted.kind == "secret", check=True)
        elif wanted.kind == "secret":
            self._check_secrets(wanted, place)

    def _check_deploy_dir(self, wanted: Wanted, place: Place, deployed: Parts) -> None:
        # By identity as well: a bind mount can have another name.
        above: Place | None = place
        while above is not None and self._deployed is not None:
            if self._deployed == (above.stat.st_dev, above.stat.st_ino):
                self._problem(wanted, in_deploy_dir(wanted, deployed))
                break
            above = above.parent
        look_alike = look_alike_in_deploy_dir(wanted, deployed)
        if look_alike:
            self._inspection.warnings.append(
                f"{wanted.path} has a look-alike in the deploy directory, {look_alike}. "
                "Check that the compose file binds the one outside."
            )

    def _check_file_system(self, wanted: Wanted, place: Place, space: Space) -> None:
        device = place.stat.st_dev
        if space.fstype in OWNERLESS:
            if wanted.kind in ("data", "secret"):
                self._problem(
                    wanted,
                    f"{wanted.path} is on {space.fstype}, which stores no owners and modes and loses data when "
                    f"unplugged. For class {wanted.kind}, use a disk with ext4, xfs, btrfs or APFS.",
                )
            else:
                self._warn(
                    "ownerless",
                    device,
                    f"{wanted.path} is on {space.fstype}, where owner, group and mode cannot be set",
                )
        if space.read_only and wanted.kind in ("data", "log"):
            self._problem(
                wanted,
                f"{wanted.path} is on a file system that is mounted read-only, which the kernel also does after a disk "
                "error. Check dmesg, then mount it read-write.",
            )
        if space.fstype in VOLATILE and wanted.kind == "data":
            self._warn("volatile", device, f"{wanted.path} is on {space.fstype}, whose content is lost at a reboot")
        if space.full and not space.read_only:
            self._warn("full", device, f"the file system of {wanted.path} is full")

    def _check_disk(self, found: Found, place: Place, there: bool) -> None:
        wanted = found.wanted
        known = self._memory.get("disks", wanted.path)
        expected = f" (at the last run it held the disk {known})" if known else ""
        if not there or not self._mounts.mounted(place):
            state = "does not exist" if not there else "is not a mount point"
            self._problem(
                wanted, f"{wanted.path} {state}: the disk is not mounted{expected}. Mount it ({where()} lists mounts)."
            )
            return
        with opened(place) as fd:
            mounted = records.sentinel(fd)
        if known and mounted != known:
            what = f"the disk {mounted}" if mounted else "a disk without our mark"
            self._problem(
                wanted,
                f"another disk is mounted on {wanted.path}: it is {what} instead of {known}. Mount the right "
                f"one. If you replaced the disk on purpose, remove {self._memory.file('disks', wanted.path)}.",
            )
            return
        found.disk = not known

    def _plan_new(self, found: Found, place: Place, depth: int) -> None:
        wanted = found.wanted
        new = [wanted.parts[:end] for end in range(depth + 1, len(wanted.parts) + 1)]
        new = [parts for parts in new if parts not in self._made]
        self._made.update(new)
        found.missing = True
        found.parents = [join(parts) for parts in new[:-1]]
        device = place.stat.st_dev
        self._inodes[device] = self._inodes.get(device, 0) + len(new)
        nearest = join(wanted.parts[:depth])
        space = found.space
        if space.read_only:
            if wanted.kind not in ("data", "log"):
                self._problem(wanted, f"{wanted.path} cannot be created: {nearest} is mounted read-only")
        elif not os.access(".", os.W_OK | os.X_OK, dir_fd=place.fd, effective_ids=_effective()):
            self._problem(wanted, f"{wanted.path} cannot be created in {nearest}: {self._not_allowed(nearest)}")
        elif space.full:
            self._problem(wanted, f"{wanted.path} cannot be created: its file system is full. Delete files there.")
        elif space.free_inodes is not None and space.free_inodes < self._inodes[device]:
            self._problem(
                wanted,
                f"{wanted.path} cannot be created: its file system has {space.free_inodes} free inodes. Delete files "
                "there, or use another disk.",
            )
        self._check_may_give(wanted, self._uid, None)

    def _check_may_change(self, found: Found, place: Place) -> None:
        wanted, now = found.wanted, place.stat
        if self._uid not in (0, now.st_uid):
            self._problem(
                wanted,
                f"{wanted.path} belongs to uid {now.st_uid} and cannot be changed by uid {self._uid}. Use become.",
            )
        elif found.space.read_only:
            if wanted.kind not in ("data", "log"):
                self._problem(wanted, f"{wanted.path} cannot be changed: its file system is mounted read-only")
        elif self._uid == 0 and not os.access(".", os.W_OK, dir_fd=place.fd):
            self._problem(wanted, f"{wanted.path} cannot be changed: {self._not_allowed(wanted.path)}")
        else:
            self._check_may_give(wanted, now.st_uid, now.st_gid)

    def _check_in_use(self, wanted: Wanted, place: Place) -> None:
        now = place.stat
        uid = now.st_uid if wanted.uid is None else wanted.uid
        gid = now.st_gid if wanted.gid is None else wanted.gid
        process = in_use.locked_out(now, in_use.Access(uid, gid, wanted.mode))
        if process:
            self._problem(
                wanted,
                f"{wanted.path} is mounted by a running container: process {process.pid} ({process.name}, uid "
                f"{process.uid}) would lose access to it with owner {uid}, group {gid} and mode {wanted.mode:04o}. Set "
                f"owner and mode in data_dirs_directories to what uid {process.uid} can use, or stop the stack first.",
            )

    def _check_may_give(self, wanted: Wanted, uid: int, gid: int | None) -> None:
        if self._uid == 0:
            return
        if wanted.uid not in (None, uid):
            self._problem(wanted, f"{wanted.path} cannot be given to uid {wanted.uid}: only root can do so. Use become")
        elif wanted.gid not in (None, gid) and wanted.gid not in self._groups:
            self._problem(
                wanted,
                f"{wanted.path} cannot be given to gid {wanted.gid}: uid {self._uid} is not in that group. Use become",
            )

    def _not_allowed(self, path: str) -> str:
        if self._uid == 0:
            return f"root cannot write there. Check whether it is immutable (lsattr -d {path}; chattr -i {path})."
        return f"uid {self._uid} cannot write there. Use become, or change the owner of the directory."

    def _check_secrets(self, wanted: Wanted, place: Place) -> None:
        """Compose binds file secrets unchanged, so the application's user must be able to read them."""
        owner = place.stat.st_uid if wanted.uid is None else wanted.uid
        wrong = []
        with opened(place) as fd, os.scandir(fd) as rows:
            for _number, row in zip(range(_SECRETS), rows):
                now = row.stat(follow_symlinks=False)
                if stat.S_ISREG(now.st_mode) and (now.st_uid != owner or now.st_mode & 0o477 != 0o400):
                    wrong.append(row.name)
        if wrong:
            self._inspection.warnings.append(
                f"secrets in {wanted.path} must be readable by uid {owner} only. These are not: "
                f"{', '.join(repr(name) for name in sorted(wrong)[:5])}{' ...' if len(wrong) > 5 else ''} "
                f"(chown {owner} and chmod 0400, or recursive: true)"
            )


def owned(found: Found) -> str:
    """The record of a completed recursive change: the new owner, and the identity of the directory."""
    wanted = found.wanted
    inode = found.stat.st_ino if found.stat else 0
    return f"{'' if wanted.uid is None else wanted.uid}:{'' if wanted.gid is None else wanted.gid}:{inode}"


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(join(split(path)))
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _effective() -> bool:
    return os.access in os.supports_effective_ids
