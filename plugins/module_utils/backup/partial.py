# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit a set without the directories that the store could not read."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.capture import Capturer
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import TreesUnread
from ansible_collections.onebox.stack.plugins.module_utils.backup.reports import BackupReport
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import model as directory
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import manifest as manifests
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import Store
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Manifest, Source
from ansible_collections.onebox.stack.plugins.module_utils.core import beneath, files, trees


def commit(
    store: Store, staging: str, manifest: Manifest, capturer: Capturer, report: BackupReport
) -> tuple[Manifest, str]:
    """Commit a staged set; without the directories in which the store could not read something.

    Returns:
        The manifest that was committed, and the id of the set.

    Raises:
        StoreError: nothing was committed.
    """
    while True:
        roots = capturer.trees if store.trees else []
        try:
            return manifest, store.commit(staging, manifest, roots, capturer.excludes)
        except TreesUnread as error:
            bad = [source for source in manifest.sources if _concerned(source, error.paths)]
            # An error of no source, or of all sources, is an error of the store.
            known = {path for source in bad for path in error.paths if _below(path, _root(source))}
            if not bad or known != set(error.paths) or len(bad) == len(manifest.sources):
                raise
            text = f"restic could not read it: {error}"
        lost = {source.name: f"{_root(source)}: {text}"[:1000] for source in bad}
        for source in bad:
            _drop(source, staging, capturer)
        for row in report.sources:
            if row.name in lost:
                row.ok, row.error = False, lost[row.name]
        trees.remove_tree(os.path.join(staging, manifests.NAME))
        manifest = dataclasses.replace(
            manifest,
            sources=tuple(source for source in manifest.sources if source.name not in lost),
            runner={**manifest.runner, "left_out": {**manifest.left_out, **lost}},
        )


def _concerned(source: Source, paths: t.Sequence[str]) -> bool:
    root = _root(source)
    if not root:
        return False
    if any(_below(path, root) for path in paths):
        return True
    # restic 0.18 dies without a path when a directory above its target has become a link.
    try:
        beneath.open_directory(root).__exit__()
    except (files.FileError, beneath.UnsafePath):
        return True
    return False


def _root(source: Source) -> str:
    """The directory that a store reads for the source, "" for none."""
    facts = directory.of(source)
    return facts.root if facts else ""


def _below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _drop(source: Source, staging: str, capturer: Capturer) -> None:
    capturer.trees.remove(_root(source))
    for artefact in source.artefacts:
        trees.remove_tree(os.path.join(staging, artefact.path))
