# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_migrate
short_description: Import data from elsewhere into a stack, and apply its SQL migrations
description:
  - Imports a dump of C(pg_dump), an RDB or a directory into a source of the stack. Each is first restored into a
    throwaway container of the service's own image. The import is compared with that copy (every table by rows and
    hash, every key, every file) before it replaces the existing data.
  - Previous data is renamed and never deleted, see RV(aside).
  - Applies SQL files in order, each once. Applied files are recorded in the database, with their sha256, in the schema
    C(onebox). Changing an applied file is an error that names it.
  - Running it again continues after the last finished step. Finished imports are not repeated.
  - The sources are those of the stack's backup configuration.
version_added: 0.1.0
author:
  - The onebox.stack developers (@onebox-stack)
extends_documentation_fragment:
  - onebox.stack.backup
  - onebox.stack.backup.wait
attributes:
  check_mode:
    description: Changes nothing and returns the steps. Dumps are inspected, not restored.
    support: full
  diff_mode:
    description: Returns what changed, or would change, in diff mode.
    support: none
options:
  data_dir:
    description: Base directory on the managed host for relative paths in O(data).
    type: path
  data:
    description: Files and directories on the managed host to import.
    type: list
    elements: dict
    default: []
    suboptions:
      source:
        description: The source of the backup configuration to import into.
        type: str
        required: true
      file:
        description:
          - For C(postgresql), a dump of one database, C(pg_dump -Fc) or plain SQL, optionally compressed with gzip.
          - For C(redis), an RDB. For C(directory), a directory.
        type: path
        required: true
      database:
        description: For C(postgresql), the database to create from the dump.
        type: str
      owners:
        description:
          - For C(postgresql), whether to keep owners and privileges of the dump. Otherwise the server's user owns all.
        type: bool
        default: true
      globals:
        description: For C(postgresql), a file of C(pg_dumpall --globals-only) with roles to create first.
        type: path
      facts:
        description:
          - For C(postgresql), the row counts and hashes of the old database, from
            C(playbooks/files/onebox-facts.sql). The dump must match them.
        type: path
  migrations_dir:
    description: Base directory on the managed host for relative paths in O(migrations).
    type: path
  migrations:
    description: SQL files to apply, in this order.
    type: list
    elements: dict
    default: []
    suboptions:
      file:
        description:
          - The file with the SQL. Its path, as given here, is its permanent name.
        type: str
        required: true
      source:
        description: The PostgreSQL source of the backup configuration.
        type: str
        required: true
      database:
        description: The database to apply it to.
        type: str
        required: true
      required:
        description:
          - Whether its failure ends the run. Failed optional migrations are reported and retried on the next run.
        type: bool
        default: true
      transaction:
        description:
          - V(false) applies it outside of a transaction, as C(CREATE INDEX CONCURRENTLY) requires. Such SQL must be
            safe to run twice, because a run may be killed before it is recorded as applied.
        type: bool
        default: true
  confirm:
    description:
      - The name of the stack, to confirm the import. With data to import, the module changes nothing without it.
    type: str
"""

EXAMPLES = r"""
- name: Show the steps of an import from the old host
  onebox.stack.stack_migrate:
    name: coinpilot
    data_dir: /root/move
    data: &data
      - {source: db, database: coinpilot, file: coinpilot.dump, facts: coinpilot.facts, owners: false}
      - {source: cache, file: dump.rdb}

- name: Import the data and apply the SQL migrations
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
  description: The steps in order, done or planned.
  returned: success
  type: list
  elements: str
data:
  description:
    - For each of O(data), its sha256, its state (move, moved, or there if an earlier run imported it), its counts
      (found) and the path or name of the previous data (C(aside)).
  returned: success
  type: list
  elements: dict
migrations:
  description: For each of O(migrations), its sha256, its state (pending, applied or failed) and error.
  returned: success
  type: list
  elements: dict
moves:
  description: Whether there is data left to import, because O(confirm) is missing or in check mode.
  returned: success
  type: bool
pending:
  description: Names of the migrations that are not applied.
  returned: success
  type: list
  elements: str
aside:
  description: Paths and names of the previous data.
  returned: success
  type: list
  elements: str
verified:
  description: Whether everything is done and the imported data equals the files.
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
from ansible_collections.onebox.stack.plugins.module_utils.backup import migrate
from ansible_collections.onebox.stack.plugins.module_utils.backup.options import CONFIG, WAIT, open_context
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
    """Import data and apply SQL, or plan it. A failed run returns its report."""
    given = module.params
    request = migrate.Request(
        tuple(migrate.datum(given["data_dir"] or "", **one) for one in given["data"]),
        tuple(sql_migrations.read(given["migrations_dir"] or "", **one) for one in given["migrations"]),
    )
    context = open_context(given["name"], given["config"], World.real())
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
