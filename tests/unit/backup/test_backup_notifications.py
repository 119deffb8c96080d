# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is told, and what Prometheus reads. The webhook is a real web server on loopback.

Discord is not reachable here: its 429 is the body and headers of its documentation ("Rate Limits").
"""

from __future__ import annotations

import datetime as dt
import http.server
import json
import os
import pathlib
import socket
import threading
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup import declaration as declarations
from ansible_collections.onebox.stack.plugins.module_utils.backup import run, status
from ansible_collections.onebox.stack.plugins.module_utils.backup.declaration import WebhookSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import cli, notify

Answer = t.Tuple[int, t.Dict[str, str], str]  # noqa: UP006
DISCORD_429 = '{"message": "You are being rate limited.", "retry_after": %s, "global": false}'
TOKEN = "s3cret-token"


class Hook:
    """A receiver that gives scripted answers, then 204, and keeps what it got."""

    def __init__(self, place: pathlib.Path) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[Answer] = []
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.got.append((self.path, dict(self.headers), body))
                code, headers, text = hook.answers.pop(0) if hook.answers else (204, {}, "")
                self.send_response(code)
                for name, value in {**headers, "Content-Length": str(len(text))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.file = place / "url"
        self.url(f"http://127.0.0.1:{self.server.server_port}/api/webhooks/1/{TOKEN}")

    def url(self, text: str) -> None:
        self.file.write_text(text + "\n", encoding="utf-8")

    def texts(self) -> list[str]:
        return [json.loads(body)["content"] for _path, _headers, body in self.got]

    def tell(self, style: str = "discord", title: str = "coin: backup failed", text: str = "x") -> tuple[str, list]:
        slept: list[float] = []
        said = notify.tell(WebhookSpec(str(self.file), style), title, text, sleep=slept.append)
        assert TOKEN not in said
        return said, slept


@pytest.fixture
def hook(tmp_path):
    made = Hook(tmp_path)
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_discord_gets_no_more_than_it_takes_and_mentions_nobody(hook):
    assert hook.tell(text="@everyone " + "x" * 3000) == ("", [])
    path, headers, body = hook.got[0]
    assert path == f"/api/webhooks/1/{TOKEN}"
    assert headers["User-Agent"] == "onebox-backup"
    assert len(json.loads(body)["content"]) == 2000
    assert json.loads(body)["allowed_mentions"] == {"parse": []}


def test_ntfy_gets_a_title_that_a_header_can_hold(hook):
    assert hook.tell("ntfy", "coin: ü\u2028", "why") == ("", [])
    _path, headers, body = hook.got[0]
    assert (headers["Title"], headers["Priority"], body) == ("coin: ??", "high", b"why")


def test_a_rate_limit_is_obeyed_to_the_millisecond(hook):
    hook.answers = [(429, {"Retry-After": "1"}, DISCORD_429 % "0.731"), (429, {"Retry-After": "2"}, "no JSON")]
    assert hook.tell() == ("", [0.731, 2.0])
    assert len(hook.got) == 3


def test_no_backup_waits_for_long(hook):
    hook.answers = [(429, {"Retry-After": "1337"}, DISCORD_429 % "1336.57")]
    said, slept = hook.tell()
    assert "left alone" in said
    assert slept == []
    hook.answers = [(429, {}, DISCORD_429 % "40")] * 2
    said, slept = hook.tell()
    assert slept == [40.0]
    assert "429" in said


def test_a_passing_fault_is_tried_again_and_a_refusal_is_not(hook):
    hook.answers = [(502, {}, ""), (503, {}, "")]
    assert hook.tell() == ("", [2.0, 2.0])
    hook.got.clear()
    hook.answers = [(500, {}, "")] * 3
    assert hook.tell() == ("the webhook could not be told: it answered 500", [2.0, 2.0])
    hook.got.clear()
    hook.answers = [(404, {}, '{"message": "Unknown Webhook", "code": 10015}')]
    assert hook.tell() == ("the webhook could not be told: it answered 404", [])
    assert len(hook.got) == 1


def test_it_goes_nowhere_else(hook):
    hook.answers = [(302, {"Location": "/elsewhere"}, "")]
    assert hook.tell() == ("the webhook could not be told: it answered 302", [])
    assert len(hook.got) == 1


@pytest.mark.parametrize(
    "url",
    [
        f"file:///etc/passwd?{TOKEN}", f"http://[::1/{TOKEN}", f"http:///{TOKEN}", f"http://127.0.0.1:x{TOKEN}/",
        f"http://127.0.0.1:1/a b{TOKEN}", f"http://127.0.0.1:1/\x01{TOKEN}", f"ü://{TOKEN}", "", f"http://127.0.0.1:99999/{TOKEN}",
        f"http://127.0.0.1:1/ü{TOKEN}",
    ],
)  # fmt: skip
def test_what_is_no_url_is_told_without_it(hook, url):
    hook.url(url)
    said, _slept = hook.tell()
    assert said.startswith("the webhook could not be told: ")


def test_nobody_there(hook):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        hook.url(f"http://127.0.0.1:{free.getsockname()[1]}/{TOKEN}")
        said, slept = hook.tell()
    assert said == "the webhook could not be told: Connection refused"
    assert slept == [2.0, 2.0]
    hook.file.unlink()
    assert "cannot be read: No such file" in hook.tell()[0]


class Box:
    """A directory to back up, a webhook, and a clock."""

    def __init__(self, base: pathlib.Path, hook: Hook) -> None:
        self.now = dt.datetime(2026, 3, 1, 2, 0, tzinfo=dt.timezone.utc)
        self.data = base / "data"
        self.data.mkdir()
        self.config = base / "c.json"
        self.prom = base / "metrics" / "coin.prom"
        self.declare(
            {
                "stack": "coin",
                "state_dir": str(base / "state"),
                "repository": {"engine": "files", "path": str(base / "repo")},
                "reserve_mib": 0,
                "metrics_file": str(self.prom),
                "webhook": {"url_file": str(hook.file), "style": "discord"},
                "sources": [{"name": "d", "kind": "directory", "path": str(self.data)}],
            }
        )

    def declare(self, data: dict[str, t.Any]) -> None:
        self.config.write_text(json.dumps(data), encoding="utf-8")

    def context(self) -> contexts.Context:
        made = contexts.make(declarations.read(str(self.config)))
        made.now = lambda: self.now
        return made

    def later(self, **more: float) -> None:
        self.now += dt.timedelta(**more)


@pytest.fixture
def box(tmp_path, hook):
    return Box(tmp_path, hook)


def test_a_failure_is_told_once_a_day_and_a_new_one_at_once(box, hook):
    assert run.backup(box.context())["exit_code"] == 4
    (message,) = hook.texts()
    assert message.startswith("**coin: backup failed**\n")
    assert "source d is empty" in message
    box.later(hours=1)
    run.backup(box.context())
    assert len(hook.got) == 1
    box.data.rmdir()
    run.backup(box.context())
    assert len(hook.got) == 2
    box.later(hours=21)
    run.backup(box.context())
    assert len(hook.got) == 3


def test_a_message_that_did_not_arrive_is_sent_again_and_fails_nothing(box, hook):
    hook.answers = [(404, {}, "")]
    report = run.backup(box.context())
    assert "it answered 404" in report["warnings"][0]
    run.backup(box.context())
    assert len(hook.got) == 2
    hook.url("http://[broken")
    (box.data / "f").write_text("x", encoding="utf-8")
    assert run.backup(box.context())["error"] == ""


def test_an_old_set_is_told_by_the_check_although_nothing_failed(box, hook):
    (box.data / "f").write_text("x", encoding="utf-8")
    assert run.backup(box.context())["error"] == ""
    assert status.check(box.context())["healthy"]
    assert hook.got == []
    box.later(hours=31)
    assert not status.check(box.context())["healthy"]
    assert "the newest set is 31 hours old, 30 are allowed" in hook.texts()[0]
    metrics = box.prom.read_text(encoding="utf-8")
    assert f'onebox_backup_last_success_timestamp_seconds{{stack="coin"}} {dt.datetime(2026, 3, 1, 2, tzinfo=dt.timezone.utc).timestamp():.16g}' in metrics  # fmt: skip  # noqa: E501
    assert 'onebox_backup_max_age_seconds{stack="coin"} 108000' in metrics


def test_a_timer_that_fails_before_there_is_a_report_is_told_too(box, hook, capsys):
    (box.data / "f").write_text("x", encoding="utf-8")
    assert cli.main(["--config", str(box.config), "backup"]) == 0
    os.chmod(box.config.parent / "state", 0o755)
    assert cli.main(["--config", str(box.config), "backup"]) == 5
    assert "others can enter" in hook.texts()[0]
    assert cli.main(["--config", str(box.config), "plan"]) == 0
    assert len(hook.got) == 1
    assert TOKEN not in "".join(capsys.readouterr())


def test_a_timer_that_fails_at_the_system_is_told_with_the_advice_that_fits(box, hook, capsys):
    (box.data / "f").write_text("x", encoding="utf-8")
    assert cli.main(["--config", str(box.config), "backup"]) == 0
    lock = json.loads(box.config.read_text(encoding="utf-8"))["state_dir"] + "/lock"
    os.unlink(lock)
    os.mkdir(lock)
    assert cli.main(["--config", str(box.config), "backup"]) == 5
    assert "Is a directory" in hook.texts()[0]
    assert "run it as the user" not in capsys.readouterr().err
