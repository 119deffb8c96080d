# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An interrupted restore: a note makes the status unhealthy and stops backups until it is finished.

The note is written before the first change to the stack, and removed when the restore ends by itself, successful or
not. A killed restore leaves a service stopped, or a database under another name, and no other trace. The next
restore of the recorded sources clears the note.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
from ansible_collections.onebox.stack.plugins.module_utils.core import lock

_NOTE = "restore-under-way"
_REDIS = "redis-under-way"


@dataclass(frozen=True)
class _Note:
    """The note: the set, its sources that may be half restored, and the start time of the restore."""

    seq: int
    sources: tuple[str, ...]
    at: str


def _read(context: Context) -> _Note:
    """The note, without sources that are no longer configured: later sets do not hold them."""
    note = context.state.read(_NOTE)
    names = note.get("sources")
    configured = {spec.name for spec in context.config.sources}
    sources = tuple(name for name in names if name in configured) if isinstance(names, list) else ()
    return _Note(note.get("seq", 0), sources, str(note.get("at", "")))


def begin(context: Context, seq: int, source: str) -> None:
    """Record that a source of the stack is about to be changed."""
    names = list(dict.fromkeys([*_read(context).sources, source]))
    context.state.write(_NOTE, {"seq": seq, "sources": names, "at": context.now().isoformat()})


def end(context: Context, sources: t.Iterable[str]) -> None:
    """Remove these sources from the note: each is restored, or an error reported it unchanged."""
    if not context.state.read(_NOTE):
        return
    note, done = _read(context), set(sources)
    left = [name for name in note.sources if name not in done]
    context.state.write(_NOTE, {"seq": note.seq, "sources": left, "at": note.at} if left else {})


def finish_swaps(context: Context, paths: t.Iterable[str], settle: t.Callable[[str], bool]) -> list[str]:
    """Finish swaps of directories that a killed restore left. Returns a line for the report, if there were any.

    Args:
        settle: finishes the swap at a path. Returns whether there was one.
    """
    if not context.state.read(_NOTE):
        return []
    done = [path for path in paths if settle(path)]
    return [f"finished the interrupted restore of {', '.join(done)}"] if done else []


def problem(context: Context) -> str:
    """The problem that an interrupted restore left, with the fix; "" for none, or while a restore runs."""
    if lock.holder(context.state.lock).get("purpose") == "restore":
        return ""
    return advice(context)


def advice(context: Context) -> str:
    """As :func:`problem`, also from within a restore."""
    note = _read(context)
    if not note.sources and not context.state.read(_REDIS):
        return ""
    what = f"of set {note.seq} (sources {', '.join(note.sources)}, {note.at})" if note.sources else "of Redis"
    paths = [os.path.join(context.state.path, f"{name}.json") for name in (_NOTE, _REDIS) if context.state.read(name)]
    return (
        f"a restore {what} was interrupted: a service may be stopped, and its data missing. "
        f"Restore again. Or check the data, and remove {' and '.join(paths)} when it is right"
    )


def require_none(context: Context) -> None:
    """Refuse to back up the state that an interrupted restore left. Raises :class:`SourceError`."""
    found = problem(context)
    if found:
        raise SourceError(f"no backup was made: {found}")
