# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results that roles keep: a task that is skipped replaces the result that an earlier task registered."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml

ROLES = pathlib.Path(__file__).resolve().parents[3] / "roles"
IMPORT = "ansible.builtin.import_tasks"


def registered(folder: pathlib.Path, name: str, conditional: bool = False) -> t.Iterator[tuple[str, str, bool]]:
    """Variable, task, and whether that task can be skipped, in the order of the tasks of a file and its imports."""
    yield from _of(folder, yaml.safe_load((folder / name).read_text(encoding="utf-8")) or [], conditional)


def _of(folder: pathlib.Path, tasks: t.Iterable[dict], conditional: bool) -> t.Iterator[tuple[str, str, bool]]:
    for task in tasks:
        skipped = conditional or "when" in task
        if "register" in task:
            yield task["register"], task["name"], skipped
        for part in ("block", "rescue", "always"):
            yield from _of(folder, task.get(part) or (), skipped)
        if IMPORT in task:
            yield from registered(folder, task[IMPORT], skipped)


@pytest.mark.parametrize("path", sorted(ROLES.glob("*/tasks/*.yml")), ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_result_of_a_task_is_not_replaced_by_a_later_task_that_is_skipped(path: pathlib.Path):
    known: set[str] = set()
    bad = []
    for variable, task, skipped in registered(path.parent, path.name):
        if variable in known and skipped:
            bad.append(f"{task}: {variable}")
        known.add(variable)
    assert bad == [], "put the task into a file, and include that with the condition"
