# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mount proof on a node of a Swarm that runs no container of the stack."""

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import SocketEngine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import parse_inspect
from ansible_collections.onebox.stack.plugins.module_utils.mounts import labels, promised
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verify import Check, verify

SPEC = {"Image": "web:1"}


class Node(SocketEngine):
    """The API of a node without containers. ``nodes`` are those with a running task; None if there is no service."""

    def __init__(self, nodes, *, manages=True, state="active"):
        self.nodes, self.manages, self.state, self.socket, self.name = nodes, manages, state, "/nowhere", "docker"

    def containers(self, project=None, names=()):
        return []

    def get(self, path, **query):
        task = {"ContainerSpec": SPEC}
        spec = {"Name": "shop_web", "TaskTemplate": task, "Mode": {"Replicated": {"Replicas": 2}}}
        tasks = [
            {
                "ID": name,
                "ServiceID": "web-id",
                "NodeID": name,
                "DesiredState": "running",
                "Spec": task,
                "Status": {"State": "running"},
            }
            for name in self.nodes or ()
        ]
        info = {"Name": "a", "Swarm": {"LocalNodeState": self.state, "ControlAvailable": self.manages}}
        services = [] if self.nodes is None else [{"ID": "web-id", "Spec": spec}]
        return {"/info": info, "/services": services, "/tasks": tasks, "/nodes": []}[path]


def checked(node, promise=""):
    return verify(node, Check(project="shop", promised=promise), world=World.real())


@pytest.mark.parametrize(
    ("node", "ok", "text"),
    [
        (Node(["b", "c"]), True, "stack shop has no container on this node of the Swarm, it runs on b, c"),
        (Node(["b"]), False, "service web runs 1 of 2 replicas. Type: `docker service ps shop_web`"),
        (Node([]), False, "service web runs 0 of 2 replicas"),
        (Node(None), False, "is the stack up?"),
        (Node(None, manages=False), True, "verify the managers too"),
        (Node(None, manages=False, state="inactive"), False, "is the stack up?"),
    ],
    ids=["elsewhere", "lacks one", "nowhere", "not deployed", "worker", "no swarm"],
)
def test_node_without_a_container_is_judged_by_its_swarm(node, ok, text):
    found = checked(node)
    assert found["ok"] is ok
    assert text in "\n".join(found["table"])


def test_compose_stack_that_a_deploy_promised_is_missed_on_any_node(tmp_path):
    path = str(tmp_path / "promised.json")
    promised.save(path, promised.Promise({"web": promised.Service(1, False)}))
    found = checked(Node(["b", "c"]), path)
    assert not found["ok"]
    assert "service web has no container" in "\n".join(found["table"])
    # The stack was moved to the Swarm.
    promised.keep_memory(path)
    assert checked(Node(["b", "c"]), path)["ok"]


def test_container_of_a_swarm_has_no_directory_to_compare():
    def container(**labels):
        return parse_inspect({"Name": "/web", "Config": {"Labels": labels}})

    swarm = {"com.docker.swarm.service.name": "shop_web", "com.docker.swarm.task.id": "x"}
    assert labels.mismatches([container(**swarm)], "/opt/shop", []) == []
    assert len(labels.mismatches([container()], "/opt/shop", [])) == 1
