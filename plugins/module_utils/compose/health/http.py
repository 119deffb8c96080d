# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check whether the URLs of a deployed stack answer."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import http
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

# url, seconds -> the answer
Get = t.Callable[[str, float], http.Answer]


def status_of(url: str, timeout: float) -> http.Answer:
    """The answer of ``url`` without its body, because a stream does not end."""
    return http.get(url, timeout, most=0)


def check(
    wanted: t.Sequence[t.Mapping[str, t.Any]], timeout: float, world: World, get: Get = status_of
) -> list[dict[str, t.Any]]:
    """Poll each URL until it answers with its status, or ``timeout`` seconds have passed for all together.

    Returns:
        ``url, status, expected, ok, ms, message`` for each, in order. ``url`` is without user info and query, ``ms`` is
        the time of the last request.
    """
    deadline = world.monotonic() + timeout
    rows = []
    for item in wanted:
        url, expected = str(item["url"]), int(item.get("status") or 200)
        while True:
            began = world.monotonic()
            answer = get(url, max(1.0, min(10.0, deadline - began)))
            ended = world.monotonic()
            if answer.status == expected or ended >= deadline:
                break
            world.sleep(0.3)
        ok = answer.status == expected
        message = "" if ok else answer.error or f"answered {answer.status}, expected {expected}"
        rows.append(
            {
                "url": http.shown(url),
                "status": answer.status,
                "expected": expected,
                "ok": ok,
                "ms": round((ended - began) * 1000, 1),
                "message": message,
            }
        )
    return rows


def failure(stack: str, rows: t.Iterable[t.Mapping[str, t.Any]]) -> str:
    """The URLs of a stack that do not answer; "" if all do."""
    bad = "; ".join(f"{row['url']}: {row['message']}" for row in rows if not row["ok"])
    return f"stack {stack} runs, but does not answer: {bad}" if bad else ""
