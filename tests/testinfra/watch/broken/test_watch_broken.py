# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timers report the injected faults. A user reads commands for the units of the user."""


def test_replaced_directory_is_reported_with_the_restart(root_watch, eventually):
    row = eventually(lambda: next((row for key, row in root_watch.findings().items() if "mount_broken" in key), None))
    assert "stale_deleted" in row["what"]
    assert row["fix"] == "docker restart shop-web-1"


def test_failed_unit_is_reported_with_its_journal(watch, eventually):
    row = eventually(lambda: watch.findings().get("unit_failed onebox-broken.service"))
    scope = "" if watch.user == "root" else " --user"
    assert row["fix"] == f"journalctl{scope} -u onebox-broken.service -n 50"
    assert row["severity"] == "critical"


def test_check_by_a_person_ends_with_1(watch):
    checked = watch.check()
    assert checked.rc == 1, checked.stdout + checked.stderr
    assert "critical: unit onebox-broken.service failed" in checked.stdout


def test_findings_do_not_fail_the_unit_of_the_watch(watch):
    assert watch.systemctl(f"show -p Result --value onebox-watch-{watch.name}.service") == "success"


def test_metrics_name_the_findings(host, eventually):
    path = "/var/lib/node-exporter/onebox_watch_demo.prom"
    eventually(lambda: 'onebox_watch_ok{watch="demo"} 0' in host.file(path).content_string)
    assert 'code="mount_broken"' in host.file(path).content_string


def test_stopped_timer_is_reported_to_a_person_with_its_start(watch):
    timer = f"onebox-watch-{watch.name}.timer"
    watch.systemctl(f"stop {timer}")
    checked = watch.check()
    watch.systemctl(f"start {timer}")
    scope = "" if watch.user == "root" else " --user"
    assert f"timer {timer} is enabled and does not run" in checked.stdout
    assert f"systemctl{scope} start {timer}" in checked.stdout
