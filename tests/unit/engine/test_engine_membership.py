# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stack and the service of a container, by the labels that each tool sets."""

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.engine import membership

# docker compose 2.40, podman-compose 1.6, a podman-compose before Docker's labels, a quadlet of ours.
COMPOSE = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
PODMAN = {**COMPOSE, "io.podman.compose.project": "shop", "io.podman.compose.service": "web"}
OLD_PODMAN = {"io.podman.compose.project": "shop", "io.podman.compose.service": "web"}
# Docker 28, `docker stack deploy`.
SWARM = {
    "com.docker.stack.namespace": "shop",
    "com.docker.swarm.node.id": "y2x0ka7qbnpx4nnvu7b5yzdnr",
    "com.docker.swarm.service.id": "q8vdc7yshr3cbnphswulv5r1u",
    "com.docker.swarm.service.name": "shop_web",
    "com.docker.swarm.task": "",
    "com.docker.swarm.task.id": "x81ul26y4z0r5i5vwdskrgd2g",
    "com.docker.swarm.task.name": "shop_web.1.x81ul26y4z0r5i5vwdskrgd2g",
}
# `docker service create`: no stack.
ALONE = {key: value.replace("shop_", "") for key, value in SWARM.items() if key != membership.STACK_LABEL}


@pytest.mark.parametrize(
    ("labels", "project", "service", "in_swarm"),
    [
        (COMPOSE, "shop", "web", ""),
        (PODMAN, "shop", "web", ""),
        (OLD_PODMAN, "shop", "web", ""),
        (SWARM, "shop", "web", "shop_web"),
        (ALONE, "", "", "web"),
        ({}, "", "", ""),
        # A stack and a service whose names begin alike.
        ({**SWARM, "com.docker.swarm.service.name": "shop_shop_web"}, "shop", "shop_web", "shop_shop_web"),
        # Compose adds nothing of Swarm, so its own labels decide.
        ({**SWARM, **COMPOSE, "com.docker.compose.project": "blog"}, "blog", "web", "shop_web"),
    ],
    ids=["compose", "podman-compose", "old podman-compose", "swarm", "service alone", "none", "same prefix", "both"],
)
def test_labels_name_project_and_service(labels, project, service, in_swarm):
    found = (membership.project_of(labels), membership.service_of(labels), membership.swarm_service(labels))
    assert found == (project, service, in_swarm)


def test_volume_of_a_stack_on_a_swarm_has_a_project():
    assert membership.project_of({"com.docker.stack.namespace": "shop"}) == "shop"
    assert membership.swarm_service({"com.docker.stack.namespace": "shop"}) == ""


def test_only_docker_lists_stacks_of_a_swarm():
    assert membership.STACK_LABEL in membership.project_labels("docker")
    assert membership.STACK_LABEL not in membership.project_labels("podman")
