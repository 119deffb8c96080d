# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP requests to real servers on loopback, most of which misbehave."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import ssl
import subprocess
import threading
import time
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import http

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


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, ssl.SSLContext]:
    """A certificate for localhost, and the server's side of it."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    words += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(["openssl", *words], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return cert, context


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
def test_a_redirect_is_the_answer_and_its_target_is_not_contacted(status: int) -> None:
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
def test_a_slow_answer_is_cut_at_the_time_limit(start: bytes, piece: bytes, status: int) -> None:
    with Server(then(start, piece)) as server:
        began = time.monotonic()
        answer = http.get(server.url, 0.4)
        took = time.monotonic() - began
        assert (answer.status, answer.body, answer.error) == (status, b"", "no complete answer within 0.4 s")
        assert 0.4 <= took < 2
        assert server.closed.wait(10), "the connection stayed open"


def test_a_server_that_says_nothing_is_left_at_the_time_limit() -> None:
    with Server(lambda server, connection: server.stopped.wait(30) and None) as server:
        began = time.monotonic()
        assert http.get(server.url, 0.3).error == "no complete answer within 0.3 s"
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("head", [b"Content-Length: 1000000000000\r\n\r\n", b"\r\n"])
def test_a_huge_body_is_cut_at_the_byte_limit(head: bytes) -> None:
    with Server(then(OK + head, b"x" * 65536, 0)) as server:
        answer = http.get(server.url, 10, most=100_000)
        assert server.closed.wait(10)
    assert answer.status == 200
    assert answer.body == b"x" * 100_000
    assert answer.error == "the body is longer than 100000 bytes"


def test_a_chunk_of_negative_size_is_cut_too() -> None:
    """From Python 3.12 on, http.client reads such a chunk to the end of the connection."""
    with Server(then(OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", b"x" * 65536, 0)) as server:
        began = time.monotonic()
        assert http.get(server.url, 20, most=1000).error
        assert time.monotonic() - began < 10
        assert server.closed.wait(10)


def test_a_body_of_exactly_the_byte_limit_is_whole() -> None:
    with Server(OK + b"\r\n" + b"x" * 1000) as server:
        answer = http.get(server.url, 5, most=1000)
    assert (len(answer.body), answer.error) == (1000, "")


def test_a_stream_whose_body_is_not_wanted_has_answered() -> None:
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
def test_a_broken_answer_is_an_error(reply: bytes, error: str) -> None:
    with Server(reply) as server:
        assert http.get(server.url, 5).error.startswith(error)


def test_a_refused_connection_is_an_error() -> None:
    assert http.get(f"http://127.0.0.1:{closed_port()}/", 5) == http.Answer(error="Connection refused")


@pytest.mark.parametrize("others", [1, 2])
def test_an_address_that_does_not_answer_leaves_time_for_the_next(others: int, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_a_text_that_is_no_url_is_refused_without_quoting_it(url: str) -> None:
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
def test_a_password_in_a_url_without_a_server_is_in_no_error(url: str) -> None:
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
def test_a_password_in_the_url_of_a_broken_server_is_in_no_error(scheme: str, reply: Reply | bytes) -> None:
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
def test_a_url_is_shown_without_user_info_and_query(url: str, shown: str) -> None:
    assert http.shown(url) == shown


def test_get_uses_no_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    with Server(OK + b"Content-Length: 0\r\n\r\n") as server:
        assert http.get(server.url, 5).status == 200


def test_post_uses_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(OK + b"Content-Length: 0\r\n\r\n") as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert http.post("http://app.invalid/path", b"", {"Content-Type": "text/x"}, 5).status == 200
        assert proxy.heads[0].startswith("POST http://app.invalid/path HTTP/1.1\r\n")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with Server(OK + b"Content-Length: 0\r\n\r\n") as server:
            assert http.post(server.url, b"", {"Content-Type": "text/x"}, 5).status == 200
        assert len(proxy.heads) == 1


def test_post_with_a_proxy_of_an_unknown_kind_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"socks5://ann:{PASSWORD}@127.0.0.1:1")
    answer = http.post("http://app.invalid/", b"", {"Content-Type": "text/x"}, 5)
    assert answer == http.Answer(error="no valid answer (URLError)")


def tunnel(server: Server, connection: socket.socket) -> None:
    """Answer CONNECT as a proxy does, and carry bytes both ways."""
    host, _colon, port = server.heads[-1].split()[1].rpartition(":")
    with socket.create_connection((host, int(port))) as far:
        connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        threading.Thread(target=_carry, args=(far, connection), daemon=True).start()
        _carry(connection, far)


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)


def test_https_works_directly_and_through_a_proxy(
    certificate: tuple[pathlib.Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, context = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    with Server(OK + b"Content-Length: 4\r\n\r\nbody", tls=context) as server, Server(tunnel) as proxy:
        url = f"https://localhost:{server.port}/secret-path"
        assert http.get(url, 5) == http.Answer(200, {"content-length": "4"}, b"body", "")
        monkeypatch.setenv("https_proxy", f"http://ann:pw@127.0.0.1:{proxy.port}")
        assert http.post(url, b"", {"Content-Type": "text/x"}, 5).body == b"body"
    assert proxy.heads[0].startswith(f"CONNECT localhost:{server.port} HTTP/1.")
    assert "Basic YW5uOnB3" in proxy.heads[0]
    assert "secret-path" not in proxy.heads[0]
    assert "Basic" not in server.heads[1]


def test_a_slow_proxy_is_cut_at_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(then(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        began = time.monotonic()
        assert http.post("https://app.invalid/", b"", {"Content-Type": "text/x"}, 0.4).status == 0
        assert time.monotonic() - began < 2


def test_an_untrusted_certificate_is_an_error(certificate: tuple[pathlib.Path, ssl.SSLContext]) -> None:
    with Server(OK + b"\r\n", tls=certificate[1]) as server:
        answer = http.get(f"https://localhost:{server.port}/{PASSWORD}", 5)
    assert answer.status == 0
    assert "certificate verify failed" in answer.error
    assert PASSWORD not in answer.error
    assert server.heads == []


def test_a_certificate_of_another_host_is_an_error(
    certificate: tuple[pathlib.Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with Server(OK + b"\r\n", tls=certificate[1]) as server:
        assert "certificate verify failed" in http.get(f"https://127.0.0.1:{server.port}/", 5).error
    assert server.heads == []


def test_a_tls_handshake_without_an_answer_is_left_at_the_time_limit() -> None:
    with Server(lambda server, connection: server.stopped.wait(30) and None) as server:
        began = time.monotonic()
        answer = http.get(f"https://127.0.0.1:{server.port}/", 0.4)
        assert time.monotonic() - began < 2
    assert answer.status == 0
    assert answer.error


def test_a_slow_body_over_tls_is_cut_at_the_time_limit(
    certificate: tuple[pathlib.Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with Server(then(OK + b"Content-Length: 9000\r\n\r\n", b"x"), tls=certificate[1]) as server:
        began = time.monotonic()
        answer = http.get(f"https://localhost:{server.port}/", 0.5)
        assert time.monotonic() - began < 2
    assert (answer.status, answer.error) == (200, "no complete answer within 0.5 s")
