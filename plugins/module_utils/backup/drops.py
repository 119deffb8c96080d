# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare a source with the previous set, part by part, because a sum hides the loss of a part.

Ten of eleven databases may be missing while the total number of rows hardly changes. So each database, each schema
with its tables, and each numbered database of Redis is compared by itself, and the whole source by its bytes.
"""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import registry
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.base import Kind
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import StoredSet
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Source

# Smaller sizes are not compared: headers and compression dominate them.
_FEW_BYTES = 1 << 16


def last(history: t.Sequence[StoredSet], name: str) -> Source | None:
    """The source in the newest set. Sets that were committed without it, because it failed, are skipped."""
    for found in reversed(history):
        if found.manifest:
            source = found.manifest.source(name)
            if source or name not in found.manifest.left_out:
                return source
    return None


def check(spec: SourceSpec, now: Source, before: Source | None) -> list[str]:
    """Refuse a source that is suddenly empty or much smaller: an unmounted disk, a dropped table, a FLUSHALL.

    Returns warnings for smaller losses.

    Raises:
        SourceError: with each part, both counts, and how to accept it.
    """
    accept = f"if that is right, run once with --accept-drop {spec.name}"
    if now.count == 0 and not spec.allow_empty:
        raise SourceError(f"source {spec.name} is empty; {accept}, or set allow_empty")
    if before is None or before.kind != now.kind:
        return []
    kind = registry.of(now)
    problems = _whole(kind, spec, now, before)
    more, warnings = kind.shrunk(spec, now, before)
    problems += more
    if problems:
        limit = f"more than {spec.max_drop_percent} % less"
        raise SourceError(f"source {spec.name} {'; '.join(problems[:8])}: {limit}; {accept}")
    return warnings


def _whole(kind: Kind, spec: SourceSpec, now: Source, before: Source) -> list[str]:
    problems = []
    rows, files = kind.not_expected(spec, before)
    counted = before.count - rows
    if counted > 0 and now.count < spec.least(counted):
        problems.append(f"went from {counted} to {now.count}")
    size, previous = kind.size(now), kind.size(before, files)
    if previous >= _FEW_BYTES and size < spec.least(previous):
        problems.append(f"went from {previous} to {size} bytes")
    return problems
