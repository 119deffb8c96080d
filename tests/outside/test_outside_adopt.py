# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The built collection adopts a project of plain podman-compose, and a deploy then finds nothing to change.

The project is outside of the home directory, has an override file, and runs in the pod that podman-compose creates.
"""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest
import yaml

if t.TYPE_CHECKING:
    from conftest import Stranger

NAME = "obx-adopted"
FORMAT = "{{.ID}} {{.Names}} {{.Status}} {{.CreatedAt}}"


class Running:
    """The project on this machine, and the directory of the user's inventory."""

    def __init__(self, user: Stranger) -> None:
        self.user = user
        self.folder = user.base / "elsewhere" / NAME
        self.inventory = user.base / "inventory"
        self.files = user.base / "files"
        for folder in (self.folder / "conf", self.folder / "uploads", self.inventory, self.files):
            folder.mkdir(parents=True)
        web = {
            "image": user.environ["NOTES_IMAGE"],
            "command": ["sh", "-c", "exec httpd -f -p 8080"],
            "stop_grace_period": "0s",
            "restart": "unless-stopped",
            "environment": {"TOKEN": "${TOKEN}"},
            "volumes": ["./conf/app.yml:/etc/app.yml", "./uploads:/data", f"{self.files}:/files"],
        }
        (self.folder / "conf/app.yml").write_text("level: info\n")
        (self.folder / "uploads/photo").write_text("precious")
        (self.folder / ".env").write_text("TOKEN=canary-5d1e\n")
        # A deploy sets this mode.
        (self.folder / ".env").chmod(0o600)
        (self.folder / "compose.yml").write_text(yaml.safe_dump({"services": {"web": web}}))
        override = {"services": {"web": {"environment": {"LEVEL": "debug"}}}}
        (self.folder / "compose.override.yml").write_text(yaml.safe_dump(override))
        host = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
        values = {"onebox_state_dir": str(user.base / "adopted-state")}
        self.inventory.joinpath("inventory.yml").write_text(json.dumps({"all": {"hosts": {"box": {**host, **values}}}}))

    def containers(self) -> str:
        words = ["podman", "ps", "--all", "--filter", f"label=com.docker.compose.project={NAME}", "--format", FORMAT]
        return re.sub(r"Up .*? (?=\d{4}-)", "Up ", self.user.run(*words))

    def play(self, name: str, *words: str) -> str:
        argv = ["ansible-playbook", "-i", "inventory.yml", f"onebox.stack.{name}", "-l", "box", *words]
        return self.user.run(*argv, cwd=self.inventory)


@pytest.fixture
def running(stranger: Stranger) -> t.Iterator[Running]:
    found = Running(stranger)
    stranger.run("podman-compose", "up", "-d", cwd=found.folder)
    yield found
    stranger.run("podman-compose", "down", cwd=found.folder)


def test_deploy_after_adopt_changes_nothing(running: Running) -> None:
    before = running.containers()
    assert before
    listed = running.play("adopt")
    assert f"{NAME}: 1 of 1 containers run, by podman-compose" in listed
    assert "onebox.stack.adopt -l box -e project=NAME" in listed
    said = running.play("adopt", "-e", f"project={NAME}")
    assert "canary-5d1e" not in said
    # Next to a folder of this name.
    shipped = running.inventory.parent / "stacks" / NAME
    names = {str(path.relative_to(shipped)) for path in shipped.rglob("*") if path.is_file()}
    assert names == {".env", "compose.yml", "compose.override.yml", "conf/app.yml"}
    values = yaml.safe_load((running.inventory / "host_vars/box.yml").read_text())
    assert (values["onebox_engine"], values["compose_stack_project_dir"]) == ("podman", str(running.folder))
    assert re.search(r"(?m)^box\s+:.*changed=0 .*failed=0", running.play("site", "--skip-tags", "engine"))
    assert running.containers() == before
    assert (running.folder / "uploads/photo").read_text() == "precious"
    report = json.loads((running.user.base / "adopted-state" / NAME / "report.json").read_text())
    assert (report["ok"], {row["verdict"] for row in report["mounts"]}) == (True, {"ok"})
    assert pathlib.Path(running.folder, ".onebox-stack").is_file()
