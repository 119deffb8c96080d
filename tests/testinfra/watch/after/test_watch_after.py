# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timers of root and of a user run the watch, and everything is as promised."""


def test_timer_is_enabled_and_runs_again_and_again(watch, eventually):
    assert watch.systemctl(f"is-enabled onebox-watch-{watch.name}.timer") == "enabled"
    assert watch.systemctl(f"is-active onebox-watch-{watch.name}.timer") == "active"
    first = eventually(lambda: watch.host.file(f"{watch.state}/watch.json").exists and watch.document()["at"])
    second = eventually(lambda: watch.document()["at"] > first and watch.document()["at"])
    eventually(lambda: watch.document()["at"] > second)
    assert watch.systemctl(f"show -p Result --value onebox-watch-{watch.name}.service") == "success"


def test_everything_is_as_promised(watch, eventually):
    eventually(lambda: watch.host.file(f"{watch.state}/watch.json").exists)
    found = watch.document()
    assert (found["ok"], found["lines"], found["pending"]) == (True, [], [])
    checked = watch.check()
    assert (checked.rc, checked.stdout) == (0, "all as promised\n"), checked.stdout + checked.stderr


def test_stack_of_root_is_proven_and_planned(root_watch):
    (stack,) = root_watch.document()["stacks"]
    assert stack["promise"]["services"] == {"web": {"count": 1, "one_shot": False}}
    assert [row["verdict"] for row in stack["mounts"]["rows"]] == ["ok"]
    assert (stack["plan"]["rows"], stack["plan"]["problems"]) == ([], [])


def test_run_of_a_user_checks_the_units_of_the_user(host):
    listed = host.check_output(
        "runuser -u anna -- env XDG_RUNTIME_DIR=/run/user/2000 "
        "systemctl --user list-units --plain --no-legend 'onebox-*'"
    )
    assert "onebox-watch-anna.timer" in listed
    assert "onebox-watch-demo" not in listed


def test_metrics_can_be_read_by_the_exporter(host):
    metrics = host.file("/var/lib/node-exporter/onebox_watch_demo.prom")
    assert metrics.mode == 0o644
    assert 'onebox_watch_ok{watch="demo"} 1' in metrics.content_string


def test_complete_runs_are_pinged(host, eventually):
    eventually(lambda: host.file("/var/lib/pings").exists)
    assert "/ping" in host.file("/var/lib/pings").content_string.split()


def test_url_is_private_and_in_no_unit(host):
    assert host.file("/etc/onebox/watch/demo.ping").mode == 0o600
    found = host.run(
        "grep -rl 127.0.0.1:8099/ping /etc/systemd/system /etc/onebox/watch/demo.json /var/lib/onebox-watch"
    )
    assert found.stdout == ""


def test_systemd_accepts_the_units(host):
    units = "onebox-watch-demo.service onebox-watch-demo.timer"
    said = host.run(f"cd /etc/systemd/system; systemd-analyze verify {units}")
    assert (said.rc, said.stdout + said.stderr) == (0, "")
