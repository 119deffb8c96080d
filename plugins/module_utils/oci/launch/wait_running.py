# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an accepted launch to a running instance with an address, or back to the hunt when it fails late.

While an instance is known, no launch request is ever sent: it is followed, or removed until it is gone.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.oci import errors, freetier
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import Answer, CallFailed, OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import events
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.backoff import LAUNCH_SECONDS
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.context import Hunt
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.spec import Size
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.state import Known
from ansible_collections.onebox.stack.plugins.module_utils.oci.protocol import Json


@dataclass(frozen=True)
class Captured:
    """A running instance of the asked shape. ``public_ip`` is "" when none was asked for."""

    id: str
    state: str
    public_ip: str
    private_ip: str
    availability_domain: str
    shape: str
    ocpus: float
    memory_gb: float


def follow(hunt: Hunt, known: Known) -> Captured | None:
    """One look at the instance. None while it is on its way, or when the hunt goes on."""
    row = _row(hunt, known)
    if row is None:
        _not_there(hunt, known)
        return None
    status = str(row.get("lifecycleState"))
    if status in freetier.GONE:
        _gone(hunt, known)
        return None
    if status == "RUNNING":
        return _running(hunt, known, row)
    if status in ("STOPPED", "STOPPING"):
        raise OciError(
            f"the instance {known.id} is {status}: start it in the console (Oracle stops Always Free instances that "
            "idle for a week), then run again. No second one is launched while it exists."
        )
    age = _age(hunt, known)
    if age <= LAUNCH_SECONDS or known.running:
        hunt.state.wait_for(hunt.policy.poll, hunt.now(), "starting")
        return None
    if not hunt.cloud.boot_volumes(known.availability_domain, known.id):
        _discard(hunt, f"{status} for {events.duration(age)} without a boot volume: it was never placed")
        return None
    if age <= 3 * LAUNCH_SECONDS:
        hunt.state.wait_for(hunt.policy.poll * 3, hunt.now(), "starting")
        return None
    raise OciError(
        f"the instance {known.id} is {status} for {events.duration(age)}: look at its work requests in the console, "
        "terminate it there when it is stuck, then run again."
    )


def clear_away(hunt: Hunt, known: Known) -> bool:
    """Remove an instance that failed, and its boot volume, before anything new is launched. Returns: round over."""
    row = _row(hunt, known)
    if row is not None and row.get("lifecycleState") != "TERMINATED":
        if row.get("lifecycleState") != "TERMINATING":
            _tolerant(hunt.cloud.terminate, known.id)
        hunt.state.wait_for(hunt.policy.poll, hunt.now(), "cleaning")
        return False
    for volume in hunt.cloud.boot_volumes(known.availability_domain, known.id):
        _tolerant(hunt.cloud.delete_boot_volume, volume)
    hunt.state.instance = None
    hunt.state.discard = ""
    hunt.state.accepted += 1
    return hunt.turn_over(events.DISCARDED, f"removed {known.id}, which failed after it was accepted")


def _tolerant(remove: t.Callable[[str], None], identity: str) -> None:
    try:
        remove(identity)
    except CallFailed as failed:
        if failed.answer.status not in (404, 409):  # gone already, or going
            raise


def _row(hunt: Hunt, known: Known) -> Json | None:
    try:
        return hunt.cloud.instance(known.id)
    except CallFailed as failed:
        if failed.answer.status == 404:
            return None
        raise


def _running(hunt: Hunt, known: Known, row: Json) -> Captured | None:
    config = row.get("shapeConfig") or {}
    size = Size(float(config.get("ocpus") or 0), float(config.get("memoryInGBs") or 0))
    wish = hunt.wish
    if row.get("shape") != wish.shape or (wish.flexible and size not in wish.sizes):
        raise OciError(
            f"the instance {known.id} runs as {row.get('shape')} with {size}, but {wish.shape} with "
            f"{' or '.join(str(size) for size in wish.sizes)} is asked for. Resize it in the console, or ask "
            "for what it is."
        )
    found = hunt.cloud.addresses(known.id)
    if found is None or (hunt.wish.assign_public_ip and not found[0]):
        if _age(hunt, known) > LAUNCH_SECONDS:
            raise OciError(
                f"the instance {known.id} runs but has no {'public ' if hunt.wish.assign_public_ip else ''}address: "
                "look at its network card and subnet in the console (a private subnet gives no public address)."
            )
        hunt.state.wait_for(hunt.policy.poll, hunt.now(), "starting")
        return None
    public, private = found
    if not known.running:
        known.running = True
        hunt.settled()
        hunt.rest(0.0, "captured", events.CAPTURED, f"{known.id} is running at {public or private}")
    return Captured(
        known.id, "RUNNING", public, private, known.availability_domain, wish.shape, size.ocpus, size.memory_gb
    )


def _not_there(hunt: Hunt, known: Known) -> None:
    # What was created a moment ago may not be readable everywhere yet.
    if not known.running and _age(hunt, known) <= max(hunt.policy.interval_floor, hunt.policy.poll * 3):
        hunt.state.wait_for(hunt.policy.poll, hunt.now(), "starting")
    else:
        _gone(hunt, known)


def _gone(hunt: Hunt, known: Known) -> None:
    """It is terminated: by Oracle for want of capacity, or by somebody?"""
    if known.running:
        if not hunt.replace:
            raise OciError(
                f"the instance {known.id} was running and has been terminated by somebody (the owner, or Oracle for "
                "being idle or over the free limits). To launch a new one in its place, run once with replace: true."
            )
        _discard(hunt, "it was terminated and is to be replaced")
        return
    why = hunt.cloud.failures(known.id)
    if any(errors.classify(Answer(0, "", text), launch=True)[0] == errors.CAPACITY for text in why):
        _discard(hunt, "out of capacity after the launch was accepted")
        return
    if not why and _age(hunt, known) <= hunt.policy.interval_floor:
        hunt.state.wait_for(hunt.policy.poll, hunt.now(), "starting")  # the reason may come a little later
        return
    hunt.state.instance = None
    hunt.save(hunt.state)
    reason = "; ".join(why) or "its work request names no error, so somebody terminated it"
    raise OciError(
        f"the instance {known.id} was terminated while it started: {reason}. Nothing is left of it; run again to go on."
    )


def _discard(hunt: Hunt, why: str) -> None:
    hunt.state.discard = why
    hunt.rest(0.0, "cleaning", events.DISCARDED, why)


def _age(hunt: Hunt, known: Known) -> float:
    return max(0.0, hunt.now() - known.since)


def as_result(captured: Captured | None, known: Known | None) -> dict[str, t.Any]:
    """The ``instance`` that the module returns; empty when there is none."""
    if captured is not None:
        return dict(vars(captured))
    if known is None:
        return {}
    return {"id": known.id, "state": "STARTING", "public_ip": "", "availability_domain": known.availability_domain}
