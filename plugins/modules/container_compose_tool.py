# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install a compose tool beside the system, where the distribution has none that will do."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_compose_tool
short_description: Have a compose tool that fits the engine, installed beside the system if need be
version_added: 0.1.0
description:
  - Uses the compose tool that is here and fits the engine; else, as on Debian 12, installs one beside the system.
  - For Podman, installs C(podman-compose) by pip into a virtual environment of its own.
  - For Docker, unpacks docker compose v2 and buildx from a newer Debian release, taken from the mirror this host's apt
    uses and verified by apt, without adding an apt source or touching the package database.
  - The tool is complete before it is linked, so an interrupted run leaves the former one.
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
      - The engine the tool is for; V(auto) takes Docker when it answers, else Podman.
      - Without an engine nothing is done.
    type: str
    choices: [auto, docker, podman]
    default: auto
  requirement:
    description:
      - What pip installs for Podman.
    type: str
    default: podman-compose==1.6.0
  suite:
    description:
      - The Debian release docker compose is taken from.
    type: str
    default: trixie
  base:
    description:
      - Directory the tool is kept below.
      - The default is C(/opt/onebox) for root and C(~/.local/share/onebox) for others.
    type: path
seealso:
  - module: onebox.stack.container_engine_preflight
"""

EXAMPLES = r"""
- name: Have a compose tool for Podman
  onebox.stack.container_compose_tool:
    engine: podman
"""

RETURN = r"""
path:
  description: Path of the tool; empty without an engine, and in check mode when it would be installed.
  returned: always
  type: str
  sample: /opt/onebox/podman-compose/bin/podman-compose
"""

import os
import pathlib

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.compose import provider
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import environment
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup import survey
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup.compose_tool import Installer, ToolError

# Those of the newer release's packages that hold docker's plugins.
PLUGINS = ("docker-compose", "docker-buildx")
# Not the interpreter this module runs in, which may be a virtual environment that goes away.
PYTHON = "/usr/bin/python3"


def tool_here(engine: Engine, world: World) -> str:
    try:
        return " ".join(provider.find("auto", engine, environment.clean(world.environ), world).argv)
    except ComposeError:
        return ""


def install(engine: str, requirement: str, suite: str, base: str) -> str:
    root = os.geteuid() == 0
    home = str(pathlib.Path.home())
    if engine == "podman":
        installer = Installer(base, "/usr/local/bin" if root else f"{home}/.local/bin")
        return installer.podman_compose(requirement, PYTHON)
    installer = Installer(base, "/usr/local/lib/docker/cli-plugins" if root else f"{home}/.docker/cli-plugins")
    return installer.docker_compose(suite, PLUGINS)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "engine": {"type": "str", "choices": ["auto", "docker", "podman"], "default": "auto"},
            "requirement": {"type": "str", "default": "podman-compose==1.6.0"},
            "suite": {"type": "str", "default": "trixie"},
            "base": {"type": "path"},
        },
        supports_check_mode=True,
    )
    usual = "/opt/onebox" if os.geteuid() == 0 else str(pathlib.Path.home() / ".local/share/onebox")
    base = module.params["base"] or usual
    engine, _problem = survey.look(module.params["engine"])
    if engine is None:
        module.exit_json(changed=False, path="")
        return
    path = tool_here(engine, World.real())
    if path or module.check_mode:
        module.exit_json(changed=not path, path=path)
    try:
        path = install(engine.name, module.params["requirement"], module.params["suite"], base)
    except ToolError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"cannot write below {base}: {error.strerror}; check the permissions and the disk")
    module.exit_json(changed=True, path=path)


if __name__ == "__main__":
    main()
