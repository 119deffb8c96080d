# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP requests to real servers on loopback, most of which misbehave."""

from __future__ import annotations

import contextlib
import socket
import time
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import http
from http_server import OK, PASSWORD, Reply, Server, closed_port, then


def test_get_returns_status_headers_and_body() -> None:
    with Server(OK + b"Content-Length: 4\r\nX-Kind: a\r\n\r\nbody") as server:
        answer = http.get(server.url + "/path?q=1", 5)
    assert (answer.status, answer.headers["x-kind"], answer.body, answer.error) == (200, "a", b"body", "")
    assert server.heads[0].startswith("GET /path?q=1 HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{server.port}\r\n" in server.heads[0]


def test_get_of_an_error_status_returns_its_body() -> None:
    with Server(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nwhy?") as server:
        answer = http.get(server.url, 5)
    assert (answer.status, answer.body, answer.error) == (503, b"why?", "")


def test_post_sends_body_and_headers() -> None:
    with Server(b"HTTP/1.1 204 No Content\r\n\r\n") as server:
        assert http.post(server.url, b"", {"Content-Type": "text/x", "Title": "t"}, 5).status == 204
    assert server.heads[0].startswith("POST / HTTP/1.1\r\n")
    for line in ("Content-Type: text/x", "Title: t", "User-Agent: onebox.stack", "Content-Length: 0"):
        assert f"\r\n{line}\r\n" in server.heads[0]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_the_answer_and_its_target_is_not_contacted(status: int) -> None:
    with Server(OK + b"\r\n") as target:
        head = f"HTTP/1.1 {status} Moved\r\nLocation: {target.url}/\r\nContent-Length: 0\r\n\r\n"
        with Server(head.encode()) as server:
            assert http.get(server.url, 5).status == status
            assert http.post(server.url, b"x", {"Content-Type": "text/x"}, 5).status == status
        assert len(server.heads) == 2
        assert target.heads == []


@pytest.mark.parametrize(
    ("start", "piece", "status"),
    [
        (b"", b"H", 0),  # endless status line
        (OK + b"X: ", b"x", 0),  # endless header
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0),  # endless interim answers
        (OK + b"Content-Length: 9000\r\n\r\n", b"x", 200),
        (OK + b"\r\n", b"x", 200),  # a body that ends with the connection
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 200),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0", 200),  # endless chunk size
    ],
)
def test_slow_answer_is_cut_at_the_time_limit(start: bytes, piece: bytes, status: int) -> None:
    with Server(then(start, piece)) as server:
        began = time.monotonic()
        answer = http.get(server.url, 0.4)
        took = time.monotonic() - began
        assert (answer.status, answer.body, answer.error) == (status, b"", "no complete answer within 0.4 s")
        assert 0.4 <= took < 2
        assert server.closed.wait(10), "the connection stayed open"


def test_server_that_says_nothing_is_left_at_the_time_limit() -> None:
    with Server(lambda server, connection: server.stopped.wait(30) and None) as server:
        began = time.monotonic()
        assert http.get(server.url, 0.3).error == "no complete answer within 0.3 s"
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("head", [b"Content-Length: 1000000000000\r\n\r\n", b"\r\n"])
def test_huge_body_is_cut_at_the_byte_limit(head: bytes) -> None:
    with Server(then(OK + head, b"x" * 65536, 0)) as server:
        answer = http.get(server.url, 10, most=100_000)
        assert server.closed.wait(10)
    assert answer.status == 200
    assert answer.body == b"x" * 100_000
    assert answer.error == "the body is longer than 100000 bytes"


def test_chunk_of_negative_size_is_cut_too() -> None:
    """From Python 3.12 on, http.client reads such a chunk to the end of the connection."""
    with Server(then(OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", b"x" * 65536, 0)) as server:
        began = time.monotonic()
        assert http.get(server.url, 20, most=1000).error
        assert time.monotonic() - began < 10
        assert server.closed.wait(10)


def test_body_of_exactly_the_byte_limit_is_whole() -> None:
    with Server(OK + b"\r\n" + b"x" * 1000) as server:
        answer = http.get(server.url, 5, most=1000)
    assert (len(answer.body), answer.error) == (1000, "")


def test_stream_whose_body_is_not_wanted_has_answered() -> None:
    with Server(then(OK + b"\r\n", b"data: 1\n\n", 0)) as server:
        answer = http.get(server.url, 5, most=0)
    assert (answer.status, answer.body, answer.error) == (200, b"", "")


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"", "no valid answer (RemoteDisconnected)"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no valid answer (BadStatusLine)"),
        (OK + b"X: " + b"x" * 70000 + b"\r\n\r\n", "no valid answer (LineTooLong)"),
        (OK + b"X: 1\r\n" * 200 + b"\r\n", "no valid answer (HTTPException)"),
        (OK + b"Content-Length: 9\r\n\r\nshort", "the connection closed in the middle of the body"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nx", "no valid answer ("),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nx", "no valid answer (IncompleteRead)"),
    ],
)
def test_broken_answer_is_an_error(reply: bytes, error: str) -> None:
    with Server(reply) as server:
        assert http.get(server.url, 5).error.startswith(error)


def test_refused_connection_is_an_error() -> None:
    assert http.get(f"http://127.0.0.1:{closed_port()}/", 5) == http.Answer(error="Connection refused")


@pytest.mark.parametrize("others", [1, 2])
def test_address_that_does_not_answer_leaves_time_for_the_next(others: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(OK + b"Content-Length: 0\r\n\r\n") as server, contextlib.ExitStack() as stack:
        dead = [f"127.0.0.{number + 2}" for number in range(others)]
        for address in dead:
            # A full backlog: Linux drops further connections without an answer.
            full = stack.enter_context(socket.create_server((address, server.port), backlog=0))
            for _number in range(3):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, server.port)) for address in (*dead, "127.0.0.1")
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more, **options: _found(host, found))
        began = time.monotonic()
        assert http.get(f"http://app.test:{server.port}/", 1.5).status == 200
        assert time.monotonic() - began < 1.5
        assert f"Host: app.test:{server.port}\r\n" in server.heads[0]


