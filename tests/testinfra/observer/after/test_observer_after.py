# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""observer as site.yml leaves it: two apps from a real registry, Postgres and monitoring, one compose file."""

import json
import time

import pytest

HOME = "/home/ubuntu"
CANARY = "canary-observer-5b1d"
SUMMARY = "http://127.0.0.1:8011/summary"
BUILD = "build-20260129-090000"


def ask(host, url: str) -> dict:
    """JSON of a URL on the host's loopback; there is no curl in a minimal Debian."""
    program = "import sys,urllib.request as r; print(r.urlopen(sys.argv[1], timeout=10).read().decode())"
    return json.loads(host.check_output("python3 -c %s %s", program, url))


def test_every_service_is_healthy(containers):
    found = containers("observer")
    assert sorted(found) == ["observer", "postgres", "prometheus", "review"]
    for service, entry in found.items():
        assert entry["State"]["Health"]["Status"] == "healthy", service


def test_build_came_from_the_registry(host, containers):
    for service in ("observer", "review"):
        identity = containers("observer")[service]["Image"]
        (entry,) = json.loads(host.check_output("docker image inspect %s", identity))
        assert [name for name in entry["RepoDigests"] if name.startswith("localhost:5000/tawbury/observer@")]
    assert ask(host, "http://127.0.0.1:8010/version") == {"build": BUILD}


def test_ticks_are_on_the_host_and_in_the_database_alike(host, eventually):
    # Counted from here on: data collected without the mount stays in the database only.
    def alike() -> bool:
        first = ask(host, SUMMARY)
        then = eventually(lambda: (found := ask(host, SUMMARY))["journal"] > first["journal"] and found)
        return then["journal"] - first["journal"] == then["database"] - first["database"]

    eventually(alike)
    told = ask(host, SUMMARY)["journal"]
    lines = host.check_output("cat %s/observer/data/scalp/*.jsonl", HOME).splitlines()
    assert len(lines) >= told // 2 > 0
    assert host.file(f"{HOME}/review/data/summary.json").exists


def test_prometheus_sees_both_apps_up(host):
    deadline = time.monotonic() + 30
    while True:
        rows = ask(host, "http://127.0.0.1:9090/api/v1/targets")["data"]["activeTargets"]
        health = {row["labels"]["job"]: row["health"] for row in rows}
        if health == {"observer": "up", "review": "up"}:
            return
        assert time.monotonic() < deadline, rows
        time.sleep(0.5)


def test_nothing_is_reached_from_outside(containers):
    for service, entry in containers("observer").items():
        for rows in entry["NetworkSettings"]["Ports"].values():
            assert {row["HostIp"] for row in rows or []} <= {"127.0.0.1"}, service


@pytest.mark.parametrize(
    ("path", "owner"), [("observer/data", 999), ("observer/secrets", 999), ("prometheus/data", 65534)]
)
def test_data_is_outside_the_deploy_directory(host, path, owner):
    assert host.file(f"{HOME}/{path}").uid == owner
    assert not host.file(f"/opt/onebox/observer/{path.split('/')[1]}").exists


def test_stand_ins_say_what_they_are(host):
    for name in ("postgres:15", "prom/prometheus:v2.53.0"):
        form = '{{index .Config.Labels "onebox.standin"}}'
        assert "Debian bookworm" in host.check_output("docker image inspect -f %s %s", form, name)


def test_password_is_in_its_file_and_nowhere_else(host, containers):
    secret = host.file(f"{HOME}/observer/secrets/db_password")
    assert (secret.content_string, secret.mode, secret.uid) == (CANARY, 0o400, 999)
    assert CANARY not in json.dumps(containers("observer"))
    found = host.run("grep -rlsF %s /opt/onebox /var/lib/onebox /etc /root /var/log /home/ubuntu", CANARY)
    assert found.stdout.split() == [f"{HOME}/observer/secrets/db_password"]
    assert CANARY not in host.check_output("journalctl --no-pager --quiet --output cat")


def test_verify_says_so(playbook):
    result = playbook("verify.yml")
    assert result.returncode == 0, result.stdout + result.stderr
