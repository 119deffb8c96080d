# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send one launch request, exactly once, and act on the answer. Each function returns whether the round is over."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.oci import errors
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import Answer, CallFailed, OciError, Rule
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import events
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.backoff import (
    BUSY_MAX,
    SETTLING_SECONDS,
    SKIP_SECONDS,
)
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.context import Hunt
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.state import Pending


def launch(hunt: Hunt, new_token: t.Callable[[], str]) -> bool:
    """Ask for the instance at the next target: remember the request first, then send it."""
    target = hunt.next_target()
    if target is None:  # every domain that was left in this round is skipped by now
        hunt.state.turn = 0
        hunt.state.round += 1
        wait = hunt.policy.capacity_wait(1, hunt.world.random)
        hunt.rest(wait, "capacity", events.ANSWERED, "no domain left in this round")
        return True
    state = hunt.state
    if hunt.max_attempts and state.attempts >= hunt.max_attempts:
        raise OciError(
            f"{state.attempts} launch requests were made without success (max_attempts {hunt.max_attempts}). Raise "
            "max_attempts and run again to go on; a pay-as-you-go account or another region gets capacity sooner."
        )
    state.pending = Pending(
        token=new_token(),
        body=hunt.wish.body(target.domain, target.fault_domain, target.size, state.intent),
        sent_at=hunt.now(),
    )
    state.attempts += 1
    hunt.save(state)
    hunt.say(events.ATTEMPT, f"attempt {state.attempts}: asking for {target.size} in {target.domain}")
    return send(hunt, state.pending)


def replay(hunt: Hunt, pending: Pending) -> bool:
    """Send a request of unknown outcome again: same bytes, same token, so that Oracle gives the same instance."""
    state = hunt.state
    pending.sent_at = hunt.now()
    pending.doubt_since, pending.looks, pending.verdict = None, 0, ""
    pending.replays += 1
    state.attempts += 1
    hunt.save(state)
    hunt.say(events.ATTEMPT, f"attempt {state.attempts}: the same request again in {_domain(pending)}")
    return send(hunt, pending)


def send(hunt: Hunt, pending: Pending) -> bool:
    """One POST."""
    try:
        row = hunt.cloud.launch(pending.body, pending.token)
    except CallFailed as failed:
        return _judge(hunt, pending, failed.answer)
    hunt.adopt(row, events.LAUNCHED, f"Oracle accepted the launch in {_domain(pending)}: {row['id']}")
    return False


def _judge(hunt: Hunt, pending: Pending, answer: Answer) -> bool:
    verdict, rule = errors.classify(answer, launch=True)
    hunt.remember(answer)
    return _ACTIONS[verdict](hunt, pending, answer, rule)


def _capacity(hunt: Hunt, pending: Pending, answer: Answer, rule: Rule) -> bool:
    hunt.state.pending = None
    hunt.state.accepted += 1
    hunt.settled()
    return hunt.turn_over(events.ANSWERED, f"{_domain(pending)}: out of capacity")


def _throttle(hunt: Hunt, pending: Pending, answer: Answer, rule: Rule) -> bool:
    state = hunt.state
    _refused_unread(hunt, pending)
    wait = hunt.policy.throttle_wait(state.throttle_level, answer.retry_after, hunt.world.random)
    state.throttle_level += 1
    # The limit is per user, so the other domains wait too; the round goes on with this one.
    hunt.rest(wait, "throttle", events.ANSWERED, f"{_domain(pending)}: too many requests")
    return True


def _refused_unread(hunt: Hunt, pending: Pending) -> None:
    """The request was turned away before it was worked on: if it was a replay, the first one is still in doubt."""
    if not pending.replays:
        hunt.state.pending = None


def _skip(hunt: Hunt, pending: Pending, answer: Answer, rule: Rule) -> bool:
    hunt.state.pending = None
    hunt.state.skipped[str(pending.body["availabilityDomain"])] = hunt.now() + SKIP_SECONDS
    hunt.settled()
    return hunt.turn_over(events.ANSWERED, f"{_domain(pending)} does not have the shape, left out for a day")


