# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out the outcome of a request before the next one is sent.

The instance list is read (all pages, by our tag) several times, because an instance may appear in it late.

- Found with the tag of this state file: it is ours.
- Found only with the tag of another state file: that controller's request created it. Ours may have created a second
  one, so the outcome remains unknown.
- Not found: the same request is sent again with the same ``opc-retry-token``. Oracle then returns the instance of the
  first request if there was one (for 24 hours, according to the SDK's documentation of LaunchInstance). Otherwise it is
  a new attempt. That is safe with an old token, too: long before Oracle discards a token, the list shows its instance.
  So the token's age, which depends on this machine's clock, is never checked.

Only an answer to the request itself settles the outcome: a 429 on the replay does not concern the first request.
"""

from __future__ import annotations

from ansible_collections.onebox.stack.plugins.module_utils.oci import errors
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import FinalAnswer
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import duplicates, events, ownership, request
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.backoff import (
    LAUNCH_SECONDS,
    LIMIT_BELIEVED_SECONDS,
    LIMIT_REPLAYS,
)
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.state import Pending
from ansible_collections.onebox.stack.plugins.module_utils.oci.protocol import Json


def settle(context: Context, pending: Pending) -> bool:
    """Read the list once and act on it. Returns whether the round is over."""
    state, now = context.state, context.now()
    intent = ownership.pending_intent(pending)
    row = duplicates.find(context, intent)
    if row is not None and ownership.has_intent(row, intent):
        context.adopt(row, events.ADOPTED, f"the instance exists: {row['id']}")
        return False
    if row is not None:
        return _wait_for_other(context, pending, row)
    if pending.doubt_since is None or pending.doubt_since > now:  # a kill came between, or the clock was set back
        pending.doubt_since = state.last_doubt_at = now
    due = pending.doubt_since + context.policy.settle
    spent = pending.verdict == errors.TOKEN_SPENT
    if not spent:
        due = max(due, min(pending.sent_at, now) + _interval(context, pending))
    if now < due:
        pending.looks += 1
        wait = min(context.policy.interval_floor / 10 * 2 ** min(pending.looks - 1, 10), due - now)
        context.rest(
            max(wait, 0.1),
            errors.UNKNOWN_OUTCOME,
            events.UNKNOWN_OUTCOME,
            "no instance in the list yet, reading it again",
        )
        return False
    if spent:
        # The instance of this token is gone, and the list had time to show any other.
        state.pending = None
        context.rest(0.0, errors.UNKNOWN_OUTCOME, events.UNKNOWN_OUTCOME, "the last request created no instance")
        return False
    if pending.verdict == errors.VERIFY:
        _check_limit(context, pending)
    return request.replay(context, pending)


def _wait_for_other(context: Context, pending: Pending, row: Json) -> bool:
    """Another controller's instance exists. A replay could create a second one, so only the list is read.

    By the end of the wait, the list shows any instance of our request. If it shows none, use the other instance.
    """
    now = context.now()
    pending.doubt_since = pending.doubt_since if pending.doubt_since is not None else now
    left = min(pending.sent_at, now) + LAUNCH_SECONDS - now
    if left <= 0:
        context.adopt(row, events.ADOPTED, f"the instance exists already: {row['id']}")
        return False
    pending.looks += 1
    wait = min(context.policy.interval_floor / 10 * 2 ** min(pending.looks - 1, 10), left)
    text = f"{row['id']} exists; reading the list until it is certain that this request created no second one"
    context.rest(max(wait, 0.1), errors.UNKNOWN_OUTCOME, events.UNKNOWN_OUTCOME, text)
    return False


def _interval(context: Context, pending: Pending) -> float:
    if pending.verdict == errors.VERIFY:
        return max(context.policy.capacity_interval, context.policy.interval_floor)
    return context.policy.replay_interval(pending.replays)


def _check_limit(context: Context, pending: Pending) -> None:
    """LimitExceeded, no instance of ours, and the allowance is free: one of Oracle's false alarms, unless it lasts.

    The clock alone is not enough: the same request must have got this answer several times.
    """
    state, now = context.state, context.now()
    lasted = now - (now if state.limit_since is None else state.limit_since)
    if lasted > LIMIT_BELIEVED_SECONDS and pending.replays >= LIMIT_REPLAYS:
        state.pending = None
        context.save(state)
        rule = next(rule for rule in errors.RULES if rule.launch == errors.VERIFY)
        raise FinalAnswer(
            f"Oracle has answered for {events.duration(lasted)} that a service limit is exceeded. This is too long for "
            f"a false alarm, although no instance is in this compartment. {rule.fix}"
        )
