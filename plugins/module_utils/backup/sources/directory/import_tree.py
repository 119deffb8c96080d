# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Import a directory from elsewhere into a directory source, with the steps of a restore."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import MigrationError, MismatchError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import archive as directories
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import (
    extract,
    listing,
    restore,
    swap,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.imports import FileImport, note_import
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.core import trees
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath


class TreeImport(FileImport):
    """A directory to import into a directory source."""

    def __init__(self, context: Context, spec: SourceSpec, file: str, scratch: str) -> None:
        super().__init__(context, spec, file, scratch)
        if not os.path.isdir(file) or os.path.islink(file):
            raise MigrationError(f"{file} is not a directory")
        target = realpath(spec.path)
        real = realpath(file)
        if os.path.commonpath([target, real]) in (target, real):
            raise MigrationError(f"{file} and {spec.path} contain each other. Copy it to another directory first")
        got = self._read("list", archive=False)
        self.warnings = list(got.warnings)
        self.sha256 = self._digest(got)

    def _read(self, name: str, archive: bool) -> directories.Captured:
        """Capture it like a source: SQLite files by SQLite's own interface, everything with its hash."""
        self._staged = os.path.join(self.scratch, name)
        trees.private_dir(self._staged)
        return directories.capture(self.file, (), self.spec.sqlite, self._staged, self.spec.name, archive=archive)

    def _digest(self, got: directories.Captured) -> str:
        """The digest of names, modes, owners and contents. A copy of the directory has the same."""
        return listing.digest(os.path.join(self._staged, got.facts.list))

    def step(self, stamp: str) -> str:
        path = self.spec.path
        return f"directory {path}: copied from {self.file}, compared; the previous one becomes {path}.before-{stamp}"

    def try_out(self) -> dict[str, t.Any]:
        """Read it again with all content, and check that it did not change."""
        got = self._read("archive", archive=True)
        if self._digest(got) != self.sha256:
            raise MigrationError(
                f"{self.file} changes while it is read. Stop the programs that write to it and run again"
            )
        self._facts = got.facts
        self.require_content(self._facts.entries - 1, "file")
        return {"entries": self._facts.entries - 1}

    def move_in(self, stamp: str) -> str:
        """Copy it, compare the copy, and swap it with the live directory. Returns the previous copy, "" for none."""
        target = self.spec.path
        owners = self.context.world.is_root
        note = _swap_note(self.spec)
        with swap.replacement(target) as new:
            trees.private_dir(new.tree)
            lost = extract.extract(os.path.join(self._staged, self._facts.archive), new.tree, owners)
            extract.overlay_databases(self._facts, self._staged, new.tree, owners)
            extract.dress_root(self._facts, self._staged, new.tree, owners)
            problems, _moved = directories.check(self._facts, self._staged, new.tree, owners, lost)
            if problems:
                raise MismatchError(
                    f"{target} is untouched, the copy of {self.file} differs: {'; '.join(problems[:5])}"
                )
            self.warnings += restore.not_kept(self.spec.name, lost, target)
            trees.sync_tree(new.tree)
            # If this run is killed during the swap, the next run finishes it, see finish().
            aside = f"{os.path.basename(target)}.before-{stamp}"
            kept = {"fresh": list(new.fresh), "sha256": self.sha256, "file": self.file}
            self.context.state.write(note, kept)
            previous = new.move_in(aside)
        note_import(self.context, self.spec.name, self.sha256, self.file)
        self.context.state.write(note, {})
        return previous


def finish(context: Context, spec: SourceSpec) -> str:
    """Finish an interrupted swap of names. Returns a line for the report, "" for none."""
    note = context.state.read(_swap_note(spec))
    if not note:
        return ""
    settled = swap.settle(spec.path)
    with swap.open_parent(spec.path) as parent:
        imported = list(swap.identity(parent, os.path.basename(spec.path))) == note["fresh"]
    if imported:
        note_import(context, spec.name, note["sha256"], note["file"])
    context.state.write(_swap_note(spec), {})
    return f"{spec.path}: finished the swap of names that was interrupted" if settled and imported else ""


def _swap_note(spec: SourceSpec) -> str:
    return f"swap-{spec.name}"
