# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ten mistakes of a beginner: site.yml names the problem, the file or variable to edit, and the text to type.

Each message has at most 12 lines.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import socket
import subprocess
import typing as t

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
MOST_LINES = 12


class Beginner:
    """A project directory with one host, which is this machine, and one stack."""

    def __init__(self, folder: pathlib.Path, environ: t.Mapping[str, str], image: str) -> None:
        self.folder = folder
        self.name = f"obx-beginner-{os.getpid()}"
        (folder / "data").mkdir()
        self.values: dict[str, t.Any] = {
            "onebox_stack": self.name,
            "onebox_engine": "docker",
            "onebox_root": str(folder / "deployed"),
            "onebox_state_dir": str(folder / "state"),
            "compose_stack_boot": False,
            "compose_stack_wait_timeout": 20,
            "compose_stack_env": {"LEVEL": "info"},
        }
        self.service: dict[str, t.Any] = {
            "image": image,
            "command": ["sh", "-c", "sleep 1000"],
            "stop_grace_period": "0s",
            "environment": {"LEVEL": "${LEVEL}"},
            "volumes": [f"{folder}/data:/data"],
        }
        host = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
        self.write("hosts.json", json.dumps({"all": {"hosts": {"box": host}}}))
        self.environ = {
            **environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "PATH": f"{ROOT}/.venv/bin:{environ['PATH']}",
            "COLUMNS": "200",
        }

    @property
    def compose(self) -> str:
        return yaml.safe_dump({"services": {"web": self.service}})

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def site(self, values: str = "", compose: str = "") -> str:
        """Run site.yml, which must fail. Returns the text after the last task."""
        self.write("host_vars/box.yml", values or yaml.safe_dump(self.values))
        self.write(f"stacks/{self.name}/compose.yml", compose or self.compose)
        argv = ["ansible-playbook", "-i", "hosts.json", str(ROOT / "playbooks/site.yml"), "--skip-tags", "engine"]
        done = subprocess.run(
            argv, cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=900, check=False
        )
        said = done.stdout + done.stderr
        assert done.returncode != 0, said
        found = re.search(r"box failed at: .*?\n(.+)\Z", said, re.DOTALL)
        # Without a task that failed, Ansible ended the run when it read a file: all that follows the last heading.
        return (found[1] if found else re.split(r"(?m)^(?:PLAY|TASK) \[.*\n", said)[-1]).strip()

    def clean(self) -> None:
        label = f"label=com.docker.compose.project={self.name}"
        listed = ["docker", "ps", "--all", "--quiet", "--filter", label]
        ids = subprocess.run(listed, env=self.environ, capture_output=True, text=True, check=True).stdout.split()
        if ids:
            subprocess.run(["docker", "rm", "--force", *ids], env=self.environ, capture_output=True, check=True)
        network = ["docker", "network", "rm", f"{self.name}_default"]
        subprocess.run(network, env=self.environ, capture_output=True, check=False)


@pytest.fixture
def beginner(tmp_path: pathlib.Path, compose_v2, tiny_image: str) -> t.Iterator[Beginner]:
    made = Beginner(tmp_path, compose_v2.environ, tiny_image)
    yield made
    made.clean()


def names(message: str, *parts: str) -> None:
    """The message has each part, and at most the lines that a person reads."""
    flat = " ".join(message.split())
    missing = [part for part in parts if part not in flat]
    assert not missing, f"{missing} not in:\n{message}"
    assert len(message.splitlines()) <= MOST_LINES, message


def test_typo_in_a_variable(beginner: Beginner) -> None:
    beginner.values["data_dirs_directorys"] = []
    names(beginner.site(), "host_vars/box.yml:", "data_dirs_directorys", "Did you mean data_dirs_directories?")


def test_indentation_in_host_vars(beginner: Beginner) -> None:
    names(beginner.site(values="onebox_stack: web\n data_dirs_base: /srv\n"), "host_vars/box.yml:2:")


def test_indentation_in_the_compose_file(beginner: Beginner) -> None:
    broken = "services:\n  web:\n    image: web\n   ports: []\n"
    names(beginner.site(compose=broken), f"stacks/{beginner.name}/compose.yml:4:")


def test_missing_value_of_a_required_variable(beginner: Beginner) -> None:
    beginner.values["compose_stack_required_env"] = ["TOKEN"]
    names(beginner.site(), "TOKEN", "compose_stack_env", 'TOKEN: ""')


def test_variable_without_a_value(beginner: Beginner) -> None:
    beginner.service["environment"]["TOKEN"] = "${TOKEN}"
    names(beginner.site(), "TOKEN", "is not set", "compose_stack_env", 'TOKEN: ""')


def test_port_of_another_program(beginner: Beginner) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        beginner.service["ports"] = [f"127.0.0.1:{port}:80"]
        names(beginner.site(), "service web", str(port), "another port")


def test_image_that_does_not_exist(beginner: Beginner) -> None:
    beginner.service["image"] = "localhost:1/acme/no-such-image:1"
    names(beginner.site(), "service web", "localhost:1/acme/no-such-image:1", "compose file")


def test_wrong_user_for_a_directory(beginner: Beginner) -> None:
    beginner.service["user"] = "4711:4711"
    beginner.values["data_dirs_directories"] = [
        {"path": f"{beginner.folder}/data", "owner": "0", "group": "0", "mode": "0750"}
    ]
    names(beginner.site(), "web", f"{beginner.folder}/data", "4711", "data_dirs_directories")


def test_relative_bind_that_leads_out(beginner: Beginner) -> None:
    beginner.service["volumes"] = ["../data:/data"]
    names(beginner.site(), "service web", "../data", "absolute path", "compose_stack_env")


def test_missing_vault_password(beginner: Beginner) -> None:
    beginner.write("password", "correct horse\n")
    words = ["encrypt_string", "--vault-password-file", "password", "--name", "web_password", "hunter2"]
    done = subprocess.run(
        ["ansible-vault", *words], cwd=beginner.folder, env=beginner.environ, capture_output=True, text=True, check=True
    )
    values = yaml.safe_dump(beginner.values) + done.stdout[done.stdout.index("web_password:") :]
    names(beginner.site(values=values), "host_vars/box.yml", "--ask-vault-pass")
