# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report findings to a webhook on each change and once a day, and send the dead man's ping.

The findings a receiver knows are kept in the notes. A message that was not delivered is sent by the next run, with
all that changed meanwhile.
"""

from __future__ import annotations

import datetime
import json
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import files, http, webhook
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.watch.config import Tell
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.verdicts import one_line, span
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import INFO, Facts, Notes

_TIMEOUT = 8.0
_LINES = 12
_SLACK = 3000


def report(tell: Tell, found: Facts, notes: Notes, local: datetime.datetime) -> str:
    """Report to the webhook what changed, or the summary of the day.

    Args:
        found: the document.
        notes: where the findings that the receiver knows are kept.
        local: the host's local time, for the hour of the summary.

    Returns:
        Why the message was not delivered, "" otherwise.
    """
    if not tell.webhook_file:
        return ""
    told = notes.setdefault("told", {"known": {}, "day": "", "not_before": 0.0})
    now = found["at"]
    known: dict[str, str] = told["known"]
    current = {row["key"]: row for row in found["findings"] if row["severity"] != INFO and not row["acknowledged"]}
    new = [row for key, row in current.items() if key not in known]
    gone = [text for key, text in known.items() if key not in current]
    daily = local.hour >= tell.daily_hour and told["day"] != local.date().isoformat()
    if not (new or gone or daily):
        return ""
    if now < told["not_before"] <= now + 3600:
        return ""
    title, text = words(found, new, gone, list(current.values()))
    url, why = _url(tell.webhook_file)
    if why:
        return why
    outcome = webhook.post(url, message(tell.style, title, text, found), _TIMEOUT)
    if not outcome.delivered:
        told["not_before"] = now + outcome.retry_after
        return f"webhook: {outcome.reason}"
    told["known"] = {key: row["what"] for key, row in current.items()}
    if daily:
        told["day"] = local.date().isoformat()
    return ""


def words(found: Facts, new: t.Sequence[Facts], gone: t.Sequence[str], current: t.Sequence[Facts]) -> tuple[str, str]:
    """Title and text of a message: new findings, cleared ones, and those that stay."""
    new_keys = {row["key"] for row in new}
    stays = [row for row in current if row["key"] not in new_keys]
    lines = [_line(row, found["at"], "NEW ") for row in new]
    lines += [f"cleared: {one_line(text)}" for text in gone]
    lines += [_line(row, found["at"], "") for row in stays]
    if len(lines) > _LINES:
        lines = [*lines[:_LINES], f"and {len(lines) - _LINES} more"]
    if not lines:
        services = sum(len(stack["live"].get("containers") or ()) for stack in found["stacks"])
        lines = [f"{services} containers of {len(found['stacks'])} stacks are as promised"]
    state = "all as promised" if not current else f"{len(current)} finding{'s' if len(current) > 1 else ''}"
    return f"{found['host']}: {state}", "\n".join(lines)


def _line(row: Facts, now: float, mark: str) -> str:
    return f"{mark}{row['severity']}: {row['what']} (for {span(now - row['since'])})\n  {row['fix']}"


def message(style: str, title: str, text: str, found: Facts) -> webhook.Message:
    """The request for one style of webhook."""
    if style in ("discord", "ntfy"):
        return webhook.message(style, text, title, tag="mag")
    headers = {"Content-Type": "application/json"}
    if style == "slack":
        content = f"*{title}*\n{text}"[:_SLACK]
        for character, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            content = content.replace(character, name)
        return webhook.Message(headers, json.dumps({"text": content}).encode("ascii"))
    body = {key: found[key] for key in ("host", "at", "ok", "findings", "cleared")}
    return webhook.Message(headers, json.dumps({"title": title, "text": text, **body}).encode("ascii"))


def ping(tell: Tell, found: Facts) -> str:
    """Notify the dead man's switch that this run came to its end. Returns why it does not know, "" otherwise."""
    if not tell.ping_file:
        return ""
    url, why = _url(tell.ping_file)
    if why:
        return why
    body = ("ok" if found["ok"] else f"{len(found['findings'])} findings").encode()
    answer = http.post(url, body, {"Content-Type": "text/plain"}, _TIMEOUT)
    if 200 <= answer.status < 300:
        return ""
    return f"dead man's ping: {f'HTTP {answer.status}' if answer.status else answer.error}"


def _url(path: str) -> tuple[str, str]:
    """The URL in a file, and why there is none."""
    try:
        url = files.read_text(path).strip()
        http.check_url(url)
    except files.FileError as error:
        return "", str(error)
    except http.UrlError as error:
        return "", f"{shown(path)}: its content is {error}"
    return url, ""
