# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests over an engine's socket that change something, one connection each."""

from __future__ import annotations

from ansible_collections.onebox.stack.plugins.module_utils.engine import socket_http
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError

_TIMEOUT = 60.0


def change(path: str, method: str, target: str, body: bytes = b"") -> tuple[int, str]:
    """Send one request.

    Args:
        path: the socket.
        method: ``POST`` or ``DELETE``.
        target: path and query, quoted.
        body: JSON.

    Returns:
        The status, and the text of the answer.

    Raises:
        EngineError: nothing answers.
    """
    try:
        connection = socket_http.Connection(path, _TIMEOUT)
        try:
            connection.ask([target], method, body)
            answer = connection.answer()
        finally:
            connection.close()
    except OSError as error:
        raise EngineError(f"the engine at {path} does not answer to {method} {target}: {error}") from error
    return answer.status, answer.body.decode("utf-8", errors="replace").strip()
