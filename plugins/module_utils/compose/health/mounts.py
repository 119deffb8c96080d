# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof of a stack's mounts, on this host or through the virtual machine of its containers."""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.mounts import verify
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verdict import decide
from ansible_collections.onebox.stack.plugins.module_utils.mounts.vm import prover
from ansible_collections.onebox.stack.plugins.module_utils.vm import shares


def prove(engine: Engine, request: Request, world: World, **wanted: t.Any) -> dict[str, t.Any]:
    """Call :func:`verify.verify` with the arguments ``wanted``, for the plan and after a deploy.

    Raises:
        ComposeError: the virtual machine does not answer.
        EngineError: the engine does not.
    """
    try:
        through = None
        if request.vm != "none":
            through = prover.Prover(shares.Machine.of(request.vm, request.vm_name, environ=world.environ), world)
        return verify.verify(engine, verify.Check(**wanted), world=world, through=through)
    except shares.MachineError as error:
        raise ComposeError(f"the mounts of stack {request.name} cannot be proven: {error}") from error


def proven(report: t.Mapping[str, t.Any]) -> bool:
    """Whether every mount is proven, wherever the data lies."""
    summary = report["summary"]
    return bool(report["containers"]) and summary["ok"] == summary["checked"] and not report["label_mismatch"]


def data_failure(project: str, report: t.Mapping[str, t.Any], before: t.Collection[str]) -> str:
    """Why a deploy fails because of the data of a database, "" if it does not.

    Args:
        before: services that had containers before. Their data exists, and a rollback could lose it, so it is only
            a warning.
    """
    rows = [row for row in report["data_places"] if row["fails"] and row["service"] not in before]
    if not rows:
        return ""
    return "\n".join([f"stack {project} runs, but its data would be lost:", *(f"- {row['message']}" for row in rows)])


def wait_out_ctime_ambiguity(sources: t.Iterable[str], world: World) -> None:
    """Wait, half a second at most, until each directory in ``sources`` is older than one that Podman creates.

    Podman's API creates a missing source just before the container. A directory that a person or a role created in
    that moment could not be distinguished from it, and would get the verdict ``auto_created``.
    """
    youngest = 0.0
    for source in sources:
        with contextlib.suppress(OSError):
            # Python before 3.12 does not report the birth time. The last change is never earlier.
            youngest = max(youngest, os.stat(source).st_ctime)
    left = youngest + decide.PODMAN_BEFORE_CREATION - world.epoch()
    if 0 < left <= decide.PODMAN_BEFORE_CREATION:
        world.sleep(left)
