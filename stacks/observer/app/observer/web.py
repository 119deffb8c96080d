"""What both apps share: answers in JSON, metrics for Prometheus, an end at SIGTERM.

Run as a program it is the healthcheck: ``python3 web.py URL`` ends with 0 when the answer is 200.
"""

from __future__ import annotations

import http.server
import json
import os
import signal
import sys
import threading
import typing as t
import urllib.error
import urllib.request

BUILD = os.environ.get("OBSERVER_BUILD", "unknown")


class Page(t.NamedTuple):
    """An answer: JSON of ``body``, or ``body`` itself when it is text."""

    status: int
    body: t.Any


def serve(pages: t.Mapping[str, t.Callable[[], Page]], port: int = 8000) -> http.server.ThreadingHTTPServer:
    """Answer GET requests for ``pages`` in threads of their own; ``/version`` is always there."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def do_GET(self) -> None:
            page = pages.get(self.path)
            if self.path == "/version":
                status, body = Page(200, {"build": BUILD})
            elif page is None:
                status, body = Page(404, {"error": "not found"})
            else:
                status, body = page()
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode() + b"\n"
            self.send_response(status)
            self.send_header(
                "Content-Type", "text/plain; version=0.0.4" if isinstance(body, str) else "application/json"
            )
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: t.Any) -> None:
            if len(args) > 1 and str(args[1]) >= "400":
                print(f"{self.client_address[0]} {format % args}", flush=True)

    server = http.server.ThreadingHTTPServer(("", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"build {BUILD} listens on port {port}", flush=True)
    return server


def metrics(values: t.Mapping[str, float]) -> str:
    """Prometheus's text format; names that end in ``_total`` are counters."""
    lines = []
    for name, value in values.items():
        lines += [f"# TYPE {name} {'counter' if name.endswith('_total') else 'gauge'}", f"{name} {value}"]
    return "\n".join(lines) + "\n"


def until_told() -> threading.Event:
    """Set at SIGTERM or SIGINT: process 1 of a container gets neither without a handler."""
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_unused: told.set())
    return told


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
