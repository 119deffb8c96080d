# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""External secrets of a compose file: Podman keeps them, and they must exist before a deploy.

Podman copies a secret when it creates a container, so only a new container has the changed value.
"""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Driver
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.engine_traits import traits_of
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.digests import Piece
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.times import epoch_of


def users(model: Model) -> dict[str, list[str]]:
    """Name of each external secret -> the services that use it."""
    found: dict[str, list[str]] = {}
    for service in model.services.values():
        for ref in service.files:
            if ref.kind == "external" and ref.collection == "secrets":
                found.setdefault(ref.value, []).append(service.name)
    return found


def pieces(model: Model, engine: Engine | None) -> dict[str, Piece]:
    """The external secrets that Podman has. A secret that was set again has another digest, even with the same value.

    Raises:
        EngineError: the engine does not answer.
    """
    if engine is None or not traits_of(engine).has_secrets:
        return {}
    found = {}
    for name in users(model):
        row = engine.secret(name)
        if row is not None:
            updated = str(row.get("UpdatedAt") or row.get("CreatedAt") or "")
            found[name] = Piece(f"{row.get('ID')} {updated}", epoch_of(updated))
    return found


def problems(model: Model, driver: Driver, engine: Engine | None, coming: t.Collection[str] = ()) -> list[Problem]:
    """External secrets that this stack cannot use.

    Args:
        driver: the compose tool.
        coming: secrets that this run sets in Podman before it deploys the stack.
    """
    wanted = users(model)
    if not wanted or engine is None:
        return []
    has_secrets = traits_of(engine).has_secrets
    if not has_secrets or not driver.traits.external_secrets:
        place = (
            f"{driver.traits.label} refuses external secrets"
            if has_secrets
            else "Docker has external secrets only in Swarm"
        )
        advice = f"is external, and {place}. Declare it with file, or deploy with Podman and podman-compose"
        return [Problem("external_secret", f"secret {name}", advice) for name in sorted(wanted)]
    there = {*pieces(model, engine), *coming}
    return [
        Problem(
            "no_secret",
            f"secret {name}",
            f"is used by service {', '.join(wanted[name])}, and Podman has no secret of that name. Give it a value in "
            f"compose_stack_secrets, or create it (printf %s … | podman secret create {name} -)",
        )
        for name in sorted(set(wanted) - set(there))
    ]
