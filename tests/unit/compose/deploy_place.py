# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source, a deploy directory and a state directory on a real file system."""

from __future__ import annotations

import dataclasses
import pathlib

from ansible_collections.onebox.stack.plugins.module_utils.compose.files import changes as file_changes
from ansible_collections.onebox.stack.plugins.module_utils.compose.files import move_in
from ansible_collections.onebox.stack.plugins.module_utils.compose.files.changes import Target
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import deployed_files
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.deployed_files import SavedCopies

AT = "2026-11-29T03:15:00Z"


class Place:
    """A deploy directory, a source folder and a state folder."""

    def __init__(self, root: pathlib.Path) -> None:
        self.source, self.host, self.state = root / "source", root / "host", root / "state"
        self.source.mkdir()
        self.state.mkdir()

    def ship(self, **texts: str) -> None:
        """The whole source: ``conf__a`` is the file ``conf/a``."""
        for path in sorted(self.source.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        for name, text in texts.items():
            path = self.source / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def compare(self, **changes) -> file_changes.Difference:
        items, problems = file_changes.read_tree(str(self.source))
        target = Target(str(self.host), items, str(self.source), prune=True)
        found = file_changes.compare(dataclasses.replace(target, **changes), deployed_files.load(str(self.state)))
        found.problems += problems
        return found

    def deploy(self, **changes) -> file_changes.Difference:
        found = self.compare(**changes)
        assert found.problems == []
        now = move_in.planned(found, deployed_files.load(str(self.state)))
        deployed_files.save(str(self.state), now)
        move_in.save_copies(found, SavedCopies(str(self.state), AT))
        deployed_files.save(str(self.state), move_in.carry_out(found, now))
        return found

    def actions(self, **changes) -> dict[str, str]:
        return {change.name: change.action for change in self.compare(**changes).changes}

    def texts(self) -> dict[str, str]:
        found = (path for path in self.host.rglob("*") if path.is_file())
        return {str(path.relative_to(self.host)): path.read_text() for path in found}

    def saved(self) -> dict[str, str]:
        base = self.state / "saved" / AT
        return {str(path.relative_to(base)): path.read_text() for path in base.rglob("*") if path.is_file()}
