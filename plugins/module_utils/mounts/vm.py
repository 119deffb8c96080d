# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove mounts where containers run in a virtual machine: from the host into the guest, and from there inside.

Device and inode numbers of a shared directory are not the host's, so the first hop is proven otherwise: the guest has
the directory on a file system that is a share and not its own disk, and a file with a fresh random name, made by the
host, is seen in the guest and in the container. The name must be fresh, because guests remember names for up to an
hour. The second hop is the proof by device and inode again, made in the guest.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import typing as t
from dataclasses import replace

from ansible_collections.onebox.stack.plugins.module_utils import process
from ansible_collections.onebox.stack.plugins.module_utils.mounts.facts import Host, Inside
from ansible_collections.onebox.stack.plugins.module_utils.mounts.model import Declared, Finding, Times, shown
from ansible_collections.onebox.stack.plugins.module_utils.mounts.mountinfo import Table
from ansible_collections.onebox.stack.plugins.module_utils.mounts.prove import Job
from ansible_collections.onebox.stack.plugins.module_utils.mounts.prove import row as as_row
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verdicts import decide
from ansible_collections.onebox.stack.plugins.module_utils.mounts.vm_guest import (
    Question,
    Report,
    Seen,
    as_mount_root,
    parse,
    row_of,
    script,
)
from ansible_collections.onebox.stack.plugins.module_utils.mounts.vm_machines import (
    SHARE_TYPES,
    Machine,
    host_path,
    shares,
)

# One argument of a command may have 128 KiB on Linux; a question takes a few hundred bytes.
_AT_ONCE = 100
_POOR = {
    "exfat": "exFAT has no owners, modes, links or sockets: no place for databases and secrets",
    "msdos": "FAT has no owners, modes, links or sockets: no place for databases and secrets",
    "vfat": "FAT has no owners, modes, links or sockets: no place for databases and secrets",
}


