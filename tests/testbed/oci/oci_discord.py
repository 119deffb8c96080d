"""Discord's webhook, played by an HTTP server on loopback: keeps what it is sent, and can refuse."""

from __future__ import annotations

import http.server
import json
import threading
import typing as t


class Discord:
    """Use it in a ``with`` block. ``url`` holds a secret, as a real one does; ``status`` is what it answers."""

    SECRET = "the-secret-part-of-the-url"

    def __init__(self) -> None:
        self.status = 204
        self.seen: list[dict[str, t.Any]] = []
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.discord = self
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/api/webhooks/1/{self.SECRET}"

    def __enter__(self) -> Discord:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def texts(self) -> list[str]:
        return [str(message["content"]) for message in self.seen]


class _Http(http.server.ThreadingHTTPServer):
    daemon_threads = True
    discord: Discord


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Http

    def do_POST(self) -> None:
        discord = self.server.discord
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        known = self.path.endswith(discord.SECRET) and self.headers["content-type"] == "application/json"
        fits = 0 < len(message.get("content", "")) <= 2000
        discord.seen.append(message)
        self.send_response(discord.status if known and fits else 400)
        self.send_header("retry-after", "7")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *unused: t.Any) -> None:
        pass
