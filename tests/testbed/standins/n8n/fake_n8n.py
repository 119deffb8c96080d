# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Substitutes n8n, for which there is no Debian package: its health page, and webhooks with a secret in their header.

Calls are recorded in database.sqlite, where n8n has its own database. All other requests are answered with 404, as n8n
does for an unknown workflow.
"""

import hmac
import http.server
import json
import os
import signal
import sqlite3
import sys

DATABASE = "/home/node/.n8n/database.sqlite"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/healthz":
            self._answer(200, {"status": "ok"})
        elif self.path == "/test/calls":
            with sqlite3.connect(DATABASE) as database:
                self._answer(
                    200, [json.loads(row[0]) for row in database.execute("SELECT body FROM calls ORDER BY id")]
                )
        else:
            self._answer(404, {"message": "not found"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path != "/webhook/coinpilot":
            self._answer(404, {"message": f"The requested webhook POST {self.path} is not registered."})
        elif not hmac.compare_digest(self.headers.get("X-Coinpilot-Secret") or "", os.environ["N8N_WEBHOOK_SECRET"]):
            self._answer(403, {"message": "Authorization data is wrong!"})
        else:
            with sqlite3.connect(DATABASE) as database:
                database.execute("INSERT INTO calls (body) VALUES (?)", (json.dumps(json.loads(body)),))
            self._answer(200, {"message": "Workflow was started"})

    def _answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words):
        """Write nothing: health checks would fill the log."""


def main():
    signal.signal(signal.SIGTERM, lambda *_unused: sys.exit(0))
    for name in ("N8N_ENCRYPTION_KEY", "N8N_WEBHOOK_SECRET"):
        if not os.environ.get(name):
            sys.exit(f"{name} is empty")
    with sqlite3.connect(DATABASE) as database:
        database.execute("CREATE TABLE IF NOT EXISTS calls (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")
    http.server.ThreadingHTTPServer(("", int(os.environ["N8N_PORT"])), Handler).serve_forever()


if __name__ == "__main__":
    main()
