# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The message of each verdict: the problem, the mount and the command to run next. One mount, one object."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.mounts.facts import Host
from ansible_collections.onebox.stack.plugins.module_utils.mounts.model import Declared, Finding


class Words:
    """The verdicts on one mount, with their messages."""

    def __init__(self, declared: Declared) -> None:
        self._declared = declared
        self.name = shown(declared.container)
        self.source = shown(declared.source)
        self.inside = f"{shown(declared.destination)} in {self.name}"
        self.restart = f"`{declared.restart}`"

    def unverifiable(self, why: str) -> Finding:
        return Finding("unverifiable", "none", "none", why)

    def covered(self) -> Finding:
        return Finding(
            "shadowed",
            "mountinfo",
            "restart",
            f"something was mounted over {self.inside}, so the application does not see {self.source} and "
            f"writes elsewhere. Save its new data ({self._declared.engine} cp), then {self.restart}",
        )

    def covered_below(self, relative: t.Sequence[str]) -> Finding:
        places = _some([self._declared.destination.rstrip("/") + one for one in relative])
        return Finding(
            "shadowed",
            "mountinfo",
            "restart",
            f"something was mounted at {places} in {self.name}, below {self.inside}, that is not on the host: data "
            f"written there does not reach {self.source}. Save the new data "
            f"({self._declared.engine} cp), then {self.restart}",
        )

    def unmounted_below(self, relative: t.Sequence[str]) -> Finding:
        places = _some([self._declared.source.rstrip("/") + one for one in relative])
        return Finding(
            "host_mount_changed",
            "mountinfo",
            "mount_disk",
            f"{self.name} has a file system of its own below {self.inside} that is not mounted at {places} on the "
            f"host, or no longer: data written there does not reach that directory. Mount it there, then "
            f"{self.restart}",
        )

    def closed_below(self, relative: t.Sequence[str]) -> Finding:
        places = _some([self._declared.destination.rstrip("/") + one for one in relative])
        return Finding(
            "ro_rw_mismatch",
            "mountinfo",
            "restart",
            f"{places} in {self.name} is mounted read-only, although the host can write to it: it was remounted "
            f"since the start. Type: {self.restart}",
        )

    def remounted_noexec(self) -> Finding:
        return Finding(
            "ro_rw_mismatch",
            "mountinfo",
            "restart",
            f"{self.inside} is mounted noexec, and {self.source} is not: it was remounted since the start, and the "
            f"application cannot start programs from it. Type: {self.restart}",
        )

    def paused(self, stopped: bool) -> Finding:
        how, way = "is paused", f"`{self._declared.engine} unpause {self.name}`"
        if stopped:
            how, way = "was stopped by a signal", f"`{self._declared.engine} kill -s CONT {self.name}`"
        return Finding("paused", "inspect", "none", f"{self.name} {how}, so it cannot use any mount. Type: {way}")

    def unmounted(self) -> Finding:
        return Finding(
            "unmounted_inside",
            "mountinfo",
            "restart",
            f"nothing is mounted at {self.inside} any more: the application writes into the container itself and loses "
            f"it with the container. Save its new data ({self._declared.engine} cp), then {self.restart}",
        )

    def deleted(self, kind: str, host: Host) -> Finding:
        verdict = "stale_deleted" if kind == "dir" else "stale_file"
        if host.absent_disk:
            return self.disk_absent(host.absent_disk)
        if host.node is None:
            return Finding(
                verdict,
                "mountinfo",
                "none",
                f"{self.source} was deleted on the host while {self.name} runs. Restore it (from a backup, or with "
                f"onebox.stack.data_dirs if it should be empty), then {self.restart}",
            )
        change = (
            "was deleted and created again"
            if kind == "dir"
            else "was replaced by a new file (an editor or git does so)"
        )
        return Finding(
            verdict,
            "inode",
            "restart",
            f"{self.source} {change} while {self.name} runs: the application still has the old one, and its writes "
            f"fail or are lost. Type: {self.restart}",
        )

    def renamed(self, kind: str, on_host: t.Sequence[str], gone: bool) -> Finding:
        verdict = "stale_renamed" if kind == "dir" else "stale_file"
        now = f"which is now {shown(on_host[0])}" if on_host else "which is now under another name"
        if gone:
            back = f": `mv {shown(on_host[0])} {self.source}`" if on_host else ""
            return Finding(
                verdict,
                "inode",
                "none",
                f"{self.source} is gone from the host; {self.name} still uses the old one, {now}. Move it back{back}, "
                f"or create the right one and then {self.restart}",
            )
        return Finding(
            verdict,
            "inode",
            "restart",
            f"{self.source} was moved away and replaced: {self.name} continues with the old one, "
            f"{now}. Copy back its new data, then {self.restart}",
        )

    def retargeted(self, real: str, on_host: t.Sequence[str]) -> Finding:
        old = shown(on_host[0]) if on_host else "the previous target"
        return Finding(
            "symlink_retargeted",
            "inode",
            "restart",
            f"{self.source} now leads to {shown(real)}, but {self.name} still has {old}. To use the new target: "
            f"{self.restart}",
        )

    def mounted_over(self, fstype: str) -> Finding:
        kind = f" ({fstype})" if fstype else ""
        return Finding(
            "host_mount_changed",
            "inode",
            "restart",
            f"a file system{kind} was mounted on {self.source} after {self.name} had started: the application still "
            f"writes into the directory beneath it. Type: {self.restart}. Its earlier data is under the mount point",
        )

    def share_dead(self, reason: str) -> Finding:
        return Finding(
            "host_mount_changed",
            "inode",
            "mount_disk",
            f"the share behind {self.source} is dead ({reason}): its server or program is gone, and "
            f"{self.name} gets errors. Restore the server, type `umount -l {self.source}`, mount it again, then "
            f"{self.restart}",
        )

    def share_back(self) -> Finding:
        return Finding(
            "host_mount_changed",
            "inode",
            "restart",
            f"{self.source} answers again, but {self.name} still has the dead share from before, and gets errors. "
            f"Type: {self.restart}",
        )

    def disk_gone(self, fstype: str, device: str, other_disk: bool) -> Finding:
        now = "another file system is mounted there" if other_disk else f"{self.source} shows the directory beneath it"
        return Finding(
            "host_mount_changed",
            "inode",
            "mount_disk",
            f"the file system behind {self.inside} ({fstype} {shown(device)}) is no longer mounted on the host: "
            f"{now}. Mount the right disk, then {self.restart}",
        )

    def disk_absent(self, disk: str) -> Finding:
        return Finding(
            "host_mount_changed",
            "inspect",
            "mount_disk",
            f"{shown(disk)} is in /etc/fstab but not mounted, so {self.source} is not on its disk. "
            f"Type: `mount {shown(disk)}`, then {self.restart}",
        )

    def elsewhere(self, on_host: t.Sequence[str]) -> Finding:
        where = shown(on_host[0]) if on_host else "another file system"
        return Finding(
            "wrong_source",
            "inode",
            "recreate",
            f"{self.inside} is {where} and not {self.source}. Recreate the container from its compose file",
        )

    def not_the_wanted(self) -> Finding:
        wanted = shown(self._declared.wanted_source)
        hint = ""
        if _twins(self._declared.wanted_source, self._declared.source):
            hint = " They are look-alike directories with the same name: inspect both before you delete one."
        return Finding(
            "wrong_source",
            "inspect",
            "recreate",
            f"{self.inside} is {self.source} but should be {wanted}: the container was created from another compose "
            f"file, directory or path.{hint} Recreate {self.name} from the right compose file",
        )

    def wrong_type(self, wanted: str, found: str) -> Finding:
        cause = " (the engine creates an empty directory if the file is missing at the start)" if found == "dir" else ""
        return Finding(
            "type_mismatch",
            "inode",
            "recreate",
            f"{self.source} should be a {wanted} but is a {found}{cause}. Remove it, put the {wanted} there, then "
            f"recreate {self.name}",
        )

    def auto_created(self) -> Finding:
        return Finding(
            "auto_created",
            "inode",
            "edit_compose",
            f"{self.source} did not exist when {self.name} started, so the engine created an empty directory. "
            f"If the path is wrong, correct the compose file. If it is right, copy the data there, set its owner, and "
            f"recreate {self.name}",
        )

    def other_mode_declared(self, wanted: bool) -> Finding:
        return Finding(
            "ro_rw_mismatch",
            "inspect",
            "recreate",
            f"{self.inside} should be {_mode(wanted)} but the container was created with {_mode(not wanted)}. Recreate "
            f"{self.name} from its compose file",
        )

    def other_mode_mounted(self, read_only: bool) -> Finding:
        return Finding(
            "ro_rw_mismatch",
            "mountinfo",
            "restart",
            f"{self.inside} is declared {_mode(read_only)} but mounted {_mode(not read_only)}: it was remounted since "
            f"the start. Type: {self.restart}",
        )

    def writable_below(self, points: t.Sequence[str]) -> Finding:
        return Finding(
            "ro_rw_mismatch",
            "mountinfo",
            "edit_compose",
            f"{self.inside} is read-only, but {_some(points)} below it can be written: the engine did not mount the "
            f"submounts of the source read-only. Declare each with read_only, or remove them",
        )

    def submount_missing(self, relative: t.Sequence[str]) -> Finding:
        places = [self._declared.source.rstrip("/") + one for one in relative]
        return Finding(
            "submount_missing",
            "mountinfo",
            "restart",
            f"{_some(places)} is a separate mount on the host and {self.name} does not have it: the application sees "
            f"the empty directory beneath. Type: {self.restart}",
        )

    def empty(self, hidden: bool) -> Finding:
        why = "and hides files that the image has there" if hidden else "and should not be"
        return Finding(
            "empty_unexpected",
            "inode",
            "edit_compose",
            f"{self.source} is empty {why}. Fill it (restore a backup, mount its disk), or correct the path in the "
            f"compose file",
        )


def _mode(read_write: bool) -> str:
    return "read-write" if read_write else "read-only"


def _some(paths: t.Sequence[str]) -> str:
    more = f" and {len(paths) - 2} more" if len(paths) > 2 else ""
    return ", ".join(shown(path) for path in paths[:2]) + more


def _twins(one: str, other: str) -> bool:
    """Two directories that are easy to confuse: equal from some level down, under different parents."""
    return os.path.basename(os.path.normpath(one)) == os.path.basename(os.path.normpath(other))
