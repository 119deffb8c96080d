# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send one launch request, exactly once, and act on the answer. Each function returns whether the round is over."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.oci import errors
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import Answer, CallFailed, FinalAnswer, Rule
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import events
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.backoff import (
    BUSY_MAX,
    SETTLING_SECONDS,
    SKIP_SECONDS,
)
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.state import Pending


def launch(context: Context, new_token: t.Callable[[], str]) -> bool:
    """Request the instance at the next target: record the request first, then send it."""
    target = context.next_target()
    if target is None:  # every remaining domain of this round is skipped by now
        context.state.turn = 0
        context.state.round += 1
        wait = context.policy.capacity_wait(1, context.world.random)
        context.rest(wait, "capacity", events.ANSWERED, "no domain left in this round")
        return True
    state = context.state
    if context.max_attempts and state.attempts >= context.max_attempts:
        raise FinalAnswer(
            f"{state.attempts} launch requests were made without success (max_attempts {context.max_attempts}). Raise "
            "max_attempts and run again to continue; a pay-as-you-go account or another region gets capacity sooner."
        )
    state.pending = Pending(
        token=new_token(),
        body=context.spec.body(target.domain, target.fault_domain, target.size, state.intent),
        sent_at=context.now(),
    )
    state.attempts += 1
    context.save(state)
    context.say(events.ATTEMPT, f"attempt {state.attempts}: requesting {target.size} in {target.domain}")
    return send(context, state.pending)


def replay(context: Context, pending: Pending) -> bool:
    """Send a request of unknown outcome again: same bytes, same token, so that Oracle returns the same instance."""
    state = context.state
    pending.sent_at = context.now()
    pending.doubt_since, pending.looks, pending.verdict = None, 0, ""
    pending.replays += 1
    state.attempts += 1
    context.save(state)
    context.say(events.ATTEMPT, f"attempt {state.attempts}: the same request again in {_domain(pending)}")
    return send(context, pending)


def send(context: Context, pending: Pending) -> bool:
    """Send one POST and act on the answer."""
    try:
        row = context.cloud.launch(pending.body, pending.token)
    except CallFailed as failed:
        return _judge(context, pending, failed.answer)
    if not isinstance(row.get("id"), str):
        return _judge(context, pending, Answer(0, message="the answer names no instance", how=errors.LOST))
    context.adopt(row, events.LAUNCHED, f"Oracle accepted the launch in {_domain(pending)}: {row['id']}")
    return False


def _judge(context: Context, pending: Pending, answer: Answer) -> bool:
    verdict, rule = errors.classify(answer, launch=True)
    context.remember(answer)
    return _ACTIONS[verdict](context, pending, answer, rule)


def _capacity(context: Context, pending: Pending, answer: Answer, rule: Rule) -> bool:
    context.state.pending = None
    context.state.accepted += 1
    context.settled()
    return context.turn_over(events.ANSWERED, f"{_domain(pending)}: out of capacity")


def _throttle(context: Context, pending: Pending, answer: Answer, rule: Rule) -> bool:
    state = context.state
    _refused_unread(context, pending)
    wait = context.policy.throttle_wait(state.throttle_level, answer.retry_after, context.world.random)
    state.throttle_level += 1
    # The limit is per user, so the other domains wait too. The round continues with this one.
    context.rest(wait, "throttle", events.ANSWERED, f"{_domain(pending)}: too many requests")
    return True


def _refused_unread(context: Context, pending: Pending) -> None:
    """The request was refused before it was processed: after a replay, the first outcome stays unknown."""
    if not pending.replays:
        context.state.pending = None


def _skip(context: Context, pending: Pending, answer: Answer, rule: Rule) -> bool:
    context.state.pending = None
    context.state.skipped[str(pending.body["availabilityDomain"])] = context.now() + SKIP_SECONDS
    context.settled()
    return context.turn_over(events.ANSWERED, f"{_domain(pending)} does not have the shape, skipped for a day")


