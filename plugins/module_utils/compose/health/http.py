# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a deployed stack's own URLs whether they answer."""

from __future__ import annotations

import http.client
import ssl
import typing as t
import urllib.error
import urllib.request

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

# url, seconds -> (HTTP status or 0, why not)
Fetch = t.Callable[[str, float], "tuple[int, str]"]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer: its status is what was asked for."""

    def redirect_request(self, *args: t.Any, **kwargs: t.Any) -> None:
        return None


def read(url: str, timeout: float, most: int = 16 << 20) -> tuple[int, str, str]:
    """GET ``url`` without any proxy; the HTTP status and ``most`` bytes of the body, or 0 and why there is none."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
    try:
        with opener.open(url, timeout=timeout) as answer:
            return answer.status, answer.read(most).decode("utf-8", errors="replace"), ""
    except urllib.error.HTTPError as error:
        error.close()
        return error.code, "", ""
    except (OSError, http.client.HTTPException, ssl.SSLError, ValueError) as error:
        return 0, "", str(getattr(error, "reason", "") or error or type(error).__name__)


def fetch(url: str, timeout: float) -> tuple[int, str]:
    """The HTTP status of ``url``, or 0 and why there is none."""
    status, _body, why = read(url, timeout, most=0)  # a stream has no end to wait for
    return status, why


def check(
    wanted: t.Sequence[t.Mapping[str, t.Any]], timeout: float, world: World, get: Fetch = fetch
) -> list[dict[str, t.Any]]:
    """Poll each URL until it answers with its status, or ``timeout`` seconds have passed for all together.

    Returns:
        ``url, status, expected, ok, ms, message`` for each, in order; ``ms`` is the time of the last request.
    """
    deadline = world.monotonic() + timeout
    rows = []
    for item in wanted:
        url, expected = str(item["url"]), int(item.get("status") or 200)
        while True:
            began = world.monotonic()
            status, why = get(url, max(1.0, min(10.0, deadline - began)))
            ended = world.monotonic()
            if status == expected or ended >= deadline:
                break
            world.sleep(0.3)
        message = "" if status == expected else why or f"answered {status}, expected {expected}"
        rows.append(
            {
                "url": url,
                "status": status,
                "expected": expected,
                "ok": status == expected,
                "ms": round((ended - began) * 1000, 1),
                "message": message,
            }
        )
    return rows
