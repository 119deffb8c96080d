# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Derive the verdict on a mount in a virtual machine from the facts of host, guest and container. Pure."""

from __future__ import annotations

import errno
import os
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.onebox.stack.plugins.module_utils.core.mountinfo import Row, Table
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.mounts.facts import Host, Inside
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.access import Outcome
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.process import Identity
from ansible_collections.onebox.stack.plugins.module_utils.mounts.model import Declared, Finding, Times
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verdict import access as access_verdicts
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verdict.decide import decide
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verdict.messages import Words
from ansible_collections.onebox.stack.plugins.module_utils.mounts.vm import guest_script
from ansible_collections.onebox.stack.plugins.module_utils.vm.shares import Machine

_POOR = {
    "exfat": "exFAT has no owners, modes, links or sockets: not suitable for databases and secrets",
    "msdos": "FAT has no owners, modes, links or sockets: not suitable for databases and secrets",
    "vfat": "FAT has no owners, modes, links or sockets: not suitable for databases and secrets",
}


@dataclass(frozen=True)
class OnHost:
    """One source on this host.

    ``place`` is its path here, ``token`` a fresh random name and ``made`` whether a file of that name was made in it.
    ``is_wanted`` is False if the caller expects another source, ``empty`` True if it is and must not be. ``names``
    are relative paths below it.
    """

    place: str
    token: str
    made: bool = False
    status: os.stat_result | None = None
    fstype: str = ""
    is_wanted: bool = True
    empty: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """The verdict, and the user and access that were tried, as the module returns them."""

    finding: Finding
    user: dict[str, t.Any] | None = None
    access: dict[str, t.Any] | None = None


