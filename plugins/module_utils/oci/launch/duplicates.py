# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep exactly one instance when several controllers launched one each.

Each controller has its own state file, so they cannot lock each other out. The list of instances decides: it is read
before every launch request and again after every accepted one. Of several instances the running one is kept, otherwise
the one with the lowest OCID. A controller terminates only the instance that its own request created, and only if that
instance never ran. When two have run, nothing is terminated: the owner decides.
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
    have our tag and were not; each comes with the difference. ``others`` do not have the tag.
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
        OciError: an instance has our tag or our name and is not ours, or a new one would not be free.
    """
    seen = read_list(context)
    if seen.ours:
        own = [row for row in seen.ours if ownership.has_intent(row, intent)]
        return ownership.first_choice(own or seen.ours)
    name = context.spec.name
    if seen.strangers:
        row, different = seen.strangers[0]
        raise OciError(
            f"name: the instance {row['id']} has the tag of {name}, but {different}. Nothing was sent. If it is "
            f"yours, set confirm: {row['id']} once. If it is not, choose another name, or remove its tag."
        )
    same = [row for row in seen.others if row.get("displayName") == name]
    if same:
        raise OciError(
            f"name: an instance named {name} exists that this launcher did not create: {same[0]['id']}. To use that "
            "instance, set ansible_host to its address and do not launch one. Otherwise choose another name."
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
        row: the instance as Oracle shows it now.

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
    """Whether to read the list now: at each step at first, less and less often later."""
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
    """Read the list before the launch loop begins, and again after ``settle`` seconds.

    An instance that another controller launched a moment ago may not be in the list yet. The same is possible after
    the loss of the state file.
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
    """Report a second instance that appeared after this one was captured. Does not fail: the server may be in use."""
    rivals = [row for row in read_list(context).ours if row["id"] != known.id]
    if rivals:
        text = f"{known.id} is in use, and {_ids(rivals)} too. {_remedy(context, rivals)}"
        context.say(events.DUPLICATE, text)
        context.warnings.append(f"{context.spec.name}: {text}")


def _step_back(context: Context, known: Known, row: Json, best: Json, own: bool) -> None:
    """Another instance is kept: terminate ours if it never ran; if we did not launch ours, follow the other one."""
    if ownership.runs_or_ran(row) or known.running:
        raise two_run(context, [row, best], known)
    if own and ownership.never_ran(row, known, context.now()):
        context.state.discard = f"another controller launched {best['id']}, which is kept"
        context.rest(0.0, "cleaning", events.DISCARDED, f"terminating {known.id}: {context.state.discard}")
        return
    if own:
        raise two_run(context, [row, best], known)
    context.adopt(best, events.ADOPTED, f"following {best['id']} instead of {known.id}")


def two_run(context: Context, rows: t.Sequence[Json], known: Known) -> OciError:
    """The error for several instances of which none can be terminated without the owner."""
    keep = ownership.first_choice(rows)
    rest = [row for row in rows if row["id"] != keep["id"]]
    context.save(context.state)
    return OciError(
        f"{len(rows)} instances have the tag of {context.spec.name}: {_ids(rows)}. Another controller, with its own "
        f"state file, launched one of them. Nothing was terminated, because they run. {_remedy(context, rest)}"
    )


def _remedy(context: Context, rest: t.Sequence[Json]) -> str:
    return (
        f"Decide which one to keep. Terminate each of the others with state: absent and its OCID, for example confirm: "
        f"{rest[0]['id']}"
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
