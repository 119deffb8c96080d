# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP requests to URLs that users name: bounded in time and bytes, never redirected, and never quoted in an error.

A URL may hold secrets, so no error text holds its user info, path or query. The time limit counts for the whole
request: a server that sends one byte a second cannot extend it. Only the resolver has a limit of its own
(``resolv.conf``), because the C library offers no other.
"""

from __future__ import annotations

import base64
import errno
import functools
import http.client
import io
import socket
import ssl
import time
import typing as t
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError

# Enough for the targets of a large Prometheus.
MOST_GET = 16 << 20
# The answer to a message is short.
MOST_POST = 1 << 16
_CHUNK = 1 << 16
# Bytes of heads and of the framing of chunks, in addition to twice the body.
_OVERHEAD = 1 << 20
_NO_URL = "not an http or https URL"


class UrlError(OneboxError):
    """A text is not the URL of a web server. The message does not repeat it."""


@dataclass(frozen=True)
class Answer:
    """The answer of a web server.

    Attributes:
        status: the HTTP status, also that of a redirect; 0 without an answer.
        headers: names in lower case.
        body: the body, or its beginning when it is longer than the limit.
        error: why there is no answer, or not the whole body; "" otherwise.
    """

    status: int = 0
    headers: t.Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: str = ""


def get(url: str, timeout: float, most: int = MOST_GET) -> Answer:
    """GET ``url``, without any proxy: it names this host or a neighbour.

    Args:
        url: an http or https URL. ``user:password@`` in it becomes basic authentication.
        timeout: seconds for the whole request.
        most: bytes of the body to read. With 0 the body is not read at all: a stream has no end to wait for.

    Returns:
        The answer. A URL that is none and a server that cannot be reached are an ``error`` in it.
    """
    return _exchange(url, timeout, most, {}, None, {})


def post(url: str, body: bytes, headers: t.Mapping[str, str], timeout: float) -> Answer:
    """POST ``body`` to ``url``, through the proxy of the environment where one is set.

    Args:
        url: as in :func:`get`.
        body: the content.
        headers: further headers; ``Content-Type`` is required.
        timeout: seconds for the whole request.

    Returns:
        The answer, as :func:`get` does, with at most :data:`MOST_POST` bytes of the body.
    """
    # Not getproxies(): in a forked process, such as a worker of Ansible, it crashes on macOS (CPython issue 75999).
    proxies = urllib.request.getproxies_environment()
    return _exchange(url, timeout, MOST_POST, proxies, body, headers)


def check_url(url: str) -> None:
    """Raise :class:`UrlError` when ``url`` is not the URL of a web server."""
    _parse(url)


def shown(url: str) -> str:
    """A URL for people: ``***`` instead of user info and query. The path stays."""
    try:
        parts = _parse(url)
    except UrlError:
        rest, at, tail = url.rpartition("@")
        return ascii((f"***{at}{tail}" if at else url).partition("?")[0])[1:-1]
    _info, at, place = parts.netloc.rpartition("@")
    query = "***" if parts.query else ""
    return urllib.parse.urlunsplit((parts.scheme, f"***@{place}" if at else place, parts.path, query, ""))


def _parse(url: str) -> urllib.parse.SplitResult:
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:  # its text may hold a part of the URL
        raise UrlError(_NO_URL) from None
    plain = url.isprintable() and " " not in url and (parts.path + parts.query).isascii()
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not plain:
        raise UrlError(_NO_URL)
    return parts


def _request(url: str, body: bytes | None, headers: t.Mapping[str, str]) -> urllib.request.Request:
    parts = _parse(url)
    info, _at, place = parts.netloc.rpartition("@")
    bare = urllib.parse.urlunsplit((parts.scheme, place, parts.path or "/", parts.query, ""))
    request = urllib.request.Request(bare, data=body, headers={"User-Agent": "onebox.stack", **headers})
    if info:
        user, _colon, password = info.partition(":")
        pair = urllib.parse.unquote_to_bytes(user) + b":" + urllib.parse.unquote_to_bytes(password)
        request.add_header("Authorization", "Basic " + base64.b64encode(pair).decode("ascii"))
    return request


def _exchange(
    url: str,
    timeout: float,
    most: int,
    proxies: dict[str, str],
    body: bytes | None,
    headers: t.Mapping[str, str],
) -> Answer:
    status, received = 0, dict[str, str]()
    # An opener without urllib's handler for statuses: every status is an answer, and no redirect is followed.
    opener = urllib.request.OpenerDirector()
    opener.add_handler(urllib.request.ProxyHandler(proxies))
    opener.add_handler(urllib.request.UnknownHandler())  # for a proxy such as socks5://
    opener.add_handler(_Handler(_Limits(timeout, 2 * most + _OVERHEAD)))
    try:
        with opener.open(_request(url, body, headers)) as response:
            status = response.status
            received = {name.lower(): str(value) for name, value in response.headers.items()}
            data, why = _read(response, most) if most else (b"", "")
            return Answer(status, received, data, why)
    except UrlError as error:
        return Answer(error=str(error))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(status, received, b"", _reason(error, timeout))


def _read(response: http.client.HTTPResponse, most: int) -> tuple[bytes, str]:
    pieces = []
    left = most + 1
    while left > 0:
        piece = response.read(min(left, _CHUNK))
        if not piece:
            break
        pieces.append(piece)
        left -= len(piece)
    data = b"".join(pieces)
    if len(data) > most:
        return data[:most], f"the body is longer than {most} bytes"
    return data, "the connection closed in the middle of the body" if response.length else ""


def _reason(error: Exception, timeout: float) -> str:
    """The system's or the TLS library's words. Other texts may hold a part of the URL: of these, only the type."""
    cause = getattr(error, "reason", None)
    if isinstance(cause, Exception):
        error = cause
    words = getattr(error, "strerror", None)
    if words:
        return str(words)
    if isinstance(error, (TimeoutError, socket.timeout)):
        return f"no complete answer within {timeout:g} s"
    return f"no valid answer ({type(error).__name__})"


class _Limits:
    """The rest of the time and of the bytes of one request."""

    def __init__(self, seconds: float, size: int) -> None:
        self._end = time.monotonic() + seconds
        self._size = size

    def seconds(self) -> float:
        """Seconds left, more than 0. Raises :class:`TimeoutError`."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def count(self, size: int) -> None:
        """Count bytes received. Raises :class:`OSError`."""
        self._size -= size
        if self._size < 0:
            raise OSError(errno.EFBIG, "the answer is too long")


