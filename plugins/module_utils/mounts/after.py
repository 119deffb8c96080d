# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge proven mounts by facts beyond one container: links of other users, previous disks, throwaway volumes."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.mounts import promised, source_links, throwaway
from ansible_collections.onebox.stack.plugins.module_utils.mounts.model import Declared

Row = dict[str, t.Any]


@dataclass(frozen=True)
class Proven:
    """One container, its declared mounts, and the rows of its proof, which are changed in place."""

    container: Container
    declared: tuple[Declared, ...]
    rows: list[Row]


def complete(
    engine: Engine, proven: t.Sequence[Proven], promise: promised.Promise | None, path: str, world: World
) -> list[Row]:
    """Give rows the verdicts ``source_is_a_link``, ``host_mount_changed`` and ``anonymous_volume`` where they apply.

    Args:
        promise: the record of a deploy in the file ``path``.

    Returns:
        For each proven mount ``service``, ``destination``, ``kind`` and ``disk``, for the record of a deploy.
    """
    links = source_links.ForeignLinks.of(engine, world)
    hosts = []
    for one in proven:
        sources = {row.destination: row for row in one.declared}
        for row in one.rows:
            host = row.pop("host", None)
            declared = sources.get(row["destination"])
            if host is None or declared is None:
                continue
            if declared.type == "bind" and _follows_as_root(engine, one.container):
                _links(row, declared, host["real"], links)
            if promise is not None:
                _former(row, one.container, promise, host, path)
            if row["verdict"] == "ok" and "disk" in host:
                names = {"service": one.container.service, "destination": row["destination"]}
                hosts.append({**names, "kind": host["kind"], "disk": promised.Disk.parse(host["disk"])})
    throwaway.mark(engine, [(one.container, one.rows) for one in proven])
    return hosts


def _follows_as_root(engine: Engine, container: Container) -> bool:
    """Whether the engine follows links with root's rights or ours: another user's follows with those of that user."""
    place = str(container.raw.get("StaticDir") or engine.socket)
    try:
        return not place or os.stat(place).st_uid in (0, os.geteuid())
    except OSError:
        return True


def _links(row: Row, declared: Declared, real: str, links: source_links.ForeignLinks) -> None:
    source = declared.wanted_source or declared.source
    link = links.find(source, real) if real else ""
    if link:
        place = f"{shown(declared.destination)} in {shown(declared.container)}"
        message = f"{place}: {source_links.message(source, link)}"
        row.update(verdict="source_is_a_link", proof="inspect", fix="none", message=message)


def _former(row: Row, container: Container, promise: promised.Promise, host: Row, path: str) -> None:
    """Compare with the file system and the kind of file that the source was when it was promised."""
    mount = promise.mount(container.service, row["destination"])
    if mount is None or row["verdict"] != "ok" or mount.source != row["source"]:
        return
    now = promised.Disk.parse(host["disk"])
    if mount.disk.differs(now):
        message = promised.changed(mount, now, path)
        row.update(verdict="host_mount_changed", proof="mountinfo", fix="mount_disk", message=message)
    elif mount.kind and host["kind"] and mount.kind != host["kind"]:
        message = promised.other_kind(mount, host["kind"]) + f", then recreate {shown(container.name)}"
        row.update(verdict="type_mismatch", proof="inode", fix="recreate", message=message)


def lacking(promise: promised.Promise, containers: t.Sequence[Container]) -> list[Row]:
    """Rows for services with fewer containers than promised; those that ended with 0 count."""
    rows = []
    for name, service in promise.services.items():
        there = [
            each
            for each in containers
            if each.service == name
            and (each.running or (service.one_shot and each.status == "exited" and each.exit_code == 0))
        ]
        if len(there) < service.count:
            found = f"{len(there)} of {service.count} containers" if there else "no container"
            left = f"though the last deploy left {service.count} running"
            message = f"service {shown(name)} has {found}, {left}. Deploy the stack again"
            rows.append({"container": "", "service": name, "source": "", "destination": "", "message": message})
    return rows
