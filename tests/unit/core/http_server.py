# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A TCP server on loopback with programmable answers, for the tests of HTTP."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
import typing as t

PASSWORD = "s3cret-word"
OK = b"HTTP/1.1 200 OK\r\n"

Reply = t.Callable[["Server", socket.socket], None]


class Server:
    """A TCP server on loopback that answers each request head with ``reply``.

    Attributes:
        heads: the heads of the requests, one entry a connection.
        closed: set when a connection was closed by the client while the server was writing.
    """

    def __init__(self, reply: Reply | bytes, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.heads: list[str] = []
        self.closed = threading.Event()
        self.stopped = threading.Event()
        self._reply = reply
        self._tls = tls
        self._socket = socket.create_server((address, 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://{address}:{self.port}"

    def __enter__(self) -> Server:
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self.stopped.set()
        # Wakes the accept that waits. A close alone leaves it waiting, with a descriptor reserved for the next client.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _peer = self._socket.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self.heads.append(read_head(connection))
            if isinstance(self._reply, bytes):
                connection.sendall(self._reply)
            else:
                self._reply(self, connection)

    def send_until_closed(self, connection: socket.socket, data: bytes, pause: float) -> None:
        """Repeat ``data`` every ``pause`` seconds until the client is gone, so that a client without limits fails."""
        end = time.monotonic() + 20
        try:
            while not self.stopped.wait(pause) and time.monotonic() < end:
                connection.sendall(data)
        except OSError:
            self.closed.set()


def read_head(connection: socket.socket) -> str:
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(65536)
        if not piece:
            break
        head += piece
    return head.decode("latin-1")


def then(start: bytes, piece: bytes, pause: float = 0.02) -> Reply:
    """Send ``start``, then ``piece`` again and again."""

    def reply(server: Server, connection: socket.socket) -> None:
        connection.sendall(start)
        server.send_until_closed(connection, piece, pause)

    return reply


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