class Prover:
    """Proves mounts through one virtual machine.

    Args:
        machine: the machine.
        run: starts a process.
        seconds: how long the machine may take for one answer.
        home: the user's home directory.
        share_types: file-system types that count as a share.
        random: makes the random part of a name.
    """

    def __init__(
        self,
        machine: Machine,
        run: process.Runner = process.run,
        *,
        seconds: float = 60.0,
        home: str = "",
        share_types: t.Sequence[str] = SHARE_TYPES,
        random: t.Callable[[], str] = lambda: secrets.token_hex(12),
    ) -> None:
        self._machine = machine
        self._run = run
        self._seconds = seconds
        self._types = share_types
        self._random = random
        self._shared = shares(machine, run, home or os.path.expanduser("~"), seconds)

    def prove(self, jobs: t.Sequence[Job]) -> list[list[dict[str, t.Any]]]:
        """The rows of each job's mounts; of running containers only.

        Raises:
            MachineError: the machine cannot be asked.
        """
        wanted = [(number, job, declared) for number, job in enumerate(jobs) for declared in job.declared]
        rows: list[list[dict[str, t.Any]]] = [[] for _job in jobs]
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            with contextlib.ExitStack() as tokens:
                questions = [self._question(tokens, job, declared) for _number, job, declared in part]
                report = parse(self._machine.ask(script(questions), self._run, self._seconds))
            for index, (number, job, declared) in enumerate(part):
                seen = report.seen.get(index, Seen())
                finding = self._judge(declared, questions[index], seen, report, job.container.pid)
                rows[number].append(as_row(declared, finding))
        return rows

    def _question(self, tokens: contextlib.ExitStack, job: Job, declared: Declared) -> Question:
        place = host_path(declared.source, self._shared)
        token = ""
        if job.access == "write" and declared.type == "bind" and declared.read_write and os.path.isdir(place):
            token = f".onebox-probe-{self._random()}"
            try:
                tokens.enter_context(_file(os.path.join(place, token)))
            except OSError:
                token = ""  # not ours to write to; the file system's type has to do
        return Question(job.container.pid, declared.source, declared.destination, token)

    def _judge(self, declared: Declared, question: Question, seen: Seen, report: Report, pid: int) -> Finding:
        guest_table = report.tables.get("self", Table(""))
        row = row_of(guest_table, seen.real) if seen.real else None
        place = host_path(declared.source, self._shared)
        inside = f"{shown(declared.destination)} in {shown(declared.container)}"
        if seen.guest is not None and row is None:
            return Finding("unverifiable", "none", "none", f"{self._machine.title} does not tell what {inside} lies on")
        if declared.type == "bind" and (row is None or row.fstype not in self._types):
            return self._not_shared(declared, place, seen, row.fstype if row else "")
        found = self._in_guest(declared, seen, guest_table, report.tables.get(str(pid), Table("")))
        if not found.ok or declared.type != "bind":
            return found
        if question.token and seen.token != {"guest", "inside"}:
            where = "the container" if "guest" in seen.token else "the virtual machine"
            return Finding(
                "vm_not_shared",
                "canary",
                "share_with_vm",
                f"a file just made in {shown(place)} is not seen by {where}: {inside} is not that directory. "
                f"{self._machine.how_to_share(place)}",
            )
        if not question.token and not _alike(place, seen):
            return Finding(
                "unverifiable",
                "fstype",
                "none",
                f"{inside} is on a share, but nothing could be written to {shown(place)} to prove that it is that one. "
                f"Run the check as the user who owns it",
            )
        remark = _POOR.get(host_fstype(place, self._run), "")
        text = f"{inside} is {shown(place)} through {self._machine.title}{f' ({remark})' if remark else ''}"
        return Finding("ok", "canary" if question.token else "fstype", "none", text)

    def _not_shared(self, declared: Declared, place: str, seen: Seen, fstype: str) -> Finding:
        inside = f"{shown(declared.destination)} in {shown(declared.container)}"
        what = f"the guest's own disk ({fstype})" if fstype else "not in the guest at all"
        if not os.path.exists(place):
            what += f"; {shown(place)} does not exist on this host either: is its disk plugged in, its name right?"
            fix = "mount_disk" if place.startswith(("/Volumes/", "/media/", "/mnt/")) else "edit_compose"
        else:
            fix = "share_with_vm"
        table = f" It shares {', '.join(shown(host) for host, _guest in self._shared)}." if self._shared else ""
        return Finding(
            "vm_not_shared",
            "fstype",
            fix,
            f"{self._machine.title} does not share {shown(place)}: {inside} is {what}, so what is written there never "
            f"reaches this host.{table} {self._machine.how_to_share(place)}",
        )

    def _in_guest(self, declared: Declared, seen: Seen, guest_table: Table, table: Table) -> Finding:
        """The proof by device and inode between guest and container."""
        spots = table.at(os.path.normpath(declared.destination))
        if seen.guest is None or seen.inside is None or not spots:
            return Finding(
                "unverifiable",
                "none",
                "none",
                f"{self._machine.title} cannot see {shown(declared.destination)} in {shown(declared.container)}: a "
                f"link of the image may lead there, or its user may not look (`sudo` without a password is needed)",
            )
        row = row_of(guest_table, seen.real)
        if row is None:
            raise ValueError("asked for a source that lies on no mount")
        inner = row.root.rstrip("/") + seen.real[len(row.point.rstrip("/")) :] or "/"
        top = spots[-1]
        return decide(
            replace(declared, recursive=False, wanted_source=""),
            Host(node=seen.guest, row=row, real=seen.real, inner=inner),
            Inside(
                node=as_mount_root(seen.inside),
                row=top,
                stack=len(spots),
                listed=True,
                on_host=tuple(guest_table.paths_of(top.device, top.root)),
                device_known=any(one.device == top.device for one in guest_table.rows),
            ),
            Times(),
        )


@contextlib.contextmanager
def _file(path: str) -> t.Iterator[None]:
    """An empty file for as long as the context lasts. Raises OSError when it cannot be made."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o644))
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _alike(place: str, seen: Seen) -> bool:
    """Whether host and guest see the same size and time of change, for what no file can be made in."""
    try:
        status = os.stat(place)
    except OSError:
        return False
    size_matters = seen.guest is not None and seen.guest.kind == "file"
    return int(status.st_mtime) == seen.changed and (not size_matters or status.st_size == seen.size)


def host_fstype(path: str, run: process.Runner) -> str:
    """The type of the file system a path of this host lies on, "" when that cannot be told."""
    try:
        text = run(["mount"], timeout=10).stdout
    except process.CommandError:
        return ""
    best, kind = "", ""
    for line in text.splitlines():
        # macOS: /dev/disk4s1 on /Volumes/My Disk (exfat, local, nodev); Linux: /dev/sda1 on / type ext4 (rw)
        found = re.match(r".+? on (/.*?)(?: type (\S+))? \(([^,)]*)", line)
        if found and (path == found[1] or path.startswith(found[1].rstrip("/") + "/")) and len(found[1]) >= len(best):
            best, kind = found[1], found[2] or found[3]
    return kind
