# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian 13 host with scheduled restic backups, checked from outside."""

import json

import pytest


@pytest.mark.parametrize("job", ["backup", "rehearse", "check"])
def test_timers_run_and_catch_up(host, job):
    timer = host.service(f"onebox-backup-blog-{job}.timer")
    assert timer.is_enabled
    assert timer.is_running
    assert "Persistent=yes" in host.check_output(f"systemctl show onebox-backup-blog-{job}.timer")


def test_systemd_calls_the_units_right(host):
    said = host.run(
        "cd /etc/systemd/system; systemd-analyze verify onebox-backup-blog-*.service onebox-backup-blog-*.timer"
    )
    assert (said.rc, said.stdout + said.stderr) == (0, "")


@pytest.mark.parametrize("job", ["backup", "rehearse", "check"])
def test_systemd_calls_the_services_hardened(host, job):
    words = "systemd-analyze security --no-pager --threshold={} onebox-backup-blog-{}.service"
    assert host.run(words.format(30, job)).rc == 0  # 3.0 of 10; a unit without any of it has 9.6
    assert host.run(words.format(5, job)).rc != 0  # the judge can say no
    assert "LoadCredential=blog.key:" in host.check_output(f"systemctl cat onebox-backup-blog-{job}.service")


@pytest.mark.parametrize("job", ["backup", "rehearse"])
def test_service_did_its_work(host, job):
    assert "Result=success" in host.check_output(f"systemctl show onebox-backup-blog-{job}.service")


def test_secrets_are_where_only_root_reads_them(host):
    for name in ("blog.json", "blog.key", "blog.webhook", "blog.authentication"):
        assert host.file(f"/etc/onebox/backup/{name}").mode == 0o600
    for place in ("/var/backups/onebox/blog", "/var/lib/onebox-backup/blog"):
        assert host.file(place).mode == 0o700
    found = host.run("grep -rlE 'secret-path|kept elsewhere' /etc/systemd/system /var/lib/onebox-backup /usr/local/bin")
    assert found.stdout == ""
    assert "secret-path" not in host.run("journalctl --no-pager").stdout


def test_runner_works_by_hand(host):
    out = host.run("env -i /usr/local/bin/onebox-backup --config /etc/onebox/backup/blog.json --json status")
    assert out.rc == 0
    status = json.loads(out.stdout)
    assert [row["seq"] for row in status["rows"]] == [1, 2, 3]
    assert status["rows"][0]["rehearsed"] is True


def test_lost_page_is_back_and_the_rest_is_saved(host):
    page = host.file("/srv/blog/up loads/page.html")
    assert page.content_string == "worth keeping"
    assert page.mode == 0o640
    assert host.check_output("sqlite3 '/srv/blog/up loads/blog.db' 'SELECT t FROM posts'") == "first"
    assert host.run("ls -d '/srv/blog/up loads.before-'*").rc == 0


def test_metrics_can_be_read_by_the_exporter(host):
    metrics = host.file("/var/lib/node-exporter/onebox_backup_blog.prom")
    assert metrics.mode == 0o644
    assert 'onebox_backup_last_run_ok{stack="blog"} 1' in metrics.content_string


def test_restic_holds_the_sets_and_stock_restic_reads_them(host):
    words = "restic --repo /var/backups/onebox/blog --password-file /etc/onebox/backup/blog.key --no-lock"
    snapshots = json.loads(host.check_output(f"{words} snapshots --json"))
    assert [sorted(row["tags"]) for row in snapshots] == [["onebox-blog", f"seq-{n}"] for n in (1, 2, 3)]
    assert "page.html" in host.check_output(f"{words} ls latest")
