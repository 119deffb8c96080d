# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""scheduled_job on a host that systemd runs, and on this machine without systemd. Ansible runs both.

The examples for launchd run in tests/integration/vm/test_mac_examples.py, against a fake.
"""

from __future__ import annotations

import datetime
import json
import pathlib
import time
import typing as t

import pytest
import yaml
from examples_runner import examples, run_examples, run_tasks
from onebox_testbed import docker, hosts

MODULE = "onebox.stack.scheduled_job"
FOLDER = "/etc/systemd/system"
BEAT = {"name": "beat", "command": ["/usr/bin/touch", "/run/beat"], "interval": "5min"}


class Host:
    """A container that systemd runs."""

    def __init__(self, socket: str) -> None:
        self.socket = socket
        self.container = hosts.start(socket, "jobs", "debian13-cloud")

    def sh(self, script: str) -> str:
        return docker.docker(self.socket, "exec", self.container, "sh", "-c", script)

    def run(self, tasks: list[dict[str, t.Any]], **options: t.Any) -> dict[str, dict[str, t.Any]]:
        variables = {
            "ansible_connection": "community.docker.docker",
            "ansible_host": self.container,
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        return run_tasks(tasks, variables=variables, environment=docker.environment(self.socket), **options)

    def job(self, *, check: bool = False, **given: t.Any) -> dict[str, t.Any]:
        """The result of one task."""
        return self.run([{"name": "job", MODULE: {**BEAT, **given}}], check=check, diff=True)["job"]

    def timers(self) -> dict[str, int]:
        """Timers of these tests, and when they fire next in microseconds since 1970."""
        rows = json.loads(self.sh("systemctl list-timers --all --output=json"))
        return {
            row["unit"]: row["next"] for row in rows if row["unit"].startswith(("beat", "check-", "report", "heart"))
        }

    def files(self) -> set[str]:
        return set(self.sh(f"cd {FOLDER} && ls -d beat* 2>/dev/null || true").split())


@pytest.fixture(scope="module")
def systemd() -> t.Iterator[Host]:
    socket = docker.find()
    assert socket is not None, "no Docker engine answers; run: make testbed"
    try:
        yield Host(socket)
    finally:
        hosts.remove(socket, "jobs")


@pytest.fixture
def host(systemd: Host) -> t.Iterator[Host]:
    yield systemd
    systemd.sh(f"systemctl disable --now $(cd {FOLDER} && ls *.timer) 2>/dev/null; rm -f {FOLDER}/beat*; "
               "systemctl daemon-reload; systemctl reset-failed")  # fmt: skip


def seconds(stamp: str) -> float:
    return datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def test_examples_with_systemd(host):
    tasks = yaml.safe_load(examples("scheduled_job"))
    planned = host.run(tasks, check=True)
    assert host.timers() == {}
    first = host.run(tasks)
    jobs = [task["name"] for task in tasks if MODULE in task]
    assert [first[name]["changed"] for name in jobs] == [True] * 4
    assert [planned[name]["changed"] for name in jobs] == [True, True, True, False]
    assert sorted(host.timers()) == ["check-certificates.timer", "report-daily.timer", "report-weekly.timer"]
    again = host.run(tasks)
    # Its last task removes what its second one installs.
    assert [again[name]["changed"] for name in jobs] == [False, True, False, True]
    for name in jobs[::2]:
        for job in again[name]["jobs"]:
            # In whole seconds; a list of timers is made a moment later.
            wanted = host.timers().get(f"{job['name']}.timer", 0) / 1e6
            assert (job["kind"], job["next"] == "") == ("systemd", wanted == 0)
            assert not wanted or abs(seconds(job["next"]) - wanted) <= 1
    host.sh(f"systemd-analyze verify {FOLDER}/report-*.timer")


@pytest.mark.skipif(pathlib.Path("/run/systemd/system").is_dir(), reason="this machine has systemd")
def test_examples_without_systemd():
    results = run_examples("scheduled_job")
    assert not any(result["changed"] for result in results.values())
    line = "30 4 * * * /usr/local/bin/check-certificates --days 14"
    assert results["Check the certificates every night"]["job"]["cron"] == line
    assert results["Show when the reports run next, or the lines for a crontab"]["msg"][3:] == [
        "0 6 * * * /usr/local/bin/report --short",
        "10 6 * * 1 /usr/local/bin/report --all",
        "",
    ]


def test_timer_fires_and_reports_its_next_run(host):
    result = host.job(interval="2s", boot_delay="1s")
    assert result["diff"][0]["before"] == ""
    deadline = time.monotonic() + 60
    while host.sh("ls /run/beat 2>/dev/null || true") == "":
        assert time.monotonic() < deadline, "the timer did not fire"
        time.sleep(0.2)
    result = host.job()
    assert result["changed"]
    now = float(host.sh("date +%s"))
    assert now < seconds(result["job"]["next"]) <= now + 301


def test_units_of_an_earlier_set_up_are_taken_over_without_a_second_timer(host):
    host.sh(
        f'cd {FOLDER} && printf \'[Service]\\nType=oneshot\\nExecStart="/bin/true" "50%%%%"\\n\' >beat.service && '
        "printf '[Timer]\\nOnCalendar=daily\\n[Install]\\nWantedBy=timers.target\\n' >beat.timer && "
        "systemctl enable --now beat.timer"
    )
    assert list(host.timers()) == ["beat.timer"]
    planned = host.job(check=True)
    assert host.job()["job"]["previous_command"] == planned["job"]["previous_command"] == ["/bin/true", "50%"]
    assert list(host.timers()) == ["beat.timer"]
    assert "OnUnitActiveUSec=5min" in host.sh("systemctl show beat.timer -p TimersMonotonic")
    assert not host.job()["changed"]


def test_run_after_one_that_was_killed_before_the_reload_loads_the_units(host):
    host.job()
    text = host.job(interval="1h", check=True)["diff"][0]["after"]
    host.sh(f"cat >{FOLDER}/beat.timer <<'END'\n{text}END")
    result = host.job(interval="1h")
    assert (result["changed"], result["files"]) == (True, [])
    assert "OnUnitActiveUSec=1h" in host.sh("systemctl show beat.timer -p TimersMonotonic")
    assert "NeedDaemonReload=no" in host.sh("systemctl show beat.timer -p NeedDaemonReload")


def test_removal_of_a_job_that_failed_leaves_nothing_and_no_other_job(host):
    host.job(name="beat-two")
    host.job(command=["/bin/false"])
    host.sh("systemctl start beat.service || true")
    assert "beat.service" in host.sh("systemctl --failed --no-legend")
    assert host.job(state="absent", check=True)["changed"]
    assert "beat.timer" in host.timers()
    assert host.job(state="absent")["job"]["previous_command"] == ["/bin/false"]
    assert list(host.timers()) == ["beat-two.timer"]
    assert host.files() == {"beat-two.service", "beat-two.timer"}
    assert "beat.service" not in host.sh("systemctl --failed --no-legend")
    assert not host.job(state="absent")["changed"]


def test_removal_from_the_job_itself_lets_its_run_end(host):
    host.job(
        command=["/bin/sh", "-c", "touch /run/began; while [ -e /run/began ]; do sleep 0.1; done; touch /run/ended"]
    )
    host.sh("systemctl start --no-block beat.service; until [ -e /run/began ]; do sleep 0.1; done")
    assert host.job(state="absent", from_within=True)["changed"]
    assert (host.timers(), host.files()) == ({}, set())
    assert "activating" in host.sh("systemctl is-active beat.service || true")
    host.sh("rm /run/began; until [ -e /run/ended ]; do sleep 0.1; done")


@pytest.mark.parametrize("check", [True, False])
def test_calendar_that_systemd_does_not_know_is_refused_in_check_mode_too(host, check):
    given = {"name": "beat", "command": ["/bin/true"], "on_calendar": "someday"}
    job = {"name": "job", MODULE: given, "register": "found", "ignore_errors": True}
    found = host.run([job, {"name": "show", "debug": {"msg": "{{ found }}"}}], check=check)["show"]["msg"]
    assert found["failed"]
    assert "on_calendar: systemd does not know someday" in found["msg"]
    assert host.files() == set()
