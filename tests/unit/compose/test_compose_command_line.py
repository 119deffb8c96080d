# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What podman-compose could only put on a command line is refused by name, and never with its value."""

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import command_line
from ansible_collections.onebox.stack.plugins.module_utils.core.mask import Secrets
from compose_facts import driver, model_of

CANARY = "canary-7a7a"
MASKS = Secrets([CANARY]).text


@pytest.mark.parametrize(
    ("service", "named"),
    [
        ({"image": "a", "environment": {"HOME": f"/x\n{CANARY}"}}, "environment.HOME"),
        ({"image": "a", "environment": {"HTTP_PROXY": f"x\r{CANARY}"}}, "environment.HTTP_PROXY"),
        ({"image": "a", "labels": {"auth": f"x\n{CANARY}"}}, "labels.auth"),
        ({"image": "a", "labels": {"a b": CANARY}}, "labels.a b"),
        ({"build": {"context": ".", "args": {"HOME": CANARY}}}, "build.args.HOME"),
    ],
)
def test_value_that_cannot_leave_the_command_line_is_refused_by_name(service, named):
    model = model_of({"web": service})
    (problem,) = command_line.problems(model, driver("podman-compose"), MASKS)
    assert problem.where == "service web"
    assert named in problem.message
    assert CANARY not in problem.message
    assert command_line.problems(model, driver("docker-compose"), MASKS) == []


@pytest.mark.parametrize(
    "service",
    [
        {"image": "a", "environment": {"HOME": f"/x/{CANARY}", "KEY": f"1\n{CANARY}", "EMPTY": None}},
        {"image": "a", "labels": {"auth": f"x:{CANARY}", "text": "two\nlines"}},
        {"build": {"context": ".", "args": {"TOKEN": CANARY, "HTTP_PROXY": CANARY, "HOME": "/x", "NONE": None}}},
    ],
)
def test_value_that_leaves_the_command_line_is_fine(service):
    assert command_line.problems(model_of({"web": service}), driver("podman-compose"), MASKS) == []
