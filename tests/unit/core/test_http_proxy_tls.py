# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP requests through proxies and TLS, to real servers on loopback."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import ssl
import subprocess
import threading
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import http
from http_server import OK, PASSWORD, Server, closed_port, then


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


def test_slow_proxy_is_cut_at_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(then(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        began = time.monotonic()
        assert http.post("https://app.invalid/", b"", {"Content-Type": "text/x"}, 0.4).status == 0
        assert time.monotonic() - began < 2


def test_untrusted_certificate_is_an_error(certificate: tuple[pathlib.Path, ssl.SSLContext]) -> None:
    with Server(OK + b"\r\n", tls=certificate[1]) as server:
        answer = http.get(f"https://localhost:{server.port}/{PASSWORD}", 5)
    assert answer.status == 0
    assert "certificate verify failed" in answer.error
    assert PASSWORD not in answer.error
    assert server.heads == []


def test_certificate_of_another_host_is_an_error(
    certificate: tuple[pathlib.Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with Server(OK + b"\r\n", tls=certificate[1]) as server:
        assert "certificate verify failed" in http.get(f"https://127.0.0.1:{server.port}/", 5).error
    assert server.heads == []


def test_tls_handshake_without_an_answer_is_left_at_the_time_limit() -> None:
    with Server(lambda server, connection: server.stopped.wait(30) and None) as server:
        began = time.monotonic()
        answer = http.get(f"https://127.0.0.1:{server.port}/", 0.4)
        assert time.monotonic() - began < 2
    assert answer.status == 0
    assert answer.error


def test_slow_body_over_tls_is_cut_at_the_time_limit(
    certificate: tuple[pathlib.Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with Server(then(OK + b"Content-Length: 9000\r\n\r\n", b"x"), tls=certificate[1]) as server:
        began = time.monotonic()
        answer = http.get(f"https://localhost:{server.port}/", 0.5)
        assert time.monotonic() - began < 2
    assert (answer.status, answer.error) == (200, "no complete answer within 0.5 s")
