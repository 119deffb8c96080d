# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse sources that hang, whose share is dead, or that differ from the last proof of the stack."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.short_syntax import Bind
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.mounts import promised
from ansible_collections.onebox.stack.plugins.module_utils.mounts import sources as mount_sources
from ansible_collections.onebox.stack.plugins.module_utils.mounts.model import CheckError
from ansible_collections.onebox.stack.plugins.module_utils.mounts.sources import SourceFacts


def inspect(model: Model, world: World) -> dict[str, SourceFacts]:
    """The facts of every bind source of the stack. Waits only a few seconds for each."""
    binds = (bind for service in model.services.values() for bind in service.binds)
    return mount_sources.look((bind.source for bind in binds), world)


def unanswered(model: Model, found: t.Mapping[str, SourceFacts]) -> list[Problem]:
    """Sources on which every other check would hang or fail."""
    problems = []
    for service in model.services.values():
        for bind in service.binds:
            one, source = found[bind.source], shown(bind.source)
            where = _where(service.name, bind)
            way = f"Bring its server or disk back, or type `umount -l {source}`, and mount it again"
            if one.hangs:
                problems.append(
                    Problem("source_hangs", where, f"{source} does not answer. Its disk or network share hangs. {way}")
                )
            elif one.dead:
                reason = os.strerror(one.error)
                message = f"the share behind {source} is dead ({reason}), because its server is gone. {way}"
                problems.append(Problem("source_dead", where, message))
    return problems


def changed(model: Model, found: t.Mapping[str, SourceFacts], state_folder: str) -> list[Problem]:
    """Sources that have another kind, or are on another file system, than in the promise of the last healthy deploy."""
    path = os.path.join(state_folder, promised.NAME)
    try:
        promise = promised.load(path)
    except CheckError as error:
        return [Problem("promise_unreadable", "the record of the last deploy", str(error))]
    problems = []
    for service in model.services.values() if promise is not None else ():
        for bind in service.binds:
            known, now = promise.mount(service.name, bind.target) if promise else None, found[bind.source]
            if known is None or now.error or os.path.normpath(known.source) != os.path.normpath(bind.source):
                continue
            where = _where(service.name, bind)
            if known.disk.differs(now.disk):
                message = promised.changed(known, now.disk, path)
                problems.append(Problem("host_mount_changed", where, message))
            elif known.kind and known.kind != now.kind:
                problems.append(Problem("type_mismatch", where, promised.other_kind(known, now.kind)))
    return problems


def _where(service: str, bind: Bind) -> str:
    return f"service {service}, volume {bind.source}:{bind.target}"
