# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a running project, as one text that goes from its host to the machine with the inventory.

Directories that containers write to are data: they stay on the host, and are not in it.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import stat
import typing as t
import zlib
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import MARKER
from ansible_collections.onebox.stack.plugins.module_utils.compose.running.projects import Project
from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath

_SKIPPED = frozenset((".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", "venv", ".terraform"))
_MOST_FILES = 2000
_MOST_BYTES = 16 << 20
_LARGE = 4 << 20


@dataclass(frozen=True)
class File:
    """One file: its path relative to the project's directory, its mode, and its content."""

    path: str
    mode: int
    content: bytes


def pack(project: Project, data: t.Sequence[t.Mapping[str, t.Any]]) -> tuple[str, dict[str, str]]:
    """The files that come with ``project``.

    Args:
        data: what its containers mount.

    Returns:
        The text, and the paths that are not in it -> the reason.

    Raises:
        ComposeError: the directory is not on this host, or has too many files.
    """
    if not project.folder:
        where = project.working_dir or "its labels name no directory"
        raise ComposeError(
            f"project {project.name}: its directory is not on this host ({where}). Copy its compose file to the "
            "machine with the inventory and run new_stack.yml."
        )
    written = {
        realpath(os.path.join(project.folder, os.path.relpath(row["path"], project.working_dir)))
        for row in data
        if row["kind"] == "bind" and row["folder"] and not row["read_only"]
    }
    found: dict[str, tuple[int, str]] = {}
    left: dict[str, str] = {}
    size = 0
    for path in _walk(project.folder, written, left):
        relative = os.path.relpath(path, project.folder)
        if relative == MARKER or relative.endswith((".pyc", ".swp")) or os.path.basename(path) == ".DS_Store":
            continue
        content = _content(path, relative, left)
        if content is None:
            continue
        mode = stat.S_IMODE(os.stat(path).st_mode)
        found[relative] = (mode, base64.b64encode(content).decode())
        size += len(content)
        if len(found) > _MOST_FILES or size > _MOST_BYTES:
            raise ComposeError(
                f"project {project.name}: {project.folder} has more than {_MOST_FILES} files or "
                f"{_MOST_BYTES >> 20} MiB that no container writes to. Copy its compose file and its "
                "configuration to the machine with the inventory, and run new_stack.yml."
            )
    text = base64.b64encode(zlib.compress(json.dumps(found).encode())).decode()
    return text, left


def _walk(folder: str, written: t.Container[str], left: dict[str, str]) -> t.Iterator[str]:
    for top, folders, names in os.walk(folder):
        kept = []
        for each in sorted(folders):
            path = os.path.join(top, each)
            if realpath(path) in written:
                left[os.path.relpath(path, folder)] = "data: containers write to it"
            elif each not in _SKIPPED and not os.path.islink(path):
                kept.append(each)
        folders[:] = kept if realpath(top) not in written or top == folder else []
        for each in sorted(names):
            yield os.path.join(top, each)


def _content(path: str, relative: str, left: dict[str, str]) -> bytes | None:
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            left[relative] = "a symbolic link"
        elif not stat.S_ISREG(status.st_mode):
            left[relative] = "not a plain file"
        elif status.st_size > _LARGE:
            left[relative] = f"larger than {_LARGE >> 20} MiB"
        else:
            with files.open_regular(path) as stream:
                return stream.read()
    except (OSError, files.FileError) as error:
        left[relative] = f"cannot be read: {error}"
    return None


def unpack(text: str) -> list[File]:
    """The files of a bundle.

    Raises:
        ComposeError: it is not a bundle, or a path in it leads out of the directory.
    """
    try:
        rows = json.loads(zlib.decompress(base64.b64decode(text, validate=True)))
        found = [File(path, int(mode) & 0o777, base64.b64decode(body)) for path, (mode, body) in rows.items()]
    except (binascii.Error, zlib.error, ValueError, TypeError, AttributeError) as error:
        raise ComposeError("bundle: is not a bundle of stack_discover. Use its return value bundle.") from error
    for each in found:
        if os.path.isabs(each.path) or os.path.normpath(each.path) != each.path or each.path.startswith(".."):
            raise ComposeError(f"bundle: the path {each.path!r} leads out of the project's directory.")
    return sorted(found, key=lambda each: each.path)
