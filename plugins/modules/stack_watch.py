# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_watch
short_description: Check the stacks of a host against their deploys and backups
version_added: 0.1.0
description:
  - Checks once whether the host still has the state that deploys, backup schedules and launches established. Nothing
    is changed, restarted or reported elsewhere.
  - Each finding names the problem, its beginning, its severity and the command to run. Missing data is a finding.
  - Uses the records of the timer that the role P(onebox.stack.watch#role) installs. Without that timer, forecasts and
    crash loops are unknown, which the finding C(watch_silent) reports.
  - The check ends within the C(budget) of the configuration. A hung mount or engine is a finding.
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
  config:
    description: Path of the configuration that M(onebox.stack.stack_watch_runner) wrote.
    type: path
  declaration:
    description:
      - The configuration itself, for a host without the timer. The keys are those of
        O(onebox.stack.stack_watch_runner#module:declaration).
    type: dict
  plans:
    description:
      - Results of M(onebox.stack.compose_stack_info) by stack. They replace the plan that the check would make.
    type: dict
    default: {}
  sets:
    description: Results of M(onebox.stack.stack_backup_info) by stack, for the calendar of M(onebox.stack.stack_page).
    type: dict
    default: {}
seealso:
  - module: onebox.stack.stack_watch_runner
  - module: onebox.stack.stack_page
  - module: onebox.stack.bind_mount_verify
"""

EXAMPLES = r"""
- name: Check all that was promised
  onebox.stack.stack_watch:
    config: /etc/onebox/watch/demo.json
  register: watch

- name: Check a host that has no timer
  onebox.stack.stack_watch:
    declaration:
      name: demo
      state_dir: /var/lib/onebox-watch/demo
      paths: [/]
  register: watch

- name: Show one line a finding
  ansible.builtin.debug:
    msg: "{{ watch.lines }}"
"""

RETURN = r"""
ok:
  description: Whether no finding of severity C(critical) or C(warning) is active, except acknowledged ones.
  returned: success
  type: bool
findings:
  description:
    - Active findings, worst first, with C(key), C(code), C(where), C(what), C(since) in seconds since 1970,
      C(severity), C(fix), C(current), C(acknowledged) and C(reason).
    - C(current) is false for a finding that this check could not see again, or that is not cleared yet.
  returned: success
  type: list
  elements: dict
  sample:
    - key: unhealthy demo/web
      code: unhealthy
      where: demo/web
      what: container demo-web-1 is unhealthy
      since: 1795254668.4
      severity: critical
      fix: docker logs --tail 50 demo-web-1
      current: true
      acknowledged: ""
      reason: ""
lines:
  description: One line for each finding, with its severity, its age and the command to run.
  returned: success
  type: list
  elements: str
document:
  description:
    - The findings, and the facts of stacks, filesystems, logs, endpoints, clock, units and launches behind them.
      M(onebox.stack.stack_page) renders it. docs/reference/watch.schema.json is its schema.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.watch import config, run


def check(module: AnsibleModule) -> dict[str, object]:
    """The state of now."""
    given = module.params
    found = config.load(given["config"]) if given["config"] else config.parse(given["declaration"])
    document = run.check_now(found, World.real(), run.Given(given["plans"], given["sets"]))
    return {"changed": False, **{key: document[key] for key in ("ok", "findings", "lines")}, "document": document}


def main() -> None:
    run_module(
        check,
        argument_spec={
            "config": {"type": "path"},
            "declaration": {"type": "dict"},
            "plans": {"type": "dict", "default": {}},
            "sets": {"type": "dict", "default": {}},
        },
        mutually_exclusive=[("config", "declaration")],
        required_one_of=[("config", "declaration")],
    )


if __name__ == "__main__":
    main()
