# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""down.yml and retire.yml remove nothing without the name of the stack, and refuse several hosts without a limit."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
BIN = pathlib.Path(sys.executable).parent
# A name that the role compose_stack refuses, after the question and before any change.
STACKS = {"one": "Stack One", "two": "Stack Two"}
REMOVES = "is not a name for a stack"
BOTH = pytest.mark.parametrize("name", ["down", "retire"])
# A question of retire.yml that fails after the confirmation and before any change.
CLOSED = [{"url": "http://127.0.0.1:9/"}]


class Hosts:
    """Two hosts, which are this machine, with one stack each."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._inventory = folder / "hosts.json"
        common = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "compose_stack_state_dir": str(folder / "state"),
            "compose_stack_http_checks": CLOSED,
        }
        hosts = {host: {**common, "onebox_stack": stack} for host, stack in STACKS.items()}
        self._inventory.write_text(json.dumps({"all": {"hosts": hosts}}))
        env = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        env.update(ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"), ANSIBLE_HOME=str(folder / ".ansible"))
        env.update(LC_ALL="C.UTF-8", ANSIBLE_NOCOLOR="1", COLUMNS="200", TERM="dumb")
        self._env = env

    def argv(self, name: str, *words: str) -> list[str]:
        playbook = str(ROOT / "playbooks" / f"{name}.yml")
        return [str(BIN / "ansible-playbook"), "-i", str(self._inventory), playbook, *words]

    def play(self, name: str, *words: str) -> str:
        done = subprocess.run(
            self.argv(name, *words),
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr


def confirmed(name: str, output: str) -> bool:
    """Whether the play went past the confirmation."""
    return REMOVES in output if name == "down" else "127.0.0.1:9" in output


@pytest.fixture
def hosts(tmp_path: pathlib.Path) -> Hosts:
    return Hosts(tmp_path)


@BOTH
def test_several_hosts_without_a_limit_are_refused(hosts: Hosts, name: str) -> None:
    output = " ".join(hosts.play(name, "-e", "confirm=Stack One,Stack Two").split())
    assert "on 2 hosts: one, two. Name hosts with -l, or add -e yes=all" in output
    assert not confirmed(name, output)


@BOTH
def test_several_hosts_need_the_name_of_each_stack(hosts: Hosts, name: str) -> None:
    output = hosts.play(name, "-l", "one,two", "-e", '{"confirm": "Stack One"}')
    flat = " ".join(output.split())
    assert "on two, set the name of its stack, as in -e confirm=Stack Two" in flat
    assert "on one, set" not in flat


@BOTH
def test_yes_all_answers_for_all_hosts(hosts: Hosts, name: str) -> None:
    assert confirmed(name, hosts.play(name, "-e", "yes=all"))


@BOTH
def test_missing_name_removes_nothing(hosts: Hosts, name: str) -> None:
    output = hosts.play(name, "-l", "one")
    assert "Nothing was changed" in output
    assert not confirmed(name, output)


@BOTH
def test_name_of_the_stack_confirms(hosts: Hosts, name: str) -> None:
    assert confirmed(name, hosts.play(name, "-l", "one", "-e", '{"confirm": "Stack One"}'))


def test_check_mode_has_no_question(hosts: Hosts) -> None:
    assert confirmed("down", hosts.play("down", "-l", "one", "--check"))
