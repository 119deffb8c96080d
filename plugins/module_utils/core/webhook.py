# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notify a Discord channel or an ntfy topic. No failure raises, and no text holds the URL, a secret.

Discord answers 429 with ``retry_after``, the seconds to wait, after too many posts. An earlier post extends
the wait (its documentation, "Rate Limits").
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core import http

TRIES = 3
# Seconds to wait at most for a message to be accepted.
PATIENCE = 60.0
TIMEOUT = 15.0
# Seconds until the next try after a fault that may pass.
_PAUSE = 2.0
# Bounds of the seconds a receiver may require, and the number if it does not name one.
_SHORTEST, _LONGEST, _UNNAMED = 0.5, 3600.0, 5.0
# Discord refuses more characters. ntfy turns more bytes into an attachment, which not every server accepts.
_DISCORD, _NTFY = 2000, 4096


class Message(t.NamedTuple):
    """A request for one style of webhook."""

    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Outcome:
    """The result of one post.

    Attributes:
        reason: why the message was not delivered, without any part of the URL; "" when it was.
        again: whether another try may succeed.
        retry_after: seconds the receiver demanded before the next message; 0 when it demanded nothing.
    """

    reason: str = ""
    again: bool = False
    retry_after: float = 0.0

    @property
    def delivered(self) -> bool:
        return not self.reason


def message(style: str, text: str, title: str = "", tag: str = "") -> Message:
    """A message that the receiver accepts: shortened to its limit, and without mentions in Discord.

    Args:
        style: ``discord`` or ``ntfy``.
        text: the message.
        title: its first line or title, "" for none.
        tag: an emoji's name, which ntfy shows with the title.
    """
    # Names of files may contain bytes that are not text.
    title, text = (each.encode("utf-8", "replace").decode("utf-8") for each in (title, text))
    if style == "discord":
        content = f"**{title}**\n{text}" if title else text
        body = json.dumps({"content": content[:_DISCORD], "allowed_mentions": {"parse": []}})
        return Message({"Content-Type": "application/json"}, body.encode("ascii"))
    headers = {"Content-Type": "text/plain; charset=utf-8", "Priority": "high"}
    if title:
        # A header takes one line of ASCII.
        headers["Title"] = "".join(each if each.isascii() and each.isprintable() else "?" for each in title)
    if tag:
        headers["Tags"] = tag
    return Message(headers, text.encode("utf-8")[:_NTFY].decode("utf-8", "ignore").encode("utf-8"))


def post(url: str, wanted: Message, timeout: float = TIMEOUT) -> Outcome:
    """Post a message once. It follows no redirect, which would notify a stranger.

    Args:
        url: the webhook.
        wanted: the message.
        timeout: seconds for the whole request.
    """
    try:
        http.check_url(url)
    except http.UrlError as error:
        return Outcome(str(error))
    answer = http.post(url, wanted.body, wanted.headers, timeout)
    if 200 <= answer.status < 300:
        return Outcome()
    if answer.status == 429:
        pause = _retry_after(answer)
        return Outcome(f"rate limited for {pause:g} s (HTTP 429)", True, pause)
    if answer.status:
        return Outcome(f"HTTP {answer.status}", answer.status >= 500)
    return Outcome(answer.error, True)


def deliver(url: str, wanted: Message, sleep: t.Callable[[float], None]) -> Outcome:
    """Post a message, :data:`TRIES` times at most, with pauses of :data:`PATIENCE` seconds at most in all.

    Args:
        url: the webhook.
        wanted: the message.
        sleep: waits that many seconds.

    Returns:
        The outcome of the last try.
    """
    left = PATIENCE
    for tries in range(TRIES, 0, -1):
        outcome = post(url, wanted)
        pause = outcome.retry_after or _PAUSE
        if not outcome.again or pause > left or tries == 1:
            break
        left -= pause
        sleep(pause)
    return outcome


def _retry_after(answer: http.Answer) -> float:
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        body = None
    exact = body.get("retry_after") if isinstance(body, dict) else None
    # Discord's header has whole seconds only.
    values: tuple[t.Any, ...] = (exact, answer.headers.get("retry-after"))
    for value in values:
        try:
            seconds = float(value)
        except (TypeError, ValueError, OverflowError):
            continue
        if seconds >= 0:  # neither negative nor NaN
            return min(max(seconds, _SHORTEST), _LONGEST)
    return _UNNAMED
