# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The staged files of a set in a restic snapshot, and how many files the whole snapshot must have."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import model as directory
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Manifest

# The end of the path of the staged files, the same for each set: restic finds the previous snapshot by it.
STAGE = "onebox-set"


def expected(manifest: Manifest) -> int:
    """The least number of plain files in a snapshot of this set: the staged ones and those of the directories."""
    roots = {facts.root.rstrip("/") + "/": facts for facts in map(directory.of, manifest.sources) if facts}
    # Nested directories are read only once.
    apart = [facts for root, facts in roots.items() if not any(root != o and root.startswith(o) for o in roots)]
    staged = 1 + sum(len(source.artefacts) for source in manifest.sources)
    return staged + sum(facts.plain_files for facts in apart)


def stage_path(row: t.Mapping[str, t.Any]) -> str:
    for path in row.get("paths") or ():
        if os.path.basename(path) == STAGE:
            return str(path)
    raise StoreError(f"snapshot {str(row.get('id'))[:8]} holds no set of this program")
