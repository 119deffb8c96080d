# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container made by hand in the place of a service is refused before anything is touched, with its command."""

from __future__ import annotations

import dataclasses
import re
import shlex

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack
from compose_lab import Lab

TOOLS = ["docker26+2.26", "docker28+2.40", "podman+2.40", "podman-compose"]

pytestmark = pytest.mark.parametrize("lab", TOOLS, indirect=True)


def engine(lab: Lab, *words: str, check: bool = True) -> str:
    """The engine's command as a person runs it, without the testbed's configuration for Compose."""
    environ = {key: value for key, value in lab.backend.environ.items() if key != "DOCKER_CONFIG"}
    return dataclasses.replace(lab.backend, environ=environ).cli(*words, check=check)


def by_hand(lab: Lab, *words: str) -> str:
    """Replace the container of web by one made by hand. Returns its name."""
    (row,) = lab.containers()["web"]
    engine(lab, "rm", "-f", row.id)
    engine(lab, "run", "-d", "--network", "none", "--name", row.name, *words, lab.backend.image, "sleep", "1000")
    return row.name


def identity(lab: Lab, name: str) -> str:
    return engine(lab, "inspect", "--format", "{{.Id}} {{.State.Status}}", name)


def refusal(lab: Lab, code: str) -> str:
    """The message of the only problem, in the plan and in the deploy."""
    (row,) = lab.info()["problems"]
    with pytest.raises(BadStack) as caught:
        lab.stack().converge()
    (problem,) = caught.value.problems
    assert (row["code"], problem.code) == (code, code)
    assert row["message"] == problem.message
    return problem.message


def typed(lab: Lab, message: str, verb: str) -> None:
    """Type the command of a message."""
    (command,) = [each for each in re.findall("`([^`]+)`", message) if each.split()[1] == verb]
    program, *words = shlex.split(command)
    assert program == lab.backend.engine
    engine(lab, *words)


@pytest.mark.parametrize("verb", ["rm", "rename"])
def test_container_without_labels_that_has_the_name_of_a_service_is_refused(lab: Lab, verb: str):
    lab.services.update(web=lab.service(), db=lab.service())
    lab.deploy()
    name = by_hand(lab)
    lab.services["db"]["environment"] = {"A": "1"}
    lab.write()
    try:
        before, states = identity(lab, name), lab.states()
        message = refusal(lab, "name_taken")
        assert (identity(lab, name), lab.states()) == (before, states)
        typed(lab, message, verb)
        assert lab.deploy()["changed"] is True
        assert set(lab.containers()) == {"web", "db"}
    finally:
        engine(lab, "rm", "-f", f"{name}-old", check=False)


def test_container_with_labels_that_the_tool_did_not_create_is_refused_or_replaced(lab: Lab):
    """Docker Compose does not count a container without its hash, and fails to create another of the same name."""
    lab.services.update(web=lab.service())
    lab.deploy()
    labels = [f"com.docker.compose.project={lab.project}", "com.docker.compose.service=web"]
    name = by_hand(lab, *(word for label in labels for word in ("--label", label)))
    if lab.backend.docker_compose:
        before = identity(lab, name)
        message = refusal(lab, "container_unknown")
        assert identity(lab, name) == before
        typed(lab, message, "rm")
    assert lab.deploy()["changed"] is True
    assert lab.plan() == {"web": ("keep", ())}
