# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/check.yml names every beginner's mistake with its file and line, and connects to no host."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
BIN = pathlib.Path(sys.executable).parent
COMPOSE = "services:\n  web:\n    image: web\n    develop: !reset null\n"


class Project:
    """A user's project directory with one host that cannot be reached."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.write("inventory.yml", "all: {hosts: {box: {ansible_host: unreachable.invalid}}}\n")
        self.write("ansible.cfg", "[defaults]\ncallbacks_enabled = onebox.stack.progress\n")
        self.write("host_vars/box.yml", "onebox_stack: web\n")
        self.write("stacks/web/compose.yml", COMPOSE)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, program: str, *words: str) -> tuple[int, str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        env.update(ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"), ANSIBLE_HOME=str(self.folder / ".ansible"))
        env.update(LC_ALL="C.UTF-8", ANSIBLE_NOCOLOR="1", COLUMNS="200")
        done = subprocess.run(
            [str(BIN / program), *words], cwd=self.folder, env=env, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def check(self) -> tuple[int, str]:
        return self.run("ansible-playbook", "-i", "inventory.yml", str(ROOT / "playbooks" / "check.yml"))


@pytest.fixture
def project(tmp_path: pathlib.Path) -> Project:
    return Project(tmp_path)


def test_right_values_pass_without_reaching_the_host(project: Project) -> None:
    code, output = project.check()
    assert code == 0, output


def test_all_mistakes_in_names_and_files_are_reported_at_once(project: Project) -> None:
    project.write(
        "host_vars/box.yml", "---\nonebox_stack: web\ndata_dirs_directorys: []\ncompose_stack_requierd_env: [A]\n"
    )
    project.write("stacks/web/compose.yml", "services:\n  web:\n    image: web\n   ports: []\n")
    code, output = project.check()
    assert code == 2
    assert "host_vars/box.yml:3: data_dirs_directorys is not a variable" in output
    assert "Did you mean data_dirs_directories?" in output
    assert "host_vars/box.yml:4: compose_stack_requierd_env is not a variable" in output
    assert "Did you mean compose_stack_required_env?" in output
    assert "stacks/web/compose.yml:4:" in output
    assert "UNREACHABLE" not in output


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("{}\n", "onebox_stack is not set"),
        ("onebox_stack: other\n", "There is no folder"),
        ("onebox_stack: web\ncompose_stack_files: [more.yml]\n", "more.yml does not exist"),
    ],
)
def test_missing_part_of_the_stack_is_named(project: Project, values: str, message: str) -> None:
    project.write("host_vars/box.yml", values)
    code, output = project.check()
    assert code == 2
    assert message in output


def test_values_that_are_not_yaml_are_named_with_their_line(project: Project) -> None:
    project.write("host_vars/box.yml", "onebox_stack: web\n data_dirs_base: /srv\n")
    code, output = project.check()
    assert code != 0
    assert "host_vars/box.yml:2:" in output


@pytest.mark.parametrize("whole_file", [True, False])
def test_missing_vault_password_is_named(project: Project, whole_file: bool) -> None:
    project.write("password", "correct horse\n")
    if whole_file:
        code, output = project.run("ansible-vault", "encrypt", "--vault-password-file", "password", "host_vars/box.yml")
    else:
        words = ["encrypt_string", "--vault-password-file", "password", "--name", "web_password", "hunter2"]
        code, output = project.run("ansible-vault", *words)
        project.write("host_vars/box.yml", "onebox_stack: web\n" + output[output.index("web_password:") :])
    assert code == 0, output
    code, output = project.check()
    assert code != 0
    assert "Add --ask-vault-pass or --vault-password-file" in output
    assert "host_vars/box.yml" in output