class _Reader(io.RawIOBase):
    """The data that a socket receives within the limits.

    A socket's own timeout starts again with each byte, and http.client reads without end when a chunk has size -1.
    """

    def __init__(self, sock: socket.socket, raw: io.RawIOBase, limits: _Limits) -> None:
        self._sock, self._raw, self._limits = sock, t.cast(t.Any, raw), limits

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        self._sock.settimeout(self._limits.seconds())
        size = int(self._raw.readinto(buffer))
        self._limits.count(size)
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: t.Any, limits: _Limits, **options: t.Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(_Reader(sock, self.fp.detach(), limits))


class _Plain(http.client.HTTPConnection):
    limits: _Limits

    def connect(self) -> None:
        """Connect to one of the host's addresses. One that does not answer leaves time for the others."""
        name = self.host
        found = socket.getaddrinfo(name, self.port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        try:
            for left in range(len(addresses), 0, -1):
                self.host = addresses[-left]
                self.timeout = self.limits.seconds() / left
                try:
                    super().connect()
                    break
                except OSError:
                    if left == 1:
                        raise
        finally:
            self.host = name
        self.sock.settimeout(self.limits.seconds())  # the TLS handshake comes next

    def send(self, data: t.Any) -> None:
        if self.sock is None:
            self.connect()
        self.sock.settimeout(self.limits.seconds())
        super().send(data)


class _Secure(http.client.HTTPSConnection, _Plain):
    """TLS over :class:`_Plain`, which comes next in the order of methods."""


class _Handler(urllib.request.HTTPHandler):
    https_request = urllib.request.HTTPHandler.http_request

    def __init__(self, limits: _Limits) -> None:
        super().__init__()
        self._limits = limits

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._maker(_Plain), req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._maker(_Secure), req, context=ssl.create_default_context())

    def _maker(self, kind: type[_Plain]) -> t.Any:
        def make(host: str, **options: t.Any) -> _Plain:
            made = kind(host, **options)
            made.limits = self._limits
            made.response_class = t.cast(t.Any, functools.partial(_Response, limits=self._limits))
            return made

        return make
