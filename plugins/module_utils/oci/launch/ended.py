# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A final answer ends the launch loop: a timer sends no more requests, and a user continues.

A timer never stops. With a restricted account or a wrong request, each of its ticks would send another launch request.
So the state file keeps the final answer and the digest of its request. A user starts a blocking run or corrects the
request, so both continue.
"""

from __future__ import annotations

import hashlib
import json

from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import FinalAnswer
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.context import Context


def refuse_tick(context: Context, asked: str, block: bool) -> None:
    """Raise the final answer of an earlier run again in a tick with the same request. Otherwise discard that answer."""
    state = context.state
    if not state.ended:
        return
    if not block and state.ended_request == asked:
        raise FinalAnswer(
            f"the launch of {state.name} has ended, and this tick sent nothing. The final answer was: {state.ended} "
            "To continue, correct the request, or run once with mode: block (Ctrl-C is safe as soon as it has sent a "
            "request)."
        )
    state.ended = state.ended_request = ""


def remember(context: Context, asked: str, final: FinalAnswer) -> None:
    """Record a final answer in the state file, with the digest of the request."""
    context.state.ended, context.state.ended_request = str(final), asked
    context.save(context.state)


def digest(context: Context) -> str:
    """SHA-256 of the request: every size, the domains, the whole body, and max_attempts."""
    spec = context.spec
    bodies = [spec.body("", "", size, "") for size in spec.sizes]
    asked = [bodies, sorted(context.domains), spec.fault_domains, context.max_attempts]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
