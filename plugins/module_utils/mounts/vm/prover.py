# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove mounts where containers run in a virtual machine: from the host into the guest, and from there inside.

Device and inode numbers of a shared directory are not the host's, so the first hop is proven differently: the guest has
the directory on a file system that is a share and not its own disk, and a file with a fresh random name, made by the
host, is seen in the guest and in the container. The name must be fresh, because guests cache names for up to an
hour. The second hop is again the proof by device and inode, in the guest.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.mounts.model import Declared
from ansible_collections.onebox.stack.plugins.module_utils.mounts.prove import Job, row
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verdict import vm as vm_verdicts
from ansible_collections.onebox.stack.plugins.module_utils.mounts.vm import guest_script
from ansible_collections.onebox.stack.plugins.module_utils.vm.shares import SHARE_TYPES, Machine, host_path, shares

# The whole script is one argument of a command, which may have 128 KiB on Linux; quoting makes names longer.
_LETTERS = 30_000
# Names to search for below each source, and the entries of a directory to read for them.
_MOST_NAMES, _LONGEST_NAMES, _MOST_ENTRIES = 3, 120, 1000


class Prover:
    """Proves mounts through one virtual machine.

    Args:
        machine: the machine.
        world: processes, the user's home directory, and the random part of a name.
        seconds: time limit of the machine for one answer.
        share_types: file-system types that count as a share.
    """

    def __init__(
        self, machine: Machine, world: World, *, seconds: float = 60.0, share_types: t.Sequence[str] = SHARE_TYPES
    ) -> None:
        self._machine = machine
        self._world = world
        self._seconds = seconds
        self._types = share_types
        self._shared = shares(machine, world, seconds)

    def prove(self, jobs: t.Sequence[Job]) -> list[dict[str, t.Any]]:
        """``user`` and ``rows`` of each job, as the proof on the host itself has them; of running containers only.

        Raises:
            MachineError: the machine cannot be queried.
        """
        wanted = [(number, job, declared) for number, job in enumerate(jobs) for declared in job.declared]
        answers: list[dict[str, t.Any]] = [{"user": None, "rows": []} for _job in jobs]
        disks = mounted(self._world.run)
        while wanted:
            part = wanted[: _fitting([declared for _number, _job, declared in wanted])]
            wanted = wanted[len(part) :]
            with contextlib.ExitStack() as files:
                tokens = self._tokens(files, part)
                hosts = [self._on_host(tokens, disks, declared) for _number, _job, declared in part]
                questions = [_question(job, declared, host) for (_number, job, declared), host in zip(part, hosts)]
                script = guest_script.script(questions)
                report = guest_script.parse(self._machine.ask(script, self._world, self._seconds))
            judge = vm_verdicts.Judge(self._machine, self._shared, self._types, report)
            for index, (number, _job, declared) in enumerate(part):
                answer = judge(declared, hosts[index], questions[index], index)
                answers[number]["user"] = answer.user or answers[number]["user"]
                answers[number]["rows"].append(row(declared, answer.finding, answer.access))
        return answers

    def _tokens(self, files: contextlib.ExitStack, part: t.Sequence[tuple[int, Job, Declared]]) -> dict[str, str]:
        """The file just created in each directory that an application may write to. All are created before any check,
        because they change the directory's time, which identifies a read-only mount of the same directory."""
        tokens: dict[str, str] = {}
        for _number, job, declared in part:
            place = host_path(declared.source, self._shared)
            if job.access != "write" or declared.type != "bind" or not declared.read_write or place in tokens:
                continue
            name = self._fresh_name()
            if os.path.isdir(place):
                # Not writable for us: then the type of the file system must suffice.
                with contextlib.suppress(OSError):
                    files.enter_context(_file(os.path.join(place, name)))
                    tokens[place] = name
        return tokens

    def _fresh_name(self) -> str:
        return f".onebox-probe-{int(self._world.random() * 16**12):012x}"

    def _on_host(
        self, tokens: t.Mapping[str, str], disks: t.Sequence[tuple[str, str]], declared: Declared
    ) -> vm_verdicts.OnHost:
        place = host_path(declared.source, self._shared)
        wanted = declared.wanted_source
        return vm_verdicts.OnHost(
            place=place,
            token=tokens.get(place) or self._fresh_name(),
            made=place in tokens,
            status=_status(place),
            fstype=fstype_of(place, disks),
            is_wanted=not wanted or _same_file(place, wanted),
            empty=declared.not_empty and _is_empty(place),
            names=_names_below(place) if declared.type == "bind" else (),
        )


def _question(job: Job, declared: Declared, host: vm_verdicts.OnHost) -> guest_script.Question:
    mode = "" if job.access == "none" else "read"
    if job.access == "write" and declared.read_write:
        mode = "write"
    return guest_script.Question(job.container.pid, declared.source, declared.destination, host.token, mode, host.names)


def _fitting(mounts: t.Sequence[Declared]) -> int:
    """The number of mounts, at least one, that fit in one script."""
    letters = 0
    for count, declared in enumerate(mounts):
        letters += 100 + _MOST_NAMES * _LONGEST_NAMES + 2 * len(os.fsencode(declared.source + declared.destination))
        if count and letters > _LETTERS:
            return count
    return len(mounts)


@contextlib.contextmanager
def _file(path: str) -> t.Iterator[None]:
    """An empty file for as long as the context lasts. Raises OSError if it cannot be created."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o644))
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _same_file(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return os.path.normpath(one) == os.path.normpath(other)


def _names_below(path: str) -> tuple[str, ...]:
    """A name in each of the first directories below a directory: in a share without content these are empty."""
    found = []
    try:
        with os.scandir(path) as entries:
            folders = [entry.name for entry in itertools.islice(entries, _MOST_ENTRIES) if entry.is_dir()]
    except OSError:
        return ()
    for folder in sorted(folders)[:_MOST_NAMES]:
        with contextlib.suppress(OSError), os.scandir(os.path.join(path, folder)) as entries:
            found += [f"{folder}/{entry.name}" for entry in itertools.islice(entries, 1)]
    return tuple(name for name in found if len(os.fsencode(name)) < _LONGEST_NAMES)


def _is_empty(path: str) -> bool:
    try:
        return os.path.isdir(path) and not os.listdir(path)
    except OSError:
        return False


def mounted(run: process.Runner) -> list[tuple[str, str]]:
    """Mount point and type of each file system of this host; empty if unknown."""
    try:
        text = run(["mount"], timeout=10).stdout
    except process.CommandError:
        return []
    # macOS: /dev/disk4s1 on /Volumes/My Disk (exfat, local, nodev); Linux: /dev/sda1 on / type ext4 (rw)
    found = [re.match(r".+? on (/.*?)(?: type (\S+))? \(([^,)]*)", line) for line in text.splitlines()]
    return [(one[1], one[2] or one[3]) for one in found if one]


def fstype_of(path: str, disks: t.Sequence[tuple[str, str]]) -> str:
    """The type of the file system that a path lies on, "" if unknown."""
    above = [disk for disk in disks if path == disk[0] or path.startswith(disk[0].rstrip("/") + "/")]
    # Of several on one path the last is in effect.
    return max(reversed(above), key=lambda disk: len(disk[0]), default=("", ""))[1]
