# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch of a stack on a Swarm: replicas that lack, and containers that ended."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import SocketEngine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container, parse_inspect
from ansible_collections.onebox.stack.plugins.module_utils.watch import config as configs
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge import restart
from ansible_collections.onebox.stack.plugins.module_utils.watch.probe import swarm as probe
from watch_facts import CONFIG, STEP, Watch, healthy, live, one
from watch_fault_table import stack


def on_swarm(watch: Watch, **found: t.Any) -> dict[str, t.Any]:
    """The facts of a host whose stack is on a Swarm. A deploy to a Swarm leaves no promise."""
    facts = healthy(watch.now)
    for row in live(facts)["containers"]:
        row["swarm_service"] = f"shop_{row['service']}"
    live(facts)["swarm"] = {"services": [], "crashed": [], **found}
    stack(facts).update(promise={"error": "no deploy has promised anything yet"}, plan=None)
    return facts


def crashed(watch: Watch, *ages: float) -> list[dict[str, t.Any]]:
    return [{"service": "web", "name": f"shop_web.1.{age}", "exit_code": 3, "at": watch.now - age} for age in ages]


def codes(watch: Watch) -> dict[str, dict[str, t.Any]]:
    return {row["code"]: row for row in watch.outcome.active}


def test_stack_on_a_swarm_needs_no_promise() -> None:
    watch = Watch()
    for _run in range(4):
        watch.run(on_swarm(watch))
    assert codes(watch) == {}


def test_worker_without_a_container_does_not_know_whether_one_should_run() -> None:
    watch = Watch()
    for _run in range(4):
        facts = on_swarm(watch)
        live(facts)["containers"] = []
        stack(facts)["mounts"] = {"rows": []}
        watch.run(facts)
    assert codes(watch) == {}


def test_service_that_lacks_replicas_is_missing() -> None:
    watch = Watch()
    for _run in range(2):
        watch.run(on_swarm(watch, services=[{"service": "web", "lacking": "1 of 2 replicas. Newest error: no disk"}]))
    row = codes(watch)["service_missing"]
    assert row["what"] == "service web of shop runs 1 of 2 replicas. Newest error: no disk"
    assert row["fix"] == "docker service ps --no-trunc shop_web"


def test_promise_of_a_compose_stack_of_the_same_name_still_counts() -> None:
    watch = Watch()
    for _run in range(2):
        facts = on_swarm(watch)
        live(facts)["containers"] = []
        stack(facts).update(promise={"services": {"web": {"count": 1, "one_shot": False}}}, mounts={"rows": []})
        watch.run(facts)
    assert "stack_absent" in codes(watch)


@pytest.mark.parametrize(
    ("ages", "code"),
    [
        ((10.0, 60.0, 900.0), "crash_loop"),
        ((10.0, 4000.0, 5000.0), "unexpected_exit"),
        ((STEP + 10.0, STEP + 20.0), ""),
    ],
    ids=["three in an hour", "one since the last run", "before the last run"],
)
def test_containers_that_ended_by_themselves_are_counted(ages: tuple[float, ...], code: str) -> None:
    watch = Watch()
    watch.run(on_swarm(watch))
    watch.run(on_swarm(watch, crashed=crashed(watch, *ages)))
    assert list(codes(watch)) == [code] * bool(code)
    if code:
        assert codes(watch)[code]["fix"] == "docker logs --tail 50 shop_web.1.10.0"


def test_broken_mount_names_the_command_of_the_swarm() -> None:
    watch = Watch()
    for _run in range(2):
        facts = on_swarm(watch)
        row = next(row for row in stack(facts)["mounts"]["rows"] if row["service"] == "web")
        row.update(verdict="stale_deleted", fix="restart", container=one(facts, "web")["name"])
        watch.run(facts)
    assert codes(watch)["mount_broken"]["fix"] == "docker service update --force shop_web"


def test_watch_restarts_no_container_of_a_swarm() -> None:
    declared = configs.parse(CONFIG)
    watch = Watch()
    for known in (True, False):
        facts = on_swarm(watch)
        one(facts, "web").update(health="unhealthy")
        if not known:
            del one(facts, "web")["swarm_service"]
        row = {"code": "unhealthy", "where": "shop/web", "acknowledged": "", "current": True, "since": watch.now - 3600}
        due = restart.due(declared.stacks, {"shop": live(facts)}, [row], {}, watch.now)
        assert [each.service for each in due] == ([] if known else ["web"])


class Node(SocketEngine):
    """The API of a node, whose manager knows the state of each task by its container."""

    def __init__(self, states: dict[str, str], manages: bool) -> None:
        self.states, self.manages, self.socket, self.name = states, manages, "/nowhere", "docker"

    def get(self, path: str, **query: str) -> t.Any:
        tasks = [
            {"ID": key, "Status": {"State": state, "ContainerStatus": {"ContainerID": key}}}
            for key, state in self.states.items()
        ]
        info = {"Name": "a", "Swarm": {"LocalNodeState": "active", "ControlAvailable": self.manages}}
        return {"/info": info, "/services": [], "/nodes": [], "/tasks": tasks}[path]


def ended(identity: str, code: int, **state: t.Any) -> Container:
    labels = {
        "com.docker.stack.namespace": "shop",
        "com.docker.swarm.service.name": "shop_web",
        "com.docker.swarm.task.id": identity,
    }
    finished = {"Status": "exited", "ExitCode": code, "FinishedAt": "2026-11-29T10:00:00Z", **state}
    return parse_inspect({"Id": identity, "Name": f"/{identity}", "State": finished, "Config": {"Labels": labels}})


ENDED = [
    ended("stopped", 143),
    ended("killed", 137),
    ended("done", 0),
    ended("failed", 3),
    ended("memory", 137, OOMKilled=True),
    ended("unhealthy", 137, Health={"Status": "unhealthy"}),
]


def test_worker_judges_ended_containers_by_their_exit() -> None:
    found = probe.facts(Node({}, manages=False), "shop", ENDED)
    assert [row["name"] for row in found["crashed"]] == ["failed", "memory", "unhealthy"]
    assert {row["at"] for row in found["crashed"]} == {1795946400.0}


def test_manager_judges_ended_containers_by_their_tasks() -> None:
    # A program that answers SIGTERM with an error was still stopped by the Swarm.
    states = {"failed": "shutdown", "stopped": "failed", "killed": "shutdown", "done": "complete"}
    found = probe.facts(Node(states, manages=True), "shop", ENDED[:4])
    assert [row["name"] for row in found["crashed"]] == ["stopped"]


def test_compose_stack_is_on_no_swarm() -> None:
    row = parse_inspect({"Config": {"Labels": {"com.docker.compose.project": "shop"}}})
    assert probe.facts(Node({}, manages=True), "shop", [row]) == {}
    # Neither compose nor the Swarm has it.
    assert probe.facts(Node({}, manages=True), "shop", []) == {}
