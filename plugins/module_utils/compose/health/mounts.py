# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof of a stack's mounts, on this host or through the virtual machine its containers run in."""

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
    """:func:`verify.verify` with what ``wanted`` says, the same way for the plan and after a deployment.

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


def wait_out_ctime_ambiguity(sources: t.Iterable[str], world: World) -> None:
    """Wait, half a second at most, until no directory among ``sources`` is as young as one that Podman makes.

    Podman's API makes a missing source just before the container; a directory that a person or a role made in that
    moment looks the same for ever after, and would be called ``auto_created``.
    """
    youngest = 0.0
    for source in sources:
        with contextlib.suppress(OSError):
            # Python tells no birth before 3.12; the last change is never before it.
            youngest = max(youngest, os.stat(source).st_ctime)
    left = youngest + decide.PODMAN_BEFORE_CREATION - world.epoch()
    if 0 < left <= decide.PODMAN_BEFORE_CREATION:
        world.sleep(left)
