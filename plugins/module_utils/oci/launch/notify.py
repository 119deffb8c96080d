# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell a Discord channel, without ever harming the launch: no failure leaves this module, and no text holds the URL."""

from __future__ import annotations

import http.client
import json
import typing as t
import urllib.parse

from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import events

DIGEST_SECONDS = 86400.0
TIMEOUT = 5.0
# Discord takes 2000 characters; a long refusal says enough in its first words.
LENGTH = 1500

# Posts a text; returns seconds during which nothing more should be sent (0 when it went well). Raises on failure.
Post = t.Callable[[str], float]


def post_to(url: str) -> Post:
    """The real way; follows no redirect. Raises ValueError for something that is no URL of a web server."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("discord_webhook must begin with https://")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    host, port = parts.hostname, parts.port
    target = parts.path + (f"?{parts.query}" if parts.query else "")

    def post(text: str) -> float:
        body = json.dumps({"content": text, "allowed_mentions": {"parse": []}})
        connection = kind(host, port, timeout=TIMEOUT)
        try:
            headers = {"content-type": "application/json", "user-agent": "onebox.stack (launcher)"}
            connection.request("POST", target, body.encode(), headers)
            answer = connection.getresponse()
            if answer.status == 429:
                return max(1.0, float(answer.getheader("retry-after") or 60))
            if not 200 <= answer.status < 300:
                raise OSError(f"status {answer.status}")
            return 0.0
        finally:
            connection.close()

    return post


class Notifier:
    """Turns events into few messages: the start, each change of state, one digest a day, and the end.

    Args:
        memory: what was sent, kept in the state file so that a timer's ticks do not repeat it.
        warn: is told, once, when messages do not arrive.
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
        hunting = events.duration(max(0.0, event.at - event.hunting_since))
        if event.kind == events.ATTEMPT and not memory.get("started"):
            memory["started"] = True
            memory["digest_at"] = event.at
            return "the hunt for capacity begins"
        if event.kind == events.ANSWERED and event.at - float(memory.get("digest_at") or 0) >= DIGEST_SECONDS:
            memory["digest_at"] = event.at
            return f"still hunting after {hunting} and {event.attempt} attempts; last answer: {event.text}"
        if event.kind == events.ABORTED:
            if memory.get("aborted") == event.text:
                return ""
            memory["aborted"] = event.text
            return f"stopped after {hunting} and {event.attempt} attempts: {event.text}"
        if event.kind == events.CAPTURED:
            return f"captured after {hunting} and {event.attempt} attempts: {event.text}"
        if event.kind in (events.LAUNCHED, events.ADOPTED, events.DISCARDED):
            memory.pop("aborted", None)
            return event.text
        return ""

    def _send(self, text: str, now: float) -> None:
        try:
            pause = self._post(text)
        except (OSError, ValueError, http.client.HTTPException) as error:
            # Only the kind of error: its text may hold the URL, which is a secret.
            if not self._warned:
                self._warn(f"the Discord message did not arrive ({type(error).__name__}); the launch goes on without")
            self._warned = True
            return
        if pause:
            self._memory["quiet_until"] = now + pause
