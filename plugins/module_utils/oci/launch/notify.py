# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notify a Discord channel of the launch. A failure does not affect the launch. Texts do not contain the secret URL."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import http, webhook
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import events

DIGEST_SECONDS = 86400.0
# The launch waits for a message.
TIMEOUT = 5.0
# Discord accepts 2000 characters, which is enough of a long refusal.
LENGTH = 1500

# Posts a text once.
Post = t.Callable[[str], webhook.Outcome]


def discord(url: str) -> Post:
    """Post to the Discord webhook at ``url``. Raises :class:`OciError` if it is not the URL of a web server."""
    try:
        http.check_url(url)
    except http.UrlError:
        raise OciError("discord_webhook must begin with https://") from None
    return lambda text: webhook.post(url, webhook.message("discord", text), TIMEOUT)


class Notifier:
    """Sends few messages about events: the start, each change of state, one digest a day, and the end.

    Args:
        memory: the messages already sent, kept in the state file so that a timer's ticks do not repeat them.
        warn: is called, once, when a message could not be sent.
    """

    def __init__(self, post: Post, memory: dict[str, t.Any], warn: t.Callable[[str], None]) -> None:
        self._post = post
        self._memory = memory
        self._warn = warn
        self._warned = False

    def __call__(self, event: events.Event) -> None:
        text = self._text(event)
        if text and event.at >= float(self._memory.get("quiet_until") or 0):
            self._send(f"**{event.name}**: {text}"[:LENGTH], event.at)

    def _text(self, event: events.Event) -> str:
        memory = self._memory
        lasted = events.duration(max(0.0, event.at - event.since))
        if event.kind == events.ATTEMPT and not memory.get("started"):
            memory["started"] = True
            memory["digest_at"] = event.at
            return "the launch begins"
        if event.kind == events.ANSWERED and event.at - float(memory.get("digest_at") or 0) >= DIGEST_SECONDS:
            memory["digest_at"] = event.at
            return f"not captured yet after {lasted} and {event.attempt} attempts; last answer: {event.text}"
        if event.kind == events.ABORTED:
            if memory.get("aborted") == event.text:
                return ""
            memory["aborted"] = event.text
            return f"stopped after {lasted} and {event.attempt} attempts: {event.text}"
        if event.kind == events.CAPTURED:
            return f"captured after {lasted} and {event.attempt} attempts: {event.text}"
        if event.kind in (events.LAUNCHED, events.ADOPTED, events.DISCARDED, events.DUPLICATE):
            memory.pop("aborted", None)
            return event.text
        return ""

    def _send(self, text: str, now: float) -> None:
        outcome = self._post(text)
        if outcome.retry_after:
            self._memory["quiet_until"] = now + outcome.retry_after
        if not outcome.delivered and not self._warned:
            self._warn(f"the Discord message was not sent ({outcome.reason}). The launch continues without it.")
            self._warned = True
