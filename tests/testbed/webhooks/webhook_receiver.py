# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The receiver of a webhook, as a web server on loopback: keeps every request, and gives scripted answers.

Neither Discord nor ntfy can be reached from a test. ``DISCORD_429`` is the body in Discord's documentation ("Rate
Limits").
"""

from __future__ import annotations

import http.server
import json
import threading
import typing as t

DISCORD_429 = '{"message": "You are being rate limited.", "retry_after": %s, "global": false}'


class Request(t.NamedTuple):
    """A request that arrived."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Use it in a ``with`` block.

    Attributes:
        url: the webhook; like a real one it holds a secret.
        answers: status, headers and body of the next answers; after them 204, or 400 for a message Discord refuses.
        got: the requests.
    """

    SECRET = "the-secret-part-of-the-url"

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], str]] = []
        self.got: list[Request] = []
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.receiver = self
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/api/webhooks/1/{self.SECRET}"

    def __enter__(self) -> Receiver:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def texts(self) -> list[str]:
        """The messages, read as Discord reads them."""
        return [str(json.loads(request.body)["content"]) for request in self.got]

    def next_answer(self, request: Request) -> tuple[int, dict[str, str], str]:
        if self.answers:
            return self.answers.pop(0)
        if request.headers.get("content-type") != "application/json":
            return 204, {}, ""
        fits = 0 < len(json.loads(request.body).get("content", "")) <= 2000
        return (204 if fits and request.path.endswith(self.SECRET) else 400), {}, ""


class _Http(http.server.ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Http

    def do_POST(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.path, headers, self.rfile.read(int(headers["content-length"])))
        self.server.receiver.got.append(request)
        status, fields, text = self.server.receiver.next_answer(request)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(text)), **fields}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *unused: t.Any) -> None:
        """Keep the test's output clean."""
