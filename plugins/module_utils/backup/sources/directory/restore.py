# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore a directory of a set into a new directory."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import extract
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory.limits import Limits
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory.model import DirectoryFacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import Store, StoredSet
from ansible_collections.onebox.stack.plugins.module_utils.core import trees


def put_directory(
    store: Store, chosen: StoredSet, facts: DirectoryFacts, staged: str, target: str, owners: bool, reserve: int = 0
) -> list[str]:
    """Restore a directory source into ``target``, which must not exist yet, in a directory only this user can enter.

    Args:
        facts: its facts in the set.
        staged: directory with the fetched files of the set.
        owners: set owners and groups.
        reserve: bytes that must stay free.

    Returns:
        Names of attributes that could not be set.
    """
    trees.private_dir(target)
    lost: list[str] = []
    if facts.archive:
        limits = Limits(target, writes_to=target, reserve=reserve)
        lost = extract.extract(os.path.join(staged, facts.archive), target, owners, limits)
    else:
        store.fetch_tree(chosen, facts.root, target)
    extract.overlay_databases(facts, staged, target, owners)
    extract.dress_root(facts, staged, target, owners)
    return lost


def not_kept(name: str, lost: t.Sequence[str], where: str) -> list[str]:
    """A warning for attributes that could not be set."""
    return [f"{name}: {where} cannot keep {', '.join(lost)}; not compared"] if lost else []
