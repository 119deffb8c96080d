# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check without Ansible, for a timer: ``onebox-verify --project 97layer --textfile FILE``.

Exit codes: 0 every mount is proven, 1 one is not, 2 the check did not run.
"""

from __future__ import annotations

import argparse
import json
import sys
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.discover import ENGINES, find
from ansible_collections.onebox.stack.plugins.module_utils.mounts import metrics, promised
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verify import ACCESS, Check, verify
from ansible_collections.onebox.stack.plugins.module_utils.mounts.vm.prover import Prover
from ansible_collections.onebox.stack.plugins.module_utils.vm.shares import KINDS, Machine

PROVEN, BROKEN, UNKNOWN = 0, 1, 2


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="onebox-verify", description="Prove the mounts of running containers.")
    made.add_argument("--project", help="the compose project; default all containers of the engine")
    made.add_argument("--engine", choices=ENGINES, default="auto")
    made.add_argument("--socket", help="the engine's API socket, if it is not at a usual path")
    made.add_argument("--working-dir", default="", help="the directory the containers must have been created from")
    made.add_argument("--promised", help="record of the last deploy; default: that of the project, if any")
    made.add_argument("--access", choices=ACCESS, default="write")
    made.add_argument("--ephemeral", action="store_true", help="also search for writes outside every mount")
    made.add_argument("--vm", choices=KINDS, default="none")
    made.add_argument("--vm-name", default="")
    made.add_argument("--json", action="store_true", help="print the whole result as JSON")
    made.add_argument("--textfile", help="write Prometheus metrics to this file")
    return made


def main(argv: t.Sequence[str] | None = None, out: t.TextIO | None = None) -> int:
    """Check once and return the exit code."""
    stream = sys.stdout if out is None else out
    given = parser().parse_args(argv)
    world = World.real()
    result = None
    problem = ""
    try:
        through = None
        if given.vm != "none":
            through = Prover(Machine.of(given.vm, given.vm_name, environ=world.environ), world)
        check = Check(
            project=given.project,
            working_dir=given.working_dir,
            access=given.access,
            ephemeral=given.ephemeral,
            promised=given.promised or (promised.place(given.project, world) if given.project else ""),
        )
        result = verify(find(given.engine, given.socket, world=world), check, world=world, through=through)
    except OneboxError as error:
        problem = str(error)
    if given.textfile:
        try:
            metrics.write(given.textfile, metrics.text(result, given.project or "", world.epoch()))
        except OneboxError as error:
            problem = problem or str(error)
    if result is None or problem:
        sys.stderr.write(f"not checked: {problem}\n")
        return UNKNOWN
    shown = {key: value for key, value in result.items() if key != "hosts"}
    stream.write((json.dumps(shown) if given.json else "\n".join(result["table"])) + "\n")
    return PROVEN if result["ok"] else BROKEN
