# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module stack_watch against a stack that compose_stack deployed and somebody changed by hand."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import pytest
from examples_runner import run_tasks
from onebox_testbed import compose as testbed_compose

PROJECT = f"obx-drift-{os.getpid()}"
IMAGE = f"localhost/{PROJECT}:latest"
PLAN = "ansible-playbook playbooks/plan.yml -l demo"


class Change(t.NamedTuple):
    """A change by hand, the end of it, and the finding: code, place, part of the text, and command.

    Attributes:
        do, undo: shell commands. ``undo`` is empty where a deploy alone ends the change.
        deploy: whether a deploy follows ``undo``.
    """

    name: str
    do: str
    undo: str
    code: str
    where: str
    what: str
    fix: str
    deploy: bool = False


def changes(engine: str, folder: pathlib.Path) -> list[Change]:
    web = f"{PROJECT}-web-1"
    labels = f"--label com.docker.compose.project={PROJECT} --label com.docker.compose.service"
    # The testbed names a configuration for Compose that Podman's command does not find.
    command = f"env -u DOCKER_CONFIG {engine}"
    by_hand = f"{command} run -d --name"
    return [
        Change(
            "compose file changed",
            f"sed -i s/info/debug/ {folder}/compose.yml",
            f"sed -i s/debug/info/ {folder}/compose.yml",
            "drift",
            f"{PROJECT}/web",
            "a deploy would recreate it: env_changed (environment.LEVEL)",
            PLAN,
        ),
        Change(
            "bound file edited",
            f"echo 'level = 2' >> {folder}/app.conf",
            f"printf 'level = 1\\n' > {folder}/app.conf",
            "drift",
            f"{PROJECT}/web",
            f"a deploy would restart it: config_changed (files.{folder}/app.conf)",
            PLAN,
        ),
        Change(
            "bound file replaced",
            f"cp {folder}/app.conf {folder}/new && mv {folder}/new {folder}/app.conf",
            f"{command} restart {web}",
            "mount_broken",
            f"{PROJECT}/web:/etc/app.conf",
            "stale_file",
            f"{engine} restart {web}",
        ),
        Change(
            "container of another service",
            f"{by_hand} {PROJECT}-extra-1 {labels}=extra {IMAGE} sleep 1000",
            f"{command} rm -f {PROJECT}-extra-1",
            "drift_undeclared",
            f"{PROJECT}/{PROJECT}-extra-1",
            f"container {PROJECT}-extra-1 of service extra was not deployed with {PROJECT}",
            f"{engine} rm -f {PROJECT}-extra-1",
        ),
        Change(
            "container made again by hand",
            f"{command} rm -f {web} && {by_hand} {web} {labels}=web -e LEVEL=high {IMAGE} sleep 1000",
            f"{command} rm -f {web}",
            "drift",
            f"{PROJECT}/web",
            "environment.LEVEL",
            PLAN,
            True,
        ),
        Change(
            "image changed",
            f"{command} commit -c 'LABEL changed=yes' {web} {IMAGE}",
            "",
            "drift",
            f"{PROJECT}/web",
            "a deploy would recreate it: image_changed",
            PLAN,
            True,
        ),
    ]


def watched(engine: t.Any, folder: pathlib.Path) -> list[dict[str, t.Any]]:
    """The tasks: deploy, install the watch, and check before, during and after each change."""
    plugin = str(testbed_compose.plugin("sid"))
    options = {
        "project_dir": str(folder),
        "engine": engine.name,
        "socket": engine.socket,
        "provider": "docker-compose",
        "provider_path": plugin,
        "state_dir": str(folder.parent / "state"),
    }
    deploy = {"onebox.stack.compose_stack": {"name": PROJECT, "wait_timeout": 60, **options}}
    stack = {key: options[key] for key in ("engine", "socket", "state_dir")}
    config = str(folder.parent / "etc" / "demo.json")
    declaration = {"version": 1, "name": "demo", "state_dir": str(folder.parent / "watch"), "units": [], "clock": False}
    installed = {
        "path": str(folder.parent / "bin" / "onebox-watch"),
        "plan_path": str(folder.parent / "bin" / "onebox-plan"),
        "config": config,
        "declaration": {**declaration, "paths": [str(folder)], "stacks": [{"name": PROJECT, **stack}]},
        "plans": {PROJECT: options},
    }
    check = {"onebox.stack.stack_watch": {"config": config}}
    tasks: list[dict[str, t.Any]] = [
        {"name": "deploy", **deploy},
        {"name": "install", "onebox.stack.stack_watch_runner": installed},
        {"name": "as deployed", **check},
    ]
    for each in changes(engine.name, folder):
        tasks += [
            {"name": f"change: {each.name}", "ansible.builtin.shell": {"cmd": each.do}},
            {"name": each.name, **check},
            {"name": f"undo: {each.name}", "ansible.builtin.shell": {"cmd": each.undo or "true"}},
            *([{"name": f"deploy after: {each.name}", **deploy}] if each.deploy else []),
            {"name": f"after: {each.name}", **check},
        ]
    return tasks


@pytest.fixture(params=["docker", "podman"])
def engine(request: pytest.FixtureRequest) -> t.Any:
    return request.getfixturevalue(f"{request.param}_engine")


@pytest.fixture
def folder(engine: t.Any, tiny_image: str, tmp_path: pathlib.Path) -> t.Iterator[pathlib.Path]:
    """The deploy directory of a stack with one service and a bound file."""
    found = tmp_path / "stack"
    found.mkdir()
    (found / "app.conf").write_text("level = 1\n")
    web = {
        "image": IMAGE,
        "command": ["sleep", "1000"],
        "stop_grace_period": "0s",
        "environment": {"LEVEL": "info"},
        "volumes": ["./app.conf:/etc/app.conf:ro"],
        "logging": {"options": {"max-size": "1m"}},
    }
    (found / "compose.yml").write_text(json.dumps({"services": {"web": web}}))
    engine.run("tag", tiny_image, IMAGE)
    yield found
    label = f"label=com.docker.compose.project={PROJECT}"
    for name in engine.run("ps", "-aq", "--filter", label).stdout.split():
        engine.run("rm", "-f", name, check=False)
    engine.run("network", "rm", f"{PROJECT}_default", check=False)
    engine.run("rmi", "-f", IMAGE, check=False)


def test_change_by_hand_is_drift_with_the_command_to_type(
    engine: t.Any, folder: pathlib.Path, shown: t.Callable[[str, str, str], None]
) -> None:
    plugin = pathlib.Path(testbed_compose.plugin("sid"))
    environment = {**engine.env, "DOCKER_CONFIG": str(plugin.parents[1])}
    results = run_tasks(watched(engine, folder), environment=environment)

    def findings(name: str) -> dict[tuple[str, str], dict[str, t.Any]]:
        others = ("watch_silent", "image_old")  # nothing runs the timer here
        rows = [row for row in results[name]["findings"] if row["code"] not in others]
        return {(row["code"], row["where"]): row for row in rows}

    assert findings("as deployed") == {}
    for each in changes(engine.name, folder):
        row = findings(each.name).get((each.code, each.where))
        assert row is not None, (each.name, results[each.name]["lines"])
        assert each.what in row["what"]
        assert row["fix"].split("  # ")[0] == each.fix
        assert findings(f"after: {each.name}") == {}, each.name
        shown(f"{each.name} ({engine.name})", row["what"], row["fix"])
