# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_backup
short_description: Create a backup set of a stack, complete or not at all
description:
  - Captures every source of the backup configuration (PostgreSQL, Redis or Valkey, directories, the compose files),
    commits one set, verifies it, copies it off-site, and deletes the sets that the retention policy does not keep.
  - If a source fails, nothing is committed and nothing is deleted. The task fails and names the source.
version_added: 0.1.0
author:
  - The onebox.stack developers (@onebox-stack)
extends_documentation_fragment:
  - onebox.stack.backup
  - onebox.stack.backup.wait
attributes:
  check_mode:
    description: Captures nothing and returns the retention plan for the state after a successful run.
    support: full
  diff_mode:
    description: Returns what changed, or would change, in diff mode.
    support: none
options:
  accept_drop:
    description: Sources that may be empty, or much smaller than in the previous set, in this run.
    type: list
    elements: str
    default: []
  force_prune:
    description:
      - Whether this run may delete more sets than the policy allows. Check RV(prune_plan) in check mode first.
      - All other guards stay on.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Take a backup before the upgrade
  onebox.stack.stack_backup:
    name: coinpilot
    wait: 600

- name: Show what retention would delete
  onebox.stack.stack_backup:
    name: coinpilot
  check_mode: true
  register: plan
"""

RETURN = r"""
snapshot:
  description: The set, with seq, id, taken (ISO 8601) and size in bytes; empty if none was committed.
  returned: success
  type: dict
sources:
  description: Each source with name, kind, ok, error, and count (rows, keys or entries).
  returned: success
  type: list
  elements: dict
verified:
  description: Whether the committed set was read back with matching checksums.
  returned: success
  type: bool
pruned:
  description: Sequence numbers of the sets that were deleted.
  returned: success
  type: list
  elements: int
prune_plan:
  description: The kept sets with reasons, the sets outside the policy, those to delete, and why some of them are kept.
  returned: success
  type: dict
last_good:
  description: Sequence number of the newest usable set.
  returned: success
  type: int
offsite:
  description: Repository of the copy, number of copied sets, and number of sets missing there (lag).
  returned: success
  type: dict
warnings_found:
  description: Warnings that do not fail the run.
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.backup import run
from ansible_collections.onebox.stack.plugins.module_utils.backup.options import CONFIG, WAIT, open_context, returned
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


def back_up(module: AnsibleModule) -> dict[str, t.Any]:
    """Back up the stack, or plan it. A failed run returns its report."""
    given = module.params
    context = open_context(given["name"], given["config"], World.real())
    if module.check_mode:
        return {"changed": True, **run.preview(context, force_prune=given["force_prune"])}
    report = run.backup(context, wait=given["wait"], accept_drop=given["accept_drop"], force_prune=given["force_prune"])
    result = returned(report, context)
    if report["error"]:
        return {"failed": True, "msg": report["error"], "changed": bool(report["snapshot"]), **result}
    return {"changed": True, **result}


def main() -> None:
    run_module(
        back_up,
        argument_spec={
            **CONFIG,
            **WAIT,
            "accept_drop": {"type": "list", "elements": "str", "default": []},
            "force_prune": {"type": "bool", "default": False},
        },
    )


if __name__ == "__main__":
    main()
