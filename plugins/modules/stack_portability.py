# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Docker Swarm and Kubernetes would drop, refuse or change of a stack, read only."""

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_portability
short_description: Report what Docker Swarm and Kubernetes would drop, refuse or change of a stack
description:
  - Resolves the compose files of a stack with its compose tool, and compares each service with a table of constructs.
  - Each finding names the service, the effect, and a way out. The score is the percentage of services that run on the
    target without losing anything.
  - The facts about Swarm are shown on real engines by the tests of this collection. Those about Kubernetes are compared
    with the schemas of its API, and not shown on a cluster.
  - Changes nothing. Needs no engine, only the compose tool.
version_added: 0.2.0
author:
  - The onebox.stack developers (@onebox)
attributes:
  check_mode:
    description: Can run in check mode, which is the same as a normal run.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: none
options:
  name:
    description: Name of the stack, which is the name of its compose project.
    type: str
    required: true
  project_dir:
    description: Absolute path of the directory with the compose file.
    type: path
    required: true
  files:
    description:
      - Compose files, absolute or relative to O(project_dir). By default the ones that Docker Compose reads.
    type: list
    elements: str
    default: []
  env_file:
    description:
      - File with the variables of the compose files. The default is C(.env) in O(project_dir) if it exists.
    type: path
  profiles:
    description: Compose profiles to enable.
    type: list
    elements: str
    default: []
  provider:
    description: The compose tool.
    type: str
    choices: [auto, docker-compose, podman-compose]
    default: auto
  provider_path:
    description: Path of the compose tool. Without it, the module searches for the tool.
    type: path
  targets:
    description: The orchestrators to compare with.
    type: list
    elements: str
    choices: [swarm, kubernetes]
    default: [swarm, kubernetes]
  minimum_score:
    description: The module fails if the score of a target is lower. V(0) only reports.
    type: int
    default: 0
  render:
    description:
      - Also return the stack as files for this target, in RV(files). V(swarm) is a stack file for
        C(docker stack deploy).
      - V(quadlet) is a set of units for Podman 5.0 or later, from which systemd runs the containers.
      - V(kubernetes) is a set of manifests. A path that cannot be mounted is refused.
      - The files can contain secrets. Set C(no_log) for the task.
    type: str
    choices: [none, swarm, quadlet, kubernetes]
    default: none
seealso:
  - module: onebox.stack.compose_stack
  - module: onebox.stack.compose_stack_info
"""

EXAMPLES = r"""
- name: Report what a move to another orchestrator would cost
  onebox.stack.stack_portability:
    name: wiki
    project_dir: /opt/onebox/wiki
  register: portability

- name: Show the report
  ansible.builtin.debug:
    msg: "{{ portability.text }}"

- name: Fail unless each service moves to Docker Swarm
  onebox.stack.stack_portability:
    name: wiki
    project_dir: /opt/onebox/wiki
    targets: [swarm]
    minimum_score: 100
"""

RETURN = r"""
project:
  description: Name of the stack.
  returned: always
  type: str
  sample: wiki
findings:
  description:
    - One entry for each construct of each service, with C(service), C(where), C(construct), C(uses), C(target),
      C(effect), C(remains), C(happens), C(way_out) and C(source).
    - C(effect) is V(drop), V(refuse) or V(change), for the compose file as it is written.
    - C(remains) is the effect on a file that this collection renders. It is empty if the rendering solves the finding.
    - C(service) is empty for a construct that concerns a whole file.
  returned: always
  type: list
  elements: dict
  sample:
    - service: web
      where: service web
      construct: privileged
      uses: ["true"]
      target: swarm
      effect: drop
      remains: drop
      happens: The container runs without privileges.
      way_out: "List the capabilities with cap_add. If that is not enough: keep the service on one host."
      source: "docker stack deploy: unsupported options"
services:
  description:
    - One entry for each service, with C(service) and a verdict for each target.
    - Verdicts are V(moves), V(changes) (moves, but behaves differently), V(loses) (would lose something) and V(stays)
      (cannot move).
  returned: always
  type: list
  elements: dict
  sample:
    - service: web
      swarm: changes
      kubernetes: moves
score:
  description: For each target, the percentage of services with the verdict V(moves) or V(changes).
  returned: always
  type: dict
  sample:
    swarm: 75
    kubernetes: 50
text:
  description: The report as lines for a terminal.
  returned: always
  type: list
  elements: str
files:
  description:
    - The rendered files, with C(path) and C(content). Paths are relative to one directory.
    - Variables whose values do not appear in a compose file are in separate files with the ending C(.env), for
      Kubernetes in C(secrets.yml).
  returned: if O(render) is not V(none)
  type: list
  elements: dict
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability import check, rendering, table
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


def _run(module: AnsibleModule) -> dict[str, t.Any]:
    given = module.params
    order = check.Order(
        name=given["name"],
        project_dir=os.path.normpath(given["project_dir"]),
        files=tuple(given["files"]),
        env_file=given["env_file"],
        profiles=tuple(given["profiles"]),
        provider=given["provider"],
        provider_path=given["provider_path"],
        targets=tuple(given["targets"]),
        minimum_score=given["minimum_score"],
        render="" if given["render"] == "none" else given["render"],
    )
    return {"changed": False, **check.check(order, World.real())}


def main() -> None:
    run_module(
        _run,
        argument_spec={
            "name": {"type": "str", "required": True},
            "project_dir": {"type": "path", "required": True},
            "files": {"type": "list", "elements": "str", "default": []},
            "env_file": {"type": "path"},
            "profiles": {"type": "list", "elements": "str", "default": []},
            "provider": {"type": "str", "choices": ["auto", "docker-compose", "podman-compose"], "default": "auto"},
            "provider_path": {"type": "path"},
            "targets": {
                "type": "list",
                "elements": "str",
                "choices": list(table.TARGETS),
                "default": list(table.TARGETS),
            },
            "minimum_score": {"type": "int", "default": 0},
            "render": {"type": "str", "choices": ["none", *rendering.RENDERERS], "default": "none"},
        },
    )


if __name__ == "__main__":
    main()
