# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which containers of a project are its services', by the labels each compose tool sets."""

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import parse_inspect
from ansible_collections.onebox.stack.plugins.module_utils.engine.project_containers import (
    project_containers,
    service_containers,
    stack_containers,
)


class Listing(Engine):
    """An engine that has these containers."""

    def __init__(self, rows):
        self._rows = rows

    def containers(self, project=None, names=()):
        assert project == "shop"
        return [parse_inspect(row) for row in self._rows]


def row(name, /, status="running", **labels):
    state = {"Status": status, "Pid": 7 if status == "running" else 0}
    return {"Id": name, "Name": f"/{name}", "State": state, "Config": {"Labels": labels}}


PODMAN = {"io.podman.compose.project": "shop", "com.docker.compose.service": "web"}
DOCKER = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}


@pytest.mark.parametrize(
    ("rows", "services"),
    [
        ([row("shop_web_1", **PODMAN), row("shop_web_tmp4711", **PODMAN)], ["shop_web_1"]),
        (
            [
                row("shop-web-1", **DOCKER, **{"com.docker.compose.oneoff": "False"}),
                row("shop-web-run-1a2b", **DOCKER, **{"com.docker.compose.oneoff": "True"}),
                row("shop-web-tmp1", **DOCKER),
            ],
            ["shop-web-1", "shop-web-tmp1"],
        ),
    ],
    ids=["podman-compose", "docker compose"],
)
def test_containers_of_compose_run_are_left_out(rows, services):
    assert [found.name for found in project_containers(Listing(rows), "shop")] == services
    assert [found.name for found in service_containers(Listing(rows).containers("shop"))] == services


SWARM = {
    "com.docker.stack.namespace": "shop",
    "com.docker.swarm.service.name": "shop_web",
    "com.docker.swarm.task.id": "x81ul26y4z0r5i5vwdskrgd2g",
}


def test_containers_of_previous_tasks_are_left_out():
    stopped = [row(f"shop_web.1.{status}", status, **SWARM) for status in ("exited", "created", "dead")]
    rows = [*stopped, row("shop_web.1.now", **SWARM), row("shop-db-1", "exited", **DOCKER)]
    # A stopped container of a compose tool is still the stack's.
    assert [found.name for found in stack_containers(Listing(rows), "shop")] == ["shop_web.1.now", "shop-db-1"]
    assert [found.name for found in project_containers(Listing(rows), "shop")] == ["shop-db-1"]
