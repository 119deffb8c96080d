# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Group the processes of a container by the properties that decide whether they can use a mount.

Two processes of one mount namespace, root directory and identity get the same answer from the kernel, so one of them
is tried for all. A group counts unless each of its processes is an init or a shell that only waits for another process
of the container. If unknown, it counts.
"""

from __future__ import annotations

import contextlib
import os
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import syscalls
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.control_groups import ControlGroups
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.process import (
    INITS,
    Gone,
    Identity,
    Process,
    Refused,
)

# Programs that start another one, perhaps as another user, and wait for its end.
_STARTERS = ("su", "runuser", "sudo", "doas", "setpriv", "gosu", "su-exec", "setuidgid", "chpst", "unshare", "bwrap")
_SHELLS = ("sh", "ash", "bash", "dash", "ksh", "mksh", "zsh", "busybox")
# Where the kernel has a process that waits for a child or a signal. "0" and "" mean unknown.
_WAITING = ("do_wait", "sigsuspend", "do_sigtimedwait", "do_signalfd", "pause", "0", "")
_ENDED = "ZX"
_STOPPED = "Tt"


@dataclass(frozen=True)
class View:
    """The file system a process sees: its mount namespace, and device, inode and mount of its root directory."""

    namespace: str
    root: tuple[int, int, int]


@dataclass(frozen=True)
class Member:
    """One process. ``starter``: by its name it only starts others and waits for them."""

    pid: int
    parent: int
    name: str
    stopped: bool
    starter: bool
    identity: Identity
    user_namespace: str
    view: View


@dataclass(frozen=True)
class Group:
    """Processes for which the kernel gives one answer.

    Attributes:
        members: the processes that count.
        waiting: those that only wait for them. They answer when the members, such as the commands of a shell's loop,
            end before they are tried.
    """

    members: tuple[Member, ...]
    waiting: tuple[Member, ...] = ()

    @property
    def identity(self) -> Identity:
        return self.members[0].identity

    @property
    def view(self) -> View:
        return self.members[0].view

    @property
    def stopped(self) -> bool:
        """Whether a signal has stopped all of them."""
        return all(member.stopped for member in self.members)


@dataclass(frozen=True)
class Found:
    """The groups of a container that count, and the view of its main process."""

    groups: tuple[Group, ...]
    main: View


def of_container(process: Process, container_id: str, control_groups: ControlGroups) -> Found:
    """The groups that count, that of the main process first if it does. At least one.

    Args:
        process: the container's main process, held.
        container_id: the engine's id of the container.

    Raises:
        Gone, Refused: from reading the main process.
    """
    fields = process.status()
    main = _read(process, fields)
    if main is None:
        raise Gone(f"process {process.pid} has ended")
    pids = control_groups.members(process, container_id)[1:]
    if not pids:
        return Found((Group((main,)),), main.view)
    members = [main]
    for pid in pids:
        # A process that ends meanwhile does not count. Without root, a helper that only root may inspect is skipped:
        # the visible processes of the application are judged.
        with contextlib.suppress(Gone, Refused), Process(pid) as other:
            found = _read(other, other.status())
            if found is not None:
                members.append(found)
    parents = {member.parent for member in members}
    members = [_marked(member) if member.pid in parents else member for member in members]
    first = fields.get("NSpid", "").split()[1:][-1:] == ["1"]
    return Found(tuple(counted(members, own_pid_namespace=first)), main.view)


def _marked(member: Member) -> Member:
    """A process that has children, with the mark whether it only waits for them."""
    try:
        with Process(member.pid) as process:
            return replace(member, starter=_only_waits(process, member.name))
    except (Gone, Refused):
        return member


def counted(members: t.Sequence[Member], *, own_pid_namespace: bool) -> list[Group]:
    """The groups of ``members``, the main process first, without those that only wait for others. At least one.

    Args:
        own_pid_namespace: whether the main process is the first of its namespace. Then each process it has started,
            or inherited, descends from it, and any other came from outside (``exec``) by a user or
            a healthcheck: it is not the application.
    """
    here = {member.pid for member in members}
    parents = {member.parent for member in members}
    main = members[0]
    found: dict[tuple[t.Any, ...], list[Member]] = {}
    waiting: dict[tuple[t.Any, ...], list[Member]] = {}
    for member in members:
        key = (member.view, member.identity, member.user_namespace)
        if member.starter and member.pid in parents:
            waiting.setdefault(key, []).append(member)
            continue
        if own_pid_namespace and member is not main and not _descends(member, main, members, here):
            continue
        found.setdefault(key, []).append(member)
    made = [Group(tuple(rows), tuple(waiting.get(key, ()))) for key, rows in found.items()]
    return made or [Group((main,))]


def _descends(member: Member, main: Member, members: t.Sequence[Member], here: t.Container[int]) -> bool:
    parents = {each.pid: each.parent for each in members}
    pid, steps = member.pid, 0
    while pid in parents and pid != main.pid and steps < len(members):
        pid, steps = parents[pid], steps + 1
    # The parent has ended since, or is not visible: if unknown, it counts.
    return pid == main.pid or not _is_engine(pid)


def _is_engine(pid: int) -> bool:
    """Whether a process is an engine's supervisor, which starts the processes of ``exec``."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as stream:
            return stream.read().startswith(("conmon", "containerd-shim", "docker", "podman", "runc", "crun"))
    except OSError:
        return False


def _view_of(process: Process) -> View:
    root = process.root()
    try:
        node = syscalls.look_at(root)
    finally:
        os.close(root)
    return View(process.link("ns/mnt"), (node.device, node.inode, node.mount_id))


def _read(process: Process, fields: t.Mapping[str, str]) -> Member | None:
    """The properties of a process; None if it has ended and only waits to be collected."""
    state = fields["State"][:1]
    if state in _ENDED:
        return None
    user_namespace = process.link("ns/user")
    return Member(
        pid=process.pid,
        parent=int(fields["PPid"]),
        name=fields["Name"],
        stopped=state in _STOPPED,
        starter=False,
        identity=process.identity_of(fields, user_namespace),
        user_namespace=user_namespace,
        view=_view_of(process),
    )


def _only_waits(process: Process, name: str) -> bool:
    if name in INITS or name in _STARTERS:
        return True
    if name not in _SHELLS and not _is_script(process):
        return False
    try:
        # Compilers add a suffix to some names: sigsuspend.isra.0
        return process.read("wchan").decode("ascii", "replace").strip().partition(".")[0] in _WAITING
    except (Gone, Refused):
        return True


def _is_script(process: Process) -> bool:
    """Whether it is a shell that runs a script, after which the kernel names it."""
    try:
        program = os.path.basename(process.link("exe").replace(" (deleted)", ""))
        if program == "busybox":
            program = os.path.basename(process.read("cmdline").split(b"\0")[0].decode("utf-8", "replace")).lstrip("-")
    except (Gone, Refused):
        return False
    return program in _SHELLS and program != "busybox"
