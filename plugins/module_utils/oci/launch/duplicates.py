# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""End up with one instance, also if several controllers launched.

Each controller has a state file of its own, so none can lock out another. The cloud decides: the list is read before
every launch request and again after every accepted one. Of several instances the one that runs stays, else the one
with the lowest OCID. A controller gives back only the instance that its own request created, and only while that one
has never run. When two have run, nothing is terminated: the owner decides.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.oci import errors, protocol
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import CallFailed, OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import events, ownership
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.backoff import LAUNCH_SECONDS
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.state import Known
from ansible_collections.onebox.stack.plugins.module_utils.oci.protocol import Json


@dataclass(frozen=True)
class Seen:
    """The list of the compartment, sorted.

    ``ours`` were launched with our key, image and user data, or are known or confirmed by their OCID. ``strangers``
    carry our tag and were not; each comes with the difference. ``others`` do not carry the tag.
    """

    ours: list[Json]
    strangers: list[tuple[Json, str]]
    others: list[Json]


def read_list(context: Context) -> Seen:
    """Read the list, and then each instance with our tag by its OCID, which is never outdated."""
    seen = Seen([], [], [])
    known, pending = context.state.instance, context.state.pending
    accepted = {context.confirm, known.id if known else ""}
    wanted = ownership.expected(context.spec, pending)
    for listed in protocol.alive(context.cloud.instances()):
        if not ownership.is_tagged(listed, context.spec.name):
            seen.others.append(listed)
            continue
        row = _described(context, listed)
        if not ownership.exists(row):
            continue
        different = "" if row["id"] in accepted else ownership.difference(row, wanted)
        if different:
            seen.strangers.append((row, different))
        else:
            seen.ours.append(row)
    return seen


def find(context: Context, intent: str = "") -> Json | None:
    """The instance to use instead of launching one, with the tag of ``intent`` first.

    Raises:
        OciError: an instance carries our tag or our name and is not ours, or a new one would not be free.
    """
    seen = read_list(context)
    if seen.ours:
        own = [row for row in seen.ours if ownership.has_intent(row, intent)]
        return ownership.first_choice(own or seen.ours)
    name = context.spec.name
    if seen.strangers:
        row, different = seen.strangers[0]
        raise OciError(
            f"name: the instance {row['id']} carries the tag of {name}, but {different}. Nothing was sent. If it is "
            f"yours, set confirm: {row['id']} once. If it is not, choose another name, or remove its tag."
        )
    same = [row for row in seen.others if row.get("displayName") == name]
    if same:
        raise OciError(
            f"an instance named {name} exists that this launcher did not make: {same[0]['id']}. Use it "
            "as it is (set ansible_host to its address and leave the launch out), or choose another name."
        )
    context.check_free(seen.others)
    return None


def another(context: Context, known: Known) -> Json | None:
    """An instance of ours other than ``known``, None without one."""
    rows = [row for row in read_list(context).ours if row["id"] != known.id]
    return ownership.first_choice(rows) if rows else None


def only_one(context: Context, known: Known, row: Json) -> bool:
    """Check that ``known`` is the only instance of this launch. Returns whether that is certain by now.

    Args:
        context: the launch loop.
        known: the instance that is followed.
        row: what Oracle says about it at this moment.

    Raises:
        OciError: two instances run.
    """
    age = context.now() - known.since
    if not _due(context, age):
        return False
    seen = read_list(context)
    listed = any(each["id"] == known.id for each in seen.ours)
    rivals = [each for each in seen.ours if each["id"] != known.id]
    best = ownership.first_choice([row, *rivals])
    own = ownership.has_intent(row, context.state.intent)
    if best["id"] != known.id:
        _step_back(context, known, row, best, own)
        return False
    running = [each for each in rivals if ownership.runs_or_ran(each)]
    if running:
        raise two_run(context, [row, *running], known)
    if rivals and 0 <= age <= LAUNCH_SECONDS:
        return False  # the controller that launched it terminates it
    if rivals:
        raise two_run(context, [row, *rivals], known)
    # An instance that was launched at the same moment needs time to appear in the list.
    return not own or (listed and age >= context.policy.settle) or not 0 <= age <= LAUNCH_SECONDS


