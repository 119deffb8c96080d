# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What healthy rests on: published ports of real listening sockets, restarts since the last run, URLs."""

from __future__ import annotations

import contextlib
import os
import random
import socket

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import Unhealthy
from ansible_collections.onebox.stack.plugins.module_utils.compose.health import evidence, restarts
from ansible_collections.onebox.stack.plugins.module_utils.compose.health.gate import Gate, Settings
from ansible_collections.onebox.stack.plugins.module_utils.compose.health.restarts import Baseline
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.records import Memory, Record
from compose_facts import container, model_of
from test_compose_gate import START, FakeEngine, FakeTime

OLD = "2026-11-20T09:00:00Z"


@contextlib.contextmanager
def listener(address: str = "0.0.0.0"):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as server:
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind((address, 0))
        server.listen()
        yield server.getsockname()[1]


def service_with(*rows: str, **body):
    return model_of({"web": {"image": "a", "ports": list(rows), **body}}).services["web"]


def here(**changes):
    """A container whose process is this one, so that its sockets are those of the test."""
    return container("web", State__Pid=os.getpid(), **{"State__StartedAt": OLD, **changes})


def waited(service: dict, script, timeout: float = 20.0, baseline: Baseline | None = None):
    time = FakeTime()
    options = {} if baseline is None else {"baseline": baseline}
    gate = Gate(FakeEngine(time, script), "shop", time.world, Settings(**options))
    return gate.wait(model_of({"web": service}).services, timeout, began_at=START), time.now


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_port_that_listens_is_evidence(address):
    with listener(address) as port:
        rows, seconds = waited({"image": "a", "ports": [f"127.0.0.1:80:{port}"]}, lambda now: [here()])
    assert (rows[0]["evidence"], rows[0]["message"]) == ("port", "running, its ports listen")
    assert seconds == 0


def test_silent_port_is_awaited_and_named():
    with listener() as port:
        pass  # closed again
    with pytest.raises(Unhealthy, match=f"nothing in it listens on port {port}"):
        waited({"image": "a", "ports": [f"80:{port}"]}, lambda now: [here()], timeout=5.0)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_port_on_the_loopback_of_the_container_is_unhealthy(address):
    with listener(address) as port:
        with pytest.raises(Unhealthy, match=r"only on its own 127.0.0.1"):
            waited({"image": "a", "ports": [f"80:{port}"]}, lambda now: [here()], timeout=1.0)
        found = evidence.listening(service_with(f"80:{port}"), here(HostConfig__NetworkMode="pasta"))
    assert found.message == ""


def test_healthcheck_or_host_network_needs_no_port():
    healthy = {"Status": "healthy"}
    rows, seconds = waited(
        {"image": "a", "ports": ["80:1"], "healthcheck": {"test": "true"}}, lambda now: [here(State__Health=healthy)]
    )
    assert (rows[0]["evidence"], seconds) == ("healthcheck", 0)
    rows, seconds = waited({"image": "a", "ports": ["80:1"]}, lambda now: [here(HostConfig__NetworkMode="host")])
    assert (rows[0]["evidence"], rows[0]["message"], seconds) == ("none", "running, not checked further", 0)


def test_process_of_a_virtual_machine_is_not_inspected():
    assert not evidence.listening(service_with("80:1"), here(), "/nowhere").known
    assert evidence.of(service_with("80:1"), here(), local=False) == "none"


@pytest.mark.parametrize(
    ("rows", "asked"),
    [
        (["80:8000"], [8000]),
        (["80:8000", "81:8001"], [8000, 8001]),
        (["21:21", "21100-21110:21100-21110"], [21]),
        (["100-110:100-110", "8000:8000"], [8000]),
        (["53:53/udp"], []),
        ([], []),
    ],
)
def test_range_of_ports_is_not_checked(rows, asked):
    assert evidence.checked_ports(service_with(*rows)) == asked


def test_url_is_evidence_for_the_service_that_publishes_its_port():
    rows = [
        {"container": "shop-web-1", "evidence": "none", "message": "running, not checked further"},
        {"container": "shop-db-1", "evidence": "none", "message": "running, not checked further"},
    ]
    web = container("web", HostConfig__PortBindings={"80/tcp": [{"HostIp": "", "HostPort": "8080"}]})
    evidence.answered(rows, [web, container("db")], [{"url": "http://localhost:8080/x", "ok": True}])
    assert [row["evidence"] for row in rows] == ["http", "none"]
    evidence.answered(rows, [web, container("db")], [{"url": "https://example.org", "ok": False}])
    assert [row["evidence"] for row in rows] == ["http", "none"]


# Restarts


