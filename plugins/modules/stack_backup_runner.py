# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_backup_runner
short_description: Install the backup runner, the declaration of a stack, and its timers
description:
  - Puts the runner on the managed host as one file that needs only Python 3.9 or newer, and the checked declaration of
    a stack beside it. Timers and people run that file without Ansible.
  - Makes the private directories of the sets and their state, and has the timers run.
  - Says how the backups stand, and whether a first one is wanted.
version_added: 0.1.0
author:
  - The onebox.stack developers (@onebox-stack)
attributes:
  check_mode:
    description: Checks the declaration and returns whether anything would change.
    support: full
  diff_mode:
    description: Returns what changed, or would change, in diff mode.
    support: full
options:
  path:
    description: Where the runner goes.
    type: path
    required: true
  interpreter:
    description:
      - The Python that runs it, as an absolute path. By default the system's own.
      - A Python of a virtual environment is refused, as is one that others can write to. For root this includes Pythons
        below a home directory.
    type: path
  config:
    description: Where the declaration goes, with mode 0600.
    type: path
    required: true
  declaration:
    description: The declaration, as docs/backups.md describes it. It names files that hold secrets and holds none.
    type: dict
    required: true
  secrets:
    description:
      - Files that only their owner may read, path to content, such as the key of a repository or a webhook's URL.
      - A file whose content is empty is left as it is.
    type: dict
    default: {}
  units:
    description: Files with mode 0644, path to content, such as the timers.
    type: dict
    default: {}
  timers:
    description: Names of the timers of O(units) that systemd shall have enabled and waiting. Empty asks no systemd.
    type: list
    elements: str
    default: []
  scope:
    description: Whose systemd that is, the machine's or the user's.
    type: str
    choices: [system, user]
    default: system
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
  description: Whether the declaration was, or would be, written.
  returned: success
  type: bool
authentication_file:
  description: File with the key that authenticates the sets. Keep a copy of it where the repository's key is kept.
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
units_changed:
  description: Paths of O(units) that were, or would be, written.
  returned: success
  type: list
  elements: str
timers_changed:
  description: Names of O(timers) that were, or would be, started.
  returned: success
  type: list
  elements: str
backups:
  description:
    - How the backups stand, as M(onebox.stack.stack_backup_info) returns it. When the repository cannot be read, only
      C(healthy) and C(problems) are there.
    - C(wants_first) says whether there is no set yet, neither here nor off-site.
  returned: success
  type: dict
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup import declaration
from ansible_collections.onebox.stack.plugins.module_utils.backup.options import outlook
from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import install, timers
from ansible_collections.onebox.stack.plugins.module_utils.core import system_python
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


def install_runner(module: AnsibleModule) -> dict[str, t.Any]:
    """Install the program, its configuration, secrets and units, and start the timers."""
    given, check, world = module.params, module.check_mode, World.real()
    # Before anything is written: a runner that cannot be installed leaves nothing.
    python = system_python.choose(given["interpreter"] or "", "interpreter (backups_python)", world)
    config, before, after = install.write_declaration(given["config"], given["declaration"], check)
    places = install.make_places(given["declaration"], check)
    runner = install.install(given["path"], python, check)
    filled = {path: text for path, text in given["secrets"].items() if text}
    declared = declaration.parse(given["declaration"], beside=given["config"])
    if declared.authentication_file in filled:
        keys = contexts.make(declared, world).keys
        filled[keys.path] = keys.replaced_by(filled[keys.path])
    secrets = install.put_files(filled, 0o600, check)
    units = install.put_files(given["units"], 0o644, check)
    user = given["scope"] == "user"
    started = timers.ensure(given["timers"], user=user, rewritten=bool(units), check=check, world=world)
    context = contexts.make(declared, world)
    # Here, because a unit that may write to nothing but its sets could not create it.
    key = not os.path.lexists(context.keys.path) if check else context.keys.create()
    backups = outlook(context)
    return {
        "changed": bool(config or places or runner or secrets or units or started or key),
        "authentication_file": context.keys.path,
        "authentication_created": key,
        "config_changed": config,
        "runner_changed": runner,
        "secrets_changed": secrets,
        "units_changed": units,
        "timers_changed": started,
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
            "units": {"type": "dict", "default": {}},
            "timers": {"type": "list", "elements": "str", "default": []},
            "scope": {"type": "str", "choices": ["system", "user"], "default": "system"},
        },
    )


if __name__ == "__main__":
    main()
