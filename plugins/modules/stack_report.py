# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report running services, proven mounts and next commands."""

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_report
short_description: Report running services, proven mounts and next commands
description:
  - Combines the results of the roles and the present state into one report, as text of at most 30 lines of 100 columns,
    and as data.
  - Stores the report as C(report.json) in the stack's folder below O(state_dir), readable for its owner only. That does
    not count as a change.
  - Without O(results), returns the stored report.
version_added: 0.1.0
author:
  - The onebox.stack developers (@onebox-stack)
attributes:
  check_mode:
    description: Can run in check mode and return the report, without storing it.
    support: full
  diff_mode:
    description: Returns what changed, or would change, in diff mode.
    support: none
options:
  project:
    description: Name of the stack.
    type: str
    required: true
  state_dir:
    description: Directory with the state of all stacks.
    type: path
    default: /var/lib/onebox
  host:
    description: Name of the host in the headline.
    type: str
    default: ""
  engine:
    description: The container engine.
    type: str
    choices: [auto, docker, podman]
    default: auto
  socket:
    description: Path of the engine's API socket, if it is not at a usual path.
    type: path
  results:
    description:
      - Results that the roles registered, by the name of the role. Roles that did not run are missing or empty.
    type: dict
    default: {}
  steps:
    description: Seconds of each role.
    type: dict
    default: {}
  next:
    description: Commands to suggest at the end, one line each.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Report on a run
  onebox.stack.stack_report:
    project: 97layer
    host: demo
    results:
      compose_stack: "{{ compose_stack_result | default({}) }}"
      data_dirs: "{{ data_dirs_result | default({}) }}"
    next:
      - ansible-playbook playbooks/verify.yml -l demo

- name: Show the last report again
  onebox.stack.stack_report:
    project: 97layer
  register: last
"""

RETURN = r"""
text:
  description: The report as text.
  returned: always
  type: str
report:
  description:
    - The same as data, with C(project), C(host), C(generated_at), C(ok), C(changed), C(check), C(engine), C(machine),
      C(services), C(mounts), C(directories), C(endpoints), C(backups), C(changes), C(notes), C(steps) and C(next).
  returned: always
  type: dict
path:
  description: Path of the stored report.
  returned: always
  type: str
"""

import datetime
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError
from ansible_collections.onebox.stack.plugins.module_utils.engine.discover import ENGINES, find
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.engine.project_containers import stack_containers
from ansible_collections.onebox.stack.plugins.module_utils.report import collect, render, store, usage


def make(module: AnsibleModule, results: collect.Results) -> dict[str, t.Any]:
    """A report of ``results`` and of the present state. An engine that does not answer is a note, not a failure."""
    given, world = module.params, World.real()
    now, notes = datetime.datetime.fromtimestamp(world.epoch(), datetime.timezone.utc), []
    containers: list[Container] = []
    usages: dict[str, usage.Usage] = {}
    try:
        engine = find(given["engine"], given["socket"], world=world)
        known = {"name": engine.name, "version": engine.version}
        results = {**results, "container_engine": {**known, **results.get("container_engine", {})}}
        containers = stack_containers(engine, given["project"])
        usages, why = usage.usage(engine, containers, now, world)
        notes += [why] if why else []
    except EngineError as error:
        notes.append(str(error))
    return collect.collect(
        given["project"],
        given["host"],
        collect.Run(results, given["steps"], given["next"], notes, module.check_mode),
        collect.Running(now, containers, usages),
    )


def report(module: AnsibleModule) -> dict[str, t.Any]:
    """Build the report of this run and store it. Without results, return the stored report."""
    path = store.path_of(module.params["state_dir"], module.params["project"])
    results = {role: result for role, result in module.params["results"].items() if result}
    if results:
        made = make(module, results)
        if not module.check_mode:
            store.save(path, made)
    else:
        made = store.load(path)
    return {"changed": False, "report": made, "text": render.render(made), "path": path}


def main() -> None:
    run_module(
        report,
        argument_spec={
            "project": {"type": "str", "required": True},
            "state_dir": {"type": "path", "default": "/var/lib/onebox"},
            "host": {"type": "str", "default": ""},
            "engine": {"type": "str", "choices": list(ENGINES), "default": "auto"},
            "socket": {"type": "path"},
            "results": {"type": "dict", "default": {}},
            "steps": {"type": "dict", "default": {}},
            "next": {"type": "list", "elements": "str", "default": []},
        },
    )


if __name__ == "__main__":
    main()
