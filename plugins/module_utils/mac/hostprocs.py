# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find host processes that belong in containers, by working directory and command line.

The module is a Python process itself. A shell or ssh started it, perhaps with the project's path in its arguments. So
its own process, its parents and processes inside containers do not count.
"""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core import ps
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

_PYTHON = re.compile(r"(?:^|/)[Pp]ython[\d.]*$")
_CONTAINER_WORD = re.compile(r"/(?:docker|libpod|containerd|crio|machine\.slice|kubepods)")


@dataclass(frozen=True)
class HostProcess:
    """A process and its reasons to count: its ``cwd`` is below a root, or its ``argv`` matches a root or a pattern."""

    pid: int
    command: str
    cwd: str
    reasons: tuple[str, ...]


def below(path: str, roots: t.Iterable[str]) -> bool:
    """Whether ``path`` is one of the roots or below one."""
    return any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots)


def cwds_linux(pids: t.Iterable[int], proc: str = "/proc") -> dict[int, str]:
    """Working directories by /proc, without those that cannot be read."""
    found = {}
    for pid in pids:
        try:
            found[pid] = os.readlink(f"{proc}/{pid}/cwd")
        except OSError:
            continue
    return found


def cwds_macos(pids: t.Iterable[int], world: World) -> dict[int, str]:
    """Working directories by one call of lsof, without processes that ended meanwhile."""
    wanted = ",".join(str(pid) for pid in pids)
    if not wanted:
        return {}
    # -F prints one field a line: p<pid>, f<descriptor>, n<name>. The exit code is 1 if one of the processes has ended.
    done = world.run(["/usr/sbin/lsof", "-a", "-d", "cwd", "-F", "pn", "-p", wanted], timeout=30.0, check=False)
    return parse_lsof(done.stdout)


def parse_lsof(text: str) -> dict[int, str]:
    """``lsof -F pn``."""
    found: dict[int, str] = {}
    pid = 0
    for line in text.splitlines():
        if line.startswith("p") and line[1:].isdigit():
            pid = int(line[1:])
        elif line.startswith("n") and pid:
            found[pid] = line[1:]
    return found


def in_container(pid: int, proc: str = "/proc") -> bool:
    """Linux only: whether the process belongs to a container, by its control group or its process namespace."""
    try:
        with open(f"{proc}/{pid}/cgroup", encoding="utf-8") as file:
            if _CONTAINER_WORD.search(file.read()):
                return True
        return os.readlink(f"{proc}/{pid}/ns/pid") != os.readlink(f"{proc}/self/ns/pid")
    except OSError:
        return False


def is_python(command: str) -> bool:
    """Whether the program is a Python, on macOS also the framework's ``Python.app/Contents/MacOS/Python``."""
    return bool(_PYTHON.search(command.split(" ", 1)[0]))


def find(
    roots: t.Sequence[str],
    patterns: t.Sequence[str] = (),
    *,
    only_python: bool = True,
    keep: t.Sequence[str] = (),
    system: str,
    world: World,
    me: int | None = None,
    proc: str = "/proc",
) -> list[HostProcess]:
    """The processes of the project that run on the host, by process id.

    Args:
        roots: absolute directories of the project.
        patterns: regular expressions; a command line that matches one counts wherever it runs.
        only_python: whether roots catch Python programs only, and not for example an editor.
        keep: regular expressions of command lines that never count.
        system: ``sys.platform``.
        world: starts processes.
        me: our process id.
        proc: where /proc is.

    Raises:
        process.CommandError: ps fails.
        re.error: a pattern is not a regular expression.
    """
    listed = ps.listing(world)
    spare = ps.family(os.getpid() if me is None else me, listed)
    wanted = [re.compile(one) for one in patterns]
    kept = [re.compile(one) for one in keep]
    real = [realpath(root) for root in roots]
    candidates = [
        one
        for one in listed
        if one.pid not in spare
        and one.parent not in (2,)
        and not any(pattern.search(one.command) for pattern in kept)
        and (not only_python or is_python(one.command) or any(pattern.search(one.command) for pattern in wanted))
    ]
    if system == "darwin":
        cwds = cwds_macos([one.pid for one in candidates], world)
    else:
        candidates = [one for one in candidates if not in_container(one.pid, proc)]
        cwds = cwds_linux([one.pid for one in candidates], proc)
    found = []
    for one in candidates:
        cwd = cwds.get(one.pid, "")
        reasons = []
        if cwd and below(cwd, real):
            reasons.append("cwd")
        if any(_names(one.command, root) for root in {*real, *roots}):
            reasons.append("argv")
        reasons += [f"pattern {pattern.pattern}" for pattern in wanted if pattern.search(one.command)]
        if reasons:
            found.append(HostProcess(one.pid, one.command, cwd, tuple(reasons)))
    return found


def _names(command: str, root: str) -> bool:
    """Whether a command line has ``root`` as an argument, or a path below it."""
    return bool(re.search(r"(?:^|[\s=:,])" + re.escape(root.rstrip("/")) + r"(?:$|[\s/:,])", command))
