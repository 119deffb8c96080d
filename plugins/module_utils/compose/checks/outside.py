# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resources outside of a stack that it refers to: external networks and volumes, devices.

A compose tool notices that one is missing only after it has stopped or created something.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Driver
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import NOT_SET, Model, pairs
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import resources
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.engine.membership import PROJECT_LABELS

_NETWORK_LABEL = "com.docker.compose.network"
# Types of volumes that are neither a directory nor a block device of this host.
_REMOTE = ("nfs", "cifs", "smb", "tmpfs", "ceph", "gluster")
_REFERENCE = re.compile(
    r"(?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(?:@[A-Za-z][A-Za-z0-9.+_-]*:[0-9a-fA-F]{32,})?|(?:sha256:)?[0-9a-f]{12,64}"
)


def declared(model: Model) -> list[Problem]:
    """Problems of the model itself: providers, and invalid names of images."""
    found = []
    for service in model.services.values():
        where = f"service {service.name}"
        if service.raw.get("provider"):
            written = service.raw["provider"]
            kind = written.get("type") if isinstance(written, dict) else written
            message = (
                f"is run by the provider {kind}. No engine shows it as a container, so it cannot be planned or "
                "checked. Run it outside of this stack, and pass its address to the services in the environment file"
            )
            found.append(Problem("provider_service", where, message))
        elif not model.unset and NOT_SET not in service.image and not _REFERENCE.fullmatch(service.image):
            why = (
                "from the service's name; write image next to build" if service.raw.get("image") is None else "in image"
            )
            message = (
                f"{service.image!r} is not a valid name of an image ({why}). Use lower case letters and a tag that "
                "is not empty"
            )
            found.append(Problem("bad_image", where, message))
    return found


def resources_problems(
    model: Model,
    found: resources.Found,
    rows: t.Sequence[resources.Row],
    driver: Driver,
    members: t.Callable[[str], t.Sequence[str]],
    ours: t.Collection[str],
) -> list[Problem]:
    """Networks and volumes that are external and missing, belong to others, or cannot be replaced.

    Args:
        found: networks and volumes on the engine.
        rows: the plan for them.
        driver: the compose tool.
        members: names of the containers on a network, by its id.
        ours: names of containers that are replaced.
    """
    problems = []
    ids = {network.id for network in found.networks.values()}
    for key, body in resources.declared(model, "network").items():
        name, network = body["name"], found.networks.get(body["name"])
        where = f"network {key}"
        if body.get("external"):
            if network is None and name not in ids:
                message = (
                    f"is external, and the engine has no network {name}. Deploy the stack that declares it first, or "
                    f"create it: docker network create {name}"
                )
                problems.append(Problem("no_network", where, message))
        elif network is not None and driver.traits.labels_networks and network.labels.get(_NETWORK_LABEL) != key:
            owner = network.labels.get(PROJECT_LABELS[0])
            whose = f"of stack {owner}" if owner else "that no stack created"
            message = (
                f"{name} is a network {whose}. Give this network another name, or set external: true to use that "
                "network"
            )
            problems.append(Problem("network_taken", where, message))
    for key, body in resources.declared(model, "volume").items():
        where = f"volume {key}"
        if body.get("external"):
            if found.volumes.get(body["name"]) is None:
                name = body["name"]
                message = (
                    f"is external, and the engine has no volume {name}. Restore it, or create an empty one: "
                    f"docker volume create {name}"
                )
                problems.append(Problem("no_volume", where, message))
        else:
            problems += _volume_device(where, body)
    for row in rows:
        if row.kind == "network" and row.action == resources.RECREATE:
            others = sorted(set(members(row.identity)) - set(ours))
            if others:
                message = (
                    f"was changed ({', '.join(sorted(row.diff))}), so it must be created again, but "
                    f"{', '.join(others)} uses it, which this stack does not replace. Stop that container first "
                    "(remove_orphans stops services that left the compose file), or undo the change"
                )
                problems.append(Problem("network_in_use", f"network {row.key}", message))
    return problems


def _volume_device(where: str, body: t.Mapping[str, t.Any]) -> t.Iterator[Problem]:
    options = pairs(body.get("driver_opts"))
    device, kind = options.get("device") or "", options.get("type") or ""
    if body.get("driver") not in (None, "", "local") or kind.startswith(_REMOTE):
        return
    if device.startswith("/") and not device.startswith("//") and not os.path.exists(device):
        message = (
            f"its device {device} does not exist. Declare it in data_dirs_directories, or create it. A volume that is "
            "created without it stays wrong"
        )
        yield Problem("no_source", where, message)


def devices(model: Model, exists: t.Callable[[str], bool] = os.path.exists) -> list[Problem]:
    """Devices of services that do not exist on this host."""
    found = []
    for service in model.services.values():
        for row in service.raw.get("devices") or ():
            source = str(row.get("source") or "") if isinstance(row, dict) else str(row).split(":", maxsplit=1)[0]
            # A name without a slash belongs to the Container Device Interface.
            if source.startswith("/") and not exists(source):
                message = (
                    "does not exist on this host. Attach it or load its driver, or remove it from devices, for "
                    "example with an override file for hosts without it"
                )
                found.append(Problem("no_device", f"service {service.name}, device {source}", message))
    return found
