# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_migrate
short_description: Move data from another place into a stack, and apply the SQL it declares
description:
  - Makes a dump of C(pg_dump), an RDB or a directory from another place the data of a source of the stack. Each is
    first restored into a throwaway container of the service's own image; what is in it is compared with what then is
    in the stack (every table by rows and hash, every key, every file), and only then it replaces the former data.
  - Former data is moved aside and never deleted; RV(aside) says where it is.
  - Applies SQL files in order, each once. What was applied is remembered in the database, with its sha256, in the
    schema C(onebox). An applied file that was changed since is an error that names it.
  - Run again, it goes on where it was; what is there already is left alone.
  - The sources are those of the stack's backup declaration.
version_added: 0.1.0
author:
  - The onebox.stack developers (@onebox-stack)
extends_documentation_fragment:
  - onebox.stack.backup
  - onebox.stack.backup.wait
attributes:
  check_mode:
    description: Changes nothing and returns the steps. Dumps are looked at, and not restored.
    support: full
  diff_mode:
    description: Returns what changed, or would change, in diff mode.
    support: none
options:
  data_dir:
    description: Directory on the managed host that relative paths in O(data) are below.
    type: path
  data:
    description: Files and directories on the managed host that become data of the stack.
    type: list
    elements: dict
    default: []
    suboptions:
      source:
        description: The source of the declaration that it is for.
        type: str
        required: true
      file:
        description:
          - For C(postgresql), a dump of one database, C(pg_dump -Fc) or plain SQL, also packed with gzip.
          - For C(redis), an RDB. For C(directory), a directory.
        type: path
        required: true
      database:
        description: For C(postgresql), the database it becomes.
        type: str
      owners:
        description:
          - For C(postgresql), whether owners and privileges in the dump count. Otherwise the server's user owns all.
        type: bool
        default: true
      globals:
        description: For C(postgresql), a file of C(pg_dumpall --globals-only) with roles to make first.
        type: path
      facts:
        description:
          - For C(postgresql), what the old place says is in the database, made there with
            C(playbooks/files/onebox-facts.sql). The dump must be just that.
        type: path
  migrations_dir:
    description: Directory on the managed host that relative paths in O(migrations) are below.
    type: path
  migrations:
    description: SQL to apply, in this order.
    type: list
    elements: dict
    default: []
    suboptions:
      file:
        description:
          - The file with the SQL. Its path as it is given here is its name for ever.
        type: str
        required: true
      source:
        description: The PostgreSQL source of the declaration.
        type: str
        required: true
      database:
        description: The database.
        type: str
        required: true
      required:
        description: Whether its failure ends the run. An optional one that fails is told, and tried again next time.
        type: bool
        default: true
      transaction:
        description:
          - V(false) applies it outside of a transaction, as C(CREATE INDEX CONCURRENTLY) wants it. Such SQL must bear
            being run twice, because a run may be killed between its end and the note that it was applied.
        type: bool
        default: true
  confirm:
    description:
      - The name of the stack, typed out. Without it no data is moved, and while there are any to move, nothing is done.
    type: str
"""

EXAMPLES = r"""
- name: Show what moving the old box's data in would do
  onebox.stack.stack_migrate:
    name: coinpilot
    data_dir: /root/move
    data: &data
      - {source: db, database: coinpilot, file: coinpilot.dump, facts: coinpilot.facts, owners: false}
      - {source: cache, file: dump.rdb}

- name: Do it, and apply the SQL of the new version
  onebox.stack.stack_migrate:
    name: coinpilot
    data_dir: /root/move
    data: *data
    migrations_dir: /root/move/sql
    migrations:
      - {source: db, database: coinpilot, file: v3_3_0_news_rss_only.sql}
      - {source: db, database: coinpilot, file: v3_1_reject_tracking.sql, required: false}
    confirm: coinpilot
"""

RETURN = r"""
steps:
  description: What is done, or would be, in order.
  returned: success
  type: list
  elements: str
data:
  description:
    - Of each of O(data), its sha256, its state (move, moved or there), what was found in it (found) and where the
      former data is (aside).
  returned: success
  type: list
  elements: dict
migrations:
  description: Of each of O(migrations), its sha256, its state (pending, applied or failed) and error.
  returned: success
  type: list
  elements: dict
moves:
  description: Whether data are to be moved that were not, because O(confirm) is missing or in check mode.
  returned: success
  type: bool
pending:
  description: Names of the migrations that are not applied.
  returned: success
  type: list
  elements: str
aside:
  description: Where the former data is.
  returned: success
  type: list
  elements: str
verified:
  description: Whether all was done, and what arrived is what was in the files.
  returned: success
  type: bool
warnings_found:
  description: What a person should know and what is no failure.
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.backup import migrate
from ansible_collections.onebox.stack.plugins.module_utils.backup.options import CONFIG, WAIT, surroundings
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import migrations as sql_migrations
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

DATUM = {
    "source": {"type": "str", "required": True},
    "file": {"type": "path", "required": True},
    "database": {"type": "str"},
    "owners": {"type": "bool", "default": True},
    "globals": {"type": "path"},
    "facts": {"type": "path"},
}
MIGRATION = {
    "file": {"type": "str", "required": True},
    "source": {"type": "str", "required": True},
    "database": {"type": "str", "required": True},
    "required": {"type": "bool", "default": True},
    "transaction": {"type": "bool", "default": True},
}


def move_in(module: AnsibleModule) -> dict[str, t.Any]:
    """Move data and SQL in, or plan it. A run that failed returns its report with the failure."""
    given = module.params
    request = migrate.Request(
        tuple(migrate.datum(given["data_dir"] or "", **one) for one in given["data"]),
        tuple(sql_migrations.read(given["migrations_dir"] or "", **one) for one in given["migrations"]),
    )
    context = surroundings(given["name"], given["config"], World.real())
    report = migrate.migrate(
        context, request, confirm=given["confirm"] or "", wait=given["wait"], dry=module.check_mode
    )
    result = {
        "changed": report["changed"],
        "steps": report["steps"],
        "data": report["data"],
        "migrations": report["migrations"],
        "moves": any(row["state"] == migrate.MOVE for row in report["data"]),
        "pending": [row["name"] for row in report["migrations"] if row["state"] != "applied"],
        "aside": report["aside"],
        "verified": report["done"],
        "warnings_found": report["warnings"],
    }
    if report["error"]:
        return {"failed": True, "msg": report["error"], **result}
    if module.check_mode:
        result["changed"] = bool(report["steps"])
    return result


def main() -> None:
    run_module(
        move_in,
        argument_spec={
            **CONFIG,
            **WAIT,
            "data_dir": {"type": "path"},
            "data": {"type": "list", "elements": "dict", "default": [], "options": DATUM},
            "migrations_dir": {"type": "path"},
            "migrations": {"type": "list", "elements": "dict", "default": [], "options": MIGRATION},
            "confirm": {"type": "str"},
        },
    )


if __name__ == "__main__":
    main()
