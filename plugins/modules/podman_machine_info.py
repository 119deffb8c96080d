# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: podman_machine_info
short_description: List all Podman machines of all providers
description:
  - Reads all Podman machines of a user, in all providers. Before Podman 6, Podman's own commands show one provider
    only, so they can miss a machine.
  - Changes nothing.
version_added: 0.1.0
author:
  - The onebox.stack developers (@onebox-stack)
attributes:
  check_mode:
    description: Can run in check mode and return the same as otherwise.
    support: full
  diff_mode:
    description: Returns what changed, or would change, in diff mode.
    support: none
options:
  name:
    description: Read only the machine of this name.
    type: str
  timeout:
    description: Seconds to wait for one command, and for an answer of the API.
    type: float
    default: 30.0
  executable:
    description: Path or name of the podman client.
    type: str
    default: podman
  environment:
    description: Environment variables for podman, for example E(XDG_CONFIG_HOME).
    type: dict
    default: {}
notes:
  - Run it as the user who owns the machines, without C(become). Podman refuses root.
seealso:
  - module: onebox.stack.podman_machine
"""

EXAMPLES = r"""
- name: Inspect all machines
  onebox.stack.podman_machine_info:
  register: found

- name: Show the machines that answer
  ansible.builtin.debug:
    msg: "{{ found.machines | selectattr('healthy') | map(attribute='name') | list }}"
"""

RETURN = r"""
machines:
  description:
    - One entry for each machine, sorted by name, in the form of RV(onebox.stack.podman_machine#module:machine).
  returned: always
  type: list
  elements: dict
  sample:
    - name: 97layerOS
      provider: libkrun
      state: running
      healthy: true
      cpus: 5
      memory_mib: 4768
      disk_gib: 93
"""

import sys
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import paths, read
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.client import Podman


def _run(module: AnsibleModule) -> dict[str, t.Any]:
    given = module.params
    world = World.real()
    extra = {str(key): str(value) for key, value in given["environment"].items()}
    env = paths.environment(extra, world, system=sys.platform)
    found = read.machines(Podman(given["executable"], env, given["timeout"], world))
    rows = [one.as_dict() for one in found if given["name"] in (None, one.name)]
    return {"changed": False, "machines": rows}


def main() -> None:
    run_module(
        _run,
        argument_spec={
            "name": {"type": "str"},
            "timeout": {"type": "float", "default": 30.0},
            "executable": {"type": "str", "default": "podman"},
            "environment": {"type": "dict", "default": {}},
        },
    )


if __name__ == "__main__":
    main()
