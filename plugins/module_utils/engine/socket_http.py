# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP over a unix socket, with many requests in flight (HTTP/1.1 pipelining, RFC 9112 9.3.2).

An engine works on the next answer while we read the last one, so inspecting 50 containers takes as long as the
slower of both, not as long as both together. http.client cannot do that: it
requires each answer to be read before the next request.
"""

from __future__ import annotations

import socket
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError

# So few that all of them fit the socket's buffer: a request must not wait for an unread answer.
WINDOW = 64


class Broken(OneboxError, OSError):
    """The other end closed the connection, or does not speak HTTP. An OSError, like every other fault of a socket."""


class Answer(t.NamedTuple):
    """One answer; names of headers in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """One connection that is kept. Raises OSError, here and in every method."""

    def __init__(self, path: str, timeout: float) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        try:
            self.sock.connect(path)
        except OSError:
            self.sock.close()
            raise
        self._stream = self.sock.makefile("rb", 1 << 16)

    def close(self) -> None:
        self._stream.close()
        self.sock.close()

    def ask(self, targets: t.Sequence[str], method: str = "GET", body: bytes = b"") -> None:
        """Send questions, at most :data:`WINDOW`; then :meth:`answer` must be called as often.

        Args:
            body: JSON that each of them has, where ``method`` is not ``GET``.
        """
        length = "" if method == "GET" else f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        heads = [f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n".encode("ascii") for target in targets]
        self.sock.sendall(b"".join(head + body for head in heads))

    def answer(self) -> Answer:
        """The next answer."""
        try:
            while True:
                status, headers = self._head()
                if status >= 200:  # below are interim answers: the real one follows
                    return Answer(status, headers, self._body(status, headers))
        except ValueError as error:
            raise Broken(f"it does not speak HTTP: {error}") from error

    def _body(self, status: int, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        if "content-length" in headers:
            return self._exactly(int(headers["content-length"]))
        return b"" if status in (204, 304) else self._stream.read()

    def _head(self) -> tuple[int, dict[str, str]]:
        version, status = self._line().split(None, 2)[:2]
        if not version.startswith("HTTP/1."):
            raise ValueError(version)
        headers: dict[str, str] = {}
        while True:
            line = self._line()
            if not line:
                return int(status), headers
            name, _colon, value = line.partition(":")
            headers[name.lower()] = value.strip()

    def _line(self) -> str:
        line = self._stream.readline(1 << 16)
        if not line.endswith(b"\n"):
            raise Broken("it closed the connection in the middle of an answer")
        return line.decode("latin-1").rstrip("\r\n")

    def _exactly(self, size: int) -> bytes:
        body = self._stream.read(size)
        if len(body) != size:
            raise Broken("it closed the connection in the middle of an answer")
        return body

    def _chunks(self) -> bytes:
        pieces = []
        while True:
            size = int(self._line().partition(";")[0], 16)
            if size == 0:
                break
            pieces.append(self._exactly(size))
            self._exactly(2)
        while self._line():
            pass  # trailers
        return b"".join(pieces)
