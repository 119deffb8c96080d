# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which containers of a project are its services', by the labels each compose tool sets."""

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import parse_inspect
from ansible_collections.onebox.stack.plugins.module_utils.engine.project_containers import project_containers


class Listing(Engine):
    """An engine that has these containers."""

    def __init__(self, rows):
        self._rows = rows

    def containers(self, project=None, names=()):
        assert project == "shop"
        return [parse_inspect(row) for row in self._rows]


def row(name, **labels):
    return {"Id": name, "Name": f"/{name}", "State": {"Status": "running"}, "Config": {"Labels": labels}}


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