def memory_of(count: int, at: float) -> Memory:
    return Memory({container("web").id: Record("web", "", restarts=count, started_at=OLD)}, at=at)


def looper(life: float, counted: int = 0):
    """A container that lives for some seconds and is started again at once."""

    def script(now):
        number = int(now // life)
        started = START + number * life
        stamp = f"2026-11-21T09:{int(started - START + 0.5) // 60:02}:{int(started - START + 0.5) % 60:02}.5Z"
        return [container("web", RestartCount=counted + number, State__StartedAt=stamp, Created=OLD)]

    return script


@pytest.mark.parametrize("life", [4.0, 8.0, 15.0])
def test_loop_since_the_last_run_is_found_in_a_run_that_changes_nothing(life):
    count = int(60 // life)
    memory = memory_of(0, START - 60)
    script = looper(life, count)
    baseline = Baseline.of(script(0.0), memory)
    with pytest.raises(Unhealthy, match="keeps restarting"):
        waited({"image": "a", "restart": "always"}, script, 120.0, baseline)


def test_restarts_of_a_year_are_not_a_loop():
    present = [container("web", RestartCount=40, State__StartedAt=OLD, Created=OLD)]
    baseline = Baseline.of(present, memory_of(0, START - 365 * 86400))
    rows, seconds = waited({"image": "a", "restart": "always"}, lambda now: present, 120.0, baseline)
    assert (rows[0]["ok"], seconds) == (True, 0)


def test_recent_restart_is_not_a_loop_when_restarts_are_rare():
    present = [container("web", RestartCount=40, State__StartedAt="2026-11-21T08:59:50Z", Created=OLD)]
    baseline = Baseline.of(present, memory_of(0, START - 365 * 86400))
    rows, seconds = waited({"image": "a", "restart": "always"}, lambda now: present, 120.0, baseline)
    assert (rows[0]["ok"], seconds) == (True, 0)


def test_loop_that_has_ended_is_healthy_again():
    present = [container("web", RestartCount=9, Created=OLD)]
    baseline = Baseline.of(present, memory_of(0, START - 60))
    rows, seconds = waited({"image": "a", "restart": "always"}, lambda now: present, 120.0, baseline)
    assert rows[0]["ok"]
    assert 25 < seconds < 35


def test_every_restart_of_a_new_container_counts():
    present = [container("web", RestartCount=3)]
    with pytest.raises(Unhealthy, match=r"keeps restarting \(3 times\)"):
        waited({"image": "a", "restart": "always"}, lambda now: present, 20.0, Baseline.of([], Memory()))


def test_container_that_a_user_restarts_repeatedly_is_unhealthy():
    def script(now):
        started = f"2026-11-21T09:00:{int(now // 2 * 2) % 60:02}.5Z"
        return [container("web", State__StartedAt=started)]

    with pytest.raises(Unhealthy, match="keeps restarting"):
        waited({"image": "a"}, script)


def test_restarts_since_the_last_run_are_reported_once():
    now = [container("web", RestartCount=5, Created=OLD)]
    assert restarts.warnings(now, memory_of(5, START), "docker") == []
    (said,) = restarts.warnings(now, memory_of(2, START), "docker")
    assert "restarted 3 times since the last run" in said
    assert "docker logs shop-web-1" in said
    # Nothing was written down, as by an earlier version: what happened before is not known.
    assert restarts.warnings(now, Memory(), "docker") == []
    # Restarted by hand: the engine counts from 0 again.
    (said,) = restarts.warnings([container("web", RestartCount=1)], memory_of(2, START), "docker")
    assert "restarted once" in said


def test_crash_loops_of_any_length_are_found_and_nothing_else(tally, how_many):
    chance, missed, alarms, tried = random.Random(11), 0, 0, how_many(60, 600)
    for _number in range(tried):
        # The last run was some minutes ago. What lives 12 seconds at most has been restarted often enough since.
        since, life = chance.uniform(60, 600), chance.uniform(1.0, 12.0)
        script = looper(life, int(since // life))
        before = Baseline.of(script(0.0), memory_of(0, START - since))
        try:
            waited({"image": "a", "restart": "always"}, script, 120.0, before)
            missed += 1
        except Unhealthy:
            pass
        # As many restarts, in a month, and it runs: healthy, without a wait.
        calm = [container("web", RestartCount=int(since // life), State__StartedAt=OLD, Created=OLD)]
        baseline = Baseline.of(calm, memory_of(0, START - 30 * 86400))
        alarms += waited({"image": "a"}, lambda now, calm=calm: calm, 120.0, baseline)[1] > 0
    tally("a crash loop since the last run: called healthy", tried, missed)
    tally("restarts of a month: called a crash loop", tried, alarms)
