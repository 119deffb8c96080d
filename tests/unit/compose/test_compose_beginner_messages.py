# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages about an image, an owner and a relative source name the service and the line to edit."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose import result
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import binds
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.docker_compose.driver import DockerCompose
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import locate
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import pull_failure
from recorded_tool import answers


class Registry:
    """Commands whose registry has only some images."""

    def __init__(self, *present: str) -> None:
        self.present, self.calls = present, 0

    def pull(self, images: t.Mapping[str, str]) -> None:
        self.calls += 1
        missing = [image for image in images.values() if image not in self.present]
        if missing:
            raise ComposeError(f"could not pull {', '.join(images.values())} (stack shop): denied\n  try later")


def test_image_that_cannot_be_pulled_is_named_with_its_service_in_one_line():
    commands = Registry("db:1")
    with pytest.raises(ComposeError) as caught:
        pull_failure.pull(commands, {"db": "db:1", "web": "wbe:1"})  # type: ignore[arg-type]
    said = str(caught.value)
    assert said.startswith("service web: could not pull wbe:1 (stack shop): denied try later. If the name is wrong,")
    assert "`image: wbe:1` in the compose file" in said
    assert "\n" not in said
    assert commands.calls == 3


def test_single_image_that_cannot_be_pulled_is_requested_once():
    commands = Registry()
    with pytest.raises(ComposeError, match="service web: "):
        pull_failure.pull(commands, {"web": "wbe:1"})  # type: ignore[arg-type]
    assert commands.calls == 1


def refused(*rows: tuple[str, str, str]) -> str:
    mounts = [
        {"verdict": "not_writable", "fix": fix, "source": source, "message": f"refused. Type: `{command} {source}`"}
        for fix, source, command in rows
    ]
    return result.mount_failure("shop", {"containers": [{"service": "web", "name": "web", "mounts": mounts}]})


def test_wrong_owner_is_corrected_in_the_inventory_once():
    row = ("chown", "/srv/data", "chown 70:71")
    lines = refused(row, row).splitlines()
    assert [line for line in lines if "data_dirs_directories in host_vars" in line] == [lines[-2]]
    assert lines[-1] == '- { path: "/srv/data", owner: "70", group: "71" }'


@pytest.mark.parametrize(
    "row", [("restart", "/srv/data", "chown 70:71"), ("chown", "/srv/data", "podman unshare chown 70:71")]
)
def test_failure_that_no_owner_of_the_inventory_fixes_names_no_variable(row: tuple[str, str, str]):
    assert "data_dirs_directories" not in refused(row)


def test_relative_source_that_leads_out_of_staged_files_is_named_as_written(tmp_path: pathlib.Path):
    staged = tmp_path / "run" / "files"
    staged.mkdir(parents=True)
    (staged / "compose.yml").write_text("services: {web: {image: a, volumes: [../data:/data]}}")
    source = locate("shop", "/srv/shop", (), None, (), str(staged))

    def model(path: str, context: str) -> tuple[int, str, str]:
        volumes = [{"type": "bind", "source": path, "target": "/data"}]
        web = {"image": "a", "volumes": volumes, "build": {"context": context}}
        return 0, json.dumps({"services": {"web": web}}), ""

    # Docker Compose resolves paths against the directory with the staged files.
    world = answers(
        **{"--no-path-resolution": model("../data", ".."), "config": model(f"{tmp_path}/run/data", f"{tmp_path}/run")}
    )
    web = DockerCompose(("dc",), (2, 40, 3), {"PATH": "/bin"}).resolve(source, world).services["web"]
    assert web.build == {"context": "/srv"}
    assert [(bind.source, bind.relative) for bind in web.binds] == [("/srv/data", True)]
    (problem,) = binds.problems(web, source, False, {})
    assert "'../data' leads out of the deploy directory /srv/shop" in problem.message
    assert "DATA_DIR in compose_stack_env" in problem.message
