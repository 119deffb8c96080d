# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the disk of a directory, and check whether the directory can be bind-mounted, for example from an exFAT disk.

An external disk has two independent problems: a directory that the VM does not share is *empty* in the container, and
even a shared exFAT disk does not support owners, modes, links or sockets, which breaks databases and virtual
environments.
"""

from __future__ import annotations

import json
import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.vm.errors import MachineError

_WITHOUT_OWNERS = ("exfat", "msdos", "vfat", "fat32", "fuseblk", "ntfs")
# /dev/disk4s1 on /Volumes/Extreme SSD (exfat, local, nodev, nosuid, noowners, noatime)
_MOUNT_LINE = re.compile(r"^(?P<device>.+?) on (?P<point>/.*) \((?P<options>[^()]*)\)$")


@dataclass(frozen=True)
class FileSystem:
    """The file system of a path. ``kind`` is the system's name for it in lower case: apfs, exfat, ext4."""

    mount_point: str
    kind: str
    read_only: bool


def parse_mount(text: str) -> list[FileSystem]:
    """Parse the output of ``mount`` on macOS, mount points with spaces included."""
    found = []
    for line in text.splitlines():
        match = _MOUNT_LINE.match(line)
        if match:
            words = [word.strip() for word in match.group("options").split(",")]
            found.append(FileSystem(match.group("point"), words[0].lower(), "read-only" in words))
    return found


def parse_findmnt(text: str) -> FileSystem:
    """Parse ``findmnt -J -T PATH -o TARGET,FSTYPE,OPTIONS`` of Linux. Raises KeyError, ValueError."""
    row = json.loads(text)["filesystems"][0]
    return FileSystem(row["target"], str(row["fstype"]).lower(), "ro" in str(row["options"]).split(","))


def of(path: str, *, system: str, world: World) -> FileSystem:
    """The file system of a path that exists.

    Raises:
        MachineError: the file system cannot be found out.
    """
    real = realpath(path)
    try:
        if system == "darwin":
            mounts = parse_mount(world.run(["/sbin/mount"], timeout=20.0).stdout)
            fitting = [one for one in mounts if (real + "/").startswith(one.mount_point.rstrip("/") + "/")]
            return max(fitting, key=lambda one: len(one.mount_point))
        argv = ["findmnt", "-J", "-T", real, "-o", "TARGET,FSTYPE,OPTIONS"]
        return parse_findmnt(world.run(argv, timeout=20.0).stdout)
    except (process.CommandError, ValueError, KeyError, IndexError) as error:
        raise MachineError(f"the file system of {path} cannot be found out: {error}") from error


def diagnose(
    path: str,
    *,
    engine: str,
    shared: t.Iterable[str],
    system: str,
    spaces_work: bool,
    world: World,
) -> dict[str, t.Any]:
    """Whether a directory can be bind-mounted, and the possible fixes, best first.

    Args:
        path: absolute directory.
        engine: ``colima`` or ``podman``, for the text of the fixes.
        shared: directories that the VM sees.
        system: ``sys.platform``.
        spaces_work: whether this engine can share a path with a space.
        world: starts processes.

    Returns:
        ``path``, ``ok``, ``filesystem``, ``mount_point``, ``problems`` (missing, not_shared, space_in_path,
        no_unix_permissions, read_only) and ``ways_out``.
    """
    if not os.path.isdir(path):
        return {"path": path, "ok": False, "filesystem": "", "mount_point": "", "problems": ["missing"],
                "ways_out": [f"create {path}, or connect its disk"]}  # fmt: skip
    disk = of(path, system=system, world=world)
    problems = []
    covered = any((path.rstrip("/") + "/").startswith(one.rstrip("/") + "/") for one in shared)
    if not covered:
        problems.append("not_shared")
    if " " in path and not spaces_work:
        problems.append("space_in_path")
    if disk.kind in _WITHOUT_OWNERS:
        problems.append("no_unix_permissions")
    if disk.read_only:
        problems.append("read_only")
    return {
        "path": path,
        "ok": not problems,
        "filesystem": disk.kind,
        "mount_point": disk.mount_point,
        "problems": problems,
        "ways_out": ways_out(path, disk, problems, engine),
    }


def ways_out(path: str, disk: FileSystem, problems: t.Collection[str], engine: str) -> list[str]:
    """The possible fixes, best first."""
    ways = []
    foreign = "no_unix_permissions" in problems or "space_in_path" in problems
    name = os.path.basename(path.rstrip("/"))
    if foreign:
        ways.append(f"move the project to the Mac's own APFS disk, for example ~/Projects/{name.replace(' ', '-')}")
    if "space_in_path" in problems:
        if " " in disk.mount_point:
            plain = os.path.basename(disk.mount_point).replace(" ", "")
            ways.append(f"rename the disk: diskutil rename '{disk.mount_point}' {plain}, then share its new path")
        else:
            ways.append(f"rename the directory so that {path} has no space, then share it")
        ways.append("use Podman 5.5 or later instead of Colima: it shares paths with spaces")
    if "no_unix_permissions" in problems:
        ways.append(
            f"use {disk.kind} only for files that need no owner: not for databases, virtual environments or sockets"
        )
    if "not_shared" in problems and "space_in_path" not in problems:
        how = f"list {path} in mounts" if engine == "colima" else f"create the machine again with {path} in volumes"
        ways.append(f"share it with the VM: {how}; until then it is an empty directory in every container")
    if "read_only" in problems:
        ways.append(f"{disk.mount_point} is mounted read-only: mount it writable, or bind it read-only")
    return ways
