# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the three services share: ending at SIGTERM, answering in JSON, and writing files that survive a power cut.

Run as a program it is the healthcheck of a service that speaks HTTP: ``python3 service.py URL`` ends with 0 when the
answer is 200. The slim image has no curl.
"""

from __future__ import annotations

import http.server
import json
import os
import pathlib
import signal
import sys
import tempfile
import threading
import typing as t
import urllib.error
import urllib.request


def log(message: str) -> None:
    """One line to standard output, where ``logs`` of the engine finds it."""
    print(message, flush=True)


def number(name: str, default: int, least: int = 1) -> int:
    """The whole number in environment variable ``name``; ends the program when it holds something else."""
    text = os.environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit()) or int(text) < least:
        raise SystemExit(f"{name} must be a whole number from {least} on, not {text!r}")
    return int(text)


def workspace() -> pathlib.Path:
    """The directory all services share: ``/app``, or what ``WORKSPACE`` says."""
    path = pathlib.Path(os.environ.get("WORKSPACE") or "/app")
    if not path.is_dir():
        raise SystemExit(f"the workspace {path} is not a directory: is it mounted?")
    return path


def on_stop(stop: t.Callable[[], None]) -> None:
    """Call ``stop`` at SIGTERM and SIGINT.

    As process 1 of a container, a program without its own handler never sees SIGTERM: the kernel drops it, and the
    engine kills the program ten seconds later.
    """

    def handler(signum: int, frame: t.Any) -> None:
        log(f"{signal.Signals(signum).name}: stopping")
        stop()

    signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGINT, handler)


def sync_directory(path: pathlib.Path) -> None:
    """Make names created or removed in ``path`` durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directory(path: pathlib.Path, mode: int) -> None:
    """Make ``path`` and its missing parents, durably."""
    missing = [path, *path.parents]
    for place in reversed([place for place in missing if not place.exists()]):
        place.mkdir(mode=mode, exist_ok=True)
        sync_directory(place.parent)


def write_durably(path: pathlib.Path, data: bytes) -> None:
    """Write ``data`` so that ``path`` holds all of it or what it held before, also after a power cut."""
    fd, temporary = tempfile.mkstemp(prefix=".tmp-", dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    sync_directory(path.parent)


class JsonHandler(http.server.BaseHTTPRequestHandler):
    """Answers in JSON, errors included. ``timeout``: seconds a client may stay silent."""

    server_version = "97layer"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 10

    def answer(self, status: int, body: t.Mapping[str, t.Any], **headers: str) -> None:
        data = json.dumps(body).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def refuse(self, status: int, reason: str, **headers: str) -> None:
        """Answer with an error, and close: what is left of the request is not read."""
        self.close_connection = True
        self.answer(status, {"error": reason}, Connection="close", **headers)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class finds wrong with a request, such as an unknown method, in JSON as well."""
        self.command = getattr(self, "command", None) or ""
        self.refuse(code, message or self.responses.get(code, ("error",))[0])

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Healthchecks come every few seconds: only what went wrong is worth a line."""
        if int(code) >= 400:
            log(f"{self.client_address[0]} {self.requestline!r} {int(code)}")

    def log_message(self, format: str, *args: t.Any) -> None:
        log(f"{self.client_address[0]} {format % args}")


class Server(http.server.ThreadingHTTPServer):
    """A thread a request. Threads do not keep a stopping program alive: files are written all or nothing."""

    daemon_threads = True
    # Connections that may wait to be accepted; the default of 5 turns a burst away.
    request_queue_size = 256

    def run(self) -> None:
        """Serve until SIGTERM."""
        # shutdown() waits for serve_forever() to end, which cannot happen while a signal handler holds its thread.
        on_stop(lambda: threading.Thread(target=self.shutdown, daemon=True).start())
        log(f"listening on port {self.server_address[1]}")
        with self:
            self.serve_forever(poll_interval=0.1)


def check(url: str) -> str:
    """ "" when ``url`` answers 200, else why not."""
    # Engines hand the proxies of the host to containers; this request is for this container.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=4) as answer:
            return "" if answer.status == 200 else f"{url} answered {answer.status}"
    except (urllib.error.URLError, OSError) as error:
        return f"{url}: {error}"


if __name__ == "__main__":
    sys.exit(check(sys.argv[1]) or 0)
