# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what host Python, Finder and foreign file systems leave in a project, and remove exactly that.

Never followed or entered: symbolic links, other file systems, version control, virtual environments. A ``._x`` file is
clutter only if it is really AppleDouble and its partner is there, or the file system is one on which macOS must write
them; anything else of that name is somebody's file.
"""

from __future__ import annotations

import os
import stat
import struct
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.mac.errors import MacError

KINDS = ("pycache", "pyc", "ds_store", "apple_double")
# The first four bytes of an AppleDouble file (RFC 1740).
_APPLE_DOUBLE = struct.pack(">I", 0x00051607)
_NEVER_ENTERED = (".git", ".hg", ".svn")
# A folder with this file is a virtual environment (PEP 405); its bytecode belongs to it.
_VENV_MARK = "pyvenv.cfg"


@dataclass(frozen=True)
class Clutter:
    """One thing to remove: a file, or a ``__pycache__`` folder with all it holds. ``bytes`` is what it occupies."""

    path: str
    kind: str
    bytes: int


def find(
    roots: t.Sequence[str],
    kinds: t.Collection[str] = KINDS,
    exclude: t.Collection[str] = (),
    foreign_filesystem: bool = False,
) -> list[Clutter]:
    """Clutter below ``roots``, by path.

    Args:
        roots: absolute directories.
        kinds: what counts.
        exclude: absolute paths that are not entered.
        foreign_filesystem: whether the roots lie on exFAT or FAT, where every ``._x`` with the magic is macOS's own.

    Raises:
        MacError: a root is not an absolute path of a directory.
    """
    found: list[Clutter] = []
    skipped = {os.path.normpath(path) for path in exclude}
    for root in roots:
        if not os.path.isabs(root):
            raise MacError(f"paths: {root!r} must be an absolute path")
        if os.path.islink(root) or not os.path.isdir(root):
            raise MacError(f"paths: {root} is not a directory (a link is not followed: give what it points to)")
        if os.path.normpath(root) == "/":
            raise MacError("paths: the whole machine is not a project; give its directory")
        _walk(os.path.normpath(root), os.lstat(root).st_dev, kinds, skipped, foreign_filesystem, found)
    return sorted(set(found), key=lambda one: one.path)


def _walk(
    folder: str, device: int, kinds: t.Collection[str], skipped: set[str], foreign: bool, found: list[Clutter]
) -> None:
    """Depth first, with a list of our own, so that no depth of folders ends the recursion."""
    todo = [folder]
    while todo:
        here = todo.pop()
        if here in skipped:
            continue
        try:
            with os.scandir(here) as entries:
                content = list(entries)
        except (PermissionError, FileNotFoundError):
            continue
        names = {entry.name for entry in content}
        if _VENV_MARK in names:
            continue
        for entry in content:
            status = entry.stat(follow_symlinks=False)
            if status.st_dev != device or entry.path in skipped:
                continue
            if stat.S_ISDIR(status.st_mode):
                if entry.name == "__pycache__":
                    if "pycache" in kinds and _only_bytecode(entry.path):
                        found.append(Clutter(entry.path, "pycache", _size(entry.path)))
                elif entry.name not in _NEVER_ENTERED:
                    todo.append(entry.path)
            elif stat.S_ISREG(status.st_mode):
                kind = _kind(entry, names, foreign)
                if kind in kinds:
                    found.append(Clutter(entry.path, kind, status.st_size))


def _kind(entry: os.DirEntry[str], names: t.Collection[str], foreign: bool) -> str:
    name = entry.name
    if name.startswith("._"):
        return "apple_double" if (foreign or name[2:] in names) and _is_apple_double(entry.path) else ""
    if name == ".DS_Store":
        return "ds_store"
    return "pyc" if name.endswith((".pyc", ".pyo")) else ""


def _is_apple_double(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(4) == _APPLE_DOUBLE
    except OSError:
        return False


def _only_bytecode(folder: str) -> bool:
    """Whether a ``__pycache__`` holds what Python puts there and nothing of its owner's."""
    try:
        with os.scandir(folder) as entries:
            return all(
                entry.is_file(follow_symlinks=False)
                and (entry.name.endswith((".pyc", ".pyo", ".nbi", ".nbc")) or ".pyc." in entry.name
                     or entry.name == ".DS_Store" or entry.name.startswith("._"))
                for entry in entries
            )  # fmt: skip
    except OSError:
        return False


def _size(folder: str) -> int:
    with os.scandir(folder) as entries:
        return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)


def remove(found: t.Iterable[Clutter]) -> list[str]:
    """Remove clutter and return what could not be removed, with the reason.

    A folder is emptied of its files and removed; whatever appeared in it since stays, and the folder with it.
    """
    failed = []
    for one in found:
        try:
            if one.kind == "pycache":
                with os.scandir(one.path) as entries:
                    for entry in list(entries):
                        if entry.is_file(follow_symlinks=False):
                            os.unlink(entry.path)
                os.rmdir(one.path)
            else:
                os.unlink(one.path)
        except FileNotFoundError:
            continue
        except OSError as error:
            failed.append(f"{one.path}: {error.strerror}")
    return failed
