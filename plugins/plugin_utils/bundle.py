# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack's files as one text, so that they reach the host with the options of a module, in the same connection."""

from __future__ import annotations

import base64
import fnmatch
import gzip
import io
import os
import stat
import tarfile
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath

# Larger stacks are copied by rsync, which transfers only differences.
MOST_BYTES = 1024 * 1024
MOST_ENTRIES = 1000


class BundleError(OneboxError):
    """A file of the stack cannot be read, or does not exist."""


class Entry(t.NamedTuple):
    """A file, directory or link of a bundle: its name there, its path on the controller, and its status."""

    name: str
    path: str
    status: os.stat_result


class Folder(t.NamedTuple):
    """A folder to copy, as rsync understands its path: only with a slash at the end without its own name.

    Args:
        source: the path on the controller.
        prefix: the directory for it in the bundle.
        variable: the user's variable with the path, for messages.
        without: a name that is left out at the top.
    """

    source: str
    prefix: str
    variable: str
    without: str = ""


def fits(folders: t.Sequence[Folder], excludes: t.Sequence[str]) -> bool:
    """Whether the folders are small enough for a bundle. A path that only rsync understands does not fit.

    Raises:
        BundleError: a folder does not exist, or cannot be listed.
    """
    if not all(os.path.isabs(folder.source) for folder in folders):
        return False
    size = 0
    for number, entry in enumerate(_entries(folders, excludes), 1):
        size += entry.status.st_size if stat.S_ISREG(entry.status.st_mode) else 0
        if size > MOST_BYTES or number > MOST_ENTRIES:
            return False
    return True


def pack(folders: t.Sequence[Folder], excludes: t.Sequence[str]) -> str:
    """The folders as a compressed tar archive, in Base64. Owners and times are left out.

    Args:
        folders: what to pack.
        excludes: patterns of names that are left out at any depth.

    Raises:
        BundleError: a folder or a file cannot be read.
    """
    whole = io.BytesIO()
    with tarfile.open(
        fileobj=whole, mode="w", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape"
    ) as archive:
        for entry in _entries(folders, excludes):
            row = tarfile.TarInfo(entry.name)
            row.mode = stat.S_IMODE(entry.status.st_mode)
            content = b""
            try:
                if stat.S_ISDIR(entry.status.st_mode):
                    row.type = tarfile.DIRTYPE
                elif stat.S_ISLNK(entry.status.st_mode):
                    row.type, row.linkname = tarfile.SYMTYPE, os.readlink(entry.path)
                else:
                    with open(entry.path, "rb") as file:
                        content = file.read()
            except OSError as error:
                raise _unreadable(entry.path, error) from error
            row.size = len(content)
            archive.addfile(row, io.BytesIO(content))
    # Without a time of its own: the same files are the same bundle in each run.
    return base64.b64encode(gzip.compress(whole.getvalue(), mtime=0)).decode()


def _entries(folders: t.Sequence[Folder], excludes: t.Sequence[str]) -> t.Iterator[Entry]:
    for folder in folders:
        source = folder.source
        # With a slash at the end, a link to a folder is followed.
        path = realpath(source) if source.endswith("/") else source
        try:
            status = os.lstat(path)
        except OSError as error:
            raise BundleError(
                f"{folder.variable}: {source} on the controller: {error.strerror}. Correct the path."
            ) from error
        if source.endswith("/"):
            yield from _below(Entry(folder.prefix, path, status), excludes, folder.without)
        else:
            top = os.lstat(os.path.dirname(path) or "/")
            yield Entry(folder.prefix, os.path.dirname(path), top)
            yield from _below(Entry(f"{folder.prefix}/{os.path.basename(path)}", path, status), excludes, "")


def _below(entry: Entry, excludes: t.Sequence[str], without: str) -> t.Iterator[Entry]:
    """An entry, and all below it if it is a directory. Sockets, pipes and devices are left out."""
    mode = entry.status.st_mode
    if stat.S_ISDIR(mode) or stat.S_ISREG(mode) or stat.S_ISLNK(mode):
        yield entry
    if not stat.S_ISDIR(mode):
        return
    try:
        with os.scandir(entry.path) as found:
            inner = sorted(found, key=lambda each: each.name)
        rows = [Entry(f"{entry.name}/{each.name}", each.path, each.stat(follow_symlinks=False)) for each in inner]
    except OSError as error:
        raise _unreadable(entry.path, error) from error
    for row in rows:
        name = os.path.basename(row.path)
        if name != without and not any(fnmatch.fnmatchcase(name, pattern) for pattern in excludes):
            yield from _below(row, excludes, "")


def _unreadable(path: str, error: OSError) -> BundleError:
    return BundleError(f"{path} on the controller cannot be read: {error.strerror}. Correct its permissions.")
