# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collect the facts about one mount: the objects at the source on the host and at the destination in the container.

Only inspects, never opens for reading or writing: descriptors are O_PATH, so a FIFO cannot block and a device is not
touched. The content of a hostile container can at most make the answer "unverifiable".
"""

from __future__ import annotations

import errno
import os
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core.mountinfo import Row, Table, unescape
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import syscalls
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.syscalls import Node
from ansible_collections.onebox.stack.plugins.module_utils.mounts.model import Finding

# Mounts of these places or kinds come and go with the machine and its containers; they hold no data.
_MACHINE_PLACES = ("/proc", "/sys", "/dev", "/run", "/var/run", "/var/lib/docker", "/var/lib/containers")
_BELOW_MACHINE_PLACES = tuple(f"{place}/" for place in _MACHINE_PLACES)
# Files of the kernel: they have no disk, cannot store data, and a write has another effect.
PSEUDO = frozenset(
    (
        "proc",
        "sysfs",
        "cgroup",
        "cgroup2",
        "devpts",
        "devtmpfs",
        "mqueue",
        "bpf",
        "nsfs",
        "autofs",
        "debugfs",
        "tracefs",
    )
    + ("securityfs", "pstore", "configfs", "fusectl", "hugetlbfs", "rpc_pipefs", "binfmt_misc", "efivarfs", "selinuxfs")
)
_MACHINE_KINDS = PSEUDO | {"overlay"}
# Of the tree of the whole machine only new disks and shares matter.
_SHARES = ("nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "ceph", "glusterfs", "zfs")
# Errors of a share whose server or program is gone.
DEAD = (errno.ENOTCONN, errno.ESTALE, errno.EHOSTDOWN, errno.ECONNABORTED)
# Mounts that engines add to a container below paths that may also be destinations.
_OF_ENGINES = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/.containerenv", "/run/podman-init")


@dataclass(frozen=True)
class Below:
    """A mount below another one: its place relative to that, device, directory of its file system, mode, and type."""

    place: str
    device: str
    root: str
    read_only: bool
    fstype: str

    @property
    def what(self) -> tuple[str, str, str]:
        """All but the mode."""
        return (self.place, self.device, self.root)


@dataclass(frozen=True)
class Host:
    """The source, as the host sees it now.

    ``error`` is an errno or 0. ``real`` is the path without symbolic links. ``inner`` is the path inside its file
    system. ``link_birth`` is when the newest symbolic link on the way was made (0 without; only filled in if needed).
    ``absent_disk`` is a mount point of /etc/fstab above the source where nothing is mounted.
    """

    error: int = 0
    node: Node | None = None
    row: Row | None = None
    real: str = ""
    inner: str = ""
    link_birth: float = 0.0
    submounts: tuple[Below, ...] = ()
    absent_disk: str = ""

    @property
    def pseudo(self) -> bool:
        """Whether it is a file system of the kernel, not a disk."""
        return self.row is not None and self.row.fstype in PSEUDO

    @property
    def of_machine(self) -> bool:
        """Whether the machine and its engines often mount file systems there."""
        return self.real == "/" or self.pseudo or is_machine_place(self.real)


@dataclass(frozen=True)
class Inside:
    """The destination, as the container's main process sees it now.

    ``stack`` is how many mounts lie on the very spot; ``listed`` whether the mount is in the container's table though
    it cannot be seen. ``on_host`` are the host paths under which the same object can be reached today;
    ``device_known`` whether the host has that file system mounted at all. ``submounts`` are the mounts below it but
    those of the engine itself. ``writable_below`` are mounts below a read-only one that allow writing.
    """

    error: int = 0
    node: Node | None = None
    row: Row | None = None
    stack: int = 0
    listed: bool = False
    on_host: tuple[str, ...] = ()
    device_known: bool = True
    submounts: tuple[Below, ...] = ()
    writable_below: tuple[str, ...] = ()


@dataclass(frozen=True)
class Seen:
    """One destination as one process sees it, and the finding."""

    inside: Inside
    finding: Finding


class HostView:
    """The caller's own mounts, read once for all containers.

    Args:
        table: mounts of the namespace the sources are looked up in.
        disks: mount points of fstab.
    """

    def __init__(self, table: Table, disks: t.Sequence[str] = ()) -> None:
        self.table = table
        self._absent = [disk for disk in disks if not table.at(disk)]

    def look(self, source: str) -> Host:
        """The facts about ``source`` that are cheap."""
        try:
            descriptor = os.open(source, syscalls.O_PATH | os.O_CLOEXEC)
        except OSError as error:
            return Host(error=error.errno or errno.EIO, real=realpath(source), absent_disk=self._disk(source))
        try:
            node = syscalls.look_at(descriptor)
            real = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError as error:  # of a share whose server is gone
            return Host(error=error.errno or errno.EIO, real=os.path.normpath(source))
        finally:
            os.close(descriptor)
        row = self.table.by_id(node.mount_id)
        return Host(
            node=node,
            row=row,
            real=real,
            inner=_inner(row, real),
            submounts=tuple(self._submounts(real)) if node.kind == "dir" else (),
            absent_disk=self._disk(real),
        )

    def _disk(self, path: str) -> str:
        return next((disk for disk in self._absent if _is_below(path, disk)), "")

    def _submounts(self, real: str) -> t.Iterator[Below]:
        for row in self.table.below(real):
            if row.fstype in _MACHINE_KINDS or is_machine_place(row.point):
                continue
            if real != "/" or _is_disk(row):
                yield _below(row, real)


def is_machine_place(path: str) -> bool:
    """Whether the machine and its engines often mount file systems there."""
    return path in _MACHINE_PLACES or path.startswith(_BELOW_MACHINE_PLACES)


def _below(row: Row, point: str) -> Below:
    return Below(row.point[len(point.rstrip("/")) :], row.device, row.root, row.read_only, row.fstype)


def _is_disk(row: Row) -> bool:
    return row.fstype in _SHARES or (
        row.device_name.startswith("/dev/") and not row.device_name.startswith("/dev/loop")
    )


def _listed(table: Table, destination: str, host: Host) -> bool:
    """Whether the invisible mount still exists: under its destination, or as the object at the source."""
    return bool(table.at(destination)) or any(
        host.row is not None and row.device == host.row.device and row.root == host.inner and not row.deleted
        for row in table.rows
    )


def is_empty(directory: str) -> bool:
    """Whether nothing is in a directory of the host. Raises OSError when it cannot be read."""
    with os.scandir(directory) as entries:
        return next(entries, None) is None


def image_ships(image_root: str, destination: str) -> bool:
    """Whether the image has files at ``destination``, which a mount there hides.

    Args:
        image_root: where the engine has the container's root file system mounted on the host, "" when unknown.
    """
    if not image_root:
        return False
    try:
        root = os.open(image_root, syscalls.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            found = syscalls.open_in_root(root, destination, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK)
        finally:
            os.close(root)
        try:
            return bool(os.listdir(found))
        finally:
            os.close(found)
    except OSError:
        return False  # no such directory in the image, or no permission: then hidden files are unknown


def newest_link(source: str) -> float:
    """Time of creation of the newest symbolic link in the path of ``source``, since the epoch; 0 without links."""
    newest = 0.0
    path, left = "/", [part for part in source.split("/") if part]
    for _unused in range(200):  # a loop of links ends here as it does in the kernel
        if not left:
            break
        part = left.pop(0)
        if part == "..":
            path = os.path.dirname(path)
            continue
        path = os.path.join(path, part)
        try:
            node = syscalls.look(path, follow=False)
            if node.kind != "symlink":
                continue
            target = os.readlink(path)
        except OSError:
            break
        newest = max(newest, node.birth if node.birth is not None else os.lstat(path).st_ctime)
        left = [piece for piece in target.split("/") if piece not in ("", ".")] + left
        path = "/" if target.startswith("/") else os.path.dirname(path)
    return newest


def look_inside(
    root: int, table: Table, destination: str, host: Host, host_table: Table, container_id: str = ""
) -> Inside:
    """The object at ``destination`` for a process whose root directory is the descriptor ``root``.

    Args:
        container_id: the engine's id; mounts whose directory carries it are the engine's own.
    """
    try:
        descriptor = syscalls.open_in_root(root, destination, syscalls.O_PATH)
        try:
            node = syscalls.look_at(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        return Inside(error=error.errno or errno.EIO, listed=_listed(table, destination, host))
    row = table.by_id(node.mount_id)
    if row is None:
        return Inside(node=node)
    if host.node is not None and node.identity == host.node.identity:
        # The usual case: only facts about the remaining failures are collected.
        below = table.below(row.point) if node.mount_root else []
        return Inside(
            node=node,
            row=row,
            stack=1,
            listed=True,
            submounts=tuple(
                _below(one, row.point)
                for one in below
                if not _of_engine(one, container_id) and not is_machine_place(_on_host(one, row, host))
            ),
            writable_below=tuple(one.point for one in below if not one.read_only and not _of_engine(one, container_id))
            if row.read_only and not host.of_machine
            else (),
        )
    spot = row.point if node.mount_root else destination
    return Inside(
        node=node,
        row=row,
        stack=len(table.at(spot)),
        listed=not node.mount_root and _listed(table, destination, host),
        on_host=tuple(host_table.paths_of(row.device, row.root)),
        device_known=any(one.device == row.device for one in host_table.rows),
    )


def _of_engine(row: Row, container_id: str) -> bool:
    """Whether the engine itself mounted it: its own files of the container, and those of every container."""
    if (container_id and container_id in row.root) or row.point in _OF_ENGINES:
        return True
    return row.fstype in PSEUDO or "/overlay/" in row.point or "/overlay2/" in row.point


def _on_host(row: Row, above: Row, host: Host) -> str:
    """The path of the mount on the host."""
    return host.real.rstrip("/") + row.point[len(above.point.rstrip("/")) :]


def declared_disks(fstab: str) -> list[str]:
    """Mount points that the text of an fstab(5) promises at boot."""
    disks = []
    for line in fstab.splitlines():
        fields = line.split()
        if len(fields) < 3 or fields[0].startswith("#") or not fields[1].startswith("/") or fields[1] == "/":
            continue
        options = fields[3].split(",") if len(fields) > 3 else []
        if "noauto" not in options:
            disks.append(unescape(fields[1]).rstrip("/"))
    return disks


def _inner(row: Row | None, real: str) -> str:
    if row is None:
        return ""
    rest = real[len(row.point.rstrip("/")) :]
    return (row.root.rstrip("/") + rest) or "/"


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
