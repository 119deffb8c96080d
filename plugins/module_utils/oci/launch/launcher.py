# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The launcher: small steps, each of which leaves a state from which any later process can continue."""

from __future__ import annotations

import typing as t
import uuid
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.oci import errors
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import Answer, CallFailed, FinalAnswer, OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import (
    duplicates,
    ended,
    events,
    reconcile,
    request,
    wait_running,
)
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.state import State

# A tick ends with its round. Longer waits than this before its end are left to the next tick.
TICK_SECONDS = 300.0


@dataclass(frozen=True)
class Outcome:
    """The result of one run. ``next_attempt_at`` is epoch seconds, None if no more requests are planned."""

    captured: wait_running.Captured | None
    created: bool
    text: str
    next_attempt_at: float | None


@dataclass(frozen=True)
class _Step:
    captured: wait_running.Captured | None = None
    round_over: bool = False


def new_state(name: str, compartment_id: str, place: str, now: float) -> State:
    """The state of a new launch loop."""
    return State(name, compartment_id, place, intent=uuid.uuid4().hex, created_at=now, updated_at=now)


def new_token() -> str:
    """A retry token: 1 to 64 characters, never the same twice."""
    return uuid.uuid4().hex


class Launcher:
    """Runs steps until the instance is captured or the time is over.

    Args:
        context: what to launch. Its world's ``sleep`` may raise to end the run; the state is saved by then.
        token: makes retry tokens.
    """

    def __init__(self, context: Context, token: t.Callable[[], str] = new_token) -> None:
        self._context = context
        self._token = token

    def run(self, *, block: bool, max_duration: float = 0.0) -> Outcome:
        """Run the launch loop.

        Args:
            block: continue until the instance is captured; otherwise run one tick: at most one round of requests.
            max_duration: seconds after which a blocking run ends, 0 for no end. It ends at once when the next request
                would come later than that.

        Raises:
            OciError: another attempt cannot succeed. After a :class:`FinalAnswer` later ticks do not send anything.
        """
        request_digest = ended.digest(self._context)
        ended.refuse_tick(self._context, request_digest, block)
        try:
            return self._run(block, max_duration)
        except FinalAnswer as final:
            ended.remember(self._context, request_digest, final)
            raise

    def _run(self, block: bool, max_duration: float) -> Outcome:
        context = self._context
        before = context.state.instance.id if context.state.instance else ""
        limit = max_duration if block else TICK_SECONDS
        if not block and not context.state.attempts:
            limit += context.policy.settle  # the first tick reads the list twice before its round
        began = context.world.monotonic()
        waiting = context.state.remaining(context.now())
        if waiting >= 1 and block:
            context.say(events.STARTED, f"continuing after {_attempts(context.state)}", waiting)
        over = not block and waiting > 0 and context.state.instance is None and context.state.pending is None
        captured = None
        while not over:
            waiting = context.state.remaining(context.now())
            if limit and context.world.monotonic() - began + waiting > limit:
                break
            if waiting > 0:
                context.world.sleep(waiting)
                context.state.wait_for(0.0, context.now(), "")  # the wait is over, even if the clock changed meanwhile
            step = self._guard(self._begin) if duplicates.begins(context) else self.step()
            captured = step.captured
            if captured is not None:
                break
            over = not block and step.round_over
        return self._outcome(captured, before)

    def step(self) -> _Step:
        """Run the next step. Does not sleep: ``state.remaining`` is the time to wait afterwards."""
        return self._guard(self._advance)

    def _guard(self, work: t.Callable[[], _Step]) -> _Step:
        try:
            return work()
        except CallFailed as failed:
            return _Step(round_over=_read_failed(self._context, failed.answer))

    def _begin(self) -> _Step:
        duplicates.first_read(self._context)
        return _Step()

    def _advance(self) -> _Step:
        context, state = self._context, self._context.state
        if not context.domains and (state.instance is None or state.discard):
            context.find_domains()
        if state.instance is not None and state.discard:
            return _Step(round_over=wait_running.clear_away(context, state.instance))
        if state.instance is not None:
            captured = wait_running.follow(context, state.instance)
            state.network_failures = 0
            return _Step(captured)
        if state.pending is not None:
            return _Step(round_over=reconcile.settle(context, state.pending))
        return _Step(round_over=self._request())

    def _request(self) -> bool:
        context, state = self._context, self._context.state
        row = duplicates.find(context, state.intent)
        if row is not None:
            context.adopt(row, events.ADOPTED, f"the instance exists already: {row['id']}")
            return False
        return request.launch(context, self._token)

    def _outcome(self, captured: wait_running.Captured | None, before: str) -> Outcome:
        context, state = self._context, self._context.state
        after = state.instance.id if state.instance else ""
        created = bool(after) and after != before
        if captured is not None:
            return Outcome(
                captured, created, f"{captured.id} is running at {captured.public_ip or captured.private_ip}", None
            )
        context.save(state)
        wait = state.remaining(context.now())
        said = f": {_said(state)}" if state.last_error else ""
        text = f"not captured after {_attempts(state)}{said}"
        context.say(events.STOPPED, f"{text}; run the same command again to continue", wait)
        return Outcome(None, created, text, context.now() + wait)


def _read_failed(context: Context, answer: Answer) -> bool:
    """Handle the failure of a call that changes nothing: wait and repeat the step, or stop."""
    verdict, rule = errors.classify(answer, launch=False)
    state = context.state
    context.remember(answer)
    if verdict == errors.THROTTLE:
        wait = context.policy.throttle_wait(state.throttle_level, answer.retry_after, context.world.random)
        state.throttle_level += 1
        context.rest(wait, "throttle", events.ANSWERED, "too many requests")
        return True
    if verdict == errors.NETWORK:
        state.network_failures += 1
        wait = context.policy.network_wait(state.network_failures)
        context.rest(wait, "network", events.ANSWERED, f"Oracle does not answer correctly ({answer})")
        return True
    context.save(state)
    text = errors.explain(answer, rule, f"Reading the state of {state.name}")
    if state.accepted and answer.status in (401, 404):
        text = f"Oracle accepted {state.accepted} requests before; the account may have been restricted. {text}"
    raise OciError(text, answer)


def _said(state: State) -> str:
    error = state.last_error or {}
    return " ".join(str(error[key]) for key in ("status", "code", "message") if error.get(key)).rstrip(".")


def _attempts(state: State) -> str:
    return f"{state.attempts} attempt{'' if state.attempts == 1 else 's'}"
