# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Substitutes Grafana, for which there is no Debian package.

It reads the same provisioning files from the same paths and refuses to start with files that Grafana would not show: a
damaged file, or a dashboard whose panels query a data source that is not provisioned. It answers the few calls of
Grafana's HTTP API that read these, and forwards queries to Prometheus, all with Grafana's user and password. It does
not draw.
"""

import base64
import hmac
import http.server
import json
import os
import pathlib
import signal
import sqlite3
import sys
import urllib.error
import urllib.request

import yaml

PROVISIONING = pathlib.Path("/etc/grafana/provisioning")
DATABASE = "/var/lib/grafana/grafana.db"
PROXY = "/api/datasources/proxy/uid/"


def provisioned(kind, key):
    rows = []
    for place in sorted((PROVISIONING / kind).glob("*.y*ml")):
        rows += yaml.safe_load(place.read_text())[key]
    return rows


def dashboards(sources):
    found = {}
    for provider in provisioned("dashboards", "providers"):
        for place in sorted(pathlib.Path(provider["options"]["path"]).glob("*.json")):
            dashboard = json.loads(place.read_text())
            for panel in dashboard["panels"]:
                asked = {target["datasource"]["uid"] for target in panel["targets"]} | {panel["datasource"]["uid"]}
                if asked - set(sources):
                    sys.exit(f"{place}: panel {panel['title']!r} asks {asked}, which is not provisioned")
            found[dashboard["uid"]] = dashboard
    return found


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    sources = {}
    boards = {}

    def do_GET(self):
        if self.path == "/api/health":
            return self._answer(200, {"database": "ok", "version": "stand-in"})
        if not self._known():
            return self._answer(401, {"message": "Invalid username or password"})
        if self.path == "/api/datasources":
            return self._answer(200, list(self.sources.values()))
        if self.path == "/api/search":
            return self._answer(200, [{"uid": uid, "title": board["title"]} for uid, board in self.boards.items()])
        if self.path.startswith("/api/dashboards/uid/"):
            board = self.boards.get(self.path.rpartition("/")[2])
            return self._answer(200, {"dashboard": board}) if board else self._answer(404, {"message": "not found"})
        if self.path.startswith(PROXY):
            uid, _slash, rest = self.path[len(PROXY) :].partition("/")
            if uid in self.sources:
                return self._hand_on(f"{self.sources[uid]['url']}/{rest}")
        return self._answer(404, {"message": "not found"})

    def _known(self):
        password = os.environ["GF_SECURITY_ADMIN_PASSWORD"]
        expected = "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()
        return hmac.compare_digest(self.headers.get("Authorization") or "", expected)

    def _hand_on(self, url):
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                self._answer(answer.status, json.load(answer))
        except urllib.error.HTTPError as error:
            self._answer(error.code, {"message": error.read().decode(errors="replace")})
        except OSError as error:
            self._answer(502, {"message": str(error)})

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
    if not os.environ.get("GF_SECURITY_ADMIN_PASSWORD"):
        sys.exit("GF_SECURITY_ADMIN_PASSWORD is empty")
    Handler.sources = {row["uid"]: row for row in provisioned("datasources", "datasources")}
    Handler.boards = dashboards(Handler.sources)
    with sqlite3.connect(DATABASE) as database:
        database.execute("CREATE TABLE IF NOT EXISTS dashboard (uid TEXT PRIMARY KEY, title TEXT)")
        rows = [(uid, board["title"]) for uid, board in Handler.boards.items()]
        database.executemany("INSERT OR REPLACE INTO dashboard VALUES (?, ?)", rows)
    http.server.ThreadingHTTPServer(("", 3000), Handler).serve_forever()


if __name__ == "__main__":
    main()
