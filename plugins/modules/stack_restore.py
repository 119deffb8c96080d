# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_restore
short_description: Restore a stack, a service, a database or a directory from a backup
description:
  - Without O(confirm), returns the steps and changes nothing.
  - Renames the existing database, restores under its name and compares the result with the set. If it differs, the
    previous database is renamed back. Redis is loaded in a container without network before the service starts.
  - Directories and files are restored next to the existing ones, compared and swapped. Previous data is renamed
    and never deleted, see RV(aside).
version_added: 0.1.0
author:
  - The onebox.stack developers (@onebox-stack)
extends_documentation_fragment:
  - onebox.stack.backup
  - onebox.stack.backup.wait
  - onebox.stack.backup.set
attributes:
  check_mode:
    description: Changes nothing and returns the steps.
    support: full
  diff_mode:
    description: Returns what changed, or would change, in diff mode.
    support: none
options:
  sources:
    description: Sources to restore. By default all of the set.
    type: list
    elements: str
    default: []
  databases:
    description: Databases of PostgreSQL sources to restore. By default all.
    type: list
    elements: str
    default: []
  target:
    description: Directory to restore directories and files into, instead of into the stack.
    type: path
  confirm:
    description: The name of the stack, to confirm the restore. Without it, nothing is changed.
    type: str
"""

EXAMPLES = r"""
- name: Show the steps of a restore of the database
  onebox.stack.stack_restore:
    name: coinpilot
    sources: [db]

- name: Restore the database from an earlier set
  onebox.stack.stack_restore:
    name: coinpilot
    sources: [db]
    set: "41"
    confirm: coinpilot
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
steps_done:
  description: The finished RV(steps), also if a later one failed.
  returned: success
  type: list
  elements: str
steps:
  description: The steps in order, done or planned.
  returned: success
  type: list
  elements: str
aside:
  description: Paths and names of the previous data.
  returned: success
  type: list
  elements: str
verified:
  description: Whether the restore is done and the data equals the backup.
  returned: success
  type: bool
warnings_found:
  description: Warnings that do not fail the run.
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.backup import restore
from ansible_collections.onebox.stack.plugins.module_utils.backup.options import CONFIG, SET, WAIT, open_context
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


def restore_set(module: AnsibleModule) -> dict[str, t.Any]:
    """Restore a set, or plan it. A failed restore returns its report."""
    given = module.params
    request = restore.Request(
        wanted=given["set"],
        where=given["repository"],
        sources=tuple(given["sources"]),
        databases=tuple(given["databases"]),
        into=given["target"] or "",
        accepted=given["accept_unauthenticated"],
    )
    confirm = given["confirm"] or ""
    context = open_context(given["name"], given["config"], World.real(), given["authentication_key"])
    if module.check_mode:
        report = restore.preview(context, request, confirm)
    else:
        report = restore.restore(context, request, confirm=confirm, wait=given["wait"])
    result = {
        "snapshot": report["snapshot"],
        "sources": report["sources"],
        "steps": report["steps"],
        "steps_done": report["finished"],
        "aside": report["aside"],
        "verified": report["done"],
        "warnings_found": report["warnings"],
    }
    if report["error"]:
        return {"failed": True, "msg": report["error"], "changed": bool(report["sources"]), **result}
    return {"changed": report["done"] or (module.check_mode and bool(confirm)), **result}


def main() -> None:
    run_module(
        restore_set,
        argument_spec={
            **CONFIG,
            **WAIT,
            **SET,
            "sources": {"type": "list", "elements": "str", "default": []},
            "databases": {"type": "list", "elements": "str", "default": []},
            "target": {"type": "path"},
            "confirm": {"type": "str"},
        },
    )


if __name__ == "__main__":
    main()
