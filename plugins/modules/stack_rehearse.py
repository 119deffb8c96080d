# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_rehearse
short_description: Restore a backup into throwaway containers and compare it
description:
  - Restores a set into new containers of the recorded image, without network. Compares rows and content hashes, keys,
    files, modes and owners with the record of the backup.
  - Does not touch the running stack, so the task is never C(changed). Fails if anything differs.
version_added: 0.1.0
author:
  - The onebox.stack developers (@onebox-stack)
extends_documentation_fragment:
  - onebox.stack.backup
  - onebox.stack.backup.wait
  - onebox.stack.backup.set
attributes:
  check_mode:
    description: Restores nothing and returns the set that would be rehearsed.
    support: full
  diff_mode:
    description: Returns what changed, or would change, in diff mode.
    support: none
options:
  self_test:
    description:
      - Whether to damage copies of the set instead (a flipped bit, a truncated dump, an altered row, an empty RDB, an
        altered file) and fail unless every damage is found.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Rehearse the newest set
  onebox.stack.stack_rehearse:
    name: coinpilot

- name: Check that the comparison finds damage
  onebox.stack.stack_rehearse:
    name: coinpilot
    self_test: true

- name: Rehearse the newest off-site set
  onebox.stack.stack_rehearse:
    name: coinpilot
    repository: offsite
"""

RETURN = r"""
snapshot:
  description: The set, with seq, id, taken (ISO 8601) and size in bytes; empty if none was committed.
  returned: success
  type: dict
sources:
  description:
    - Each source with name, kind, ok, error, and count (rows, keys or entries).
    - C(found) has the counts of the restored copy, and in C(not_compared) the parts that are not compared.
  returned: success
  type: list
  elements: dict
verified:
  description: Whether the restored copy is equal. With O(self_test), whether every damage was found.
  returned: success
  type: bool
controls:
  description: With O(self_test), each damage, whether it was caught, and the error.
  returned: success
  type: list
  elements: dict
not_rehearsed:
  description: With O(self_test), damages that were skipped because the stack has no such source.
  returned: success
  type: list
  elements: str
restore_seconds:
  description: Seconds that the restore took. Expect a similar downtime in a real restore.
  returned: success
  type: float
evidence:
  description: Path of the file with the outcome.
  returned: success
  type: str
warnings_found:
  description: Warnings that do not fail the run.
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.backup import rehearse, selftest
from ansible_collections.onebox.stack.plugins.module_utils.backup.options import CONFIG, SET, WAIT, chosen, open_context
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


def rehearse_set(module: AnsibleModule) -> dict[str, t.Any]:
    """Rehearse a set, or only name it in check mode. A failed rehearsal returns its report."""
    given = module.params
    context = open_context(given["name"], given["config"], World.real(), given["authentication_key"])
    accepted = given["accept_unauthenticated"]
    snapshot = chosen(context, given["repository"], given["set"], accepted)
    if module.check_mode:
        return {
            "changed": False,
            "snapshot": snapshot,
            "sources": [],
            "verified": False,
            "controls": [],
            "not_rehearsed": [],
            "restore_seconds": 0.0,
            "evidence": "",
            "warnings_found": [],
        }
    if given["self_test"]:
        report = selftest.self_test(context, wait=given["wait"])
    else:
        report = rehearse.rehearse(
            context, wanted=given["set"], where=given["repository"], wait=given["wait"], accepted=accepted
        )
    result = {
        "changed": False,
        "snapshot": snapshot,
        "sources": report.get("sources", []),
        "verified": report["ok"],
        "controls": report.get("controls", []),
        "not_rehearsed": report.get("skipped", []),
        "restore_seconds": report.get("restore_seconds", 0.0),
        "evidence": report.get("evidence", ""),
        "warnings_found": report["warnings"],
    }
    if report["error"]:
        return {"failed": True, "msg": report["error"], **result}
    return result


def main() -> None:
    run_module(rehearse_set, argument_spec={**CONFIG, **WAIT, **SET, "self_test": {"type": "bool", "default": False}})


if __name__ == "__main__":
    main()
