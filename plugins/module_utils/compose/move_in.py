# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare a directory on the host with the files a deploy brings, and write the difference.

Directories are opened once and everything below them is reached by descriptor, see :mod:`core.beneath`. An existing
plain file is written where it is, since a container may have this very file mounted. No directory is replaced.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.deployed_files import (
    DeployedFiles,
    Digests,
    SavedCopies,
)
from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.core.beneath import Directory, UnsafePath, open_directory
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem

FILE, FOLDER, LINK = "file", "directory", "link"
CREATE, UPDATE, OVERWRITE, REMOVE, KEEP_EDITED = "create", "update", "overwrite", "remove", "keep_edited"
# What a run that was killed leaves behind of a file it was about to replace.
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
    """A directory of the host and the files it is to have.

    Attributes:
        path: the directory.
        items: path relative to it -> what is to be there.
        source: the directory the contents are read from.
        prune: remove what a former deploy wrote and is no longer among ``items``.
        data: the directory holds an application's data: its files keep their modes, new ones get its owner.
        atomic: files that are replaced in one step; all others are written where they are.
        outside: it is not the deploy directory.
        owner: owner and group of what is written; (-1, -1) is this user, or with ``data`` the directory's owner.
        foreign: directories in which others make names, see :func:`beneath.open_directory`.
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
    """One file that is written, removed or kept although the source has it no longer."""

    name: str
    action: str


@dataclass
class Difference:
    """What a deploy would do to one directory.

    Attributes:
        changes: in the order of their names.
        scratch: leftovers of killed runs.
        gone: files of the list that somebody else removed.
        foreign: the topmost names that no deploy wrote.
        problems: why it cannot be done.
    """

    target: Target
    changes: list[Change] = field(default_factory=list)
    scratch: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def rows(self) -> list[dict[str, str]]:
        """The changes as modules return them; a directory that is created with its files is no row of its own."""
        return [
            {"path": os.path.join(self.target.path, change.name), "action": change.action}
            for change in self.changes
            if self.target.items.get(change.name, Item(FILE, 0)).kind != FOLDER
        ]

    @property
    def bytes_needed(self) -> int:
        """Bytes that are written at most."""
        items = self.target.items
        return sum(items[each.name].size for each in self.changes if each.name in items)


def read_tree(path: str) -> tuple[dict[str, Item], list[Problem]]:
    """Everything below a directory nobody else can write to, and links in it that lead out of it."""
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
    """What a deploy of ``target`` would write and remove. Changes nothing.

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
    # Whether what left the source is still as a deploy wrote it. A file can make room for a directory, too.
    going: dict[str, bool] = {}
    if found.target.prune:
        for name in sorted(known):
            if items.get(name, Item(FOLDER, 0)).kind != FOLDER:
                continue
            present = _present(directory, name)
            if present is None:
                found.gone.append(name)
            elif present.kind != FOLDER:
                going[name] = present.digest in known[name]
                found.changes.append(Change(name, REMOVE if going[name] else KEEP_EDITED))
    for name in sorted(items):
        try:
            present = _present(directory, name, raises=True)
        except UnsafePath as error:
            # What is in the way can be a link or a file of an earlier deploy, which goes first.
            blocking = os.path.relpath(error.path, found.target.path)
            if not any(going.get(each) for each in _above(name)) and not going.get(blocking):
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
    message = f"{error}. Nothing is deployed through it. Move it away, or change the source."
    return Problem("unsafe_path", os.path.join(target.path, name), message)


def _change(directory: Directory, found: Difference, name: str, present: Item | None, known: Digests) -> Change | None:
    wanted, target = found.target.items[name], found.target
    where = os.path.join(target.path, name)
    if present is None:
        return Change(name, CREATE)
    if wanted.kind == FOLDER or present.kind == FOLDER:
        if wanted.kind != present.kind:
            message = f"is a {present.kind}, and the source has a {wanted.kind} there. Move it away and deploy again."
            found.problems.append(Problem("kind_differs", where, message))
            return None
        return None if target.data or present.mode == wanted.mode else Change(name, UPDATE)
    if present.kind not in (FILE, LINK):
        message = "is neither a file nor a directory. Remove it and deploy again."
        found.problems.append(Problem("kind_differs", where, message))
        return None
    if present.digest == wanted.digest:
        same = wanted.kind == LINK or present.mode == _mode(target, wanted, present.mode)
        return None if same and _owned(directory, name, target) else Change(name, UPDATE)
    return Change(name, UPDATE if present.digest in known.get(name, ()) else OVERWRITE)


def _owned(directory: Directory, name: str, target: Target) -> bool:
    if target.owner == (-1, -1):
        return True
    status = directory.stat(name)
    return all(wanted in (-1, has) for wanted, has in zip(target.owner, (status.st_uid, status.st_gid)))


def _mode(target: Target, item: Item, before: int) -> int:
    """The mode a file gets. Data keeps its own, except that a program stays one."""
    if not target.data:
        return item.mode
    return before | (before & 0o444) >> 2 if item.mode & 0o100 else before & ~0o111


