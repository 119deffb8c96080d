# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install a compose tool next to the system, if the distribution has no suitable one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_compose_tool
short_description: Install a compose tool that fits the engine
version_added: 0.1.0
description:
  - Uses an installed compose tool that fits the engine. Otherwise, as on Debian 12, installs one below O(base).
  - For Podman, installs C(podman-compose) with pip into its own virtual environment.
  - For Docker, unpacks docker compose v2 and buildx from a newer Debian release, taken from the mirror this host's apt
    uses and verified by apt, without adding an apt source or touching the package database.
  - The tool is complete before it is linked, so an interrupted run keeps the previous one.
author:
  - The onebox.stack developers (@onebox-stack)
attributes:
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: none
options:
  engine:
    description:
      - The engine the tool is for; V(auto) uses Docker if it answers, else Podman.
      - Without an engine, nothing changes.
    type: str
    choices: [auto, docker, podman]
    default: auto
  requirement:
    description:
      - Requirement that pip installs for Podman.
    type: str
    default: podman-compose==1.6.0
  suite:
    description:
      - Debian release to download docker compose from.
    type: str
    default: trixie
  base:
    description:
      - Directory to install the tool below.
      - The default is C(/opt/onebox) for root and C(~/.local/share/onebox) for others.
    type: path
seealso:
  - module: onebox.stack.container_engine_preflight
"""

EXAMPLES = r"""
- name: Install a compose tool for Podman
  onebox.stack.container_compose_tool:
    engine: podman
"""

RETURN = r"""
path:
  description: Path of the tool; empty without an engine, and in check mode if it would be installed.
  returned: always
  type: str
  sample: /opt/onebox/podman-compose/bin/podman-compose
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers import find
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import environment
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup import survey
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup.compose_tool import Installer

# Those of the newer release's packages that hold docker's plugins.
PLUGINS = ("docker-compose", "docker-buildx")
# Not the interpreter this module runs in, which may be a temporary virtual environment.
PYTHON = "/usr/bin/python3"


def tool_here(engine: Engine, world: World) -> str:
    try:
        return " ".join(find.find("auto", engine, environment.clean(world.environ), world).argv)
    except ComposeError:
        return ""


def install(engine: str, requirement: str, suite: str, base: str, world: World) -> str:
    if engine == "podman":
        links = "/usr/local/bin" if world.is_root else os.path.join(world.home, ".local/bin")
        return Installer(base, links, world).podman_compose(requirement, PYTHON)
    plugins = "/usr/local/lib/docker" if world.is_root else os.path.join(world.home, ".docker")
    return Installer(base, os.path.join(plugins, "cli-plugins"), world).docker_compose(suite, PLUGINS)


def _run(module: AnsibleModule) -> dict[str, t.Any]:
    given, world = module.params, World.real()
    usual = "/opt/onebox" if world.is_root else os.path.join(world.home, ".local/share/onebox")
    base = given["base"] or usual
    engine, _problem = survey.look(given["engine"], world)
    if engine is None:
        return {"changed": False, "path": ""}
    path = tool_here(engine, world)
    if path or module.check_mode:
        return {"changed": not path, "path": path}
    return {"changed": True, "path": install(engine.name, given["requirement"], given["suite"], base, world)}


def main() -> None:
    run_module(
        _run,
        argument_spec={
            "engine": {"type": "str", "choices": ["auto", "docker", "podman"], "default": "auto"},
            "requirement": {"type": "str", "default": "podman-compose==1.6.0"},
            "suite": {"type": "str", "default": "trixie"},
            "base": {"type": "path"},
        },
    )


if __name__ == "__main__":
    main()
