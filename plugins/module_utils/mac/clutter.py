# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find and remove files that Python, Finder and other file systems leave in a project.

The search does not follow symbolic links, and skips other file systems, version control and virtual environments. A
``._x`` file is clutter only if it is AppleDouble and its partner exists, or if macOS must write such files on this file
system. Any other file of such a name belongs to a user.
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
# A folder with this file is a virtual environment (PEP 405), and its bytecode is not clutter.
_VENV_MARK = "pyvenv.cfg"


@dataclass(frozen=True)
class Clutter:
    """A file or a ``__pycache__`` folder to remove. ``bytes`` is its size, content included."""

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
            raise MacError(f"paths: {root} is not a directory. Links are not followed, so name the target of a link.")
        if os.path.normpath(root) == "/":
            raise MacError("paths: / is not a project. Name the project's directory.")
        _walk(os.path.normpath(root), os.lstat(root).st_dev, kinds, skipped, foreign_filesystem, found)
    return sorted(set(found), key=lambda one: one.path)


def _walk(
    folder: str, device: int, kinds: t.Collection[str], skipped: set[str], foreign: bool, found: list[Clutter]
) -> None:
    """Depth first, with a list instead of recursion, so that any depth of folders works."""
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
    """Whether a ``__pycache__`` contains only files of Python."""
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
    """Remove clutter. Returns the paths that could not be removed, with the reasons.

    A folder is emptied and removed. If other files appeared in it meanwhile, they and the folder are kept.
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
