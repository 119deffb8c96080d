# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the compose files of a set: only to configured paths, or below the directory that the operator named.

Every name comes from a manifest. A file is written relative to the descriptor of its directory, so that neither a name
nor a planted link leads elsewhere.
"""

from __future__ import annotations

import os
import stat
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import RestoreRefused
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import folders
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.compose.model import ComposeFacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.core import beneath, files


def undeclared(spec: SourceSpec, facts: ComposeFacts) -> list[str]:
    """Paths of the set that the backup configuration does not name (any more). They are not written."""
    declared = {os.path.normpath(path) for path in spec.files}
    return [path for path in facts.files if os.path.normpath(path) not in declared]


def target(path: str, into: str) -> str:
    """The path to write the file from ``path`` to. Raises :class:`RestoreRefused` for a name that leaves ``into``."""
    return os.path.join(*_split(path, into))


def put_files(
    facts: ComposeFacts, paths: t.Sequence[str], staged: str, into: str, stamp: str, owners: bool
) -> list[str]:
    """Write the files of a compose source. Returns the paths of the previous copies.

    Args:
        paths: the files to write, as the set names them.
        staged: directory with the files of the set.
        into: directory to write below, "" for the paths the files came from.
        stamp: ends the name of a previous copy.
        owners: set owner and group.

    Raises:
        RestoreRefused: a path contains a link that another user could have created.
        FileError, OSError: a file cannot be written.
    """
    aside = []
    for path in paths:
        row = facts.file(path)
        with files.open_regular(os.path.join(staged, row.artefact)) as stream:
            data = stream.read()
        folder, name = _split(path, into)
        try:
            with folders.open_created(folder) as root:
                if "/" in name:
                    root.make_directories(os.path.dirname(name), 0o755)
                if root.exists(name):
                    if stat.S_ISREG(root.stat(name).st_mode) and root.read(name) == data:
                        continue
                    root.rename(name, root, f"{name}.before-{stamp}")
                    aside.append(f"{os.path.join(folder, name)}.before-{stamp}")
                owner = (row.uid, row.gid) if owners else (-1, -1)
                root.replace(name, data, row.mode, durable=True, owner=owner)
        except beneath.UnsafePath as error:
            raise RestoreRefused(
                f"{os.path.join(folder, name)}: {error}. Restore with --into a directory that only root can write to"
            ) from error
    return aside


def _split(path: str, into: str) -> tuple[str, str]:
    """The directory to open, and the name below it."""
    folder, name = (os.path.abspath(into), path.lstrip("/")) if into else os.path.split(path)
    try:
        return folder, beneath.check_relative(name)
    except beneath.UnsafePath as error:
        raise RestoreRefused(f"{path!r} leaves {folder}. Nothing was written") from error
