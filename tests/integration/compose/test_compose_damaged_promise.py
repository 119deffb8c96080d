# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A damaged record of the last deploy, on real engines: a deploy is refused with a way out, a removal is not."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack
from compose_lab import Lab


@pytest.mark.parametrize("lab", ["docker+2.40", "podman-compose"], indirect=True)
def test_damaged_promise_refuses_a_deploy_until_it_is_removed(lab: Lab, tmp_path: pathlib.Path):
    lab.services["web"] = lab.service(volumes=[f"{tmp_path}:/data"])
    lab.deploy()
    promise = lab.root / "state" / lab.project / "promised.json"
    promise.write_text("{")
    with pytest.raises(BadStack, match=rf"type `rm {promise}`, and deploy") as caught:
        lab.stack().converge()
    assert [problem.code for problem in caught.value.problems] == ["promise_unreadable"]
    # The plan still shows what a deploy would change.
    lab.variables["LEVEL"] = "debug"
    lab.services["web"]["environment"] = {"LEVEL": "${LEVEL}"}
    lab.write()
    assert [(row["service"], row["action"]) for row in lab.info()["plan"]] == [("web", "recreate")]
    promise.unlink()
    lab.deploy()
    assert promise.read_text() != "{"
    promise.write_text("{")
    assert lab.stack(state="absent").converge()["changed"]
