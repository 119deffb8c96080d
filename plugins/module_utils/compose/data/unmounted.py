# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse the first deploy of a database whose data directory is on no declared mount, before a byte is written."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.data import declared
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Service
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan as planning
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state import place as places
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state import servers


def problems(
    service: Service,
    image: t.Mapping[str, t.Any] | None,
    mounts: t.Sequence[declared.Mounted],
    row: planning.Row,
    present: t.Mapping[str, servers.Home],
) -> list[Problem]:
    """At most one problem. Data that is where a present container has it already is a warning of the proof.

    Args:
        image: ``inspect`` of the image; None if it does not exist yet.
        mounts: the declared mounts of the service.
        row: the plan for the service.
        present: the data directories of its present containers.
    """
    home = _home(service, image)
    if home is None or not row.replaces or _covered(mounts, home.path):
        return []
    if row.container_ids and (not present or home.path in [each.path for each in present.values()]):
        return []
    if home.keeps is False or (home.database == "redis" and not home.keeps):
        return []
    target, why = _above(image, home.path), home.evidence.partition(" ")[2]
    what = f"{servers.shown_name(home.database)} keeps its data in {shown(home.path)}{f' ({why})' if why else ''}"
    below = [mount.target for mount in mounts if places.is_below(mount.target, target)]
    hint = (
        f" The mount at {', '.join(map(shown, below))} would stay empty: change its path to this one." if below else ""
    )
    message = (
        f"{what}, and no mount is declared there: `down` or a new container loses it. Mount a directory or a named "
        f"volume at {shown(target)}.{hint} If the data is disposable, declare a tmpfs there"
    )
    return [Problem("data_not_mounted", f"service {service.name}, volumes", message)]


def warnings(service: Service, image: t.Mapping[str, t.Any] | None, mounts: t.Sequence[declared.Mounted]) -> list[str]:
    """One warning if the image keeps data in a volume that the compose file does not mount."""
    if service.raw.get("volumes_from"):
        return []
    server = declared.server_of(service, image)
    found = []
    for volume in server.volumes:
        mount = declared.covering(mounts, volume)
        below = any(places.is_below(one.target, volume) for one in mounts)
        if (mount is None and not below) or (mount is not None and mount.kind == places.ANONYMOUS):
            found.append(shown(volume))
    if not found:
        return []
    return [
        f"service {service.name}: its image keeps data in {', '.join(found)}, where the compose file mounts nothing. "
        "The data lies in a volume without a name (anonymous), which `down` leaves behind. Mount a directory or a "
        "named volume there, or a tmpfs if the data is disposable"
    ]


def _home(service: Service, image: t.Mapping[str, t.Any] | None) -> servers.Home | None:
    if image is None or service.raw.get("volumes_from"):
        return None
    return declared.server_of(service, image).home()


def _covered(mounts: t.Sequence[declared.Mounted], path: str) -> bool:
    mount = declared.covering(mounts, path)
    return mount is not None and mount.kind != places.ANONYMOUS


def _above(image: t.Mapping[str, t.Any] | None, path: str) -> str:
    """The VOLUME of the image that a path lies on, else the path."""
    volumes = ((image or {}).get("Config") or {}).get("Volumes") or {}
    above = [volume.rstrip("/") for volume in volumes if places.is_below(path, volume.rstrip("/"))]
    return max(above, key=len, default=path)
