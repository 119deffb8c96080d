# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health gate for a Swarm, with a manager's API that plays a script over time."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import Unhealthy
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm import gate
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm.cluster import Cluster
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm.gate import SwarmGate
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import SocketEngine
from compose_facts import model_of

NEW, OLD = {"Image": "web:2"}, {"Image": "web:1"}
HEALTHCHECK = {"healthcheck": {"test": ["CMD", "true"]}}


def service(replicas=1, **update) -> dict:
    task = {"ContainerSpec": NEW}
    spec = {"Name": "shop_web", "TaskTemplate": task, "Mode": {"Replicated": {"Replicas": replicas}}}
    return {"ID": "web-id", "Spec": spec, **({"UpdateStatus": update} if update else {})}


def task(state="running", *, spec=None, desired="running", slot=1, error="", code=0) -> dict:
    return {
        "ID": f"task-{slot}-{state}",
        "ServiceID": "web-id",
        "Slot": slot,
        "NodeID": "node-2",
        "DesiredState": desired,
        "CreatedAt": "2026-11-29T10:00:00Z",
        "Spec": {"ContainerSpec": NEW if spec is None else spec},
        "Status": {"State": state, "Err": error, "ContainerStatus": {"ContainerID": "c1", "ExitCode": code}},
    }


class Manager(SocketEngine):
    """The API of a manager. ``script`` returns services and tasks for a time."""

    def __init__(self, script):
        self.script, self.now, self.socket, self.name = script, 0.0, "/nowhere", "docker"

    def get(self, path, **query):
        services, tasks = self.script(self.now)
        nodes = [{"ID": "node-2", "Description": {"Hostname": "second"}, "Status": {"State": "ready"}}]
        info = {"Name": "first", "Swarm": {"NodeID": "node-1", "ControlAvailable": True, "LocalNodeState": "active"}}
        return {"/services": services, "/tasks": tasks, "/nodes": nodes, "/info": info}[path]

    def world(self) -> World:
        def sleep(seconds):
            self.now += seconds

        def run(argv, **_options):
            return process.Result(tuple(argv), 0, "its last words\n", "", 0.0)

        return dataclasses.replace(World.real(), monotonic=lambda: self.now, sleep=sleep, run=run, environ={})


def waited(script, keys=None, *, timeout=20.0, settle=3.0, earlier=None):
    manager = Manager(script)
    cluster = Cluster(manager, manager.world())
    before = cluster.services("shop") if earlier else {}
    health_gate = SwarmGate(cluster, "shop", manager.world(), settle=settle, shown=str)
    rows = health_gate.wait(model_of({"web": {"restart": "always", **(keys or {})}}).services, timeout, before)
    return rows, manager.now


def test_service_with_a_healthcheck_is_healthy_when_all_replicas_run():
    def script(now):
        second = "running" if now >= 5 else "starting"
        return [service(2)], [task(), task(second, slot=2)]

    rows, now = waited(script, HEALTHCHECK)
    assert now == pytest.approx(5.0)
    assert [(row["node"], row["ok"], row["evidence"]) for row in rows] == [("second", True, "healthcheck")] * 2


def test_service_without_a_healthcheck_must_run_for_some_time():
    _rows, now = waited(lambda _now: ([service()], [task()]))
    assert now == pytest.approx(3.0)


def test_replica_with_the_previous_specification_does_not_count():
    with pytest.raises(Unhealthy, match="runs 0 of 1 replicas"):
        waited(lambda _now: ([service()], [task(spec=OLD)]), HEALTHCHECK)


def test_replica_on_a_lost_node_does_not_count():
    with pytest.raises(Unhealthy, match="runs 0 of 1 replicas"):
        waited(lambda _now: ([service()], [task(desired="shutdown")]), HEALTHCHECK)


def test_message_has_node_reason_and_last_lines():
    def script(_now):
        return [service()], [task("pending", error="no suitable node (1 node not available)")]

    with pytest.raises(Unhealthy) as caught:
        waited(script)
    assert "on second: no suitable node (1 node not available)" in str(caught.value)
    assert "its last words" in str(caught.value)


@pytest.mark.parametrize("state", ["paused", "rollback_completed"])
def test_update_that_swarm_gave_up_fails_at_once(state):
    def script(_now):
        return [service(State=state, Message="task failed early")], [task(spec=OLD)]

    with pytest.raises(Unhealthy, match=r"after 0 s: service web was not updated: task failed early"):
        waited(script, HEALTHCHECK)


def test_update_that_swarm_gave_up_before_does_not_count():
    def script(_now):
        return [service(State="paused", Message="old news")], [task()]

    rows, _now = waited(script, HEALTHCHECK, earlier=True)
    assert rows[0]["ok"]


def test_running_update_is_awaited():
    def script(now):
        state = "completed" if now >= 4 else "updating"
        return [service(State=state)], [task()]

    _rows, now = waited(script, HEALTHCHECK)
    assert now == pytest.approx(4.0)


def test_job_that_ended_is_healthy_and_one_that_failed_is_not():
    job = {"restart": "no"}
    rows, now = waited(lambda _now: ([service()], [task("complete", desired="shutdown")]), job)
    assert (rows[0]["ok"], now) == (True, 0.0)
    with pytest.raises(Unhealthy, match="ended with exit code 5"):
        waited(lambda _now: ([service()], [task("failed", desired="shutdown", code=5)]), job)
    with pytest.raises(Unhealthy, match="runs 0 of 1"):
        waited(lambda _now: ([service()], [task("complete", desired="shutdown")]))


def test_service_that_is_not_in_the_swarm_is_missing():
    with pytest.raises(Unhealthy, match="service web is not in the Swarm"):
        waited(lambda _now: ([], []))


@pytest.mark.parametrize(
    ("modes", "ipvs", "said"),
    [(("vip", "vip"), False, True), (("vip", "vip"), True, False), (("dnsrr", "dnsrr"), False, False)],
    ids=["no ipvs", "ipvs", "by dns"],
)
def test_kernel_without_ipvs_is_named_when_services_have_addresses(tmp_path, monkeypatch, modes, ipvs, said):
    monkeypatch.setattr(gate, "_IPVS", str(tmp_path if ipvs else tmp_path / "missing"))
    services = [service(), service()]
    for each, name, mode in zip(services, ("web", "db"), modes):
        each["Spec"].update(Name=f"shop_{name}", EndpointSpec={"Mode": mode})
    with pytest.raises(Unhealthy) as failed:
        waited(lambda _now: (services, [task("starting")]), HEALTHCHECK)
    assert ("no IPVS" in str(failed.value)) == said
    assert ("endpoint_mode: dnsrr" in str(failed.value)) == said
