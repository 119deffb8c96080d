# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mount_verify_runner
short_description: Install the mount check as one file for a timer
description:
  - Installs the check of M(onebox.stack.bind_mount_verify) on the managed host as one executable file that only needs
    Python 3.9 or newer. Timers and users can run it without Ansible.
  - It prints a table, or JSON with C(--json), writes metrics with C(--textfile), and ends with 0 if every mount is
    proven, 1 if one is not, and 2 if the check did not run.
version_added: 0.1.0
author:
  - The onebox.stack developers (@onebox)
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns what changed, or would change, in diff mode.
    support: none
options:
  path:
    description: Path of the file.
    type: path
    required: true
  interpreter:
    description:
      - The Python that runs it, as an absolute path. By default the system's own.
      - A Python of a virtual environment is refused, as is one that others can write to. For root this includes Pythons
        below a home directory.
    type: path
  state:
    description: Whether the file must exist.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Install onebox-verify on the host
  onebox.stack.mount_verify_runner:
    path: /usr/local/bin/onebox-verify
"""

RETURN = r"""
path:
  description: Path of the file.
  returned: success
  type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.core import system_python
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.mounts import bundle


def converge(module: AnsibleModule) -> dict[str, t.Any]:
    """Install the program, or remove it."""
    path = module.params["path"]
    if module.params["state"] == "present":
        python = system_python.choose(module.params["interpreter"] or "", "interpreter (verify_python)", World.real())
        changed = bundle.install(path, python, module.check_mode)
    else:
        changed = bundle.remove(path, module.check_mode)
    return {"changed": changed, "path": path}


def main() -> None:
    run_module(
        converge,
        argument_spec={
            "path": {"type": "path", "required": True},
            "interpreter": {"type": "path"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
    )


if __name__ == "__main__":
    main()
