# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Data that an application wrote into its container: it is reported, and no new mount hides it.

On Docker with both of its image stores, because that of containerd reports no directories, and on Podman.
"""

from __future__ import annotations

import dataclasses
import re
import shlex

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import discover
from ansible_collections.onebox.stack.plugins.module_utils.mounts import verify
from compose_lab import Lab, wait_for

TOOLS = ["docker28+2.40", "docker28c+2.40", "podman-compose"]
ROWS = "/srv/app data/rows"
WRITE = f"mkdir -p '/srv/app data'; test -e '{ROWS}' || echo 1000 >'{ROWS}'; sleep 1000"

pytestmark = pytest.mark.parametrize("lab", TOOLS, indirect=True)


@pytest.fixture
def stack(lab: Lab) -> Lab:
    """A service whose data is in its container."""
    lab.services["app"] = lab.service(WRITE, environment={"DATA_DIR": "/srv/app data"})
    lab.deploy()
    wait_for(lambda: rows(lab) == "1000")
    return lab


def container(lab: Lab) -> str:
    (row,) = lab.containers()["app"]
    return row.name


def rows(lab: Lab) -> str:
    return lab.backend.cli("exec", container(lab), "cat", ROWS, check=False).strip()


def test_data_in_a_container_is_reported_with_its_size(stack: Lab):
    world = dataclasses.replace(World.real(), environ=stack.backend.environ)
    engine = discover.find(stack.backend.engine, stack.backend.socket, world=world)
    result = verify.verify(engine, verify.Check(project=stack.project), world=world)
    (place,) = [each for each in result["data_places"] if each["at_risk"]]
    assert (place["path"], place["lies"], place["verdict"]) == ("/srv/app data", "layer", "lost_at_recreate")
    assert (place["files"], place["bytes"]) == (1, 5)


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_mount_that_hides_data_is_refused_until_the_data_is_copied(stack: Lab, state: str):
    if state == "stopped":
        stack.backend.cli("stop", container(stack))
    (stack.data / "new").mkdir()
    stack.services["app"]["volumes"] = ["${DATA}/new:/srv/app data"]
    stack.write()
    before = stack.states()
    with pytest.raises(BadStack) as caught:
        stack.stack().converge()
    (problem,) = caught.value.problems
    assert problem.code == "data_hidden"
    assert stack.states() == before

    (copy,) = [each for each in re.findall("`([^`]+)`", problem.message) if " cp " in each]
    program, *words = shlex.split(copy)
    assert program == stack.backend.engine
    stack.backend.cli("stop", container(stack))
    stack.backend.cli(*words)
    stack.deploy()
    assert rows(stack) == "1000"
    assert (stack.data / "new" / "rows").read_text() == "1000\n"
