# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare a directory on the host with the files of a deploy, without changing anything.

Directories are opened once and everything below them is reached by descriptor, see :mod:`core.beneath`.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose.state.deployed_files import (
    DeployedFiles,
    Digests,
)
from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.core.beneath import Directory, UnsafePath, open_directory
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem

FILE, FOLDER, LINK = "file", "directory", "link"
CREATE, UPDATE, OVERWRITE, REMOVE, KEEP_EDITED = "create", "update", "overwrite", "remove", "keep_edited"
WRITTEN = (CREATE, UPDATE, OVERWRITE)
# Leftovers of a killed run, from a file that it was about to replace.
_SCRATCH = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{16}\.tmp")


@dataclass(frozen=True)
class Item:
    """One name below a directory. ``digest``: SHA-256 of a file, ``link:`` and the target of a link."""

    kind: str
    mode: int
    digest: str = ""
    size: int = 0


@dataclass(frozen=True)
class Target:
    """A directory of the host and the files of a deploy for it.

    Attributes:
        path: the directory.
        items: path relative to it -> the file to deploy.
        source: the directory with the contents.
        prune: remove files of an earlier deploy that are not in ``items``.
        data: the directory holds an application's data: its files keep their modes, new files get its owner.
        atomic: files that are replaced in one step; all others are written in place.
        outside: whether it is outside of the deploy directory.
        owner: owner and group of written files; (-1, -1) is this user, or with ``data`` the owner of the directory.
        foreign: directories in which others create names, see :func:`beneath.open_directory`.
    """

    path: str
    items: t.Mapping[str, Item]
    source: str
    prune: bool = False
    data: bool = False
    atomic: tuple[str, ...] = ()
    outside: bool = False
    owner: tuple[int, int] = (-1, -1)
    foreign: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """One file that is written, removed, or kept although it left the source."""

    name: str
    action: str


@dataclass
class Difference:
    """The changes of a deploy to one directory.

    Attributes:
        changes: in the order of their names.
        scratch: leftovers of killed runs.
        gone: files of the list that others removed.
        foreign: the topmost names that no deploy wrote.
        problems: why it cannot be carried out.
    """

    target: Target
    changes: list[Change] = field(default_factory=list)
    scratch: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def rows(self) -> list[dict[str, str]]:
        """The changes as modules return them; a directory that is created with its files has no item of its own."""
        return [
            {"path": os.path.join(self.target.path, change.name), "action": change.action}
            for change in self.changes
            if self.target.items.get(change.name, Item(FILE, 0)).kind != FOLDER
        ]

    @property
    def bytes_needed(self) -> int:
        """The maximum number of bytes that are written."""
        items = self.target.items
        return sum(items[each.name].size for each in self.changes if each.name in items)


def read_tree(path: str) -> tuple[dict[str, Item], list[Problem]]:
    """Everything below a private directory, and problems with links that lead out of it."""
    found: dict[str, Item] = {}
    problems = []
    with open_directory(path) as top:
        for name, status in top.walk():
            mode = stat.S_IMODE(status.st_mode) & 0o777
            if stat.S_ISDIR(status.st_mode):
                found[name] = Item(FOLDER, mode)
            elif stat.S_ISREG(status.st_mode):
                found[name] = Item(FILE, mode, top.digest(name), status.st_size)
            elif stat.S_ISLNK(status.st_mode):
                target = top.link_target(name)
                if _leads_out(name, target):
                    problems.append(
                        Problem("link_leads_out", name, f"is a link to {target}. Deploy the file itself instead.")
                    )
                else:
                    found[name] = Item(LINK, 0o777, f"link:{target}")
    return found, problems


def _leads_out(name: str, target: str) -> bool:
    if os.path.isabs(target):
        return True
    joined = os.path.normpath(os.path.join(os.path.dirname(name), target))
    return joined == ".." or joined.startswith("../")


def compare(target: Target, deployed: DeployedFiles) -> Difference:
    """The files that a deploy of ``target`` would write and remove.

    Raises:
        OneboxError: the directory cannot be read.
    """
    found = Difference(target)
    known = deployed.of(target.path)
    try:
        directory = open_directory(target.path, target.foreign)
    except UnsafePath as error:
        message = f"{error}. Name the directory itself, or remove the link."
        found.problems.append(Problem("unsafe_path", target.path, message))
        return found
    except files.FileError as error:
        if error.errno != errno.ENOENT:
            raise
        found.changes = [Change(name, CREATE) for name in sorted(target.items)]
        return found
    with directory:
        try:
            _compare(directory, found, known, deployed.folders_of(target.path))
        except OSError as error:
            raise files.error_of("inspect", target.path, error) from error
    return found


