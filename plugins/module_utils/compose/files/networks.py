# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create the external networks that a stack names and that do not exist, as ``docker network create`` does."""

from __future__ import annotations

import contextlib
import json
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import resources
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import changes
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine

_TIMEOUT = 60.0


def missing(model: Model, found: resources.Found, derive: bool) -> list[str]:
    """Names of the external networks that a deploy creates; none without ``derive``."""
    if not derive:
        return []
    ids = {network.id for network in found.networks.values()}
    return sorted(
        body["name"]
        for body in resources.declared(model, "network").values()
        if body.get("external") and body["name"] not in found.networks and body["name"] not in ids
    )


def create(names: t.Iterable[str], engine: Engine, world: World) -> None:
    """Create networks with the engine's default driver. One that exists by now stays.

    Raises:
        ComposeError: the engine refuses one.
        EngineError: the engine does not answer.
    """
    for name in names:
        if engine.socket:
            body = json.dumps({"Name": name, "Driver": "bridge", "CheckDuplicate": True}).encode()
            status, said = changes.change(engine.socket, "POST", "/networks/create", body)
            failed = status >= 400 and status != 409
        else:
            result = world.run(["podman", "network", "create", name], timeout=_TIMEOUT, check=False)
            said = result.stderr
            failed = result.rc != 0 and "already exists" not in said
        if failed:
            raise ComposeError(f"network {name} is external and cannot be created: {_message(said)}")


def _message(said: str) -> str:
    with contextlib.suppress(ValueError, TypeError, KeyError):
        said = str(json.loads(said)["message"])
    return " ".join(said.split())
