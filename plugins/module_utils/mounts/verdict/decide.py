# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Derive a verdict, its fix and its message from the facts about one mount.

Pure: it uses no file, clock or engine.
"""

from __future__ import annotations

import errno
import os
import re

from ansible_collections.onebox.stack.plugins.module_utils.mounts.facts import DEAD, Host, Inside
from ansible_collections.onebox.stack.plugins.module_utils.mounts.model import Declared, Finding, Times
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verdict.messages import Words

# Docker creates a missing source at each start, within this many seconds before the recorded start (measured: 0.1 s).
_DOCKER_BEFORE_START = 10.0
# Podman's API creates it during the request to create, within this time before the time of creation (measured:
# 0.008 s; up to 0.12 s on an emulated processor, more on a busy one). Its command line refuses instead.
PODMAN_BEFORE_CREATION = 0.5
_IN_MEMORY = ("tmpfs", "ramfs")
_LOOKS_LIKE_A_FILE = re.compile(r"\.(?!d$)[A-Za-z][A-Za-z0-9]{0,5}$")


def decide(declared: Declared, host: Host, inside: Inside, times: Times) -> Finding:
    """The verdict on a mount of a running container, before any access is tried."""
    words = Words(declared)
    if host.error in DEAD:
        return words.share_dead(os.strerror(host.error))
    if inside.error in DEAD:
        return words.share_back() if not host.error else words.share_dead(os.strerror(inside.error))
    if inside.error in (errno.EACCES, errno.EPERM):
        return words.unverifiable(
            f"the caller may not inspect {words.inside}: {os.strerror(inside.error)}; "
            f"run the check as root or as the user who owns the container"
        )
    if inside.error not in (0, errno.ENOENT, errno.ENOTDIR):
        return words.unverifiable(f"{words.inside} cannot be resolved: {os.strerror(inside.error)}")
    if host.error in (errno.EACCES, errno.EPERM):
        return words.unverifiable(
            f"the caller may not inspect {words.source}: {os.strerror(host.error)}; run the check as root"
        )
    if host.error not in (0, errno.ENOENT, errno.ENOTDIR):
        return Finding(
            "unverifiable",
            "none",
            "none",
            f"{words.source} on the host answers {os.strerror(host.error)}: check `dmesg` and the disk or share",
        )
    if inside.error:
        return words.covered() if inside.listed else words.unmounted()
    if inside.node is None:
        return words.unverifiable(f"the kernel does not report the object at {words.inside}")
    if inside.row is None:
        # Its mount table begins at its root directory, which is part of a mount above.
        if inside.node.mount_id == 0:
            return words.unverifiable(f"the kernel does not report the mount of {words.inside} (Linux 5.8 does)")
        return words.unmounted()
    if host.node is not None and host.node.identity == inside.node.identity:
        return _same(declared, host, inside, times, words)
    if declared.wanted_source and not _same_path(declared.wanted_source, declared.source):
        return words.not_the_wanted()
    return _different(declared, host, inside, times, words)


def _same(declared: Declared, host: Host, inside: Inside, times: Times, words: Words) -> Finding:
    """The finding if the container has the present object of the source, which can still be wrong."""
    if host.node is None or inside.node is None or inside.row is None:
        raise ValueError("same object, but not both are known")
    made_by_engine = _made_by_engine(declared, host, times)
    kind = declared.kind or ("file" if made_by_engine and _is_file_name(declared) else "")
    if kind in ("file", "dir") and (host.node.kind == "dir") != (kind == "dir"):
        return words.wrong_type(kind, host.node.kind)
    if host.absent_disk:
        return words.disk_absent(host.absent_disk)
    if made_by_engine:
        return words.auto_created()
    wanted = declared.read_write if declared.wanted_read_write is None else declared.wanted_read_write
    if wanted != declared.read_write:
        return words.other_mode_declared(wanted)
    if declared.read_write == inside.row.read_only:
        return words.other_mode_mounted(inside.row.read_only)
    holes = [point for point in inside.writable_below if point not in declared.others]
    if holes:
        return words.writable_below(holes)
    found = _below(declared, host, inside, words)
    if found is not None:
        return found
    if "noexec" in inside.row.options and not declared.no_exec and host.row and "noexec" not in host.row.options:
        return words.remounted_noexec()
    return Finding("ok", "inode", "none", f"{words.inside} is {words.source}")


def _below(declared: Declared, host: Host, inside: Inside, words: Words) -> Finding | None:
    """A finding when the mounts below the destination are not those below the source, in either direction."""
    if inside.row is None or host.pseudo:
        return None
    ours = {one.what: one for one in host.submounts}
    theirs = {one.what: one for one in inside.submounts if not _is_declared(declared, inside.row.point, one.place)}
    if declared.recursive:
        seen = {one.what for one in inside.submounts}
        lost = [what[0] for what in ours if what not in seen]
        missing = [place for place in lost if not _is_declared(declared, inside.row.point, place)]
        if missing:
            return words.submount_missing(missing)
    if host.real == "/":
        return None  # a mount removed on the host since still exists there
    added = [one for what, one in theirs.items() if what not in ours]
    hiding = [one.place for one in added if one.fstype in _IN_MEMORY or one.device == inside.row.device]
    if hiding:
        return words.covered_below(hiding)
    if added:
        return words.unmounted_below([one.place for one in added])
    closed = [one.place for what, one in theirs.items() if one.read_only and not ours[what].read_only]
    return words.closed_below(closed) if closed and declared.read_write else None


def _is_declared(declared: Declared, point: str, place: str) -> bool:
    """Whether a mount below the destination is another declared one, or lies below that, which is judged by itself."""
    for top in (declared.destination.rstrip("/"), point.rstrip("/")):
        for other in declared.others:
            if other.startswith(top + "/") and (top + place == other or (top + place).startswith(other + "/")):
                return True
    return False


def _different(declared: Declared, host: Host, inside: Inside, times: Times, words: Words) -> Finding:
    """The finding if the container has a different object than the source has now."""
    if inside.node is None or inside.row is None:
        raise ValueError("nothing is known about the inside")
    row, node = inside.row, inside.node
    if not node.mount_root:
        return words.covered() if inside.listed else words.unmounted()
    if inside.stack > 1:
        return words.covered()
    if row.deleted or node.links == 0:
        return words.deleted(node.kind, host)
    if host.node is None:
        if host.absent_disk:
            return words.disk_absent(host.absent_disk)
        return words.renamed(node.kind, inside.on_host, gone=True)
    if host.link_birth and (not times.started or host.link_birth > times.started):
        return words.retargeted(host.real, inside.on_host)
    if host.real in inside.on_host:
        return words.mounted_over(host.row.fstype if host.row else "")
    if host.row is not None and row.device != host.row.device:
        if not inside.device_known:
            return words.disk_gone(row.fstype, row.device_name, other_disk=host.row.point == host.real)
        return words.elsewhere(inside.on_host)
    return words.renamed(node.kind, inside.on_host, gone=False)


def _same_path(one: str, other: str) -> bool:
    return os.path.normpath(one) == os.path.normpath(other)


def _made_by_engine(declared: Declared, host: Host, times: Times) -> bool:
    """Whether the engine itself created the source, because it was missing.

    A directory created manually before a restart of the container is older than the end of the previous run.
    """
    node = host.node
    if declared.type != "bind" or declared.refuses_missing or node is None or node.kind != "dir" or node.birth is None:
        return False
    if node.mode & 0o7777 != 0o755 or not times.started:
        return False
    if declared.engine == "podman":
        # The owner does not matter: with a rootless engine it is its user.
        return times.created - PODMAN_BEFORE_CREATION <= node.birth <= times.created
    if node.uid != 0:
        return False
    earliest = max(times.created, times.started - _DOCKER_BEFORE_START)
    if times.finished < times.started:
        earliest = max(earliest, times.finished)
    return earliest <= node.birth <= times.started


def _is_file_name(declared: Declared) -> bool:
    return bool(_LOOKS_LIKE_A_FILE.search(os.path.basename(declared.destination.rstrip("/"))))
