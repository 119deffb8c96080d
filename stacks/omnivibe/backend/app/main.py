"""The API: accepts jobs, returns their results and the release of each process."""

from __future__ import annotations

import http.server
import json
import threading
import typing as t
import uuid

from . import RELEASE
from .bus import QUEUE, Bus, BusError, Process


class Handler(http.server.BaseHTTPRequestHandler):
    """One request, one connection to Redis."""

    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_GET(self) -> None:
        bus = Bus()
        try:
            if self.path == "/health":
                self._answer(200, {"redis": bus("PING"), "release": RELEASE})
            elif self.path == "/releases":
                others = {name: bus("GET", f"alive:{name}") for name in ("worker", "beat")}
                self._answer(200, {"api": RELEASE, **others})
            elif self.path.startswith("/jobs/"):
                result = bus("GET", f"result:{self.path[len('/jobs/') :]}")
                self._answer(200 if result else 404, {"result": result})
            else:
                self._answer(404, {"error": "not found"})
        except BusError as error:
            self._answer(503, {"error": str(error)})

    def do_POST(self) -> None:
        text = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), 65536)).decode(errors="replace")
        job = uuid.uuid4().hex
        try:
            Bus()("LPUSH", QUEUE, json.dumps({"id": job, "text": text}))
        except BusError as error:
            self._answer(503, {"error": str(error)})
        else:
            self._answer(202, {"id": job})

    def _answer(self, status: int, body: t.Mapping[str, t.Any]) -> None:
        data = json.dumps(body).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: t.Any) -> None:
        if len(args) > 1 and str(args[1]) >= "400":
            print(f"{self.client_address[0]} {format % args}", flush=True)


def main() -> None:
    process = Process("api")
    server = http.server.ThreadingHTTPServer(("", 8000), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    process.told.wait()


if __name__ == "__main__":
    main()
