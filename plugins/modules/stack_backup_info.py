# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_backup_info
short_description: Show the state of the backups of a stack
description:
  - Lists the sets of the local repository with age and size, the result of the last run, and the last successful
    rehearsal. Changes nothing.
version_added: 0.1.0
author:
  - The onebox.stack developers (@onebox-stack)
extends_documentation_fragment:
  - onebox.stack.backup
attributes:
  check_mode:
    description: Can run in check mode and return the same as otherwise.
    support: full
  diff_mode:
    description: Returns what changed, or would change, in diff mode.
    support: none
"""

EXAMPLES = r"""
- name: Get the state of the backups
  onebox.stack.stack_backup_info:
    name: coinpilot
  register: backups

- name: Fail if the backups are not healthy
  ansible.builtin.assert:
    that: backups.healthy
    fail_msg: "{{ backups.problems }}"
"""

RETURN = r"""
healthy:
  description: Whether a set is recent enough and neither the last run nor the last rehearsals failed.
  returned: success
  type: bool
problems:
  description: The problems, one sentence each.
  returned: success
  type: list
  elements: str
notes:
  description: Changes that take effect with the next backup, such as a configured source that no set contains yet.
  returned: success
  type: list
  elements: str
sets:
  description: The sets, oldest first, with seq, id, taken, size, rehearsed, pinned, authentic and problem.
  returned: success
  type: list
  elements: dict
snapshot:
  description: The newest usable set, empty without one.
  returned: success
  type: dict
last_good:
  description: Sequence number of the newest usable set, null without one.
  returned: success
  type: int
age_seconds:
  description: Age of the newest usable set in seconds, null without one.
  returned: success
  type: float
rehearsals:
  description:
    - For local and offsite, whether the last rehearsal succeeded (ok), its set (seq), and the last success (good_at).
  returned: success
  type: dict
sources:
  description: Rows, keys or entries of each source in the newest set.
  returned: success
  type: list
  elements: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.backup import status
from ansible_collections.onebox.stack.plugins.module_utils.backup.options import CONFIG, info, open_context
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


def inspect(module: AnsibleModule) -> dict[str, t.Any]:
    """The state of the backups."""
    context = open_context(module.params["name"], module.params["config"], World.real())
    return {"changed": False, **info(status.inspect(context))}


def main() -> None:
    run_module(inspect, argument_spec=dict(CONFIG))


if __name__ == "__main__":
    main()
