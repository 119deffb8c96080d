# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_backup_sources
short_description: Propose backup sources for the data of a stack
description:
  - Finds all paths that the containers of a stack persist data to, and proposes a source for each.
  - Names data that no source can contain. Changes nothing.
  - The role C(onebox.stack.backups) uses it if C(backups_sources) is V(auto).
version_added: 0.2.0
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
    description: Name of the stack, which is the name of its compose project.
    type: str
    required: true
  config:
    description: The stack's backup configuration. If the stack has no container, the sources in it are returned.
    type: path
  engine:
    description: The container engine.
    type: str
    choices: [auto, docker, podman]
    default: auto
  socket:
    description: Path of the engine's socket. By default the usual paths are tried.
    type: path
"""

EXAMPLES = r"""
- name: Propose backup sources
  onebox.stack.stack_backup_sources:
    name: blog
  register: proposed

- name: Show the lines for host_vars
  ansible.builtin.debug:
    msg: "{{ {'backups_sources': proposed.sources} | to_nice_yaml }}"
"""

RETURN = r"""
sources:
  description: The sources, as C(backups_sources) of the role takes them.
  returned: success
  type: list
  elements: dict
not_backed_up:
  description: Data that is in none of them, one sentence each, with the next step.
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.backup import automatic
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


def propose(module: AnsibleModule) -> dict[str, t.Any]:
    """The sources of a stack."""
    given = module.params
    found = automatic.sources(given["name"], given["engine"], given["socket"], given["config"] or "", World.real())
    return {"changed": False, "sources": found.sources, "not_backed_up": found.not_backed_up}


def main() -> None:
    run_module(
        propose,
        argument_spec={
            "name": {"type": "str", "required": True},
            "config": {"type": "path"},
            "engine": {"type": "str", "choices": ["auto", "docker", "podman"], "default": "auto"},
            "socket": {"type": "path"},
        },
    )


if __name__ == "__main__":
    main()
