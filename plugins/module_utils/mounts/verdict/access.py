# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Derive a verdict from the answer of the access probe. Pure."""

from __future__ import annotations

import errno
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.mounts.facts import Host
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.access import Outcome
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.process import Identity
from ansible_collections.onebox.stack.plugins.module_utils.mounts.model import Declared, Finding


def judge(
    declared: Declared,
    host: Host,
    identity: Identity,
    outcome: Outcome,
    file_system_read_only: bool,
    chown: str = "",
) -> Finding:
    """The verdict on a correct mount, after the application's access to it was tried.

    Args:
        chown: the command that makes the application the owner of a file, up to the file; "" where it is the plain one.
    """
    inside = f"{shown(declared.destination)} in {shown(declared.container)}"
    source = shown(declared.source)
    who = f"uid {identity.uid}, gid {identity.gid}"
    if not outcome.error:
        return Finding("ok", "inode", "none", f"{inside} is {source}, and the application ({who}) can use it")
    if outcome.step == "self":
        reason = os.strerror(outcome.error)
        why = f"but the caller may not act as the application ({who}): {reason}; run the check as root"
        if outcome.error == errno.ETIMEDOUT:
            why = "but it does not answer: is its disk available?"
        return _finding("unverifiable", "none", f"{inside} is {source}, {why}")
    if outcome.step == "path":
        return _finding(
            "not_readable",
            "none",
            f"the application ({who}) cannot reach {inside}: it may not pass {shown(outcome.place)}, a directory of "
            f"the image. Change that directory's mode in the image, or the destination",
        )
    if outcome.error == errno.ENOSPC:
        return _finding(
            "no_space",
            "none",
            f"no space or no inodes left for {inside} ({source}): see `df -h {source}` and `df -i {source}`, "
            f"then free space",
        )
    if outcome.step == "below":
        place = f"{shown(declared.destination.rstrip('/') + '/' + outcome.place)} in {shown(declared.container)}"
        below = shown(declared.source.rstrip("/") + "/" + outcome.place)
        if outcome.error in (errno.ENOSPC, errno.EDQUOT):
            return _finding("no_space", "none", f"no space left at {place}: see `df -h {below}`, then free space")
        reason = os.strerror(outcome.error)
        return _finding(
            "host_mount_changed",
            "mount_disk",
            f"the disk or share at {place} answers {reason}: see `dmesg`, restore it, and mount {below} again",
        )
    if outcome.error == errno.EFBIG:
        return _finding(
            "not_writable",
            "edit_compose",
            f"the application ({who}) may not write files of 4 KiB to {inside}: the limit on the size of its files "
            "(fsize) is lower. Correct ulimits in the compose file",
        )
    if outcome.error == errno.EDQUOT:
        return _finding("no_space", "none", f"the disk quota of {who} is used up at {source}: raise it or free space")
    chown = chown or f"chown {identity.uid}:{identity.gid}"
    return _refused(declared, host, identity, outcome, file_system_read_only, chown)


def closed(declared: Declared, host: Host, identity: Identity, names: t.Sequence[str], chown: str = "") -> Finding:
    """The finding about directories below the destination that no process of the container may write to."""
    places = [shown(declared.destination.rstrip("/") + "/" + name) for name in names]
    more = f" and {len(places) - 2} more" if len(places) > 2 else ""
    source = shown(host.real.rstrip("/") + "/" + names[0])
    return _finding(
        "not_writable",
        "chown",
        f"the application (uid {identity.uid}, gid {identity.gid}) may write to {shown(declared.destination)} in "
        f"{shown(declared.container)} but not to {', '.join(places[:2])}{more} below it. "
        f"Type: `{chown or f'chown {identity.uid}:{identity.gid}'} {source}`",
    )


def _refused(
    declared: Declared,
    host: Host,
    identity: Identity,
    outcome: Outcome,
    file_system_read_only: bool,
    chown: str,
) -> Finding:
    """The verdict when the file system refused the application to read or to write."""
    inside = f"{shown(declared.destination)} in {shown(declared.container)}"
    source = shown(declared.source)
    who = f"uid {identity.uid}, gid {identity.gid}"
    restart = f"`{declared.restart}`"
    verdict, verb = ("not_writable", "write to") if outcome.step == "write" else ("not_readable", "read")
    if outcome.error == errno.EROFS:
        if file_system_read_only:
            return _finding(
                verdict,
                "mount_disk",
                f"the whole file system of {source} has become read-only, often after a disk error: see `dmesg`, "
                f"repair it, mount it read-write, then {restart}",
            )
        return _finding(verdict, "restart", f"{inside} is mounted read-only but declared read-write. Type: {restart}")
    if outcome.error == errno.EPERM:
        return _finding(
            verdict,
            "none",
            f"{source} is immutable or protected: the application ({who}) may not {verb} it. See `lsattr -d {source}`; "
            f"to lift it: `chattr -i {source}`",
        )
    if outcome.error in (errno.EACCES, errno.EOVERFLOW):
        node = host.node
        owner = f" (owner {node.uid}:{node.gid}, mode {node.mode & 0o7777:04o})" if node else ""
        only = "; if it only reads there, declare the mount read-only" if outcome.step == "write" else ""
        return _finding(
            verdict,
            "chown",
            f"the application ({who}) may not {verb} {inside}: {source}{owner}. Type: `{chown} {source}`{only}",
        )
    reason = os.strerror(outcome.error)
    return _finding(verdict, "none", f"the application ({who}) cannot {verb} {inside}: {reason}; see `dmesg`")


def _finding(verdict: str, fix: str, message: str) -> Finding:
    return Finding(verdict, "probe", fix, message)
