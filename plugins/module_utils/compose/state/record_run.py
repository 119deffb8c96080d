# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record the containers after a run, so that the next run knows what they were created from."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.find import fingerprint
from ansible_collections.onebox.stack.plugins.module_utils.compose.inspect import Inspection
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Service
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import compare, resources
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan as planning
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.records import Memory, Record
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container

_UNTOUCHED = (planning.KEEP, planning.START, planning.RESTART)


def after(seen: Inspection, containers: t.Sequence[Container], outside: resources.Found, at: float) -> Memory:
    """The records after a run, also after one that failed halfway.

    Records are kept by container id. A container that others created is unknown: the plan compares it with the model.

    Args:
        seen: the stack before the run changed anything.
        containers: the present containers.
        outside: the present networks and volumes.
        at: the time, seconds since 1970.
    """
    former = {row.id: row for row in seen.facts.containers}
    rows = {row.service: row for row in seen.rows}
    records: dict[str, Record] = {}
    builds = dict(seen.facts.memory.builds)
    for container in containers:
        service = seen.model.services.get(container.service)
        if service is None:
            continue
        record = _record(seen, service, container, former.get(container.id), rows[service.name])
        if record is not None:
            records[container.id] = record
        content = seen.facts.content.get(service.name)
        if content is not None and content.context is not None and _built_from(seen, container, rows[service.name]):
            builds.pop(container.image_id, None)  # so that the newest comes last
            builds[container.image_id] = content.context.digest
    mark = fingerprint(seen.tool.argv)
    tools = {mark: seen.tool.version_text} if mark else {}
    return Memory(records, builds, seen.cache, tools, resources.remembered(seen.model, outside, seen.outside), at)


def _record(
    seen: Inspection, service: Service, container: Container, before: Container | None, row: planning.Row
) -> Record | None:
    known = seen.facts.memory.records.get(container.id)
    content = seen.facts.content.get(service.name)
    if content is None:
        return known
    fresh = Record.of(service.name, compare.digest(service), content, service.stop_seconds, container)
    if before is None:
        return fresh
    if known is None:
        # A planned action that was not carried out leaves it unknown, so that the next run plans it again.
        done = row.action == planning.KEEP or before.started_at != container.started_at
        return fresh if done and row.action in _UNTOUCHED else None
    if before.started_at == container.started_at and row.action != planning.KEEP:
        return dataclasses.replace(known, restarts=container.restart_count)
    # Started again, by this run or before it, so files and code were read again, but not the files copied at creation.
    bound = {f"{ref.collection}/{ref.name}" for ref in service.files if ref.kind == "file"}
    files = {key: fresh.files.get(key, value) if key in bound else value for key, value in known.files.items()}
    return dataclasses.replace(fresh, digest=known.digest, files=files, stop_seconds=known.stop_seconds)


def _built_from(seen: Inspection, container: Container, row: planning.Row) -> bool:
    """Whether the container runs the image that this run built from the context, or found to be built from it."""
    if row.built_id:
        return row.built_id == container.image_id
    return container.image_id not in seen.facts.memory.builds and "build_context_changed" not in row.reasons
