# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the values of a host before anything runs on it; the action plugin of the same name does it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: check_values
short_description: Check the variables of a host before a playbook runs on it
version_added: 0.2.0
description:
  - Fails with all problems at once, each with its fix, and with its file and line if they are known.
  - Refuses an unknown variable that begins with the name of a role of this collection or looks like a misspelt
    variable of one.
  - Refuses an encrypted value if no vault password is available.
  - Refuses a folder of the stack that does not exist, and a compose file that is missing or not YAML.
  - Runs on the controller and does not connect to the host.
author:
  - The onebox.stack developers (@onebox-stack)
attributes:
  check_mode:
    description: Can run in check mode, because it changes nothing.
    support: full
  diff_mode:
    description: Returns what changed, or would change, in diff mode.
    support: none
options:
  stack:
    description: Name of the stack. An empty one is a problem.
    type: str
    default: ""
  source:
    description: Folder of the stack on the controller. An empty one is not checked.
    type: str
    default: ""
  files:
    description: Compose files in O(source). By default C(compose.yml) or its like.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Check the values of this host
  onebox.stack.check_values:
    stack: "{{ onebox_stack | default('') }}"
    source: "{{ playbook_dir }}/stacks/notes"
"""

RETURN = r"""
problems:
  description: What is wrong and what to do, one line each.
  returned: always
  type: list
  elements: str
  sample: ["host_vars/box.yml:3: data_dirs_bas is not a variable of onebox.stack. Did you mean data_dirs_base?"]
"""
