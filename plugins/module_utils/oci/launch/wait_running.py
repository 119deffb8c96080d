# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait from an accepted launch to a running instance with an address, or return to the launch loop if it fails late.

While an instance is known, no launch request is ever sent: it is followed, or removed until it is gone.
"""

from __future__ import annotations

import functools
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.oci import errors, freetier
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import Answer, CallFailed, FinalAnswer, OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import duplicates, events, missing, ownership
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.backoff import LAUNCH_SECONDS
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.spec import Size
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.state import Known
from ansible_collections.onebox.stack.plugins.module_utils.oci.protocol import Json


@dataclass(frozen=True)
class Captured:
    """A running instance of the requested shape. ``public_ip`` is "" if none was requested."""

    id: str
    state: str
    public_ip: str
    private_ip: str
    availability_domain: str
    shape: str
    ocpus: float
    memory_gb: float


def follow(context: Context, known: Known) -> Captured | None:
    """Read the instance once. None while it starts, or if the launch loop continues."""
    row = _row(context, known)
    if row is None:
        if missing.terminated(context, known):
            _gone(context, known)
        return None
    missing.found(context, known)
    status = str(row.get("lifecycleState"))
    if status in freetier.GONE:
        known.gone = True
        _gone(context, known)
        return None
    if ownership.runs_or_ran(row) and not known.running:
        known.running = True  # on the disk first: from now on this instance is never terminated
        context.save(context.state)
    if not known.only_one:
        known.only_one = duplicates.only_one(context, known, row)
        if context.state.discard or context.state.instance is not known:
            return None
    if status in ("STOPPED", "STOPPING"):
        raise OciError(
            f"the instance {known.id} is {status}: start it in the console (Oracle stops Always Free instances that "
            "idle for a week), then run again. No second one is launched while it exists."
        )
    if status == "RUNNING":
        return _running(context, known, row)
    _starting(context, known, row, status)
    return None


def _starting(context: Context, known: Known, row: Json, status: str) -> None:
    age = _age(context, known)
    if age <= LAUNCH_SECONDS or known.running:
        context.state.wait_for(context.policy.poll, context.now(), "starting")
        return
    # An instance in STARTING has a host, with or without a boot volume in the list, and can run at any moment.
    placed = status != "PROVISIONING" or not ownership.never_ran(row, known, context.now())
    if not placed and not context.cloud.boot_volumes(known.availability_domain, known.id):
        _discard(context, f"{status} for {events.duration(age)} without a boot volume: Oracle never assigned a host")
        return
    if age <= 3 * LAUNCH_SECONDS:
        context.state.wait_for(context.policy.poll * 3, context.now(), "starting")
        return
    raise OciError(
        f"the instance {known.id} is {status} for {events.duration(age)}: check its work requests in the console, "
        "terminate it there if it is stuck, then run again."
    )


def clear_away(context: Context, known: Known) -> bool:
    """Remove an instance that never ran, and its boot volume, before the next launch. Returns: round over.

    An instance that runs by now is kept, even if its removal was decided before.
    """
    row = _row(context, known)
    if row is None and not known.gone and not missing.terminated(context, known):
        return False
    if row is not None:
        missing.found(context, known)
        if ownership.exists(row):
            _remove_unused(context, known, row)
            return False
        known.gone = True
        if row.get("lifecycleState") == "TERMINATING":
            context.state.wait_for(context.policy.poll, context.now(), "cleaning")
            return False
    if not known.running:  # the disk of an instance that ran can contain data that its owner kept on purpose
        for volume in context.cloud.boot_volumes(known.availability_domain, known.id):
            _tolerant(functools.partial(context.cloud.delete_boot_volume, volume))
    why = context.state.discard
    context.state.instance = None
    context.state.discard = ""
    context.state.accepted += 1
    return context.turn_over(events.DISCARDED, f"removed {known.id}: {why}")


def _remove_unused(context: Context, known: Known, row: Json) -> None:
    if not ownership.never_ran(row, known, context.now()):
        known.running = known.running or ownership.runs_or_ran(row)
        context.state.discard = ""
        context.rest(0.0, "starting", events.ADOPTED, f"{known.id} is {row.get('lifecycleState')} by now: it is kept")
        return
    # With the etag, Oracle refuses if the instance changed after it was read, because it runs then.
    etag = str(row.get("etag") or "")
    if _tolerant(functools.partial(context.cloud.terminate, known.id, etag)):
        known.gone = True
    context.rest(context.policy.poll, "cleaning", events.DISCARDED, f"terminating {known.id}, which never ran")


def _tolerant(remove: t.Callable[[], None]) -> bool:
    """Whether the removal was accepted. False if the instance is gone, being terminated, or has changed."""
    try:
        remove()
    except CallFailed as failed:
        if failed.answer.status not in (404, 409, 412):
            raise
        return False
    return True


def _row(context: Context, known: Known) -> Json | None:
    try:
        return context.cloud.instance(known.id)
    except CallFailed as failed:
        if failed.answer.status == 404:
            return None
        raise


def _running(context: Context, known: Known, row: Json) -> Captured | None:
    config = row.get("shapeConfig") or {}
    size = Size(float(config.get("ocpus") or 0), float(config.get("memoryInGBs") or 0))
    spec = context.spec
    if row.get("shape") != spec.shape or (spec.flexible and size not in spec.sizes):
        raise OciError(
            f"the instance {known.id} runs as {row.get('shape')} with {size}, but {spec.shape} with "
            f"{' or '.join(str(size) for size in spec.sizes)} is requested. Resize it in the console, or set shape, "
            "ocpus and memory_gb to its size."
        )
    found = context.cloud.addresses(known.id)
    if found is None or (context.spec.assign_public_ip and not found[0]):
        if _age(context, known) > LAUNCH_SECONDS:
            raise OciError(
                f"the instance {known.id} runs but has no {'public ' if context.spec.assign_public_ip else ''}address: "
                "check its network card and subnet in the console (a private subnet has no public addresses)."
            )
        context.state.wait_for(context.policy.poll, context.now(), "starting")
        return None
    public, private = found
    if not known.only_one:
        wait = max(context.policy.poll, min(_age(context, known) / 4, 300.0))
        context.state.wait_for(wait, context.now(), "starting")
        return None
    if not known.captured:
        known.captured = True
        context.settled()
        context.rest(0.0, "captured", events.CAPTURED, f"{known.id} is running at {public or private}")
    else:
        duplicates.report_later_ones(context, known)
    return Captured(
        known.id, "RUNNING", public, private, known.availability_domain, spec.shape, size.ocpus, size.memory_gb
    )


def _gone(context: Context, known: Known) -> None:
    """Handle a termination, by Oracle for lack of capacity, or by a user."""
    other = duplicates.another(context, known)
    if other is not None and known.running:
        context.adopt(other, events.ADOPTED, f"{known.id} is terminated, {other['id']} is the instance")
        return
    if other is not None:
        _discard(context, f"it was terminated, and {other['id']} is the instance")
        return
    if known.running:
        if not context.replace:
            raise OciError(
                f"the instance {known.id} was running and has been terminated (by a user, or by Oracle because it was "
                "idle or over the free limits). To launch a new one in its place, run once with replace: true."
            )
        _discard(context, "it was terminated and is to be replaced")
        return
    why = context.cloud.failures(known.id)
    if any(errors.classify(Answer(0, "", text), launch=True)[0] == errors.CAPACITY for text in why):
        _discard(context, "out of capacity after the launch was accepted")
        return
    if not why and _age(context, known) <= context.policy.interval_floor:
        context.state.wait_for(context.policy.poll, context.now(), "starting")  # the reason can come a little later
        return
    context.state.instance = None
    context.save(context.state)
    reason = "; ".join(why) or "its work request has no error, so a user terminated it"
    raise FinalAnswer(
        f"the instance {known.id} was terminated while it started: {reason}. To launch another one, run again."
    )


def _discard(context: Context, why: str) -> None:
    context.state.discard = why
    context.rest(0.0, "cleaning", events.DISCARDED, why)


def _age(context: Context, known: Known) -> float:
    return max(0.0, context.now() - known.since)


def as_result(captured: Captured | None, known: Known | None) -> dict[str, t.Any]:
    """The ``instance`` that the module returns, empty without one."""
    if captured is not None:
        return dict(vars(captured))
    if known is None:
        return {}
    return {"id": known.id, "state": "STARTING", "public_ip": "", "availability_domain": known.availability_domain}
