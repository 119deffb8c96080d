# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Terminate the one instance that the state file or the owner names, and no other.

An instance that runs or ran is terminated only when the owner confirms its OCID.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.oci import errors, freetier, protocol
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import CallFailed, OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import events, ownership
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.backoff import LAUNCH_SECONDS
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.state import State

INSTANCE_PREFIX = "ocid1.instance."


def check_confirm(name: str, confirm: str) -> str:
    """The OCID that the owner confirmed, "" when ``confirm`` is the name or empty.

    Raises:
        OciError: it is neither the name nor the OCID of an instance.
    """
    if confirm.startswith(INSTANCE_PREFIX):
        return confirm
    if confirm not in ("", name):
        raise OciError(
            f"confirm must be {name} or an instance's OCID ({INSTANCE_PREFIX}…), not {confirm!r}. Nothing was done."
        )
    return ""


def targets(cloud: protocol.Cloud, state: State | None, name: str, confirm: str, *, now: float) -> list[protocol.Json]:
    """The instance to terminate: the one with the confirmed OCID, otherwise the one of the state file. Never several.

    Args:
        cloud: Oracle's API.
        state: the state file; None without one.
        name: the instance's name.
        confirm: the owner's confirmation: an OCID, or the name, which is enough only for an instance that never ran.
        now: seconds since the epoch.

    Raises:
        OciError: the instance runs or may have run and its OCID is not confirmed, nothing is confirmed at all, a launch
            request has an unknown outcome, instances with our tag exist but are not named, the instance does not have
            our tag, or it cannot be read.
    """
    ocid = check_confirm(name, confirm)
    row = _named(cloud, state, name, ocid)
    if row is not None and not ocid and not _never_ran(row, state, now):
        raise _needs_ocid(row, f"is {row.get('lifecycleState')}: it runs, or it may have run before")
    if not confirm:
        raise OciError(
            f"state: absent terminates the instance {name} and deletes its disk permanently. Nothing was done. To "
            f"confirm that, set confirm: {name} (with the role: oci_instance_confirm: {name})"
        )
    return [] if row is None else [row]


def _named(cloud: protocol.Cloud, state: State | None, name: str, ocid: str) -> protocol.Json | None:
    """The instance with the ``ocid``, otherwise that of the state file, None if it is gone or not named."""
    if state is not None and state.pending is not None and not ocid:
        raise OciError(
            f"a launch request of {name} has an unknown outcome. Run the launch once more to find it out, then remove "
            "the instance."
        )
    named = ocid or (state.instance.id if state is not None and state.instance is not None else "")
    try:
        if not named:
            _refuse_unnamed(cloud, name)
            return None
        row = _read(cloud, named)
        if row is None:
            _check_gone(cloud, named, confirmed=bool(ocid))
            return None
    except CallFailed as failed:
        raise OciError(_explain(failed, f"Reading the instances of {name}")) from failed
    if row.get("lifecycleState") in freetier.GONE:
        return None
    if not protocol.is_ours(row, name):
        raise OciError(
            f"confirm: the instance {named} does not have the tag of {name}, so this launcher did not create it. "
            "Nothing was terminated. To terminate it, use the console."
        )
    return row


def _never_ran(row: protocol.Json, state: State | None, now: float) -> bool:
    """Whether our own request launched the instance, and it certainly never ran."""
    if state is None or state.instance is None or not ownership.has_intent(row, state.intent):
        return False
    return ownership.never_ran(row, state.instance, now)


def _needs_ocid(row: protocol.Json, why: str) -> OciError:
    identity = row["id"]
    return OciError(
        f"confirm: the name is enough only for an instance that never ran, and {identity} {why}. Nothing was done. To "
        f"terminate it and delete its disk permanently, set confirm: {identity} (with the role: oci_instance_confirm: "
        f"{identity})"
    )


def _refuse_unnamed(cloud: protocol.Cloud, name: str) -> None:
    rows = [row for row in protocol.alive(cloud.instances()) if protocol.is_ours(row, name)]
    if rows:
        ids = ", ".join(str(row["id"]) for row in rows)
        raise OciError(
            f"state_file does not name an instance, and {len(rows)} with the tag of {name} exist: {ids}. Nothing was "
            f"terminated, because a tag does not prove who owns an instance. To terminate one, set its OCID, for "
            f"example confirm: {rows[0]['id']}"
        )


def _read(cloud: protocol.Cloud, identity: str) -> protocol.Json | None:
    try:
        return cloud.instance(identity)
    except CallFailed as failed:
        if failed.answer.status == 404:
            return None
        raise


def _check_gone(cloud: protocol.Cloud, identity: str, confirmed: bool) -> None:
    """Handle a 404: the instance is gone only if the list proves it, or if the owner named it and it is not listed."""
    listed = [row for row in cloud.instances() if row.get("id") == identity]
    if [row for row in listed if row.get("lifecycleState") in freetier.GONE] or (confirmed and not listed):
        return
    raise OciError(
        f"Oracle answers 404 for the instance {identity}: it is gone, or the user may not read it. Nothing was "
        f"terminated, and the state file is kept. Check the console. If the instance is gone, set confirm: {identity}"
    )


def remove(
    cloud: protocol.Cloud,
    rows: t.Sequence[protocol.Json],
    *,
    confirm: str,
    poll: float,
    world: World,
    say: t.Callable[[str], None],
) -> None:
    """Terminate ``rows`` with their boot volumes and wait until they are gone. ``poll`` is in seconds.

    Without an OCID as ``confirm``, Oracle refuses when the instance changed since it was read, because it may run.

    Raises:
        OciError: Oracle refuses, or it takes longer than twenty minutes.
    """
    for row in rows:
        identity = str(row["id"])
        say(f"terminating {identity} and its boot volume")
        try:
            cloud.terminate(identity, "" if confirm == identity else str(row.get("etag") or ""))
            gone = world.wait_until(functools.partial(_is_gone, cloud, identity), LAUNCH_SECONDS, poll)
        except CallFailed as failed:
            if failed.answer.status == 412:
                raise _needs_ocid(row, "changed after it was read: it may run by now") from failed
            raise OciError(_explain(failed, f"Terminating {identity}")) from failed
        if not gone:
            lasted = events.duration(LAUNCH_SECONDS)
            raise OciError(f"the instance {identity} still exists after {lasted}: inspect it in the console")


def _is_gone(cloud: protocol.Cloud, identity: str) -> bool:
    row = _read(cloud, identity)  # Oracle accepted the termination, so a 404 now means that it is gone, too
    return row is None or row.get("lifecycleState") == "TERMINATED"


def _explain(failed: CallFailed, doing: str) -> str:
    unused, rule = errors.classify(failed.answer, launch=False)
    return errors.explain(failed.answer, rule, doing)
