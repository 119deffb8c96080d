# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers that a deploy cannot replace are named with the command to type before anything is touched."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import container_names
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan.plan import Row
from compose_facts import container, driver, model_of

LABELS = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}


@pytest.mark.parametrize(
    ("keys", "names", "refused"),
    [
        ({"container_name": "db"}, {"db": {}}, True),
        ({"container_name": "db"}, {"db": {**LABELS, "com.docker.compose.project": "other"}}, True),
        ({"container_name": "db"}, {"db": LABELS}, False),
        ({"container_name": "db"}, {"other": {}}, False),
        ({}, {"shop-web-1": {}}, True),
        ({"scale": 2}, {"shop-web-2": {}}, True),
        ({"container_name": "db"}, {"db": {**LABELS, "com.docker.compose.service": "old"}}, True),
        ({"container_name": "db"}, {"db": {**LABELS, "com.docker.compose.service": "leaving"}}, False),
    ],
)
def test_name_of_a_container_that_another_has(keys, names, refused):
    model = model_of({"web": {"image": "a", **keys}})
    rows = [Row("web", "create"), Row("leaving", "remove_orphan")]
    problems = container_names.taken(model, rows, names, driver("docker-compose"), "docker")
    assert [problem.code for problem in problems] == ["name_taken"] * refused
    assert container_names.taken(model, [Row("web", "keep")], names, driver("docker-compose"), "docker") == []


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_taken_name_is_refused_with_the_commands_of_its_engine(engine):
    rows = [Row("web", "create")]
    (problem,) = container_names.taken(
        model_of({"web": {"image": "a"}}), rows, {"shop-web-1": {}}, driver("docker-compose"), engine
    )
    assert problem.where == "service web"
    assert "shop-web-1, is in use by a container that no stack created" in problem.message
    assert f"`{engine} rename shop-web-1 shop-web-1-old`" in problem.message
    assert f"`{engine} rm -f shop-web-1`" in problem.message


HASH, ONE_OFF = {"com.docker.compose.config-hash": "1"}, {"com.docker.compose.oneoff": "False"}


@pytest.mark.parametrize(
    ("action", "more", "kind", "refused"),
    [
        ("recreate", {}, "docker-compose", True),
        ("recreate", HASH, "docker-compose", True),
        ("recreate", ONE_OFF, "docker-compose", True),
        ("recreate", {**HASH, **ONE_OFF}, "docker-compose", False),
        ("restart", {}, "docker-compose", True),
        ("remove_orphan", {}, "docker-compose", True),
        ("keep", {}, "docker-compose", False),
        ("recreate", {}, "podman-compose", False),
    ],
)
def test_container_that_the_tool_did_not_create_is_refused(action, more, kind, refused):
    web = container("web")
    web = container("web", Config__Labels={**web.labels, **more})
    rows = [Row("web", action, container_ids=(web.id,))]
    problems = container_names.unknown(rows, [web], driver(kind), "docker")
    assert [(problem.code, problem.where) for problem in problems] == [("container_unknown", "service web")] * refused
    assert all("`docker rm -f shop-web-1`" in problem.message for problem in problems)
