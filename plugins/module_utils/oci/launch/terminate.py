# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Terminate the instance this launcher made, and nothing else."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.oci import errors, protocol
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import CallFailed, OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import events
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.backoff import LAUNCH_SECONDS
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.state import State


def targets(cloud: protocol.Cloud, state: State | None, name: str) -> list[protocol.Json]:
    """The instances of ours that exist, by tag.

    Raises:
        OciError: a launch request of unknown outcome is open, or the list cannot be read.
    """
    if state is not None and state.pending is not None:
        raise OciError(
            f"a launch request of {name} has an unknown outcome: run the launch once more, which settles it, and "
            "remove the instance afterwards."
        )
    try:
        return [row for row in protocol.alive(cloud.instances()) if protocol.is_ours(row, name)]
    except CallFailed as failed:
        raise OciError(_explain(failed, "Listing the instances")) from failed


def remove(
    cloud: protocol.Cloud,
    rows: t.Sequence[protocol.Json],
    *,
    poll: float,
    world: World,
    say: t.Callable[[str], None],
) -> None:
    """Terminate ``rows`` with their boot volumes and wait until they are gone. ``poll`` is in seconds.

    Raises:
        OciError: Oracle refuses, or it takes longer than twenty minutes.
    """
    for row in rows:
        identity = str(row["id"])
        say(f"terminating {identity} and its boot volume")
        try:
            _terminate(cloud, identity, poll, world)
        except CallFailed as failed:
            if failed.answer.status != 404:  # gone, and forgotten already
                raise OciError(_explain(failed, f"Terminating {identity}")) from failed


def _terminate(cloud: protocol.Cloud, identity: str, poll: float, world: World) -> None:
    cloud.terminate(identity)
    gone = world.wait_until(
        lambda: cloud.instance(identity).get("lifecycleState") == "TERMINATED", LAUNCH_SECONDS, poll
    )
    if not gone:
        raise OciError(f"{identity} still exists after {events.duration(LAUNCH_SECONDS)}: inspect it in the console")


def _explain(failed: CallFailed, doing: str) -> str:
    unused, rule = errors.classify(failed.answer, launch=False)
    return errors.explain(failed.answer, rule, doing)
