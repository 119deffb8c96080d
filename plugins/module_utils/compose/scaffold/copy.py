# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the files of a project that come with the stack, and write files without overwriting any of the user's."""

from __future__ import annotations

import os
import re
import stat
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import NOT_SET, Model
from ansible_collections.onebox.stack.plugins.module_utils.core import files, process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

CREATED, UNCHANGED, KEPT, BESIDE = "created", "unchanged", "kept", "beside"
_BESIDE = ".new"
_SKIPPED_FOLDERS = frozenset((".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", "venv", ".terraform"))
# More than this is not the source of a stack.
_MOST_FILES = 5000
_MOST_BYTES = 64 << 20
# Directories in a container that hold data, for a folder without version control.
_DATA = re.compile(
    r"/(?:var/(?:lib|opt|log)|data|config|storage|db|bitnami|home|backups?|logs?|uploads?|root|mnt|media)(?:/|$)"
)


@dataclass(frozen=True)
class Shipped:
    """The files that come with a stack.

    Attributes:
        names: path relative to the folder.
        left: what is not copied -> the reason.
    """

    names: tuple[str, ...]
    left: t.Mapping[str, str]


@dataclass(frozen=True)
class Written:
    """One file of the result."""

    path: str
    action: str
    reason: str


def shipped(folder: str, model: Model, world: World) -> Shipped:
    """The files below ``folder`` that belong to the stack: what version control has, or all but data.

    Raises:
        ComposeError: there are too many.
    """
    left: dict[str, str] = {}
    names = tracked(folder, world)
    if names is None:
        names = list(_walk(folder, _data_folders(folder, model), left))
    return Shipped(chosen(folder, names, left), left)


def chosen(folder: str, names: t.Iterable[str], left: dict[str, str]) -> tuple[str, ...]:
    """Those of ``names`` below ``folder`` that are copied. The others are added to ``left`` with the reason.

    Raises:
        ComposeError: there are too many.
    """
    kept, total = [], 0
    for name in names:
        base = os.path.basename(name)
        path = os.path.join(folder, name)
        status = os.lstat(path) if os.path.lexists(path) else None
        if status is None:
            continue
        if name == ".env":
            left[name] = "its values are in the inventory"
        elif stat.S_ISLNK(status.st_mode):
            left[name] = "a symbolic link: ship the file itself"
        elif not stat.S_ISREG(status.st_mode):
            left[name] = "not a plain file"
        elif not os.access(path, os.R_OK):
            left[name] = "cannot be read by this user"
        elif base.endswith((".pyc", ".swp")) or base == ".DS_Store":
            continue
        else:
            kept.append(name)
            total += status.st_size
    if len(kept) > _MOST_FILES or total > _MOST_BYTES:
        raise ComposeError(
            f"from: {folder} has {len(kept)} files with {total >> 20} MiB, too many for the source of a stack. Name a "
            "folder with the compose file and the files that come with it."
        )
    return tuple(sorted(kept))


def tracked(folder: str, world: World, below: str = ".") -> list[str] | None:
    """Files that git has in ``below``, relative to ``folder``; None where it is not a checkout."""
    names = git(folder, ["ls-files", "-z", "--", below], world).split("\0")
    return [name for name in names if name] or None


def git(folder: str, words: t.Sequence[str], world: World) -> str:
    """The output of a git command in ``folder``; "" where it fails."""
    try:
        result = world.run(["git", "-C", folder, "-c", f"safe.directory={folder}", *words], timeout=60.0, check=False)
    except process.CommandError:
        return ""
    return result.stdout if result.rc == 0 else ""


def _data_folders(folder: str, model: Model) -> dict[str, str]:
    """Folders that services keep data in, relative to the project's folder -> the reason."""
    found = {}
    for service in model.services.values():
        for bind in service.binds:
            if not bind.relative or bind.read_only or NOT_SET in bind.source:
                continue
            relative = os.path.relpath(bind.source, model.project_dir)
            if relative.startswith("..") or relative == "." or not os.path.isdir(os.path.join(folder, relative)):
                continue
            if _DATA.match(bind.target):
                found[relative] = f"data of service {service.name} ({bind.target})"
    return found


def _walk(folder: str, data: t.Mapping[str, str], left: dict[str, str]) -> t.Iterator[str]:
    seen = 0
    for top, folders, names in os.walk(folder):
        prefix = os.path.relpath(top, folder)
        kept = []
        for each in sorted(folders):
            relative = os.path.normpath(os.path.join(prefix, each))
            if relative in data:
                left[relative] = data[relative]
            elif each not in _SKIPPED_FOLDERS:
                kept.append(each)
        folders[:] = kept
        for each in names:
            seen += 1
            if seen > _MOST_FILES * 2:
                raise ComposeError(f"from: {folder} has more than {seen} files. Name a folder with the stack alone.")
            yield os.path.normpath(os.path.join(prefix, each))


class Writer:
    """Writes files that are not there, and leaves those of the user as they are.

    Args:
        check: write nothing.

    Attributes:
        written: one entry for each file.
    """

    def __init__(self, check: bool) -> None:
        self._check = check
        self.written: list[Written] = []

    @property
    def changed(self) -> bool:
        """Whether anything was written, or would be."""
        return any(each.action in (CREATED, BESIDE) for each in self.written)

    def write(self, path: str, data: bytes, mode: int, reason: str) -> None:
        """Write ``data`` to ``path``, or next to it when another file is there.

        Raises:
            FileError: it cannot be written.
        """
        present = _content(path)
        if present == data:
            self.written.append(Written(path, UNCHANGED, reason))
            return
        if present is None:
            self._put(path, data, mode)
            self.written.append(Written(path, CREATED, reason))
            return
        beside = path + _BESIDE
        why = f"{path} is there with other content and stays. {reason}"
        if _content(beside) == data:
            self.written.append(Written(beside, UNCHANGED, why))
            return
        self._put(beside, data, mode)
        self.written.append(Written(beside, BESIDE, why))

    def keep(self, path: str, reason: str) -> None:
        """Note a file that is left as it is."""
        self.written.append(Written(path, KEPT, reason))

    def _put(self, path: str, data: bytes, mode: int) -> None:
        if not self._check:
            files.make_directories(os.path.dirname(path), 0o755)
            files.replace(path, data, mode, durable=False)


def _content(path: str) -> bytes | None:
    if not os.path.lexists(path):
        return None
    try:
        with files.open_regular(path) as stream:
            return stream.read()
    except OSError:
        return b"\0not a plain file"
