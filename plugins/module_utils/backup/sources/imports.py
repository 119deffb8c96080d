# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports of files, and the note of the last import into each source in the state directory.

A note inside an RDB or a directory would be part of the data.
"""

from __future__ import annotations

import os

from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import MigrationError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec

_NOTE = "arrivals"


class FileImport:
    """The base of imports of files: a digest, and the note of the last import.

    Args:
        scratch: a private directory for the import.
    """

    prefix = ""

    def __init__(self, context: Context, spec: SourceSpec, file: str, scratch: str) -> None:
        self.context = context
        self.spec = spec
        self.file = file
        self.scratch = scratch
        self.sha256 = ""
        self.warnings: list[str] = []

    def already_imported(self) -> bool:
        """Whether this content was the last import into the source."""
        note = (self.context.state.read(_NOTE).get("sources") or {}).get(self.spec.name) or {}
        return bool(note.get("sha256") == self.sha256)

    def require_content(self, count: int, what: str) -> None:
        """Refuse an import without content, unless the source may be empty. Raises :class:`MigrationError`."""
        if not count and not self.spec.allow_empty:
            raise MigrationError(f"{self.file} holds no {what}; if that is right, set allow_empty for this source")


def note_import(context: Context, source: str, sha256: str, file: str) -> None:
    """Record the content that was last imported into a source."""
    known = context.state.read(_NOTE).get("sources") or {}
    known[source] = {"sha256": sha256, "file": os.path.basename(file), "at": context.now().isoformat()}
    context.state.write(_NOTE, {"sources": known})
