# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_watch_runner
short_description: Install the checks of stack_watch as one program for a timer
version_added: 0.1.0
description:
  - Installs the program C(onebox-watch), its configuration and the files with its URLs on the managed host. A timer
    that runs C(onebox-watch --config FILE run) needs only Python 3.9 or newer and works without the controller.
  - Installs the program C(onebox-plan) too where O(plans) names stacks whose drift is watched.
author:
  - The onebox.stack developers (@onebox-stack)
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns what changed, or would change, in diff mode.
    support: none
options:
  path:
    description: Path of the program.
    type: path
    required: true
  plan_path:
    description: Path of the program C(onebox-plan), installed with O(plans).
    type: path
    default: /usr/local/bin/onebox-plan
  config:
    description: Path of the configuration, mode 0600.
    type: path
    required: true
  declaration:
    description:
      - Content of the configuration. Required with O(state=present).
      - C(name) is the inventory's name of the host and C(state_dir) a private directory for records. Both are required.
      - C(stacks) lists stacks with C(name), C(engine), C(socket), C(state_dir), C(vm), C(vm_name), C(access), C(plan),
        C(backup), C(offsite_hours), C(rehearsal_hours), C(image_days) and C(restart) with C(services), C(after) and
        C(most).
      - C(paths), C(free_percent) and C(fills_days) are for filesystems, C(log_mib_a_day) for logs, C(endpoints) with
        C(url) and C(days) for certificates, C(units) for patterns of systemd units, C(launches) for state files.
      - C(acknowledge) lists findings with C(finding), C(until) and C(reason). C(finding) is a code or a pattern of
        keys.
      - C(tell) holds C(webhook_file), C(style) (discord, slack, ntfy or generic), C(ping_file), C(metrics_file) and
        C(daily_hour).
    type: dict
  plans:
    description:
      - Options of M(onebox.stack.compose_stack_info), such as C(project_dir), by the name of the stack. Each of these
        stacks is in C(stacks) of O(declaration), and its drift is watched.
    type: dict
    default: {}
  secrets:
    description: Content of files with mode 0600, by path. Empty content removes the file.
    type: dict
    default: {}
  interpreter:
    description: The Python that runs the programs, as an absolute path. By default the system's own.
    type: path
  state:
    description: Whether the watch is installed. V(absent) keeps the program, which may serve other configurations.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: onebox.stack.stack_watch
"""

EXAMPLES = r"""
- name: Install the watch
  onebox.stack.stack_watch_runner:
    path: /usr/local/bin/onebox-watch
    config: /etc/onebox/watch/demo.json
    declaration:
      version: 1
      name: demo
      state_dir: /var/lib/onebox-watch/demo
      stacks:
        - {name: 97layer, backup: /etc/onebox/backup/97layer.json}
      acknowledge:
        - {finding: "image_old 97layer/*", until: "2026-12-24", reason: the new base image comes at Christmas}
      tell: {webhook_file: /etc/onebox/watch/demo.webhook, style: ntfy}
    plan_path: /usr/local/bin/onebox-plan
    plans:
      97layer: {project_dir: /opt/onebox/97layer}
    secrets:
      /etc/onebox/watch/demo.webhook: https://ntfy.sh/a-secret-topic
"""

RETURN = r"""
path:
  description: Path of the program.
  returned: success
  type: str
config:
  description: Path of the configuration.
  returned: success
  type: str
"""

import json
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.compose import plan_program
from ansible_collections.onebox.stack.plugins.module_utils.core import system_python, zipapp
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.watch import install


def converge(module: AnsibleModule) -> dict[str, t.Any]:
    """Install the programs and their files, or remove the files."""
    given, check = module.params, module.check_mode
    result = {"path": given["path"], "config": given["config"]}
    plans = {install.plan_file(given["config"], name): {"name": name, **row} for name, row in given["plans"].items()}
    if given["state"] == "absent":
        changed = install.remove([given["config"], *plans, *given["secrets"]], check)
        return {"changed": changed, **result}
    python = system_python.choose(given["interpreter"] or "", "interpreter (watch_python)", World.real())
    texts = {path: json.dumps(row, indent=2, sort_keys=True) for path, row in plans.items()}
    for path, text in texts.items():
        plan_program.parameters(text, path)
    declaration = install.with_plans(given["declaration"], given["config"], given["plan_path"], given["plans"])
    # The configuration first: when it is wrong, nothing has changed.
    changes = [install.configuration(given["config"], declaration, check)]
    changes.append(install.program(given["path"], python, check))
    if plans:
        changes.append(zipapp.install(given["plan_path"], plan_program.__name__, python, check=check))
    changes += [install.secret(path, text, check) for path, text in texts.items()]
    changes += [install.secret(path, str(text or ""), check) for path, text in given["secrets"].items()]
    return {"changed": any(changes), **result}


def main() -> None:
    run_module(
        converge,
        argument_spec={
            "path": {"type": "path", "required": True},
            "plan_path": {"type": "path", "default": "/usr/local/bin/onebox-plan"},
            "config": {"type": "path", "required": True},
            "declaration": {"type": "dict"},
            "plans": {"type": "dict", "default": {}},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "interpreter": {"type": "path"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        required_if=[("state", "present", ("declaration",))],
    )


if __name__ == "__main__":
    main()
