# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stranger's compose project, from its folder to a proven stack: what is proposed deploys as it is."""

import json
import os
import pathlib
import re
import typing as t

import pytest
import yaml
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import declaration
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack
from ansible_collections.onebox.stack.plugins.module_utils.compose.scaffold import scaffold
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.modules import stack_scaffold
from compose_lab import Lab
from onebox_testbed import ports

TWO = pytest.mark.parametrize("lab", ["docker+2.40", "podman-compose"], indirect=True)


@pytest.fixture
def origin(lab: Lab, tmp_path: pathlib.Path) -> t.Iterator[pathlib.Path]:
    """A project as people publish them: relative binds without :ro, an open port, an example of an environment file."""
    folder = tmp_path / "origin"
    (folder / "conf").mkdir(parents=True)
    (folder / "conf/app.yml").write_text("level: info\n")
    (folder / ".env.example").write_text(f"PORT={ports.claim()}\nDB_PASSWORD=changeme\n")
    web = lab.service(
        "exec httpd -f -p 8080",
        ports=["${PORT}:8080"],
        environment={"PUID": str(os.getuid()), "PGID": str(os.getgid()), "URL": "postgres://app:${DB_PASSWORD}@db/app"},
        volumes=["./conf/app.yml:/etc/app.yml", "./uploads:/data", f"{lab.root}/files:/files"],
    )
    web["networks"] = ["proxy"]
    proxy = {"external": True, "name": f"{lab.project}-proxy"}
    (folder / "docker-compose.yml").write_text(json.dumps({"services": {"web": web}, "networks": {"proxy": proxy}}))
    yield folder
    lab.clean()
    lab.backend.cli("network", "rm", proxy["name"], check=False)


def proposed(lab: Lab, origin: pathlib.Path, top: pathlib.Path) -> dict:
    """The options of a deploy that the proposal amounts to."""
    order = scaffold.Order(
        origin=str(origin),
        name=lab.project,
        host="box",
        stacks=str(top / "stacks"),
        inventory=str(top / "inventory"),
        project_dir=str(lab.folder),
        data_root=str(lab.root / "moved"),
        engine="none",
    )
    assert scaffold.scaffold(order, stack_scaffold._loader(), World.real(), False).needs == []
    values = yaml.safe_load((top / "inventory/host_vars/box.yml").read_text())
    (vault,) = (top / "inventory/group_vars").iterdir()
    secrets = yaml.safe_load(vault.read_text())
    env = {
        name: secrets[found[1]] if (found := re.fullmatch(r"\{\{ (vault_\w+) \}\}", str(value))) else str(value)
        for name, value in values["compose_stack_env"].items()
    }
    return {"staged_dir": str(top / "stacks" / lab.project), "env": env}


@TWO
def test_proposal_deploys_and_is_proven(lab: Lab, origin, tmp_path):
    options = proposed(lab, origin, tmp_path / "boxes")
    with pytest.raises(BadStack) as caught:
        lab.stack(**options).converge()
    assert {problem.code for problem in caught.value.problems} == {"no_source", "no_network"}
    block = yaml.safe_load(str(caught.value).split("that are there):\n")[1])
    assert [row["path"] for row in block["data_dirs_directories"]] == [f"{lab.root}/files"]
    assert not (lab.folder / "uploads").exists()

    options["rules"] = declaration.Rules(derive=True)
    stack = lab.stack(**options)
    result = stack.converge()
    assert not result.get("failed"), result["msg"]
    assert sorted(row["path"] for row in result["directories"]) == sorted(
        [f"{lab.folder}/uploads", f"{lab.root}/files"]
    )
    assert result["mounts"]["summary"] == {**result["mounts"]["summary"], "ok": 3, "failed": 0, "unverifiable": 0}
    (web,) = lab.containers()["web"]
    assert [row.host_ip for row in web.ports] == ["127.0.0.1"]
    assert "URL=postgres://app:changeme@db/app" not in web.env

    (lab.folder / "uploads/rows").write_text("precious")
    assert result["networks"] == [f"{lab.project}-proxy"]
    again = lab.stack(**options).converge()
    assert (again["changed"], [row["action"] for row in again["plan"]]) == (False, ["keep"])
    lab.stack(**options, state="absent").converge()
    assert (lab.folder / "uploads/rows").read_text() == "precious"