def _found(host: str, addresses: list[t.Any]) -> list[t.Any]:
    return addresses if host == "app.test" else [each for each in addresses if each[4][0] == host]


@pytest.mark.parametrize(
    "url",
    [
        "nonsense", "", "http://", "http:///path", "file:///etc/passwd", "ftp://127.0.0.1/", "http://[::1/", "http://h:x/",
        "http://h:99999/", "http://h:0/", "http://h/a b", "http://h/\x01", "http://h/\r\nX: y", "http://h/ü", "ü://h/",
    ],
)  # fmt: skip
def test_text_that_is_not_a_url_is_refused_without_quoting_it(url: str) -> None:
    assert http.get(url, 5) == http.Answer(error="not an http or https URL")
    with pytest.raises(http.UrlError, match="^not an http or https URL$") as caught:
        http.check_url(url)
    assert caught.value.__cause__ is None


def test_user_info_becomes_basic_authentication() -> None:
    with Server(OK + b"Content-Length: 0\r\n\r\n") as server:
        assert http.get(f"http://ann:p%40ss:w%C3%B6rd@127.0.0.1:{server.port}/", 5).status == 200
    assert "\r\nAuthorization: Basic YW5uOnBAc3M6d8O2cmQ=\r\n" in server.heads[0]
    assert f"\r\nHost: 127.0.0.1:{server.port}\r\n" in server.heads[0]
    assert "ann" not in server.heads[0]


USER = f"ann:{PASSWORD}@"


@pytest.mark.parametrize(
    "url",
    [
        f"http://{USER}127.0.0.1:1/{PASSWORD}?q={PASSWORD}",
        f"https://{USER}127.0.0.1:1/{PASSWORD}?q={PASSWORD}",
        f"http://{USER}name.invalid/{PASSWORD}",
        f"http://{USER}127.0.0.1:port-{PASSWORD}/",
        f"http://{USER}127.0.0.1:123456/{PASSWORD}",
        f"http://{USER}[::1/{PASSWORD}",
        f"http://{USER}127.0.0.1:1/{PASSWORD} ",
        f"http://{USER}127.0.0.1:1/ü{PASSWORD}",
        f"http://{USER}127.0.0.1:1/\n{PASSWORD}",
        f"http://{USER}a..b/{PASSWORD}",
        f"http://{USER}%0d%0a/{PASSWORD}",
        f"file://{USER}127.0.0.1/{PASSWORD}",
        f"ann:{PASSWORD}",
    ],
)
def test_password_in_a_url_without_a_server_is_in_no_error(url: str) -> None:
    check_no_password(url)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"no HTTP\r\n\r\n",
        OK + b"Content-Length: 9\r\n\r\nx",
        OK + b"Transfer-Encoding: chunked\r\n\r\nz",
        then(OK, b"X: y\r\n"),
    ],
)
def test_password_in_the_url_of_a_broken_server_is_in_no_error(scheme: str, reply: Reply | bytes) -> None:
    with Server(reply) as server:
        check_no_password(f"{scheme}://{USER}127.0.0.1:{server.port}/{PASSWORD}?q={PASSWORD}")


def check_no_password(url: str) -> None:
    for answer in (http.get(url, 0.4), http.post(url, b"x", {"Content-Type": "text/x"}, 0.4)):
        assert answer.error
        assert PASSWORD not in answer.error
        assert "ann" not in answer.error


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:80/health", "http://127.0.0.1:80/health"),
        ("https://ann:pw@[::1]:80/a?key=pw#pw", "https://***@[::1]:80/a?***"),
        ("http://ann@h", "http://***@h"),
        ("nonsense", "nonsense"),
        ("http://ann:p?w/@h:x/a?key=pw", "***@h:x/a"),
        ("http://h:x/\x1b[1m?key=pw", "http://h:x/\\x1b[1m"),
    ],
)
def test_url_is_shown_without_user_info_and_query(url: str, shown: str) -> None:
    assert http.shown(url) == shown
