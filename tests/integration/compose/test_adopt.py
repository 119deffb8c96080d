# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A project that a plain compose tool started is reported and adopted, and a deploy finds nothing to change."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import time
import typing as t

import pytest
import yaml
from ansible_collections.onebox.stack.plugins.module_utils.compose.running import discover
from ansible_collections.onebox.stack.plugins.module_utils.compose.scaffold import adopt
from ansible_collections.onebox.stack.plugins.modules import stack_scaffold
from compose_lab import Lab
from onebox_testbed import ports
from role_box import ROOT

TWO = pytest.mark.parametrize("lab", ["docker+2.40", "podman-compose"], indirect=True)


class Adopter:
    """A machine with an inventory, and this machine as a host that runs a project already."""

    def __init__(self, lab: Lab, top: pathlib.Path) -> None:
        self.lab, self.top = lab, top
        self.stacks, self.inventory = top / "stacks", top / "inventory"
        self.inventory.mkdir(parents=True)
        hosts = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "compose_stack_state_dir": str(top / "state"),
        }
        (self.inventory / "hosts.yml").write_text(json.dumps({"all": {"hosts": {"box": hosts}}}))
        path = f"{pathlib.Path(lab.backend.provider_path).parent}:{lab.backend.environ['PATH']}"
        self.environ = {
            **lab.backend.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_INJECT_FACT_VARS": "false",
            "PATH": f"{ROOT}/.venv/bin:{path}",
        }

    def play(self, name: str, *words: str, code: int = 0) -> str:
        argv = ["ansible-playbook", "-i", str(self.inventory), f"playbooks/{name}.yml", "-l", "box", *words]
        done = subprocess.run(
            argv, cwd=ROOT, env=self.environ, capture_output=True, text=True, timeout=1200, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    @property
    def values(self) -> dict[str, t.Any]:
        return yaml.safe_load((self.inventory / "host_vars/box.yml").read_text())


@pytest.fixture
def port() -> int:
    return ports.claim()


@pytest.fixture
def adopter(lab: Lab, tmp_path: pathlib.Path, port: int) -> Adopter:
    """A running project: an override file, relative content, data, an absolute directory, an open port, a secret."""
    (lab.folder / "conf").mkdir()
    (lab.folder / "conf/app.yml").write_text("level: info\n")
    (lab.folder / "uploads").mkdir()
    (lab.folder / "uploads/photo").write_text("precious")
    lab.services["web"] = lab.service(
        "exec httpd -f -p 8080",
        ports=[f"{port}:8080"],
        restart="unless-stopped",
        environment={"LEVEL": "${LEVEL}", "TOKEN": "${TOKEN}"},
        volumes=["./conf/app.yml:/etc/app.yml", "./uploads:/data", "${DATA}:/files"],
    )
    lab.services["debug"] = lab.service(profiles=["never"])
    lab.variables["TOKEN"] = "canary-77aa"
    lab.write()
    override = {"services": {"web": {"environment": {"MORE": "1"}}}}
    (lab.folder / "compose.override.yml").write_text(json.dumps(override))
    lab.bare("-f", str(lab.folder / "compose.override.yml"), "up", "-d")
    return Adopter(lab, tmp_path / "ours")


def found(lab: Lab, project: str = "") -> dict[str, t.Any]:
    order = discover.Order(lab.backend.engine, lab.backend.socket, project, searched=())
    return discover.discover(order, lab.world())


@TWO
def test_project_of_a_plain_compose_tool_is_reported_without_a_change(adopter: Adopter, lab: Lab, port: int) -> None:
    states = lab.states()
    before = {path: path.stat().st_mtime_ns for path in lab.folder.rglob("*")}
    began = time.monotonic()
    report = found(lab)
    assert time.monotonic() - began < 60
    (project,) = [each for each in report["projects"] if each["name"] == lab.project]
    podman = lab.backend.provider == "podman-compose"
    assert project["tool"].startswith("podman-compose 1." if podman else "docker compose 2.40")
    assert (project["provider"], project["folder"]) == (lab.backend.provider, str(lab.folder))
    assert (project["mounts"]["ok"], project["mounts"]["checked"]) == (True, 3)
    assert project["public"] == [f"service web: {port}/tcp on every address"]
    assert {row["path"] for row in project["data"]} == {
        str(lab.data),
        f"{lab.folder}/uploads",
        f"{lab.folder}/conf/app.yml",
    }
    assert f"{lab.folder}/uploads of service web" in project["not_backed_up"]
    assert "canary-77aa" not in json.dumps(report)
    assert {path: path.stat().st_mtime_ns for path in lab.folder.rglob("*")} == before
    assert lab.states() == states


@TWO
def test_deploy_of_an_adopted_project_changes_nothing(adopter: Adopter, lab: Lab, port: int) -> None:
    states = lab.states()
    report = found(lab, lab.project)
    order = adopt.Order(report["projects"][0], report["bundle"], "box", str(adopter.stacks), str(adopter.inventory))
    adopt.adopt(order, stack_scaffold._loader(), False)
    folder = adopter.stacks / lab.project
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {".env", "compose.yml", "compose.override.yml", "conf/app.yml"}
    assert (folder / ".env").stat().st_mode & 0o777 == 0o600
    values = adopter.values
    assert values["compose_stack_public_ports"] == [port]
    assert values["compose_stack_project_dir"] == str(lab.folder)
    assert [row["path"] for row in values["data_dirs_directories"]] == [str(lab.data)]
    again = adopt.adopt(order, stack_scaffold._loader(), False)
    assert not again.changed

    options = {"staged_dir": str(folder), "public_ports": values["compose_stack_public_ports"]}
    plan = lab.info(**options)
    assert plan["problems"] == []
    assert [(row["service"], row["action"]) for row in plan["plan"]] == [("web", "keep")]
    result = lab.stack(**options).converge()
    assert not result.get("failed"), result["msg"]
    assert [row["path"] for row in result["files"]] == [f"{lab.folder}/.onebox-stack"]
    assert lab.states() == states
    assert (lab.folder / "uploads/photo").read_text() == "precious"
    assert lab.stack(**options).converge()["changed"] is False


@TWO
def test_site_changes_nothing_after_adopt(adopter: Adopter, lab: Lab) -> None:
    states = lab.states()
    said = adopter.play("adopt", "-e", f"project={lab.project}")
    assert "canary-77aa" not in said
    said = adopter.play("site", "--skip-tags", "engine")
    assert re.search(r"box\s+: .*changed=0 .*failed=0", said), said
    assert lab.states() == states


@pytest.mark.parametrize("lab", ["docker+2.40"], indirect=True)
def test_unknown_project_is_refused_with_the_known_ones(adopter: Adopter, lab: Lab) -> None:
    said = " ".join(adopter.play("adopt", "-e", "project=nothing", code=2).split())
    assert "nothing is not a compose project of this host" in said
    assert lab.project in said
    assert not adopter.stacks.exists()
    assert os.listdir(adopter.inventory) == ["hosts.yml"]