def _above(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _present(directory: Directory, name: str, *, raises: bool = False) -> Item | None:
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
    folders = {""} | {parent for name in ours for parent in _above(name)}
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


def save_copies(found: Difference, saved: SavedCopies) -> dict[str, str]:
    """Copy each file aside that is overwritten and that no deploy wrote. Returns path -> path of the copy.

    Raises:
        OneboxError: a file cannot be copied.
    """
    names = [change.name for change in found.changes if change.action == OVERWRITE]
    if not names:
        return {}
    target = found.target
    with open_directory(target.path, target.foreign) as directory:
        return {os.path.join(target.path, name): saved.keep(directory, name, _saved_as(target, name)) for name in names}


def carry_out(found: Difference, deployed: DeployedFiles) -> DeployedFiles:
    """Write and remove what :func:`compare` found. The list must have been saved with :func:`planned` before.

    Returns:
        The list as it is now.

    Raises:
        ComposeError: a file cannot be written; the text says what was written before.
    """
    target = found.target
    known = {name: list(digests) for name, digests in deployed.of(target.path).items()}
    made = set(deployed.folders_of(target.path))
    directory, created = _open_or_create(target)
    if created:
        made.add("")
    with directory, _open_source(found) as source:
        place = target.path
        try:
            for name in found.scratch:
                directory.unlink(name)
            _remove(directory, found, known, made, blocking=True)
            for change in found.changes:
                place = os.path.join(target.path, change.name)
                if change.action in (CREATE, UPDATE, OVERWRITE):
                    _write(directory, source, target, change.name, made)
            _remove(directory, found, known, made, blocking=False)
        except (OSError, UnsafePath) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise ComposeError(
                f"{place}: cannot be deployed ({why}). Files before it may be new already, and no container was "
                "changed. Solve this and deploy again."
            ) from error
    for name, item in target.items.items():
        if item.kind != FOLDER:
            known[name] = [item.digest]
    return deployed.updated(target.path, known, made)


def planned(found: Difference, deployed: DeployedFiles) -> DeployedFiles:
    """The list with everything that may be there while the difference is carried out."""
    target = found.target
    known = {name: list(digests) for name, digests in deployed.of(target.path).items()}
    for name, item in target.items.items():
        if item.kind != FOLDER and item.digest not in known.get(name, ()):
            known.setdefault(name, []).append(item.digest)
    created = {change.name for change in found.changes if change.action == CREATE}
    folders = {name for name, item in target.items.items() if item.kind == FOLDER and name in created}
    return deployed.updated(target.path, known, {*deployed.folders_of(target.path), *folders})


def _saved_as(target: Target, name: str) -> str:
    return os.path.join(target.path, name).lstrip("/") if target.outside else name


@contextlib.contextmanager
def _open_source(found: Difference) -> t.Iterator[Directory | None]:
    if not any(change.action in (CREATE, UPDATE, OVERWRITE) for change in found.changes):
        yield None
        return
    with open_directory(found.target.source) as source:
        yield source


def _open_or_create(target: Target) -> tuple[Directory, bool]:
    """The directory of a target, and whether it was created."""
    try:
        return open_directory(target.path, target.foreign), False
    except files.FileError as error:
        if error.errno != errno.ENOENT:
            raise
    base = target.path.rstrip("/")
    while not os.path.lexists(base):
        base = os.path.dirname(base)
    with open_directory(base, target.foreign) as above:
        status = os.fstat(above.descriptor)
        owner = (status.st_uid, status.st_gid) if target.data else (-1, -1)
        relative = os.path.relpath(target.path, base)
        try:
            above.make_directories(relative, 0o755, owner)
        except OSError as error:
            raise files.error_of("create the directory", target.path, error) from error
        return above.directory(relative), True


def _write(directory: Directory, source: Directory | None, target: Target, name: str, made: set[str]) -> None:
    item = target.items[name]
    owner = target.owner
    if target.data:
        status = os.fstat(directory.descriptor)
        owner = (status.st_uid, status.st_gid)
    if item.kind == FOLDER:
        if directory.make_directories(name, item.mode, owner):
            made.add(name)
        elif not target.data:
            directory.dress(name, item.mode)
        return
    if item.kind == LINK:
        directory.link(name, item.digest.partition(":")[2])
        return
    if source is None:
        raise AssertionError("a file is written from its source")
    mode = item.mode
    present = _status(directory, name)
    if present is not None and stat.S_ISREG(present.st_mode):
        mode = _mode(target, item, stat.S_IMODE(present.st_mode) & 0o777)
        if name not in target.atomic and directory.overwrite(name, source.blocks(name), mode):
            return
        if target.data:
            owner = (present.st_uid, present.st_gid)
    directory.replace(name, source.blocks(name), mode, durable=name in target.atomic, owner=owner)


def _status(directory: Directory, name: str) -> os.stat_result | None:
    try:
        return directory.stat(name)
    except FileNotFoundError:
        return None


def _remove(
    directory: Directory, found: Difference, known: dict[str, list[str]], made: set[str], *, blocking: bool
) -> None:
    """Remove what left the source: first what stands where the new files need a directory, the rest at the end."""
    needed = {parent for name in found.target.items for parent in _above(name)}
    needed |= {name for name, item in found.target.items.items() if item.kind == FOLDER}
    for change in found.changes:
        if change.action == KEEP_EDITED:
            known.pop(change.name, None)
        if change.action != REMOVE or (change.name in needed) != blocking:
            continue
        # Somebody may have edited it since the comparison.
        present = _present(directory, change.name)
        if present is not None and present.digest in known.get(change.name, ()):
            directory.unlink(change.name)
        known.pop(change.name, None)
    if blocking or not found.target.prune:
        return
    for name in found.gone:
        known.pop(name, None)
    for folder in sorted(made - set(found.target.items) - {""}, key=len, reverse=True):
        try:
            if directory.remove_empty(folder):
                made.discard(folder)
        except (UnsafePath, FileNotFoundError, NotADirectoryError):
            made.discard(folder)
