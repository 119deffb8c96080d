# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try the mounts of a container as each group of its processes, and combine the answers."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.mounts import facts
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import access
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.groups import Group, Member
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.process import Gone, Identity, Process, Refused
from ansible_collections.onebox.stack.plugins.module_utils.mounts.model import Declared, Finding
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verdict import access as access_verdicts

_CAP_DAC_OVERRIDE = 1 << 1
# Words of an environment or a command line that are searched for directories.
_MOST_TEXT = 1 << 17


@dataclass(frozen=True)
class RootlessChown:
    """The command with which a user who is not root gives a file to the application, up to the file; "" for root.

    Inside the user namespace of rootless Podman the ids are the user's own: 0 is the user, and 1 the first of the
    subordinate ids. That works for files whose owner is in ``ranges`` (first id and count); others are root's to give.
    """

    command: str
    ranges: tuple[tuple[int, int], ...]

    def of(self, host: facts.Host) -> str:
        """The command for a source, "" where it is the plain one."""
        owner = host.node.uid if host.node is not None else -1
        return self.command if any(first <= owner < first + count for first, count in self.ranges) else ""


@dataclass(frozen=True)
class Tried:
    """The answers of one group: for each mount a finding, None if unknown; and the outcomes of the access, by mount."""

    group: Group
    name: str
    findings: tuple[Finding, ...]
    votes: tuple[bool, ...]
    outcomes: t.Mapping[int, access.Outcome]
    hosts: tuple[facts.Host, ...]
    chown: RootlessChown


class GroupProof:
    """Tries the mounts of one container as its groups.

    Args:
        declared: the mounts.
        hosts: their sources, completed during the proof.
        access: to try: none, read, write.
        shared: sources that other containers have, too.
        seconds: how long a child may take where one is needed.
        world: waiting for it.
        mark: gets the index of the current mount.
    """

    def __init__(
        self,
        declared: t.Sequence[Declared],
        hosts: t.Sequence[facts.Host],
        access: str,
        shared: t.Container[str],
        seconds: float,
        world: World,
        mark: t.Callable[[int], None],
    ) -> None:
        self._declared = declared
        self._hosts = hosts
        self._access = access
        self._shared = shared
        self._seconds = seconds
        self._world = world
        self._mark = mark

    def of_group(
        self,
        group: Group,
        member: Member,
        process: Process,
        seen: t.Sequence[facts.Seen],
        main: t.Sequence[facts.Seen],
    ) -> Tried:
        """The answers of one group.

        Args:
            member: the process of the group whose access is tried.
            process: that one, held.
            seen: the object that the group sees at each destination.
            main: the object that the main process sees there.

        Raises:
            Gone, Refused: from reading the process.
        """
        findings, votes = [], []
        for declared, ours, first in zip(self._declared, seen, main):
            # A helper locked into an empty directory does not use the mounts, so it is not the application.
            votes.append(ours is first or ours.inside.error not in (errno.ENOENT, errno.ENOTDIR))
            findings.append(ours.finding if ours is first else _of_view(declared, member, ours.finding, first.finding))
        indexes = [index for index, finding in enumerate(findings) if finding.ok and votes[index]]
        outcomes: dict[int, access.Outcome] = {}
        if self._access != "none" and indexes:
            outcomes = self._try(indexes, seen, process, group.identity)
            if self._access == "write":
                outcomes = _limited(outcomes, member.pid, self._declared)
        chown = chown_command(process, group.identity) if outcomes else RootlessChown("", ())
        for index, outcome in outcomes.items():
            row = seen[index].inside.row
            read_only = row is not None and row.file_system_read_only
            findings[index] = access_verdicts.judge(
                self._declared[index],
                self._hosts[index],
                group.identity,
                outcome,
                read_only,
                chown.of(self._hosts[index]),
            )
        return Tried(group, member.name, tuple(findings), tuple(votes), outcomes, tuple(self._hosts), chown)

    def _try(
        self, indexes: t.Sequence[int], seen: t.Sequence[facts.Seen], process: Process, identity: Identity
    ) -> dict[int, access.Outcome]:
        root = process.root()
        try:
            named = _named(process) if self._access == "write" and not _passes_all(identity) else ()
            questions = [self._question(index, seen[index], identity, named) for index in indexes]
            outcomes = access.probe(
                process, root, identity, questions, self._seconds, self._world, lambda at: self._mark(indexes[at])
            )
        finally:
            os.close(root)
        found = dict(zip(indexes, outcomes))
        for index, question in zip(indexes, questions):
            host = self._hosts[index]
            if question.write and host.node is not None and host.node.kind == "file" and not found[index].error:
                found[index] = access.Outcome(access.room_beside(host.real, identity), "write")
        return found

    def _question(self, index: int, seen: facts.Seen, identity: Identity, named: t.Sequence[str]) -> access.Wanted:
        declared, host = self._declared[index], self._hosts[index]
        write = self._access == "write" and declared.read_write and not host.pseudo
        top = declared.destination.rstrip("/") + "/"
        if not write or host.of_machine:
            return access.Wanted(declared.destination, write)
        mounts = tuple(
            one.place.lstrip("/")
            for one in seen.inside.submounts
            if not one.read_only and not _judged_by_itself(declared, one.place)
        )
        if _passes_all(identity):
            return access.Wanted(declared.destination, write, mounts=mounts)
        return access.Wanted(
            declared.destination,
            write,
            named=tuple(sorted({path[len(top) :] for path in named if path.startswith(top) and path != top})),
            deep=True,
            mounts=mounts,
            shared=declared.source in self._shared,
            left_out=tuple(other[len(top) :].split("/")[0] for other in declared.others if other.startswith(top)),
        )


