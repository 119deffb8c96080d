# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold one process, so that later reads cannot reach another one.

An open directory ``/proc/<pid>`` belongs to the process and not to the number: when the process ends, reading through
it fails with ESRCH, also after the number was reused. So the identity is checked once,
after opening.
"""

from __future__ import annotations

import errno
import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.mountinfo import Table
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import syscalls

# Init processes and supervisors that engines or images start before the application. The kernel keeps 15 letters.
INITS = (
    *("docker-init", "podman-init", "catatonit", "tini", "tini-static", "dumb-init", "pause"),
    *("s6-svscan", "s6-supervise", "s6-linux-init-s", "runsvdir", "runsv"),
)
_FIELDS = re.compile(r"^(Name|State|PPid|Uid|Gid|Groups|NSpid|CapEff):\t(.*)$", re.MULTILINE)
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Gone(OneboxError):
    """The process has ended."""


class Refused(OneboxError):
    """The caller may not inspect the process."""


@dataclass(frozen=True)
class Identity:
    """The identity of a process for file access. Ids are those of the host; ``capabilities`` is the effective mask."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    capabilities: int
    own_user_namespace: bool


class Process:
    """One process, held. A context manager.

    Raises:
        Gone: no such process, here and in every method.
        Refused: not permitted, here and in every method.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._control_groups: str | None = None
        with _translated():
            self._directory = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *unused: object) -> None:
        os.close(self._directory)

    def open(self, name: str, flags: int = os.O_RDONLY) -> int:
        """Open a file below ``/proc/<pid>``."""
        with _translated():
            return os.open(name, flags | os.O_CLOEXEC, dir_fd=self._directory)

    def read(self, name: str) -> bytes:
        """The whole content of a file below ``/proc/<pid>``."""
        descriptor = self.open(name)
        try:
            pieces: list[bytes] = []
            with _translated():
                while True:
                    piece = os.read(descriptor, 1 << 18)
                    if not piece:
                        return b"".join(pieces)
                    pieces.append(piece)
        finally:
            os.close(descriptor)

    def link(self, name: str) -> str:
        """The target of a link below ``/proc/<pid>``."""
        with _translated():
            return os.readlink(name, dir_fd=self._directory)

    def root(self) -> int:
        """A descriptor of the root directory the process sees."""
        return self.open("root", syscalls.O_PATH)

    def table(self) -> Table:
        """The mounts the process sees."""
        return Table.parse(self.read("mountinfo"))

    def control_groups(self) -> str:
        """The text of ``/proc/<pid>/cgroup``, read once."""
        if self._control_groups is None:
            self._control_groups = os.fsdecode(self.read("cgroup"))
        return self._control_groups

    def in_control_group_of(self, container_id: str) -> bool:
        """Whether a control group of the process names the container: engines put its whole id there."""
        return bool(container_id) and container_id in self.control_groups()

    def started(self) -> float:
        """When it was started, in seconds since the epoch, to about a second (proc(5): stat field 22, btime)."""
        ticks = int(self.read("stat").rpartition(b")")[2].split()[19])
        with open("/proc/stat", encoding="ascii") as stream:
            booted = next(int(line.split()[1]) for line in stream if line.startswith("btime "))
        return booted + ticks / _CLOCK_TICKS

    def in_own_mount_namespace(self) -> bool:
        """Whether it sees other mounts than the caller: a process that shares ours is not a container."""
        return self.link("ns/mnt") != os.readlink("/proc/self/ns/mnt")

    def status(self) -> dict[str, str]:
        """The fields of ``/proc/<pid>/status`` that are used here."""
        text = self.read("status").decode("utf-8", "replace")
        return dict(_FIELDS.findall(text))

    def identity(self) -> Identity:
        """Its identity for file access (file-system ids, which follow the effective ones)."""
        return self.identity_of(self.status(), self.link("ns/user"))

    @staticmethod
    def identity_of(fields: t.Mapping[str, str], user_namespace: str) -> Identity:
        """The identity in the fields of :meth:`status` and a link to a user namespace."""
        return Identity(
            uid=int(fields["Uid"].split()[3]),
            gid=int(fields["Gid"].split()[3]),
            groups=tuple(int(word) for word in fields["Groups"].split()),
            capabilities=int(fields["CapEff"], 16),
            own_user_namespace=user_namespace != os.readlink("/proc/self/ns/user"),
        )

    def inside_id(self, which: str, host_id: int) -> int:
        """Translate a host id by ``uid_map`` or ``gid_map``; 65534 if it is not mapped.

        The map is written for the reader's namespace, so it must be read before joining the process's.
        """
        for line in self.read(which).decode().splitlines():
            inside, outside, count = (int(word) for word in line.split())
            if outside <= host_id < outside + count:
                return inside + host_id - outside
        return 65534


class _translated:
    """Turn the kernel's errors for a dead or a foreign process into our two classes."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, unused: object) -> None:
        if not isinstance(error, OSError):
            return
        if error.errno in (errno.ESRCH, errno.ENOENT, errno.EINVAL):  # EINVAL: the mountinfo of a zombie
            raise Gone(str(error)) from error
        if error.errno in (errno.EACCES, errno.EPERM):
            raise Refused(str(error)) from error