def _compare(directory: Directory, found: Difference, known: Digests, made: t.Collection[str]) -> None:
    items = found.target.items
    # Whether files that left the source still have the content of a deploy. A directory can also replace a file.
    going: dict[str, bool] = {}
    if found.target.prune:
        for name in sorted(known):
            if items.get(name, Item(FOLDER, 0)).kind != FOLDER:
                continue
            present = present_item(directory, name)
            if present is None:
                found.gone.append(name)
            elif present.kind != FOLDER:
                going[name] = present.digest in known[name]
                found.changes.append(Change(name, REMOVE if going[name] else KEEP_EDITED))
    for name in sorted(items):
        try:
            present = present_item(directory, name, raises=True)
        except UnsafePath as error:
            # A link or a file of an earlier deploy in the way is removed first.
            blocking = os.path.relpath(error.path, found.target.path)
            if not any(going.get(each) for each in folders_above(name)) and not going.get(blocking):
                found.problems.append(_in_the_way(found.target, name, error))
                continue
            present = None
        if going.get(name):
            present = None
        change = _change(directory, found, name, present, known)
        if change is not None:
            found.changes.append(change)
    found.changes.sort(key=lambda change: change.name)
    if found.target.prune:
        ours = {*items, *(name for name, removed in going.items() if removed), *made}
        _list_others(directory, found, ours, {*known, *items})


def _in_the_way(target: Target, name: str, error: UnsafePath) -> Problem:
    message = f"{error}. No deploy writes through it. Move it, or change the source."
    return Problem("unsafe_path", os.path.join(target.path, name), message)


def _change(directory: Directory, found: Difference, name: str, present: Item | None, known: Digests) -> Change | None:
    wanted, target = found.target.items[name], found.target
    where = os.path.join(target.path, name)
    if present is None:
        return Change(name, CREATE)
    if wanted.kind == FOLDER or present.kind == FOLDER:
        if wanted.kind != present.kind:
            message = f"is a {present.kind}, but a {wanted.kind} in the source. Move it and deploy again."
            found.problems.append(Problem("kind_differs", where, message))
            return None
        return None if target.data or present.mode == wanted.mode else Change(name, UPDATE)
    if present.kind not in (FILE, LINK):
        message = "is neither a file nor a directory. Remove it and deploy again."
        found.problems.append(Problem("kind_differs", where, message))
        return None
    if present.digest == wanted.digest:
        same = wanted.kind == LINK or present.mode == mode_of(target, wanted, present.mode)
        return None if same and _owned(directory, name, target) else Change(name, UPDATE)
    return Change(name, UPDATE if present.digest in known.get(name, ()) else OVERWRITE)


def _owned(directory: Directory, name: str, target: Target) -> bool:
    if target.owner == (-1, -1):
        return True
    status = directory.stat(name)
    return all(wanted in (-1, has) for wanted, has in zip(target.owner, (status.st_uid, status.st_gid)))


def mode_of(target: Target, item: Item, before: int) -> int:
    """The mode of a written file. Data keeps its mode, except that programs stay executable."""
    if not target.data:
        return item.mode
    return before | (before & 0o444) >> 2 if item.mode & 0o100 else before & ~0o111


def folders_above(name: str) -> list[str]:
    """The parent directories of a relative path, outermost first."""
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def present_item(directory: Directory, name: str, *, raises: bool = False) -> Item | None:
    """The file on the host, or None. A path through a link is None, or with ``raises`` :class:`UnsafePath`."""
    try:
        status = directory.stat(name)
        mode = stat.S_IMODE(status.st_mode) & 0o777
        if stat.S_ISDIR(status.st_mode):
            return Item(FOLDER, mode)
        if stat.S_ISLNK(status.st_mode):
            return Item(LINK, mode, f"link:{directory.link_target(name)}")
        if not stat.S_ISREG(status.st_mode):
            return Item("special file", mode)
        return Item(FILE, mode, directory.digest(name), status.st_size)
    except FileNotFoundError:
        return None
    except UnsafePath:
        if raises:
            raise
        return None


def _list_others(directory: Directory, found: Difference, ours: t.Collection[str], named: t.Collection[str]) -> None:
    """Find names that no deploy wrote: the topmost ones only, so that data is one name and is not read."""
    folders = {""} | {parent for name in ours for parent in folders_above(name)}
    folders |= {name for name in ours if found.target.items.get(name, Item(FOLDER, 0)).kind == FOLDER}
    expected = {*ours, *folders}
    for folder in sorted(folders):
        try:
            if folder:
                with directory.directory(folder) as inner:
                    names = inner.names()
            else:
                names = directory.names()
        except (UnsafePath, FileNotFoundError, NotADirectoryError):
            continue
        for name in names:
            path = f"{folder}/{name}" if folder else name
            leftover = _SCRATCH.fullmatch(name)
            if path in expected:
                continue
            if leftover and f"{folder}/{leftover['name']}".lstrip("/") in named:
                found.scratch.append(path)
            else:
                found.foreign.append(path)
