# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories on file systems that can hang: a child process checks them first.

A process that waits for a dead share cannot be interrupted, not even killed before the share answers. So a child
reads each directory on a share, and each share below one. A child that hangs is abandoned and recorded. As long as it
lives, the share is reported as hanging, and no run starts another child for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import tempfile
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceLimit
from ansible_collections.onebox.stack.plugins.module_utils.backup.state import State
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
    from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec

_NOTE = "hanging"
# Seconds within which a share must answer.
ANSWER_SECONDS = 10.0
# Seconds without progress after which the capture of a directory on a share is abandoned.
CAPTURE_SECONDS = 60.0
# File systems whose answers come from a daemon, another machine, or a disk that is mounted on demand.
_KINDS = re.compile(r"(fuse|nfs|cifs|smb|9p|ceph|gluster|lustre|afs|ncp|virtiofs|autofs|davfs|sshfs)")


class Hung(SourceLimit):
    """A file system does not answer."""


def hanging(context: Context, paths_of: t.Callable[[SourceSpec], list[str]]) -> dict[str, str]:
    """The sources on a file system that does not answer: the reason for each name.

    Args:
        paths_of: the directories that a source reads.
    """
    known: dict[str, t.Any] = context.state.read(_NOTE)
    found: dict[str, str] = {}
    checked: dict[str, str] = {}
    points = _mount_points()
    for spec in context.config.sources:
        paths = paths_of(spec)
        for share in dict.fromkeys(share for path in paths for share in _shares(path, points)):
            if share not in checked:
                checked[share] = _check(share, known.get(share) or {}, context.state, context.world)
            if checked[share]:
                found[spec.name] = checked[share]
                break
    return found


def _check(share: str, child: t.Mapping[str, t.Any], state: State, world: World) -> str:
    if _lives(child):
        return _text(share, child)

    def read(_beat: t.Callable[[], None]) -> None:
        os.statvfs(share)
        with os.scandir(share) as entries:
            next(entries, None)

    try:
        in_child(read, share, ANSWER_SECONDS, state, world)
    except Hung as error:
        return str(error)
    return ""


def on_share(path: str) -> bool:
    """Whether a directory, or something below it, is on a file system that can hang."""
    return bool(_shares(path, _mount_points()))


def in_child(
    work: t.Callable[[t.Callable[[], None]], t.Any], share: str, seconds: float, state: State, world: World
) -> t.Any:
    """Do ``work`` in a child that is abandoned after ``seconds`` seconds without progress.

    Args:
        work: is passed a function to call at each step. Returns a JSON value, and must not raise.
        share: the path it reads, for the message.

    Raises:
        Hung: the child was abandoned. If it cannot be killed, it is recorded.
    """
    with tempfile.TemporaryFile() as answer:
        ended, alive = os.pipe()
        child = os.fork()
        if child == 0:
            _be_child(work, answer.fileno(), alive)
        os.close(alive)
        hung = False
        try:
            while select.select([ended], [], [], seconds)[0]:
                if not os.read(ended, 4096):
                    break
            else:
                hung = True
        finally:
            os.close(ended)
            note = {"pid": child, "started": _started(child), "since": world.now()}
            if hung:
                _kill(child)
            gone = world.wait_until(lambda: os.waitpid(child, os.WNOHANG)[0] != 0, 5.0, 0.01)
        known = state.read(_NOTE)
        if not hung:
            if known.pop(share, None):
                state.write(_NOTE, known)
            answer.seek(0)
            data = answer.read()
            return json.loads(data) if data else None
        if not gone:
            state.write(_NOTE, {**known, share: note})
        raise Hung(_text(share, note))


def _kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)


def _text(share: str, child: t.Mapping[str, t.Any]) -> str:
    return (
        f"{share} does not answer (since {child['since']}, process {child['pid']} waits for it). Repair or unmount it. "
        "It is not checked again as long as that process lives"
    )


def _be_child(work: t.Callable[[t.Callable[[], None]], t.Any], answer: int, alive: int) -> t.NoReturn:
    code = 1
    try:
        # If the child never ends, it must not keep our descriptors open, above all the lock.
        nothing = os.open(os.devnull, os.O_RDWR)
        for ours in (0, 1, 2):
            os.dup2(nothing, ours)
        _close_others((answer, alive))
        last = [0.0]

        def beat() -> None:
            now = os.times().elapsed
            if now - last[0] > 0.5:
                last[0] = now
                os.write(alive, b".")

        data = json.dumps(work(beat)).encode()
        while data:
            data = data[os.write(answer, data) :]
        code = 0
    finally:
        # Not sys.exit: handlers and buffers of the parent must not run twice.
        os._exit(code)


def _mount_points() -> list[tuple[str, str]]:
    """Mount points and their types, later ones over earlier ones. Reading them does not access the file systems."""
    found = []
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
            for line in stream:
                words = line.split()
                point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal.group(1), 8)), words[4])
                found.append((point, words[words.index("-") + 1]))
    except OSError:  # macOS
        return []
    return found


def _shares(path: str, points: t.Sequence[tuple[str, str]]) -> list[str]:
    """Paths to check: the path itself when it is on a share, and the shares below it."""
    over = [(point, kind) for point, kind in points if _below(path, point)]
    deepest = max(over, key=lambda pair: len(pair[0]), default=("/", ""))
    found = [path] if _KINDS.match(deepest[1]) else []
    return found + [point for point, kind in points if point != path and _below(point, path) and _KINDS.match(kind)]


def _below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _close_others(keep: t.Collection[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in keep:
            with contextlib.suppress(OSError):
                os.close(int(name))


def _started(pid: int) -> str:
    """The start time of a process, "" when it has ended. Process ids are reused, start times are not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stream:
            words = stream.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if words[0] in ("Z", "X") else words[19]


def _lives(child: t.Mapping[str, t.Any]) -> bool:
    return bool(child) and bool(child.get("started")) and _started(int(child.get("pid") or 0)) == child["started"]
