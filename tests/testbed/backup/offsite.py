# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places off-site: an S3 server behind TLS that is as strict as OCI Object Storage, and a REST server with a password.

The S3 server is moto, from PyPI, in a virtual environment of its own; it keeps objects in memory and checks no
signature. What the clouds differ in is in front of it: TLS, no aws-chunked bodies (OCI answers "AWS chunked encoding
not supported"), and faults on demand. The REST server is Debian's rest-server.

    python tests/testbed/backup/offsite.py     # where the programs are, for a first installation
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import http.server
import pathlib
import socket
import ssl
import subprocess
import sys
import threading
import time
import typing as t

from onebox_testbed import ports

CACHE = pathlib.Path(__file__).resolve().parents[3] / ".cache" / "testbed"
MOTO = "moto[s3,server]==5.2.5"
REFUSED = b"<Error><Code>NotImplemented</Code><Message>AWS chunked encoding not supported.</Message></Error>"
BROKEN = b"<Error><Code>InternalError</Code><Message>The service is not well.</Message></Error>"


def moto() -> pathlib.Path:
    """The directory with moto's and its Python's programs, installed when it is not there."""
    place = CACHE / "moto"
    if not (place / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
        pip = [place / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", MOTO]
        subprocess.run(pip, check=True)
        (place / "done").touch()
    return place / "bin"


def certificate(base: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    cert, key = base / "tls.crt", base / "tls.key"
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(["openssl", *words], check=True, capture_output=True)
    return cert, key


class Program:
    """A server of another program; a context manager that stops what it started."""

    def __init__(self, argv: t.Sequence[str | pathlib.Path], port: int) -> None:
        self.port = port
        self._argv = [str(word) for word in argv]

    def __enter__(self) -> Program:
        self.process = subprocess.Popen(
            self._argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.__exit__()
                    raise RuntimeError(f"{self._argv[0]} does not listen on port {self.port}") from None
                time.sleep(0.05)

    def __exit__(self, *unused: object) -> None:
        self.process.terminate()
        self.process.wait()


def moto_server() -> Program:
    """An S3 server without TLS."""
    port = ports.claim()
    return Program([moto() / "moto_server", "-H", "127.0.0.1", "-p", str(port)], port)


class StrictProxy:
    """TLS in front of an S3 server: refuses aws-chunked, and fails on request. A context manager.

    Attributes:
        requests: how many were passed on.
        refused: how many were refused for their encoding.
        fail: None; "500": answer so; "cut": close the connection in the middle of an upload.
    """

    def __init__(self, backend: int, base: pathlib.Path) -> None:
        self.port = 0
        self.requests = 0
        self.refused = 0
        self.fail: str | None = None
        self.cert, key = certificate(base)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler(backend))
        self._server.daemon_threads = True
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.cert, key)
        # The handshake in the connection's own thread: a client that gives up must not stop the others.
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_address[1]

    def __enter__(self) -> StrictProxy:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self, backend: int) -> type[http.server.BaseHTTPRequestHandler]:
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_all(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                if proxy.fail == "cut" and self.command in ("PUT", "POST"):
                    self.close_connection = True
                    self.connection.close()
                    return
                if proxy.fail == "500":
                    self.answer(500, [], BROKEN)
                    return
                said = f"{self.headers.get('x-amz-content-sha256')} {self.headers.get('Content-Encoding')}"
                if "STREAMING" in said or "aws-chunked" in said:
                    proxy.refused += 1
                    self.answer(501, [], REFUSED)
                    return
                proxy.requests += 1
                link = http.client.HTTPConnection("127.0.0.1", backend, timeout=60)
                link.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    link.putheader(name, value)
                link.endheaders(body or None)
                reply = link.getresponse()
                data = reply.read()
                self.answer(reply.status, reply.getheaders(), data)
                link.close()

            def answer(self, status: int, headers: t.Sequence[tuple[str, str]], data: bytes) -> None:
                self.send_response(status)
                length = str(len(data))
                for name, value in headers:
                    if name.lower() == "content-length" and self.command == "HEAD":
                        length = value
                    elif name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                        self.send_header(name, value)
                self.send_header("Content-Length", length)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_all

            def log_message(self, *unused: object) -> None:
                pass

        return Handler


def rest_server(program: pathlib.Path, base: pathlib.Path, user: str, password: str) -> Program:
    """Debian's rest-server with TLS and a password; each user sees a path of its own."""
    port = ports.claim()
    cert, key = certificate(base)
    # htpasswd's old SHA-1 form: the only one the standard library can write and rest-server reads.
    digest = base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()
    (base / "htpasswd").write_text(f"{user}:{{SHA}}{digest}\n", encoding="utf-8")
    words: list[str | pathlib.Path] = [program, "--listen", f"127.0.0.1:{port}", "--path", base / "away"]
    words += ["--private-repos", "--htpasswd-file", base / "htpasswd"]
    words += ["--tls", "--tls-cert", cert, "--tls-key", key]
    return Program(words, port)


if __name__ == "__main__":
    print(moto())
