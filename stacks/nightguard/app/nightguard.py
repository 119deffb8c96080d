"""nightguard in small: at each interval a trend report in Markdown, and a status page that says which secrets it holds.

``nightguard.py healthy`` is the healthcheck. No secret's value is ever printed, answered or written.
"""

from __future__ import annotations

import datetime
import http.server
import json
import os
import pathlib
import signal
import sys
import threading
import typing as t
import urllib.error
import urllib.request

PORT = 8897
SECRETS = ("gemini_api_key", "telegram_bot_token")


class Guard:
    """What it knows about itself."""

    def __init__(self, data: pathlib.Path, secrets: pathlib.Path, interval: float) -> None:
        self._trends = data / "trends"
        self._interval = interval
        self.started = datetime.datetime.now(datetime.timezone.utc)
        self.reports = 0
        self.trouble = ""
        self.held = {}
        for name in SECRETS:
            value = (secrets / name).read_text(encoding="utf-8").strip()
            if not value:
                raise SystemExit(f"the secret {name} is empty")
            self.held[name] = len(value)

    def run(self, told: threading.Event) -> None:
        while not told.is_set():
            try:
                self._report()
                self.trouble = ""
            except OSError as error:
                self.trouble = str(error)
                print(f"cannot write a report: {error}", flush=True)
            told.wait(self._interval)

    def _report(self) -> None:
        now = datetime.datetime.now(datetime.timezone.utc)
        self._trends.mkdir(exist_ok=True)
        load = os.getloadavg()
        text = f"# Trends {now:%Y-%m-%d %H:%M:%S} UTC\n\n- load {load[0]:.2f}, {load[1]:.2f}, {load[2]:.2f}\n"
        part = self._trends / ".part"
        part.write_text(text, encoding="utf-8")
        part.replace(self._trends / f"{now:%Y%m%d-%H%M%S}.md")
        self.reports += 1

    def status(self) -> dict[str, t.Any]:
        return {
            "ok": not self.trouble,
            "trouble": self.trouble,
            "started": self.started.isoformat(),
            "reports": self.reports,
            "secrets": {name: f"{length} characters" for name, length in self.held.items()},
        }


def serve(guard: Guard) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            body = guard.status() if self.path == "/status" else {"error": "not found"}
            data = json.dumps(body).encode() + b"\n"
            self.send_response(200 if body.get("ok") else 404 if "error" in body else 503)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: t.Any) -> None:
            """Healthchecks come every few seconds."""

    threading.Thread(target=http.server.ThreadingHTTPServer(("", PORT), Handler).serve_forever, daemon=True).start()


def healthy() -> str:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        direct.open(f"http://127.0.0.1:{PORT}/status", timeout=4).close()
    except (urllib.error.URLError, OSError) as error:
        return str(error)
    return ""


def main() -> None:
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_unused: told.set())
    interval = float(os.environ.get("INTERVAL") or "900")
    guard = Guard(pathlib.Path("/data"), pathlib.Path("/run/secrets"), interval)
    serve(guard)
    print(f"watching, a report every {interval:g} s", flush=True)
    guard.run(told)


if __name__ == "__main__":
    if sys.argv[1:] == ["healthy"]:
        sys.exit(healthy() or 0)
    main()
