# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_backup_runner
short_description: Install the backup runner of a stack and its configuration
description:
  - Installs the runner on the managed host as one file that needs only Python 3.9 or newer, and the checked backup
    configuration of a stack. Timers and operators run that file without Ansible.
  - Creates the private directories of the sets and their state. M(onebox.stack.scheduled_job) installs timers.
  - Returns the state of the backups, and whether a first one is needed.
version_added: 0.1.0
author:
  - The onebox.stack developers (@onebox-stack)
attributes:
  check_mode:
    description: Checks the configuration and returns whether anything would change.
    support: full
  diff_mode:
    description: Returns what changed, or would change, in diff mode.
    support: full
options:
  path:
    description: Path of the runner.
    type: path
    required: true
  interpreter:
    description:
      - Absolute path of the Python that runs it. By default the system's own.
      - The Python of a virtual environment is refused, and so is one that others can write to. For root this includes
        every Python below a home directory.
    type: path
  config:
    description: Path of the backup configuration, which is written with mode 0600.
    type: path
    required: true
  declaration:
    description: The backup configuration, see docs/backups.md. It names the files of secrets and contains none.
    type: dict
    required: true
  secrets:
    description:
      - Files to write with mode 0600, path to content, such as the key of a repository or the URL of a webhook.
      - A file with empty content is not changed.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Install the runner for a stack of files only
  onebox.stack.stack_backup_runner:
    path: /usr/local/bin/onebox-backup
    config: /etc/onebox/backup/blog.json
    declaration:
      stack: blog
      state_dir: /var/lib/onebox-backup/blog
      repository: {engine: files, path: /var/backups/onebox/blog}
      sources:
        - {name: uploads, kind: directory, path: /srv/blog/uploads}
"""

RETURN = r"""
runner_changed:
  description: Whether the runner was, or would be, written.
  returned: success
  type: bool
config_changed:
  description: Whether the backup configuration was, or would be, written.
  returned: success
  type: bool
authentication_file:
  description: File with the key that authenticates the sets. Keep a copy with the key of the repository.
  returned: success
  type: str
authentication_created:
  description: Whether that key was, or would be, created.
  returned: success
  type: bool
secrets_changed:
  description: Paths of O(secrets) that were, or would be, written.
  returned: success
  type: list
  elements: str
backups:
  description:
    - The state of the backups, as M(onebox.stack.stack_backup_info) returns it. If the repository cannot be read, only
      C(healthy) and C(problems).
    - C(wants_first) is true if no set exists yet, neither here nor off-site.
  returned: success
  type: dict
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup.options import outlook
from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import install
from ansible_collections.onebox.stack.plugins.module_utils.core import system_python
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


def install_runner(module: AnsibleModule) -> dict[str, t.Any]:
    """Install the program, its configuration and secrets."""
    given, check, world = module.params, module.check_mode, World.real()
    # Before anything is written: a runner that cannot be installed leaves nothing.
    python = system_python.choose(given["interpreter"] or "", "interpreter (backups_python)", world)
    config, before, after = install.write_config(given["config"], given["declaration"], check)
    places = install.create_directories(given["declaration"], check)
    runner = install.install(given["path"], python, check)
    filled = {path: text for path, text in given["secrets"].items() if text}
    declared = configuration.parse(given["declaration"], config_path=given["config"])
    if declared.authentication_file in filled:
        keys = contexts.make(declared, world).keys
        filled[keys.path] = keys.replaced_by(filled[keys.path])
    secrets = install.put_files(filled, 0o600, check)
    context = contexts.make(declared, world)
    # Here, because a unit that may write to nothing but its sets could not create it.
    key = not os.path.lexists(context.keys.path) if check else context.keys.create()
    backups = outlook(context)
    return {
        "changed": bool(config or places or runner or secrets or key),
        "authentication_file": context.keys.path,
        "authentication_created": key,
        "config_changed": config,
        "runner_changed": runner,
        "secrets_changed": secrets,
        "backups": backups,
        "diff": {"before_header": given["config"], "after_header": given["config"], "before": before, "after": after},
    }


def main() -> None:
    run_module(
        install_runner,
        argument_spec={
            "path": {"type": "path", "required": True},
            "interpreter": {"type": "path"},
            "config": {"type": "path", "required": True},
            "declaration": {"type": "dict", "required": True},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
        },
    )


if __name__ == "__main__":
    main()