def _due(context: Context, age: float) -> bool:
    """Whether to read the list now: at each step at first, ever less often later."""
    now = context.world.monotonic()
    if context.listed_at is not None and now - context.listed_at < max(context.policy.poll, age / 4):
        return False
    context.listed_at = now
    return True


def begins(context: Context) -> bool:
    """Whether this launch loop has sent nothing yet, and has to watch the list longer."""
    state, now = context.state, context.now()
    if state.attempts or state.instance is not None or state.pending is not None:
        return False
    return state.first_read_at is None or state.first_read_at > now or _watch_left(context) > 0


def first_read(context: Context) -> None:
    """Read the list before the launch loop begins, and again after a while.

    A controller that begins now may meet an instance that another one launched a moment ago, and that is not in the
    list yet; so may one whose state file was lost.
    """
    state = context.state
    row = find(context)
    if row is not None:
        context.adopt(row, events.ADOPTED, f"the instance exists already: {row['id']}")
        return
    if state.first_read_at is None or state.first_read_at > context.now():
        state.first_read_at = context.now()
    wait = _watch_left(context)
    context.rest(wait, "pause", events.STARTED, "no instance in the list; reading it again before the first request")


def _watch_left(context: Context) -> float:
    began = context.state.first_read_at
    return context.policy.settle if began is None else max(0.0, began + context.policy.settle - context.now())


def report_later_ones(context: Context, known: Known) -> None:
    """Report a second instance that appeared after this one was captured. Fails nothing: the server may be in use."""
    rivals = [row for row in read_list(context).ours if row["id"] != known.id]
    if rivals:
        text = f"{known.id} is in use, and {_ids(rivals)} too. {_remedy(context, rivals)}"
        context.say(events.DUPLICATE, text)
        context.warnings.append(f"{context.spec.name}: {text}")


def _step_back(context: Context, known: Known, row: Json, best: Json, own: bool) -> None:
    """Another instance stays: terminate ours if it never ran, or follow the other one if ours is not our own."""
    if ownership.runs_or_ran(row) or known.running:
        raise two_run(context, [row, best], known)
    if own and ownership.never_ran(row, known, context.now()):
        context.state.discard = f"another controller launched {best['id']}, which stays"
        context.rest(0.0, "cleaning", events.DISCARDED, f"{known.id} is given back: {context.state.discard}")
        return
    if own:
        raise two_run(context, [row, best], known)
    context.adopt(best, events.ADOPTED, f"{best['id']} stays, not {known.id}")


def two_run(context: Context, rows: t.Sequence[Json], known: Known) -> OciError:
    """The error for several instances of which none can be terminated without the owner."""
    keep = ownership.first_choice(rows)
    rest = [row for row in rows if row["id"] != keep["id"]]
    context.save(context.state)
    return OciError(
        f"{len(rows)} instances carry the tag of {context.spec.name}: {_ids(rows)}. Another controller with a state "
        f"file of its own launched one of them. Nothing was terminated, because they run. {_remedy(context, rest)}"
    )


def _remedy(context: Context, rest: t.Sequence[Json]) -> str:
    return (
        f"Decide which one to keep; terminate each other one by its OCID: state: absent with confirm: {rest[0]['id']}"
    )


def _ids(rows: t.Sequence[Json]) -> str:
    return ", ".join(f"{row['id']} ({row.get('lifecycleState')})" for row in rows)


def _described(context: Context, listed: Json) -> Json:
    try:
        return context.cloud.instance(str(listed["id"]))
    except CallFailed as failed:
        if failed.answer.status != 404 or failed.answer.how != errors.ANSWERED:
            raise
        return listed  # the list shows more than the user can read, so the difference is reported
