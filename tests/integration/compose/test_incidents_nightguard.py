# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong with nightguard and its Podman secrets: named before anything is changed, and fixed."""

from __future__ import annotations

import json

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack
from onebox_testbed import ports
from real_stack import RealStack, ask

NAMES = ("gemini_api_key", "telegram_bot_token")
CANARY = "canary-nightguard-41c7"


@pytest.fixture
def nightguard(make_lab):
    """The stack, declared and not yet deployed, with secrets of its own."""
    stack = make_lab("podman-compose", RealStack)
    stack.take(
        "nightguard", NIGHTGUARD_DATA_DIR=stack.directory("nightguard", 10097), NIGHTGUARD_PORT=str(ports.claim())
    )
    # Podman has one set of names for the whole machine.
    file = stack.folder / "compose.yml"
    text = file.read_text().replace("localhost/nightguard:latest", f"localhost/{stack.project}:1")
    text = text.replace("container_name: 97layer-nightguard", f"container_name: {stack.project}")
    file.write_text(text.replace("127.0.0.1:8897", "127.0.0.1:8897"))
    names = {name: f"{stack.project}-{name}" for name in NAMES}
    program = stack.folder / "app" / "nightguard.py"
    for name, own in names.items():
        file.write_text(file.read_text().replace(name, own))
        program.write_text(program.read_text().replace(f'"{name}"', f'"{own}"'))
    stack.secrets = list(names.values())
    yield stack
    for name in stack.secrets:
        stack.backend.cli("secret", "rm", name, check=False)


def keep(stack: RealStack, name: str, value: str) -> None:
    place = stack.root / "value"
    place.write_text(value)
    stack.backend.cli("secret", "rm", name, check=False)
    stack.backend.cli("secret", "create", name, str(place))
    place.unlink()


def deployed(stack: RealStack) -> dict:
    for name in stack.secrets:
        keep(stack, name, f"{CANARY}-{name}")
    return stack.deploy()


def held(stack: RealStack, name: str) -> str:
    return stack.backend.cli("exec", stack.project, "cat", f"/run/secrets/{name}")


def test_secrets_missing_in_podman_are_all_named(nightguard):
    keep(nightguard, nightguard.secrets[0], "x")
    nightguard.write()
    with pytest.raises(BadStack) as caught:
        nightguard.stack().converge()
    (problem,) = caught.value.problems
    assert (problem.code, problem.where) == ("no_secret", f"secret {nightguard.secrets[1]}")
    assert nightguard.containers() == {}


def test_new_value_reaches_the_container_and_an_old_one_costs_nothing(nightguard):
    deployed(nightguard)
    assert ask(nightguard.variables["NIGHTGUARD_PORT"], "/status")["ok"] is True
    name = nightguard.secrets[0]
    assert held(nightguard, name) == f"{CANARY}-{name}"
    assert nightguard.rows() == {"nightguard": ("keep", ())}

    keep(nightguard, name, "another")
    # Podman copied the old one when it made the container; a restart does not help.
    nightguard.backend.cli("restart", "-t", "3", nightguard.project)
    assert held(nightguard, name) == f"{CANARY}-{name}"
    assert nightguard.rows() == {"nightguard": ("recreate", ("secret_changed",))}
    nightguard.deploy()
    assert held(nightguard, name) == "another"
    assert nightguard.rows() == {"nightguard": ("keep", ())}


def test_changed_program_is_built(nightguard):
    deployed(nightguard)
    before = nightguard.ids()
    program = nightguard.folder / "app" / "nightguard.py"
    program.write_text(program.read_text().replace('"started":', '"release": 2, "started":'))
    assert nightguard.rows() == {"nightguard": ("rebuild", ("build_context_changed",))}
    nightguard.deploy()
    assert nightguard.ids() != before
    assert ask(nightguard.variables["NIGHTGUARD_PORT"], "/status")["release"] == 2


def test_values_are_in_no_result_no_state_no_image_and_no_inspect(nightguard):
    results = [deployed(nightguard), nightguard.info()]
    keep(nightguard, nightguard.secrets[0], f"{CANARY}-new")
    results += [nightguard.info(), nightguard.deploy(), nightguard.info()]
    image = nightguard.backend.cli("image", "inspect", f"localhost/{nightguard.project}:1")
    history = nightguard.backend.cli("history", "--no-trunc", f"localhost/{nightguard.project}:1")
    container = nightguard.backend.cli("inspect", nightguard.project)
    logs = nightguard.backend.cli("logs", nightguard.project)
    written = [path.read_text() for path in nightguard.root.rglob("*") if path.is_file()]
    for text in (json.dumps(results), image, history, container, logs, *written):
        assert CANARY not in text


def test_docker_compose_on_podmans_socket_is_refused(make_lab):
    stack = make_lab("podman+2.40", RealStack)
    stack.take(
        "nightguard", NIGHTGUARD_DATA_DIR=stack.directory("nightguard", 10097), NIGHTGUARD_PORT=str(ports.claim())
    )
    stack.write()
    with pytest.raises(BadStack) as caught:
        stack.stack().converge()
    assert {problem.code for problem in caught.value.problems} == {"external_secret"}
    assert "podman-compose" in str(caught.value)