def _network(hunt: Hunt, pending: Pending, answer: Answer, rule: Rule) -> bool:
    state = hunt.state
    _refused_unread(hunt, pending)
    state.attempts -= 1  # nothing reached Oracle
    state.network_failures += 1
    wait = hunt.policy.network_wait(state.network_failures)
    hunt.rest(wait, "network", events.ANSWERED, f"Oracle cannot be reached ({answer.message})")
    return True


def _busy(hunt: Hunt, pending: Pending, answer: Answer, rule: Rule) -> bool:
    state = hunt.state
    _refused_unread(hunt, pending)
    state.busy += 1
    if state.busy > BUSY_MAX:
        hunt.save(state)
        raise OciError(errors.explain(answer, rule, f"Launching {state.name} ({state.busy} times)"), answer)
    hunt.rest(hunt.policy.capacity_wait(1, hunt.world.random), "busy", events.ANSWERED, f"{_domain(pending)}: {answer}")
    return True


def _settling(hunt: Hunt, pending: Pending, answer: Answer, rule: Rule) -> bool:
    state = hunt.state
    state.pending = None
    state.settling += 1
    if state.settling > 1 or state.accepted:
        hunt.save(state)
        raise OciError(errors.explain(answer, rule, f"Launching {state.name}"), answer)
    wait = max(hunt.policy.interval_floor, 0 if hunt.policy.private else SETTLING_SECONDS)
    hunt.rest(wait, "settling", events.ANSWERED, f"{_domain(pending)}: the network is not known everywhere yet")
    return True


def _doubt(hunt: Hunt, pending: Pending, answer: Answer, rule: Rule) -> bool:
    return _look_into(hunt, pending, errors.DOUBT, f"{_domain(pending)}: outcome unknown ({answer})")


def _verify(hunt: Hunt, pending: Pending, answer: Answer, rule: Rule) -> bool:
    if hunt.state.limit_since is None:
        hunt.state.limit_since = hunt.now()
    return _look_into(hunt, pending, errors.VERIFY, f"{_domain(pending)}: limit exceeded, looking whether that is true")


def _token_spent(hunt: Hunt, pending: Pending, answer: Answer, rule: Rule) -> bool:
    return _look_into(hunt, pending, errors.TOKEN_SPENT, f"{_domain(pending)}: the instance of this request is gone")


def _look_into(hunt: Hunt, pending: Pending, verdict: str, text: str) -> bool:
    now = hunt.now()
    pending.verdict, pending.doubt_since, pending.looks = verdict, now, 0
    hunt.state.last_doubt_at = now
    hunt.rest(0.0, verdict, events.DOUBT, text)
    return False


def _abort(hunt: Hunt, pending: Pending, answer: Answer, rule: Rule) -> bool:
    state = hunt.state
    turned_away = answer.status in (401, 403, 404)  # perhaps before anybody looked at the retry token
    kept = not 400 <= answer.status < 600 or (turned_away and pending.replays > 0)
    if not kept:
        state.pending = None  # refused: nothing was created, and a corrected request may follow
    state.wait_for(0.0, hunt.now(), "aborted")
    hunt.save(state)
    text = errors.explain(answer, rule, f"Launching {state.name} in {_domain(pending)}")
    if state.accepted and turned_away:
        text = (
            f"Oracle refused a request it had taken {state.accepted} times before: the account may have been "
            "restricted. Sign in to the console and look for a notice before running this again; hammering makes it "
            f"worse. {text}"
        )
    if kept:
        text += (
            " Whether an earlier sending of this request created an instance is still open; the next run asks that "
            "first, with the same request. If the request itself was wrong: make sure in the console that no such "
            "instance exists, then move the state file away."
        )
    raise OciError(text, answer)


def _domain(pending: Pending) -> str:
    return str(pending.body["availabilityDomain"])


_Action = t.Callable[[Hunt, Pending, Answer, Rule], bool]
_ACTIONS: dict[str, _Action] = {
    errors.CAPACITY: _capacity,
    errors.THROTTLE: _throttle,
    errors.SKIP: _skip,
    errors.NETWORK: _network,
    errors.BUSY: _busy,
    errors.SETTLING: _settling,
    errors.DOUBT: _doubt,
    errors.VERIFY: _verify,
    errors.TOKEN_SPENT: _token_spent,
    errors.ABORT: _abort,
}