def _network(context: Context, pending: Pending, answer: Answer, rule: Rule) -> bool:
    state = context.state
    _refused_unread(context, pending)
    state.attempts -= 1  # nothing reached Oracle
    state.network_failures += 1
    wait = context.policy.network_wait(state.network_failures)
    context.rest(wait, "network", events.ANSWERED, f"Oracle cannot be reached ({answer.message})")
    return True


def _busy(context: Context, pending: Pending, answer: Answer, rule: Rule) -> bool:
    state = context.state
    _refused_unread(context, pending)
    state.busy += 1
    if state.busy > BUSY_MAX:
        context.save(state)
        raise FinalAnswer(errors.explain(answer, rule, f"Launching {state.name} ({state.busy} times)"), answer)
    wait = context.policy.capacity_wait(1, context.world.random)
    context.rest(wait, "busy", events.ANSWERED, f"{_domain(pending)}: {answer}")
    return True


def _settling(context: Context, pending: Pending, answer: Answer, rule: Rule) -> bool:
    state = context.state
    state.pending = None
    state.settling += 1
    if state.settling > 1 or state.accepted:
        context.save(state)
        raise FinalAnswer(errors.explain(answer, rule, f"Launching {state.name}"), answer)
    wait = max(context.policy.interval_floor, 0 if context.policy.private else SETTLING_SECONDS)
    context.rest(wait, "settling", events.ANSWERED, f"{_domain(pending)}: the network is not known everywhere yet")
    return True


def _unknown_outcome(context: Context, pending: Pending, answer: Answer, rule: Rule) -> bool:
    return _investigate(context, pending, errors.UNKNOWN_OUTCOME, f"{_domain(pending)}: outcome unknown ({answer})")


def _verify(context: Context, pending: Pending, answer: Answer, rule: Rule) -> bool:
    if context.state.limit_since is None:
        context.state.limit_since = context.now()
    text = f"{_domain(pending)}: limit exceeded, checking whether that is true"
    return _investigate(context, pending, errors.VERIFY, text)


def _token_spent(context: Context, pending: Pending, answer: Answer, rule: Rule) -> bool:
    return _investigate(
        context, pending, errors.TOKEN_SPENT, f"{_domain(pending)}: the instance of this request is gone"
    )


def _investigate(context: Context, pending: Pending, verdict: str, text: str) -> bool:
    now = context.now()
    pending.verdict, pending.doubt_since, pending.looks = verdict, now, 0
    context.state.last_doubt_at = now
    context.rest(0.0, verdict, events.UNKNOWN_OUTCOME, text)
    return False


def _abort(context: Context, pending: Pending, answer: Answer, rule: Rule) -> bool:
    state = context.state
    turned_away = answer.status in (401, 403, 404)  # perhaps before the retry token was checked
    kept = not 400 <= answer.status < 600 or (turned_away and pending.replays > 0)
    if not kept:
        state.pending = None  # refused: nothing was created, and a corrected request can follow
    state.wait_for(0.0, context.now(), "aborted")
    context.save(state)
    text = errors.explain(answer, rule, f"Launching {state.name} in {_domain(pending)}")
    if state.accepted and turned_away:
        text = (
            f"Oracle refused a request that it accepted {state.accepted} times before: the account may have been "
            "restricted. Sign in to the console and check for a notice before you run this again, because more "
            f"requests can extend a restriction. {text}"
        )
    if kept:
        text += (
            " It is unknown whether an earlier attempt of this request created an instance. The next run finds out "
            "first, with the same request. If the request itself was wrong, check in the console that no such "
            "instance exists, then move the state file away."
        )
    raise FinalAnswer(text, answer)


def _domain(pending: Pending) -> str:
    return str(pending.body["availabilityDomain"])


_Action = t.Callable[[Context, Pending, Answer, Rule], bool]
_ACTIONS: dict[str, _Action] = {
    errors.CAPACITY: _capacity,
    errors.THROTTLE: _throttle,
    errors.SKIP: _skip,
    errors.NETWORK: _network,
    errors.BUSY: _busy,
    errors.SETTLING: _settling,
    errors.UNKNOWN_OUTCOME: _unknown_outcome,
    errors.VERIFY: _verify,
    errors.TOKEN_SPENT: _token_spent,
    errors.ABORT: _abort,
}
