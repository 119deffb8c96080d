# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data map of the five stacks of this repository: nothing is at risk, until a mount is removed."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
import yaml
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container, parse_inspect
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state import messages, survey
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state.place import Place

STACKS = pathlib.Path(__file__).parents[3] / "stacks"
NAMES = ("97layer", "coinpilot", "nightguard", "observer", "omnivibe")
# What the public images declare.
IMAGES: dict[str, dict[str, t.Any]] = {
    "postgres": {
        "Env": ["PGDATA=/var/lib/postgresql/data", "PG_MAJOR=15"],
        "Entrypoint": ["docker-entrypoint.sh"],
        "Cmd": ["postgres"],
        "Volumes": {"/var/lib/postgresql/data": {}},
    },
    "redis": {
        "Entrypoint": ["docker-entrypoint.sh"],
        "Cmd": ["redis-server"],
        "WorkingDir": "/data",
        "Volumes": {"/data": {}},
    },
    "prometheus": {"Entrypoint": ["/bin/prometheus"], "WorkingDir": "/prometheus", "Volumes": {"/prometheus": {}}},
    "grafana": {"Env": ["GF_PATHS_DATA=/var/lib/grafana"], "Entrypoint": ["/run.sh"]},
    "n8n": {"Entrypoint": ["tini", "--", "/docker-entrypoint.sh"], "WorkingDir": "/home/node"},
}
# The mount whose loss must be noticed in each stack: service and destination.
LOST = {
    "coinpilot": ("db", "/var/lib/postgresql/data"),
    "observer": ("postgres", "/var/lib/postgresql/data"),
    "omnivibe": ("redis", "/data"),
}


class Paper(Engine):
    """An engine that knows the public images."""

    name = "docker"

    def __init__(self) -> None:
        pass

    def image(self, reference: str) -> dict[str, t.Any] | None:
        return {"Config": IMAGES.get(reference, {})}


def containers(stack: str, without: tuple[str, str] = ("", "")) -> list[Container]:
    """The containers of a stack, as an engine inspects them.

    Args:
        without: service and destination of a mount that is missing. Its image's VOLUME becomes anonymous.
    """
    text = (STACKS / stack / "compose.yml").read_text(encoding="utf-8")
    body = yaml.safe_load(re.sub(r"\$\{[^}]*\}", "/srv/x", text))
    return [_container(stack, name, service, without) for name, service in body["services"].items()]


def _container(stack: str, name: str, service: dict[str, t.Any], without: tuple[str, str]) -> Container:
    image = str(service.get("image", f"{stack}-{name}"))
    key = image.rpartition("/")[2].partition(":")[0]
    config = IMAGES.get(key, {})
    env = service.get("environment") or {}
    lines = [f"{k}={v}" for k, v in env.items()] if isinstance(env, dict) else [str(line) for line in env]
    mounts = []
    for row in service.get("volumes") or ():
        source, target, *options = str(row).split(":")
        if (name, target) != without:
            mounts.append(
                {"Type": "bind", "Source": source, "Destination": target, "RW": options != ["ro"], "Name": ""}
            )
    for volume in config.get("Volumes", ()):
        if not any(row["Destination"] == volume for row in mounts):
            mounts.append({"Type": "volume", "Source": "", "Destination": volume, "RW": True, "Name": "a" * 64})
    command = service.get("command")
    return parse_inspect(
        {
            "Id": name,
            "Name": f"/{stack}-{name}-1",
            "Image": key,
            "State": {"Status": "running"},
            "Config": {
                "Image": image,
                "Env": [*config.get("Env", ()), *lines],
                "Cmd": command.split() if isinstance(command, str) else command or config.get("Cmd"),
                "Entrypoint": config.get("Entrypoint"),
                "Labels": {"com.docker.compose.service": name, "com.docker.compose.project": stack},
                "WorkingDir": config.get("WorkingDir", ""),
            },
            "HostConfig": {"Tmpfs": {str(path).partition(":")[0]: "" for path in service.get("tmpfs") or ()}},
            "Mounts": mounts,
        }
    )


def survey_of(found: t.Sequence[Container]) -> list[Place]:
    seen = [survey.Seen(each, {}, frozenset(row.destination for row in each.mounts)) for each in found]
    return survey.look(Paper(), seen, [], 1.0, local=False, world=World.real())


@pytest.mark.parametrize("stack", NAMES)
def test_stack_with_all_its_mounts_has_no_finding(stack: str) -> None:
    rows = survey_of(containers(stack))
    assert [row for row in rows if row.at_risk or row.fails] == []
    assert messages.headline(rows) == ""
    assert rows, "the map is empty"


@pytest.mark.parametrize(("stack", "mount"), LOST.items())
def test_stack_without_the_mount_of_its_database_is_named(stack: str, mount: tuple[str, str]) -> None:
    rows = [row for row in survey_of(containers(stack, mount)) if row.at_risk]
    assert [(row.service, row.path, row.fails) for row in rows] == [(*mount, True)]
    assert messages.headline(rows) != ""