def _judged_by_itself(declared: Declared, place: str) -> bool:
    """Whether a mount below the destination is, or lies below, another declared one."""
    top = declared.destination.rstrip("/")
    others = [other for other in declared.others if other.startswith(top + "/")]
    return any(top + place == other or (top + place).startswith(other + "/") for other in others)


def worst(
    declared: Declared, index: int, main: facts.Seen, tried: t.Sequence[Tried]
) -> tuple[Finding, access.Outcome | None]:
    """The verdict on one mount, of all groups together, and the outcome for the group it is about."""
    voices = [one for one in tried if one.votes[index]]
    if not main.finding.ok or not voices:
        if main.finding.ok and tried:
            return _of_view(declared, tried[0].group.members[0], tried[0].findings[index], main.finding), None
        return main.finding, None
    bad = [one for one in voices if not one.findings[index].ok]
    if not bad:
        finding = _closed(declared, index, voices)
        outcome = voices[0].outcomes.get(index)
        if finding is None:
            return voices[0].findings[index], outcome
        return finding, access.Outcome(errno.EACCES, "write")
    first = next((one for one in bad if one.findings[index].verdict != "unverifiable"), bad[0])
    finding = first.findings[index]
    if len(voices) > 1 and index in first.outcomes:
        finding = replace(finding, message=f"for uid {first.group.identity.uid}: {finding.message}")
    return finding, first.outcomes.get(index)


def _closed(declared: Declared, index: int, voices: t.Sequence[Tried]) -> Finding | None:
    """A finding when there are directories below that no process of the container may write to."""
    outcomes = [one.outcomes[index] for one in voices if index in one.outcomes]
    if not outcomes:
        return None
    names = [name for name in outcomes[0].closed if all(name in other.closed for other in outcomes[1:])]
    if not names:
        return None
    return access_verdicts.closed(
        declared, voices[0].hosts[index], voices[0].group.identity, names, voices[0].chown.of(voices[0].hosts[index])
    )


def _limited(
    outcomes: dict[int, access.Outcome], pid: int, declared: t.Sequence[Declared]
) -> dict[int, access.Outcome]:
    """The outcomes with the process's limit on the size of files (RLIMIT_FSIZE), which the probe does not have."""
    try:
        soft, _hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    except OSError:
        return outcomes
    if soft == resource.RLIM_INFINITY or soft >= access.BLOCK_SIZE:
        return outcomes
    return {
        index: access.Outcome(errno.EFBIG, "write") if declared[index].read_write and not one.error else one
        for index, one in outcomes.items()
    }


def _of_view(declared: Declared, member: Member, finding: Finding, main: Finding) -> Finding:
    """The finding about processes that see other mounts, or another root directory, than the main process."""
    if finding.ok or not main.ok:
        return finding
    text = (
        f"process {shown(member.name)} of {shown(declared.container)} (uid {member.identity.uid}) has mounts or a root "
        f"directory of its own, and {shown(declared.destination)} is not {shown(declared.source)} there: it "
        "writes elsewhere. Mount the directory for that program, or run it without its own namespace or root"
    )
    return replace(finding, fix="edit_compose", message=text)


def chown_command(process: Process, identity: Identity) -> RootlessChown:
    """How the caller makes the application the owner of a file.

    Raises:
        Gone, Refused: from reading the process.
    """
    user, group = os.geteuid(), os.getegid()
    if not identity.own_user_namespace or user == 0:
        return RootlessChown("", ())
    users, groups = (process.read(name).decode() for name in ("uid_map", "gid_map"))
    ids = f"{_rootless_id(users, identity.uid, user)}:{_rootless_id(groups, identity.gid, group)}"
    ranges = [tuple(int(word) for word in line.split()[1:]) for line in users.splitlines()]
    return RootlessChown(f"podman unshare chown {ids}", ((user, 1), *((first, count) for first, count in ranges)))


def _rootless_id(text: str, wanted: int, own: int) -> int:
    if wanted == own:
        return 0
    starts = [int(line.split()[1]) for line in text.splitlines() if int(line.split()[1]) != own]
    return wanted - min(starts, default=wanted) + 1


def _passes_all(identity: Identity) -> bool:
    return bool(identity.capabilities & _CAP_DAC_OVERRIDE) and not identity.own_user_namespace


def _named(process: Process) -> tuple[str, ...]:
    """Absolute paths in the environment or command line of a process, and its working directory."""
    found: set[str] = set()
    for name in ("environ", "cmdline"):
        try:
            words = process.read(name)[:_MOST_TEXT].split(b"\0")
        except (Gone, Refused, OSError):
            continue
        for word in words:
            text = os.fsdecode(word)
            for part in (text, text.rpartition("=")[2]):
                if part.startswith("/"):
                    found.add(os.path.normpath(part))
    with contextlib.suppress(Gone, Refused, OSError):
        found.add(process.link("cwd"))
    return tuple(found)
