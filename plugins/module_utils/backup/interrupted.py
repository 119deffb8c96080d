# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore that was cut short: remembered until it is ended, and no backup is taken of what it left.

The note is written before the first change to the stack, and removed when the restore ended by itself, well or not.
What is killed in between leaves a service stopped, or a database under another name, and everything else green.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.directory import place
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
from ansible_collections.onebox.stack.plugins.module_utils.core import lock

_NOTE = "restore-under-way"
_REDIS = "redis-under-way"


def begin(context: Context, seq: int, source: str) -> None:
    """Remember that a source of the stack is about to be changed."""
    note = context.state.read(_NOTE)
    names = list(dict.fromkeys([*(note.get("sources") or ()), source]))
    context.state.write(_NOTE, {"seq": seq, "sources": names, "at": context.now().isoformat()})


def end(context: Context, sources: t.Iterable[str]) -> None:
    """Forget these sources: each is as it should be, or was told to be as it was before."""
    note = context.state.read(_NOTE)
    if not note:
        return
    done = set(sources)
    left = [name for name in note.get("sources") or () if name not in done]
    context.state.write(_NOTE, {**note, "sources": left} if left else {})


def recover(context: Context) -> str:
    """Finish changes of directories' names that were killed in their middle. Returns what was done, "" for nothing."""
    if not context.state.read(_NOTE):
        return ""
    paths = [spec.path for spec in context.declaration.sources if spec.kind == "directory"]
    done = [path for path in paths if place.settle(path)]
    return f"the restore that was interrupted is finished for {', '.join(done)}" if done else ""


def problem(context: Context) -> str:
    """What a restore that was cut short left, "" for none."""
    note = context.state.read(_NOTE)
    names = ", ".join(note.get("sources") or ())
    if not names and not context.state.read(_REDIS):
        return ""
    if lock.holder(context.state.lock).get("purpose") == "restore":
        return ""  # it is under way
    what = f"of set {note['seq']} (sources {names}, {note['at']})" if names else "of Redis"
    paths = [os.path.join(context.state.path, f"{name}.json") for name in (_NOTE, _REDIS) if context.state.read(name)]
    return (
        f"a restore {what} was cut short: a service may be stopped, and its data missing. Restore again; or, when you "
        f"have looked and what is there is right, remove {' and '.join(paths)}"
    )


def require_none(context: Context) -> None:
    """Refuse to back up what a restore that was cut short left. Raises :class:`SourceError`."""
    found = problem(context)
    if found:
        raise SourceError(f"no set is taken: {found}")
