# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notifications of the webhook, and metrics. The receiver is a real web server on loopback."""

from __future__ import annotations

import datetime as dt
import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
import worlds
from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration, run, status
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup.configuration import WebhookSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import cli, install, notify
from webhook_receiver import Receiver


class Hook(Receiver):
    """A receiver whose URL is in a file."""

    def __init__(self, folder: pathlib.Path) -> None:
        super().__init__()
        self.file = folder / "url"
        self.write(self.url)

    def write(self, text: str) -> None:
        self.file.write_text(text + "\n", encoding="utf-8")

    def notify(self, style: str = "discord") -> str:
        said = notify.send(WebhookSpec(str(self.file), style), "coin: backup failed", "why", sleep=lambda seconds: None)
        assert self.SECRET not in said
        return said


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def hook(tmp_path):
    with Hook(tmp_path) as started:
        yield started


def test_message_is_sent_to_the_url_in_the_file(hook):
    assert hook.notify() == ""
    assert hook.notify("ntfy") == ""
    discord, ntfy = hook.got
    assert json.loads(discord.body)["content"] == "**coin: backup failed**\nwhy"
    assert (ntfy.headers["title"], ntfy.headers["tags"], ntfy.body) == ("coin: backup failed", "floppy_disk", b"why")


def test_refused_message_is_reported_without_the_url(hook):
    hook.answers = [(404, {}, "")]
    assert hook.notify() == "could not notify the webhook: HTTP 404"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd?{}", "http://[::1/{}", "http:///{}", "http://127.0.0.1:x{}/", "http://127.0.0.1:1/a b{}",
        "http://127.0.0.1:1/\x01{}", "ü://{}", "", "http://127.0.0.1:99999/{}", "http://127.0.0.1:1/ü{}", "\udce9{}",
    ],
)  # fmt: skip
def test_file_without_a_url_is_reported_without_its_content(hook, url):
    hook.file.write_bytes(url.format(hook.SECRET).encode("utf-8", "surrogateescape"))
    assert hook.notify() == f"could not notify the webhook: {hook.file} holds no http or https URL"


def test_missing_file_is_reported(hook):
    hook.file.unlink()
    assert "cannot be read: No such file" in hook.notify()


class Site:
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
        return contexts.make(configuration.read(str(self.config)), worlds.at(lambda: self.now))

    def later(self, **more: float) -> None:
        self.now += dt.timedelta(**more)


@pytest.fixture
def site(tmp_path, hook):
    return Site(tmp_path, hook)


def test_failure_is_reported_once_a_day_and_a_new_one_at_once(site, hook):
    assert run.backup(site.context())["exit_code"] == 4
    (message,) = hook.texts()
    assert message.startswith("**coin: backup failed**\n")
    assert "source d is empty" in message
    site.later(hours=1)
    run.backup(site.context())
    assert len(hook.got) == 1
    site.data.rmdir()
    run.backup(site.context())
    assert len(hook.got) == 2
    site.later(hours=21)
    run.backup(site.context())
    assert len(hook.got) == 3


def test_undelivered_message_is_sent_again_without_a_failure(site, hook):
    hook.answers = [(404, {}, "")]
    report = run.backup(site.context())
    assert "HTTP 404" in report["warnings"][0]
    run.backup(site.context())
    assert len(hook.got) == 2
    hook.write("http://[broken")
    (site.data / "f").write_text("x", encoding="utf-8")
    assert run.backup(site.context())["error"] == ""


def test_old_set_is_reported_by_the_check_without_a_failure(site, hook):
    (site.data / "f").write_text("x", encoding="utf-8")
    assert run.backup(site.context())["error"] == ""
    assert status.check(site.context())["healthy"]
    assert hook.got == []
    site.later(hours=31)
    assert not status.check(site.context())["healthy"]
    assert "the newest set is 31 hours old, 30 are allowed" in hook.texts()[0]
    metrics = site.prom.read_text(encoding="utf-8")
    assert f'onebox_backup_last_success_timestamp_seconds{{stack="coin"}} {dt.datetime(2026, 3, 1, 2, tzinfo=dt.timezone.utc).timestamp():.16g}' in metrics  # fmt: skip  # noqa: E501
    assert 'onebox_backup_max_age_seconds{stack="coin"} 108000' in metrics


def test_timer_that_fails_before_its_report_is_reported(site, hook, capsys):
    (site.data / "f").write_text("x", encoding="utf-8")
    assert cli.main(["--config", str(site.config), "backup"]) == 0
    os.chmod(site.config.parent / "state", 0o755)
    assert cli.main(["--config", str(site.config), "backup"]) == 5
    assert "others can enter" in hook.texts()[0]
    assert cli.main(["--config", str(site.config), "plan"]) == 0
    assert len(hook.got) == 1
    assert hook.SECRET not in "".join(capsys.readouterr())


def test_timer_that_fails_at_the_system_is_reported_with_advice(site, hook, capsys):
    (site.data / "f").write_text("x", encoding="utf-8")
    assert cli.main(["--config", str(site.config), "backup"]) == 0
    lock = json.loads(site.config.read_text(encoding="utf-8"))["state_dir"] + "/lock"
    os.unlink(lock)
    os.mkdir(lock)
    assert cli.main(["--config", str(site.config), "backup"]) == 5
    assert "Is a directory" in hook.texts()[0]
    assert "run it as the user" not in capsys.readouterr().err


def test_installed_runner_notifies_and_loads_http_only_then(site, hook, tmp_path):
    runner = tmp_path / "runner"
    install.install(str(runner), sys.executable, check=False)
    argv = [sys.executable, "-IS", "-X", "importtime", str(runner), "--config", str(site.config), "backup"]
    (site.data / "f").write_text("x", encoding="utf-8")
    good = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (good.returncode, hook.got) == (0, [])
    assert "core.process" in good.stderr
    assert "urllib.request" not in good.stderr
    (site.data / "f").unlink()
    bad = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert bad.returncode == 4
    assert "source d is empty" in hook.texts()[0]
    assert "urllib.request" in bad.stderr
