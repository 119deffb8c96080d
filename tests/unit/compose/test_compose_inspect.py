# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine on which a stack is inspected, and the records of a run that failed early."""

import dataclasses

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose import inspect
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose.driver import PodmanCompose
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.digests import Content, Piece
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan.plan import Facts, Row
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan.resources import Found
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import record_run, state_file
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError
from compose_facts import container, model_of


def test_engine_of_the_last_deploy_is_the_only_candidate(tmp_path):
    """Podman would answer here, as a command that prints its version."""
    (tmp_path / "podman").write_text("#!/bin/sh\necho 5.4.2\n")
    (tmp_path / "podman").chmod(0o755)
    environ = {"PATH": str(tmp_path), "DOCKER_HOST": f"unix://{tmp_path}/none.sock", "XDG_RUNTIME_DIR": str(tmp_path)}
    world = dataclasses.replace(World.real(), environ=environ)
    request = Request("shop", "/opt/onebox/shop", state_dir=str(tmp_path / "state"))
    state_file.save(request.state_folder, {"engine": "docker"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        patch.setattr(inspect.discover, "sockets", lambda name, world: [f"{tmp_path}/none.sock"])
        with pytest.raises(EngineError, match="shop was deployed on docker, which does not answer"):
            inspect.find_engine(request, world)
        named = dataclasses.replace(request, engine="podman")
        assert inspect.find_engine(named, world).name == "podman"


@pytest.mark.parametrize(("started", "remembered"), [("2026-11-21T09:00:00.5Z", False), ("2026-11-22T00:00:00Z", True)])
def test_planned_restart_that_did_not_happen_is_planned_again(started, remembered):
    before, after = container("web"), container("web", State__StartedAt=started)
    content = {"web": Content(code={"/code": Piece("new", 0.0)})}
    seen = inspect.Inspection(
        model=model_of({"web": {"image": "shop:1"}}),
        source=None,
        tool=PodmanCompose(("podman-compose",), (1, 6, 0), {}),
        engine=None,
        facts=Facts([before], {}, content=content),
        rows=[Row("web", "restart", ["code_bind_changed"])],
        warnings=[],
        cache={},
    )
    assert (after.id in record_run.after(seen, [after], Found(), 0.0).records) is remembered
