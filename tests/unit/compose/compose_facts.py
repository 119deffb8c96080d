# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build models, containers and plans for the unit tests, from recorded outputs or by hand."""

from __future__ import annotations

import json
import pathlib

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers import config
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Driver
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.docker_compose.driver import DockerCompose
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose.driver import PodmanCompose
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.quadlet.driver import Quadlet
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import from_config
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.records import Memory, Record
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import parse_inspect

RECORDED = pathlib.Path(__file__).parent / "recorded"
IMAGE_ID = "sha256:" + "a" * 64


def recorded(name: str) -> dict:
    """What a real tool and a real engine said; see the file."""
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))


def model_of(services: dict, *, project_dir: str = "/opt/onebox/shop", **top):
    """A model of a compose file given as Python data."""
    return from_config(
        {"services": services, **top},
        project="shop",
        project_dir=project_dir,
        default_image="shop-{service}",
        unset={},
    )


def inspected(service: str, *, identity: str = "", **changes) -> dict:
    """``inspect`` of a running container of a service, in Docker's shape; ``changes`` go into it by dotted path."""
    data = {
        "Id": identity or (service + "0" * 64)[:64],
        "Name": f"/shop-{service}-1",
        "Image": IMAGE_ID,
        "RestartCount": 0,
        "State": {"Status": "running", "Pid": 4242, "ExitCode": 0, "StartedAt": "2026-11-21T09:00:00.5Z"},
        "Config": {
            "Image": "shop:1",
            "Env": ["PATH=/bin"],
            "Cmd": None,
            "Labels": {
                "com.docker.compose.project": "shop",
                "com.docker.compose.service": service,
                "com.docker.compose.project.working_dir": "/opt/onebox/shop",
                "com.docker.compose.project.config_files": "/opt/onebox/shop/compose.yml",
            },
        },
        "HostConfig": {"RestartPolicy": {"Name": "no"}, "NetworkMode": "shop_default"},
        "Mounts": [],
    }
    for path, value in changes.items():
        target = data
        *parents, last = path.split("__")
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    return data


def container(service: str, **changes):
    """A parsed :func:`inspected`."""
    return parse_inspect(inspected(service, **changes))


def driver(kind="podman-compose", version=(1, 6, 0)) -> Driver:
    """A compose tool of a kind and version that no test starts."""
    known = {"docker-compose": DockerCompose, "podman-compose": PodmanCompose, "quadlet": Quadlet}
    return known[kind]((kind,), tuple(version), {})


def planned(model, containers, *, kind="podman-compose", version=(1, 6, 0), images=None, **facts):
    """The plan, as rows by service."""
    known = {"shop:1": {"Id": IMAGE_ID, "Config": {}}, IMAGE_ID: {"Id": IMAGE_ID, "Config": {}}}
    known.update(images or {})
    orphans = facts.pop("remove_orphans", False)
    networks = facts.pop("networks", ())
    records = {identity: Record("", digest) for identity, digest in facts.pop("digests", {}).items()}
    found = plan.Facts(containers, known, Memory(records), stale=facts.pop("stale", {}), **facts)
    rows = plan.make(model, found, driver=driver(kind, version), remove_orphans=orphans, networks=networks)
    return {row.service: row for row in rows}


def docker_model(record: dict):
    """The model of a recorded ``docker compose config``."""
    return from_config(
        config.unescape(record["config"]),
        project="obxrec",
        project_dir="/tmp/obx-compose-lab/rec",
        default_image="obxrec-{service}",
        unset={},
    )
