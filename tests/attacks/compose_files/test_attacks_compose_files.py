# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compose files that are wrong anywhere: each is planned or refused with a message, none ends with a traceback.

podman-compose does not check the types in its output, so every value may have any type.
"""

from __future__ import annotations

import copy
import random
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import container_names, declaration, outside
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose import (
    keys as podman_compose_keys,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose import (
    limits as podman_compose_limits,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose.driver import PodmanCompose
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import interpolation
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import from_config
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan, resources
from ansible_collections.onebox.stack.plugins.module_utils.engine.resources import Network, Volume

GOOD: dict[str, t.Any] = {
    "services": {
        "web": {
            "image": "shop:1",
            "build": {"context": ".", "additional_contexts": ["base=./base"], "args": {"A": "b"}},
            "command": ["serve", "now"],
            "entrypoint": "sh -c",
            "environment": {"A": "${B:-c}", "N": None},
            "env_file": [{"path": "web.env", "required": False}],
            "networks": {"inner": {"aliases": ["w"]}, "proxy": None},
            "ports": ["127.0.0.1:80:80", {"target": 443, "published": "8443", "host_ip": "127.0.0.1"}],
            "volumes": ["data:/data", {"type": "bind", "source": "/srv", "target": "/srv", "read_only": True}],
            "depends_on": {"db": {"condition": "service_healthy", "restart": True}},
            "deploy": {"resources": {"reservations": {"devices": [{"driver": "nvidia", "capabilities": ["gpu"]}]}}},
            "healthcheck": {"test": ["CMD", "true"]},
            "devices": ["/dev/null:/dev/null"],
            "labels": ["a=b"],
            "links": ["db:database"],
            "profiles": [],
            "restart": "on-failure:3",
            "scale": 1,
            "secrets": ["password"],
            "stop_grace_period": "10s",
            "develop": {"watch": [{"action": "restart", "path": "./x"}]},
            "extra_hosts": ["a:10.0.0.1"],
        },
        "db": {"image": "db:1", "network_mode": "host", "volumes_from": [], "provider": None},
    },
    "networks": {
        "inner": {"driver": "bridge", "driver_opts": {"mtu": "1400"}, "ipam": {"config": [{"subnet": "10.0.0.0/24"}]}},
        "proxy": {"external": True},
    },
    "volumes": {"data": {"driver_opts": {"type": "none", "o": "bind", "device": "/srv"}, "labels": {"a": "b"}}},
    "secrets": {"password": {"file": "./password"}},
}
WRONG = (
    None,
    True,
    0,
    -1,
    3.5,
    "",
    "x",
    "${",
    ":",
    "/",
    "a:b:c:d",
    "\0",
    [],
    ["x"],
    [None],
    [[]],
    {},
    {"x": "y"},
    {"x": None},
)


def places(value: t.Any, path: tuple = ()) -> t.Iterator[tuple]:
    """The path of every value."""
    if path:
        yield path
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in rows:
        yield from places(inner, (*path, key))


def spoiled(chance: random.Random, path: tuple) -> dict[str, t.Any]:
    """The good file with another value at ``path``."""
    data = copy.deepcopy(GOOD)
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = copy.deepcopy(chance.choice(WRONG))
    return data


def judge(data: dict[str, t.Any]) -> None:
    """All checks of a model before anything is changed."""
    values = {"COMPOSE_PROJECT_NAME": "shop"}
    here = interpolation.used(data, interpolation.taken(data.get("services"), ["x"]))
    interpolation.unset(here, values)
    list(podman_compose_limits.unsupported("compose.yml", here, values))
    podman_compose_keys.left_out("compose.yml", here, (1, 6, 0))
    model = from_config(data, project="shop", project_dir="/opt/shop", default_image="x_{service}", unset={})
    driver = PodmanCompose(("podman-compose",), (1, 6, 0), {})
    source = Source("shop", "/opt/shop", ("/opt/shop/compose.yml",), "", ())
    declaration.declared(model, source, declaration.Rules())
    outside.declared(model)
    outside.devices(model)
    network = Network("n", "shop_inner", "bridge", False, False, False, {}, (), {})
    found = resources.Found({"shop_inner": network}, {"shop_data": Volume("shop_data", "local", {})})
    rows = resources.plan(model, found, driver)
    resources.remembered(model, found, rows)
    outside.resources_problems(model, found, rows, driver, lambda identity: [], [])
    facts = plan.Facts([], {}, outside=found)
    made = plan.make(model, facts, driver=driver, remove_orphans=True, networks=["inner"])
    container_names.taken(model, made, {}, driver, "podman")


def test_value_of_another_shape_anywhere_never_ends_with_a_traceback(tally, how_many):
    judge(copy.deepcopy(GOOD))
    chance = random.Random(6)
    wheres = list(places(GOOD))
    bad = []
    tried = how_many(3000, 10000)
    for number in range(tried):
        path = wheres[number % len(wheres)]
        data = spoiled(chance, path)
        try:
            judge(data)
        except ComposeError:
            pass
        except Exception as error:
            bad.append(f"{'.'.join(map(str, path))}: {type(error).__name__}: {error}")
    print("\n".join(sorted(set(bad))))
    tally("a value of another shape in a compose file: tracebacks", tried, len(bad))
