# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Assemble a directory outside of the stack, then swap it with the one in the stack.

Users who may write to the parent directory could replace a copy that root is still writing with a link. So the copy is
written to a directory that only root can enter, in the nearest parent that only root can change, on the same mount.
Then the two change names in one step.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import RestoreRefused
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import folders
from ansible_collections.onebox.stack.plugins.module_utils.core import beneath, files, trees
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath

PREFIX = ".onebox-restore-"
TREE = "tree"
_RECORD = "record.json"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


@dataclass
class Replacement:
    """A new directory for ``target``.

    Attributes:
        target: the path that it replaces.
        stage: the directory that only this user can enter.
        tree: the path where it is assembled; it does not exist yet.
    """

    target: str
    stage: str
    _stage: beneath.Directory
    _parent: beneath.Directory
    # Identifies the new directory, once the names are about to change.
    _changing: tuple[int, int] | None = None

    @property
    def tree(self) -> str:
        return os.path.join(self.stage, TREE)

    @property
    def fresh(self) -> tuple[int, int]:
        """Device and inode of the assembled directory, before or after the swap."""
        return identity(self._stage, TREE)

    def clear(self) -> None:
        """Remove the stage, unless it holds the previous content, which :func:`settle` needs."""
        if not self._changing or self.fresh in ((0, 0), self._changing):
            trees.remove_tree(self.stage)

    def move_in(self, saved_as: str) -> str:
        """Replace the target. :func:`settle` finishes an interrupted replacement.

        Args:
            saved_as: the name for the previous content, in the same directory.

        Returns:
            The path of the previous content, "" for none.
        """
        name = os.path.basename(self.target)
        previous = ""
        self._changing = self.fresh
        note = {"aside": saved_as, "fresh": list(self._changing)}
        self._stage.replace(_RECORD, json.dumps(note).encode(), 0o600, durable=True)
        if self._parent.exists(name):
            try:
                self._stage.exchange(TREE, self._parent, name)
            except OSError as error:
                if error.errno not in _NO_EXCHANGE:
                    raise
                previous = _put_aside(self._parent, name, self._parent, saved_as)
                self._stage.rename(TREE, self._parent, name)
            else:
                previous = _put_aside(self._stage, TREE, self._parent, saved_as)
        else:
            self._stage.rename(TREE, self._parent, name)
        files.sync(self._parent.descriptor)
        files.sync(self._stage.descriptor)
        return os.path.join(os.path.dirname(self.target), previous) if previous else ""


@contextlib.contextmanager
def replacement(target: str, enter: t.Callable[[], None] = lambda: None) -> t.Iterator[Replacement]:
    """A directory in which to assemble the new ``target``; it is removed with its remaining content.

    Args:
        enter: called after the directories above the target were judged, before anything below them is changed.

    Raises:
        RestoreRefused: a directory above the target is a link that others could have created, or there is no directory
            above it that only root can change.
        FileError: a directory cannot be created.
    """
    with contextlib.ExitStack() as stack:
        parent = stack.enter_context(open_parent(target))
        stage = _stage_of(parent, target)
        enter()
        _settle(parent, stage, target)
        trees.remove_tree(stage)  # left by a run that was killed before it changed anything
        trees.private_dir(stage)
        found = Replacement(target, stage, stack.enter_context(beneath.open_directory(stage)), parent)
        stack.callback(found.clear)
        yield found


def open_parent(target: str) -> beneath.Directory:
    """Open the directory that contains ``target``; missing ones are created.

    Raises:
        RestoreRefused: one of them is a link that another user could have created.
        FileError: one cannot be opened or created.
    """
    parent = os.path.dirname(target)
    try:
        return folders.open_created(parent)
    except beneath.UnsafePath as error:
        raise RestoreRefused(
            f"{target}: {error}, so that its owner could redirect the restore. Remove the link, or "
            "configure the path of its target; nothing was changed"
        ) from error
    except OSError as error:
        raise files.error_of("open", parent, error) from error


def settle(target: str, enter: t.Callable[[], None] = lambda: None) -> bool:
    """Finish an interrupted swap of names. Returns whether there was one.

    Raises:
        RestoreRefused, FileError: as :func:`replacement`, with the same ``enter``.
    """
    if not os.path.isdir(os.path.dirname(target)):
        return False
    with open_parent(target) as parent:
        stage = _stage_of(parent, target)
        enter()
        return _settle(parent, stage, target)


def _settle(parent: beneath.Directory, path: str, target: str) -> bool:
    name = os.path.basename(target)
    if not os.path.isdir(path):
        return False
    trees.private_dir(path)
    with beneath.open_directory(path) as stage:
        try:
            note = json.loads(stage.read(_RECORD))
        except (OSError, ValueError):
            return False
        fresh = tuple(note["fresh"])
        if identity(parent, name) == fresh:
            if stage.exists(TREE):
                _put_aside(stage, TREE, parent, note["aside"])
        elif not parent.exists(name) and identity(stage, TREE) == fresh:
            # It was compared before the first rename.
            stage.rename(TREE, parent, name)
    files.sync(parent.descriptor)
    trees.remove_tree(path)
    return True


def _put_aside(source: beneath.Directory, name: str, parent: beneath.Directory, aside: str) -> str:
    """Rename a file or directory to an unused name. Returns the name."""
    chosen, number = aside, 1
    while parent.exists(chosen):
        number += 1
        chosen = f"{aside}-{number}"
    source.rename(name, parent, chosen)
    return chosen


def identity(directory: beneath.Directory, name: str) -> tuple[int, int]:
    """Device and inode of a name, zeros when there is none."""
    try:
        status = directory.stat(name)
    except FileNotFoundError:
        return (0, 0)
    return status.st_dev, status.st_ino


def _stage_of(parent: beneath.Directory, target: str) -> str:
    """The directory in which ``target`` is assembled, with a fixed name: leftovers of a killed run are found."""
    return os.path.join(_safe_above(parent, target), PREFIX + hashlib.sha256(os.fsencode(target)).hexdigest()[:16])


def _safe_above(parent: beneath.Directory, target: str) -> str:
    """The nearest directory above ``target``, on the mount of ``parent``, that only root and this user can change."""
    whole = _path(parent)
    wanted = _mount(parent.descriptor)
    found = ""
    descriptor = os.open("/", _DIRECTORY)
    try:
        path = "/"
        for part in ["", *[each for each in whole.split("/") if each]]:
            if part:
                following = os.open(part, _DIRECTORY, dir_fd=descriptor)
                os.close(descriptor)
                descriptor, path = following, os.path.join(path, part)
            if not beneath.only_ours(os.fstat(descriptor)):
                break
            if _mount(descriptor) == wanted:
                found = path
    finally:
        os.close(descriptor)
    if not found:
        raise RestoreRefused(
            f"{target}: others can write to every directory above it on its file system, and could redirect the "
            f"restore. Run chown root {whole} && chmod go-w {whole} for the time of the restore, or restore with "
            "--into a directory of root's and copy the files; nothing was changed"
        )
    return found


def _path(directory: beneath.Directory) -> str:
    """The path of an open directory without links."""
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/self/fd/{directory.descriptor}")
    return realpath(directory.path)


def _mount(descriptor: int) -> tuple[int, str]:
    """The device and mount of a directory. Names can be moved between directories with the same."""
    device = os.fstat(descriptor).st_dev
    with contextlib.suppress(OSError), open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as stream:
        return device, next((line for line in stream if line.startswith("mnt_id:")), "")
    return device, ""