class Judge:
    """Judges mounts by one report of a guest.

    Args:
        machine: the machine.
        shared: pairs of host and guest directory that it is configured to share, None when unknown.
        share_types: file-system types that count as a share.
        report: output of the guest.
    """

    def __init__(
        self,
        machine: Machine,
        shared: t.Sequence[tuple[str, str]] | None,
        share_types: t.Sequence[str],
        report: guest_script.Report,
    ) -> None:
        self._machine = machine
        self._shared = shared
        self._types = share_types
        self._report = report
        self._guest = report.tables.get("self", Table(""))

    def __call__(self, declared: Declared, host: OnHost, question: guest_script.Question, index: int) -> Answer:
        """The verdict on one mount; ``index`` is the number of its question."""
        seen = self._report.seen.get(index)
        if seen is None:
            return Answer(_unverifiable(f"{self._machine.title} did not answer about {_inside(declared)}"))
        row = guest_script.row_of(self._guest, seen.real) if seen.real else None
        inside = _inside(declared)
        if seen.guest is not None and row is None:
            return Answer(_unverifiable(f"{self._machine.title} does not report the file system of {inside}"))
        if declared.type == "bind" and (row is None or row.fstype not in self._types):
            return Answer(self._not_shared(declared, host, row))
        if not host.is_wanted:
            return Answer(Words(replace(declared, source=host.place)).not_the_wanted())
        found = self._in_guest(declared, seen, row, self._report.tables.get(str(question.pid), Table("")))
        if found.ok and declared.type == "bind":
            found = self._through_share(declared, host, seen)
        if found.ok and host.empty:
            found = Words(declared).empty(hidden=False)
        if not found.ok or not question.mode:
            return Answer(found)
        return self._tried(declared, host, seen, row, found)

    def _not_shared(self, declared: Declared, host: OnHost, row: Row | None) -> Finding:
        found = f"the guest's own disk ({row.fstype})" if row else "not in the guest at all"
        fix = "share_with_vm"
        if host.status is None:
            found += f". {shown(host.place)} does not exist on this host either: check its disk and its name"
            fix = "mount_disk" if host.place.startswith(("/Volumes/", "/media/", "/mnt/")) else "edit_compose"
        table = f" It shares {', '.join(shown(one) for one, _guest in self._shared)}." if self._shared else ""
        return Finding(
            "vm_not_shared",
            "fstype",
            fix,
            f"{self._machine.title} does not share {shown(host.place)}: {_inside(declared)} is {found}, so data "
            f"written there never reaches this host.{table} {self._machine.how_to_share(host.place)}",
        )

    def _in_guest(self, declared: Declared, seen: guest_script.Seen, host_row: Row | None, table: Table) -> Finding:
        """The proof by device and inode between guest and container."""
        place = seen.place or os.path.normpath(declared.destination)
        spots = table.at(place)
        if not table.rows or (seen.inside is None and not self._report.root):
            return _unverifiable(
                f"{self._machine.title} may not inspect {_inside(declared)}: the user of its command line needs `sudo` "
                f"without a password"
            )
        row = table.by_id(seen.row) if seen.row else (spots[-1] if spots else None)
        if seen.inside is None:
            inside = Inside(error=errno.ENOENT, listed=bool(spots))
        elif row is None:
            return _unverifiable(f"{self._machine.title} does not report the mount of {_inside(declared)}")
        else:
            is_root = row.point == place
            inside = Inside(
                node=replace(seen.inside, mount_root=is_root),
                row=row,
                stack=len(spots) if is_root else 0,
                listed=bool(spots),
                on_host=tuple(self._guest.paths_of(row.device, row.root)),
                device_known=any(one.device == row.device for one in self._guest.rows),
            )
        inner = ""
        if host_row is not None:
            inner = host_row.root.rstrip("/") + seen.real[len(host_row.point.rstrip("/")) :] or "/"
        error = 0 if seen.guest is not None else errno.ENOENT
        return decide(
            replace(declared, recursive=False, wanted_source=""),
            Host(error=error, node=seen.guest, row=host_row, real=seen.real, inner=inner),
            inside,
            Times(),
        )

    def _through_share(self, declared: Declared, host: OnHost, seen: guest_script.Seen) -> Finding:
        """Whether the object that guest and container share is that of this host."""
        if host.made and seen.token != {"guest", "inside"}:
            where = "the container" if "guest" in seen.token else "the virtual machine"
            return Finding(
                "vm_not_shared",
                "canary",
                "share_with_vm",
                f"a file just created in {shown(host.place)} is not visible in {where}: {_inside(declared)} is not "
                f"that directory. {self._machine.how_to_share(host.place)}",
            )
        # A file removed on this host meanwhile is not a loss.
        lost = next((name for name in seen.lost if os.path.lexists(os.path.join(host.place, name))), "")
        if lost:
            return Finding(
                "vm_not_shared",
                "canary",
                "share_with_vm",
                f"{shown(os.path.join(host.place, lost))} is on this host and not in {_inside(declared)}: the share "
                f"answers at its top, but {self._machine.title} has other content below. Restart the machine, then "
                f"the container",
            )
        if not host.made and not _alike(host.status, seen):
            return Finding(
                "unverifiable",
                "fstype",
                "none",
                f"{_inside(declared)} is on a share, but {shown(host.place)} could not be written to, which the proof "
                f"needs. Run the check as the user who owns it",
            )
        remark = f" ({_POOR[host.fstype]})" if host.fstype in _POOR else ""
        text = f"{_inside(declared)} is {shown(host.place)} through {self._machine.title}{remark}"
        return Finding("ok", "canary" if host.made else "fstype", "none", text)

    def _tried(
        self, declared: Declared, host: OnHost, seen: guest_script.Seen, row: Row | None, found: Finding
    ) -> Answer:
        """The access that the application has."""
        uid, gid, own = seen.user or (0, 0, False)
        step, error = seen.tried or ("self", errno.EPERM)
        identity = Identity(uid, gid, (), 0, own)
        user = {"uid": uid, "gid": gid, "groups": None, "capabilities": None, "own_user_namespace": own}
        mode = "rw" if declared.read_write else "ro"
        tried = {"declared": mode, "tried": "write" if declared.read_write else "read"}
        if not error:
            return Answer(found, user, {**tried, "error": ""})
        said = {**tried, "error": os.strerror(error)}
        if step == "self":
            why = f" ({seen.said})" if seen.said else ""
            return Answer(
                _unverifiable(
                    f"{found.message}, but it could not be tried as the application{why}: that needs root (`sudo` "
                    f"without a password), nsenter and setpriv in the machine"
                ),
                None,
                said,
            )
        read_only = row is not None and row.file_system_read_only
        finding = access_verdicts.judge(declared, Host(node=seen.guest), identity, Outcome(error, step), read_only)
        if finding.fix == "chown":
            finding = self._foreign(declared, host, seen, identity, finding)
        return Answer(finding, user, said)

    def _foreign(
        self, declared: Declared, host: OnHost, seen: guest_script.Seen, identity: Identity, finding: Finding
    ) -> Finding:
        """A user of the container without rights on the share, or on a directory of the guest."""
        if declared.type != "bind":
            return replace(finding, message=f"in {self._machine.title}, {finding.message}")
        owner = f"{seen.guest.uid}:{seen.guest.gid}" if seen.guest else "another user"
        verb = "write to" if finding.verdict == "not_writable" else "read"
        if identity.own_user_namespace:
            advice = (
                'Only root of a rootless container is you on the share: run the service as `user: "0:0"`, or with '
                "`userns_mode: keep-id`"
            )
        else:
            advice = f'Run the service as `user: "{owner}"`, or give {shown(host.place)} a mode with access for others'
        return Finding(
            finding.verdict,
            "probe",
            "edit_compose",
            f"the application (uid {identity.uid} of {self._machine.title}) may not {verb} {_inside(declared)}: there "
            f"{shown(host.place)} belongs to {owner}. {advice}",
        )


def _inside(declared: Declared) -> str:
    return f"{shown(declared.destination)} in {shown(declared.container)}"


def _unverifiable(why: str) -> Finding:
    return Finding("unverifiable", "none", "none", why)


def _alike(status: os.stat_result | None, seen: guest_script.Seen) -> bool:
    """Whether host and guest see the same size and modification time, if no file can be created there."""
    if status is None:
        return False
    size_matters = seen.guest is not None and seen.guest.kind == "file"
    return int(status.st_mtime) == seen.changed and (not size_matters or status.st_size == seen.size)
