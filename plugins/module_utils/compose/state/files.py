# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection knows about a deployed stack and no engine keeps: small, without secrets, replaced atomically."""

from __future__ import annotations

import json
import os
import tempfile
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError

NAME = "compose.json"


def load(folder: str) -> dict[str, t.Any]:
    """The state in ``folder``; empty when there is none or it is damaged: it can always be made again."""
    try:
        with open(os.path.join(folder, NAME), encoding="utf-8") as stream:
            data = json.load(stream)
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def save(folder: str, data: t.Mapping[str, t.Any]) -> None:
    """Replace the state in ``folder``, or leave the former one whole.

    Raises:
        ComposeError: it cannot be written.
    """
    text = json.dumps(data, sort_keys=True, indent=1) + "\n"
    # Digests of short secrets can be guessed, so nobody else may read them.
    write(os.path.join(folder, NAME), text, 0o600)


def write(path: str, text: str, mode: int = 0o640) -> None:
    """Write a file so that a crash at any moment leaves the old or the new one, never half of one."""
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder, mode=0o750, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=".", dir=folder)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, mode)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise ComposeError(f"cannot write {path}: {error.strerror}") from error


def forget(folder: str) -> None:
    """Remove the state of a stack that was taken down; history and reports stay.

    Raises:
        ComposeError: it cannot be removed.
    """
    try:
        os.unlink(os.path.join(folder, NAME))
    except FileNotFoundError:
        return
    except OSError as error:
        raise ComposeError(f"cannot remove {os.path.join(folder, NAME)}: {error.strerror}") from error
