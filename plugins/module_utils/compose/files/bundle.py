# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stack's files that came with the module's options: unpacked into a private directory for this run."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import stat
import tarfile
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.core import temporary, trees

_FILES = "files"


@contextlib.contextmanager
def unpacked(params: t.Mapping[str, t.Any]) -> t.Iterator[t.Mapping[str, t.Any]]:
    """Replace the option ``bundle`` by the directories that it holds, and remove them at the end.

    Yields:
        The parameters with ``staging_dir``, and with ``staged_dir`` if the bundle has files of the stack.

    Raises:
        ComposeError: the bundle cannot be unpacked, or a directory was given, too.
    """
    if not params["bundle"]:
        yield params
        return
    if params["staging_dir"] or params["staged_dir"]:
        raise ComposeError("bundle: cannot be combined with staging_dir or staged_dir. Remove one of them.")
    with temporary.directory(".onebox") as folder:
        try:
            unpack(params["bundle"], folder)
        except (ValueError, OSError, EOFError, tarfile.TarError) as error:
            advice = "Create it with the lookup onebox.stack.stack_bundle."
            raise ComposeError(f"bundle: cannot be unpacked: {error}. {advice}") from error
        staged = os.path.join(folder, _FILES)
        yield {**params, "staging_dir": folder, "staged_dir": staged if os.path.isdir(staged) else None}


def unpack(text: str, folder: str) -> None:
    """Unpack files, directories and links into an empty directory that only this user can enter.

    Raises:
        ValueError, TarError: it is not a bundle, or an entry leaves the directory.
        OSError: an entry cannot be written.
    """
    modes: dict[str, int] = {}
    with tarfile.open(
        fileobj=io.BytesIO(base64.b64decode(text, validate=True)),
        mode="r:gz",
        encoding="utf-8",
        errors="surrogateescape",
    ) as archive:
        for row in archive:
            above = os.path.dirname(row.name)
            # Directories of this loop only: never through a link of the bundle.
            if not trees.safe_relative(row.name) or (above and above not in modes):
                raise ValueError(f"{row.name!r} leaves the directory")
            path = os.path.join(folder, row.name)
            if row.isdir():
                os.mkdir(path, 0o700)
                modes[row.name] = stat.S_IMODE(row.mode)
            elif row.issym():
                os.symlink(row.linkname, path)
            elif row.isreg():
                _write(path, archive.extractfile(row), stat.S_IMODE(row.mode))
            else:
                raise ValueError(f"{row.name!r} is not a file, a directory or a link")
    # At the end, the deepest first: a directory may deny its owner to write.
    for name, mode in sorted(modes.items(), reverse=True):
        os.chmod(os.path.join(folder, name), mode)


def _write(path: str, content: t.IO[bytes] | None, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content.read() if content else b"")
        os.fchmod(descriptor, mode)
