# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check whether a machine's API answers. ``State: running`` is not a proof: a guest that panicked keeps it forever."""

from __future__ import annotations

import email.utils
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import socket_http


@dataclass(frozen=True)
class Health:
    """``server`` is the guest's podman version; ``drift`` its clock minus ours, in whole seconds."""

    ok: bool
    server: str = ""
    drift: float | None = None


DEAD = Health(False)

Ping = t.Callable[[str], Health]


def ping(path: str, *, timeout: float, world: World) -> Health:
    """One ``GET /_ping`` over the unix socket at ``path``; a socket without a server is unhealthy, not an error.

    In the guest this may start podman's service, which takes some seconds on a busy host. With a short ``timeout``, a
    slow machine would be mistaken for a hung one.
    """
    if not path:
        return DEAD
    try:
        connection = socket_http.Connection(path, timeout)
        try:
            connection.ask(["/_ping"])
            answer = connection.answer()
        finally:
            connection.close()
    except OSError:
        return DEAD
    if answer.status != 200:
        return DEAD
    version = re.search(r"Libpod/([\w.-]+)", answer.headers.get("server", ""))
    date = email.utils.parsedate_tz(answer.headers.get("date", ""))
    drift = None if date is None else float(round(email.utils.mktime_tz(date) - world.epoch()))
    return Health(True, version.group(1) if version else "", drift)
