# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP checks of URLs, with a real server on the loopback address."""

import contextlib
import http.server
import threading
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.health import http as endpoints
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

WORLD = World.real()


class Handler(http.server.BaseHTTPRequestHandler):
    """``/later`` is healthy from the third request; ``/moved`` redirects; ``/stream`` never ends.

    Others answer their own number.
    """

    asked = 0

    def do_GET(self):
        status = 200
        if self.path == "/later":
            Handler.asked += 1
            status = 200 if Handler.asked >= 3 else 503
        elif self.path == "/moved":
            status = 302
        elif self.path.partition("?")[0].strip("/").isdigit():
            status = int(self.path.partition("?")[0].strip("/"))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/200")
        if self.path != "/stream":
            self.send_header("Content-Length", "0")
        self.end_headers()
        with contextlib.suppress(OSError):  # until the other side has gone
            while self.path == "/stream":
                self.wfile.write(b"data: 1\n\n")
                time.sleep(0.02)

    def log_message(self, *args):
        """Keep the test's output clean."""


@pytest.fixture
def base():
    Handler.asked = 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_url_that_answers_is_ok(base):
    row = endpoints.check([{"url": base + "/"}], 5, WORLD)[0]
    assert (row["status"], row["ok"], row["message"]) == (200, True, "")
    assert row["ms"] > 0


def test_one_that_answers_after_a_while(base):
    assert endpoints.check([{"url": base + "/later"}], 5, WORLD)[0]["ok"]


@pytest.mark.parametrize(("path", "status", "ok"), [("/404", 404, True), ("/404", 200, False), ("/moved", 302, True)])
def test_expected_status_decides(base, path, status, ok):
    row = endpoints.check([{"url": base + path, "status": status}], 0.2, WORLD)[0]
    assert row["ok"] is ok
    assert ok or "answered 404, expected 200" in row["message"]


def test_url_without_a_server_fails():
    row = endpoints.check([{"url": "http://127.0.0.1:9/"}], 0.2, WORLD)[0]
    assert (row["ok"], row["status"]) == (False, 0)
    assert "refused" in row["message"]


def test_invalid_url_fails():
    row = endpoints.check([{"url": "nonsense"}], 0.1, WORLD)[0]
    assert (row["url"], row["ok"], row["message"]) == ("nonsense", False, "not an http or https URL")


def test_endless_stream_is_ok_at_once(base):
    row = endpoints.check([{"url": base + "/stream"}], 5, WORLD)[0]
    assert row["ok"]
    assert row["ms"] < 2000


@pytest.mark.parametrize("path", ["/200?key=s3cret", "/404?key=s3cret"])
def test_password_in_a_url_is_not_in_a_result(base, path):
    url = base.replace("http://", "http://ann:s3cret@")
    row = endpoints.check([{"url": url + path}], 0.2, WORLD)[0]
    assert row["url"] == base.replace("http://", "http://***@") + path.replace("key=s3cret", "***")
    assert "s3cret" not in str(row)
    assert "ann" not in str(row)
