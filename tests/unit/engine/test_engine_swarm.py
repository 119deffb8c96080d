# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a service of a stack on a Swarm runs, by the API of a manager or a worker."""

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import SocketEngine
from ansible_collections.onebox.stack.plugins.module_utils.engine.swarm import Swarm, whereabouts, whereabouts_of_volume

SPEC = {"Image": "db:1", "Mounts": [{"Type": "volume", "Source": "shop_data", "Target": "/data"}]}


class Node(SocketEngine):
    """The API of a node, with one service that is bound to the node ``second``."""

    def __init__(self, tasks=(), *, manages=True, state="active", condition="any", mode=None):
        self.tasks, self.socket, self.name = tasks, "/nowhere", "docker"
        self.info = {"Name": "first", "Swarm": {"LocalNodeState": state, "ControlAvailable": manages}}
        self.task = {
            "ContainerSpec": SPEC,
            "RestartPolicy": {"Condition": condition},
            "Placement": {"Constraints": ["node.id==node-2"]},
        }
        self.mode = mode or {"Replicated": {"Replicas": 1}}

    def get(self, path, **query):
        spec = {"Name": "shop_db", "TaskTemplate": self.task, "Mode": self.mode}
        services = [{"ID": "db-id", "Spec": spec, "ServiceStatus": {"DesiredTasks": 2}}]
        down = {"ID": "node-2", "Description": {"Hostname": "second"}, "Status": {"State": "down"}}
        ready = {"ID": "node-3", "Description": {"Hostname": "third"}, "Status": {"State": "ready"}}
        assert path == "/info" or self.info["Swarm"]["ControlAvailable"], "a worker does not answer"
        found = {"/info": self.info, "/services": services, "/tasks": list(self.tasks), "/nodes": [down, ready]}
        return found[path]


def task(state, *, desired="running", node="node-3", error="", created="2026-11-29T10:00:00Z"):
    return {
        "ID": f"task-{state}-{created}",
        "ServiceID": "db-id",
        "NodeID": node,
        "DesiredState": desired,
        "CreatedAt": created,
        "Spec": {"ContainerSpec": SPEC},
        "Status": {"State": state, "Err": error},
    }


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (Node([task("running")]), "runs on another node of the Swarm: third"),
        (
            # The host with the data is down: its task still seems to run, and no other node may run it.
            Node(
                [
                    task("running", desired="shutdown", node="node-2"),
                    task("pending", error="no suitable node", node="", created="2026-11-29T11:00:00Z"),
                ]
            ),
            "runs on no node of the Swarm (0 of 1 replicas. Newest error: no suitable node), and its data is on "
            "second (down)",
        ),
        (Node([task("complete")], condition="on-failure"), "runs on no node of the Swarm (its task has ended)"),
        (Node(manages=False), "`docker service ps shop_db` on a manager"),
        (Node(manages=False, state="inactive"), ""),
    ],
    ids=["elsewhere", "node down", "ended", "worker", "no swarm"],
)
def test_place_of_a_service_is_named(node, text):
    found = whereabouts(node, "shop", "db")
    assert text in found if text else found == ""


@pytest.mark.parametrize(
    ("node", "volume", "text"),
    [
        (Node([task("running")]), "shop_data", "service db uses it and runs on another node of the Swarm: third"),
        (Node([task("running")]), "shop_other", ""),
        (Node(manages=False), "shop_data", "`docker stack ps shop` on a manager"),
        (Node(state="inactive"), "shop_data", ""),
    ],
    ids=["elsewhere", "another volume", "worker", "no swarm"],
)
def test_place_of_a_volume_is_that_of_its_service(node, volume, text):
    found = whereabouts_of_volume(node, "shop", volume)
    assert text in found if text else found == ""


def test_service_that_the_swarm_does_not_have_is_nowhere():
    assert whereabouts(Node(), "shop", "web") == ""


@pytest.mark.parametrize(
    ("node", "lacking"),
    [
        (Node([task("running")]), ""),
        (Node([task("failed", desired="shutdown", error="exit 3")]), "0 of 1 replicas. Newest error: exit 3"),
        (Node([task("complete", desired="shutdown")]), "0 of 1 replicas"),
        (Node([task("complete", desired="shutdown")], condition="none"), ""),
        (Node([task("running")], mode={"Global": {}}), "1 of 2 replicas"),
    ],
    ids=["runs", "failed", "ended and is replaced", "ended for good", "global"],
)
def test_replicas_that_lack_are_counted(node, lacking):
    (row,) = Swarm(node).replicas("shop")
    assert row.lacking == lacking
