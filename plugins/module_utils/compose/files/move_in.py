# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the difference between a directory on the host and the files of a deploy.

Everything below a directory is reached by descriptor, see :mod:`core.beneath`. An existing plain file is written in
place, because a container may have mounted this file. No directory is replaced.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.files import changes as file_changes
from ansible_collections.onebox.stack.plugins.module_utils.compose.files.changes import Difference, Target
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.deployed_files import (
    DeployedFiles,
    SavedCopies,
)
from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.core.beneath import Directory, UnsafePath, open_directory


class PartlyWritten(ComposeError):
    """A file could not be written after others were. No container was changed."""


def save_copies(found: Difference, saved: SavedCopies) -> dict[str, str]:
    """Save a copy of each file that is overwritten and not from a deploy. Returns path -> path of the copy.

    Raises:
        OneboxError: a file cannot be copied.
    """
    names = [change.name for change in found.changes if change.action == file_changes.OVERWRITE]
    if not names:
        return {}
    target = found.target
    with open_directory(target.path, target.foreign) as directory:
        return {os.path.join(target.path, name): saved.keep(directory, name, _saved_as(target, name)) for name in names}


def carry_out(found: Difference, deployed: DeployedFiles) -> DeployedFiles:
    """Carry out a difference. The list must have been saved with :func:`planned` before.

    Returns:
        The new list.

    Raises:
        PartlyWritten: a file cannot be written.
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
                if change.action in file_changes.WRITTEN:
                    _write(directory, source, target, change.name, made)
            _remove(directory, found, known, made, blocking=False)
        except (OSError, UnsafePath) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise PartlyWritten(
                f"{place}: cannot be deployed ({why}). Files before it may be written already, but no container was "
                "changed. Fix this and deploy again."
            ) from error
    for name, item in target.items.items():
        if item.kind != file_changes.FOLDER:
            known[name] = [item.digest]
    return deployed.updated(target.path, known, made)


def planned(found: Difference, deployed: DeployedFiles) -> DeployedFiles:
    """The list with all files that may exist while the difference is carried out."""
    target = found.target
    known = {name: list(digests) for name, digests in deployed.of(target.path).items()}
    for name, item in target.items.items():
        if item.kind != file_changes.FOLDER and item.digest not in known.get(name, ()):
            known.setdefault(name, []).append(item.digest)
    created = {change.name for change in found.changes if change.action == file_changes.CREATE}
    folders = {name for name, item in target.items.items() if item.kind == file_changes.FOLDER and name in created}
    return deployed.updated(target.path, known, {*deployed.folders_of(target.path), *folders})


def _saved_as(target: Target, name: str) -> str:
    return os.path.join(target.path, name).lstrip("/") if target.outside else name


@contextlib.contextmanager
def _open_source(found: Difference) -> t.Iterator[Directory | None]:
    if not any(change.action in file_changes.WRITTEN for change in found.changes):
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
    if item.kind == file_changes.FOLDER:
        if directory.make_directories(name, item.mode, owner):
            made.add(name)
        elif not target.data:
            directory.dress(name, item.mode)
        return
    if item.kind == file_changes.LINK:
        directory.link(name, item.digest.partition(":")[2])
        return
    if source is None:
        raise AssertionError("a file is written from its source")
    mode = item.mode
    present = _status(directory, name)
    if present is not None and stat.S_ISREG(present.st_mode):
        mode = file_changes.mode_of(target, item, stat.S_IMODE(present.st_mode) & 0o777)
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
    """Remove files that left the source: first those in the way of a new directory, the others at the end."""
    needed = {parent for name in found.target.items for parent in file_changes.folders_above(name)}
    needed |= {name for name, item in found.target.items.items() if item.kind == file_changes.FOLDER}
    for change in found.changes:
        if change.action == file_changes.KEEP_EDITED:
            known.pop(change.name, None)
        if change.action != file_changes.REMOVE or (change.name in needed) != blocking:
            continue
        # It may have been edited since the comparison.
        present = file_changes.present_item(directory, change.name)
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
