# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell Discord or ntfy that a person is needed. No failure leaves this module, and no text holds the URL, a secret.

Discord answers 429 with ``retry_after``, the seconds until it listens again, when somebody posts too often; whoever
goes on posting before is shut out for longer (its documentation, "Rate Limits").
"""

from __future__ import annotations

import http.client
import json
import time
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from ansible_collections.onebox.stack.plugins.module_utils.backup.declaration import WebhookSpec

TRIES = 3
# Longer than this no backup is kept waiting; the alert on the metrics is the second way.
PATIENCE = 60.0
TIMEOUT = 15.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A webhook that sends us elsewhere would make us tell a stranger."""

    def redirect_request(self, *args: t.Any, **kwargs: t.Any) -> None:
        return None


def tell(webhook: WebhookSpec, title: str, text: str, sleep: t.Callable[[float], None] = time.sleep) -> str:
    """Post a message. Returns "" or why it could not."""
    try:
        request = _request(webhook, title, text)
    except OSError as error:
        return f"the webhook could not be told: {webhook.url_file} cannot be read: {error.strerror}"
    except ValueError:
        return f"the webhook could not be told: {webhook.url_file} holds no http(s) URL"
    left = PATIENCE
    for number in range(TRIES):
        pause, why = _post(request)
        if not why:
            return ""
        if pause is None or pause > left or number == TRIES - 1:
            break
        left -= pause
        sleep(pause)
    return f"the webhook could not be told: {why}"


def _request(webhook: WebhookSpec, title: str, text: str) -> urllib.request.Request:
    with open(webhook.url_file, encoding="utf-8") as file:
        url = file.read().strip()
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isprintable() or " " in url:
        raise ValueError("no URL of a web server")
    if webhook.style == "discord":
        # Discord refuses more than 2000 characters, and an empty user agent of Python's.
        body = json.dumps({"content": f"**{title}**\n{text}"[:2000], "allowed_mentions": {"parse": []}}).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "onebox-backup"}
    else:
        body = text.encode("utf-8", "replace")
        headers = {"Title": title.encode("ascii", "replace").decode(), "Priority": "high", "Tags": "floppy_disk"}
    return urllib.request.Request(url, data=body, headers=headers)


def _post(request: urllib.request.Request) -> tuple[float | None, str]:
    """One try. Returns after how many seconds another makes sense (None: it makes none), and what went wrong."""
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT):
            return 0.0, ""
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 429:
                return _asked_to_wait(error), "it asked to be left alone for longer than a backup waits (429)"
            return (2.0 if error.code >= 500 else None), f"it answered {error.code}"
    except OSError as error:
        # URLError's reason is a text or another error; of the latter only the words of the system are shown.
        reason = getattr(error, "reason", error)
        return 2.0, reason if isinstance(reason, str) else getattr(reason, "strerror", None) or type(reason).__name__
    except (ValueError, http.client.HTTPException) as error:
        return None, type(error).__name__  # its text may hold the URL


def _asked_to_wait(error: urllib.error.HTTPError) -> float | None:
    try:
        return max(0.5, float(json.loads(error.read(65536))["retry_after"]))
    except (OSError, ValueError, TypeError, KeyError, http.client.HTTPException):
        pass
    try:
        return max(0.5, float(error.headers.get("Retry-After") or "5"))
    except ValueError:
        return None
