# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A dotenv file that every compose tool reads the same."""

from __future__ import annotations

DOCUMENTATION = r"""
module: env_file
short_description: Set variables in a dotenv file that every compose tool reads the same
description:
  - Sets variables in the environment file of a stack. Its mode is always 0600.
  - Comments and variables of others stay. A variable that this module set at the last run and that is no longer in
    O(values) is removed. A comment at the top of the file lists them.
  - Quotes values so that C(docker compose) and C(podman-compose) read the same, and refuses the few it cannot, such as
    those with C(${...}), which C(podman-compose) expands even in quotes.
  - The file is replaced in one step. Only its owner can read it at any moment.
version_added: 0.1.0
author:
  - The onebox.stack developers (@onebox-stack)
attributes:
  check_mode:
    description: Can run in check mode and return what would be done, without changing anything.
    support: full
  diff_mode:
    description: Returns the names of the variables before and after, and which change. Values are never shown.
    support: full
options:
  path:
    description: Absolute path of the file. Its directory must exist, unless O(directory_mode) is given.
    type: path
    required: true
  values:
    description:
      - The variables. Text, numbers, true and false. Null sets an empty variable.
    type: dict
    required: true
  required:
    description: Variables that must not be empty in the result. Otherwise, nothing is written.
    type: list
    elements: str
    default: []
  directory_mode:
    description: Creates the directory of the file if it is missing, and sets this octal mode.
    type: str
  owner:
    description: Name or number of the owner of the file. Without it, the owner does not change.
    type: str
"""

EXAMPLES = r"""
- name: Write the environment of a stack
  onebox.stack.env_file:
    path: /opt/onebox/coinpilot/.env
    values:
      REDIS_HOST: redis
      REDIS_PORT: 6379
      N8N_WEBHOOK_SECRET: "it's 100% $ecret # really"
    required: [REDIS_HOST, REDIS_PORT, N8N_WEBHOOK_SECRET]
"""

RETURN = r"""
variables:
  description: The names of all variables in the file.
  returned: always
  type: list
  elements: str
missing:
  description: Required variables that are missing or empty. If there are any, the module fails.
  returned: always
  type: list
  elements: str
problems:
  description: The line of the file that a compose tool refuses or that hides a value from it.
  returned: failure because of a line
  type: list
  elements: dict
  contains:
    code:
      description: C(not_dotenv).
      type: str
    where:
      description: The file and the number of the line.
      type: str
    message:
      description: The problem and the way to fix it, without any value.
      type: str
"""

import os
import stat
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.core import dotenv, owners
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module


def mode_of(text: str | None) -> int | None:
    """The number of an octal mode; None for none."""
    if not text:
        return None
    try:
        return int(text, 8)
    except ValueError:
        raise dotenv.EnvFileError(f"directory_mode must be octal, like 0755, not {text!r}") from None


def _run(module: AnsibleModule) -> dict[str, t.Any]:
    try:
        return _write(module.params, module.check_mode)
    except OneboxError as error:
        error.facts.update(variables=[], missing=[])
        raise


def _write(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    path = params["path"]
    if not os.path.isabs(path):
        raise dotenv.EnvFileError(f"path must be absolute, not {path!r}")
    uid, directory_mode = owners.uid(params["owner"]), mode_of(params["directory_mode"])
    values = {name: dotenv.text_of(name, value) for name, value in params["values"].items()}
    now = dotenv.read(path)
    text = dotenv.merge(now.text, values, path)
    names, missing = dotenv.keys(text, path), dotenv.missing(text, params["required"], path)
    if missing:
        why = f"{path} is as it was: {', '.join(missing)} must not be empty. Set it in the inventory"
        return {"failed": True, "msg": why, "variables": names, "missing": missing}
    wrong = now.mode != dotenv.MODE or uid not in (-1, now.uid)
    make = directory_mode is not None and dotenv.directory_due(path, directory_mode)
    if directory_mode is not None and make and not check_mode:
        dotenv.make_directory(path, directory_mode)
    changed = text != now.text or wrong or make
    if (text != now.text or wrong) and not check_mode:
        dotenv.write(path, text, now.uid if uid == -1 else uid, now.gid)
    diff = dotenv.masked(now.text, text, path)
    if make:
        diff["after"] += f"directory mode {directory_mode:04o}\n"
    if changed and now.mode:
        diff["before"] += f"mode {stat.S_IMODE(now.mode):04o}\n"
        diff["after"] += f"mode {dotenv.MODE:04o}\n"
    headers = {"before_header": path, "after_header": path}
    return {"changed": changed, "variables": names, "missing": [], "diff": {**diff, **headers}}


def main() -> None:
    run_module(
        _run,
        argument_spec={
            "path": {"type": "path", "required": True},
            "values": {"type": "dict", "required": True, "no_log": True},
            "required": {"type": "list", "elements": "str", "default": []},
            "directory_mode": {"type": "str"},
            "owner": {"type": "str"},
        },
    )


if __name__ == "__main__":
    main()
