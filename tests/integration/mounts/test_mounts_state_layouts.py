# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every layout that loses data is named before the data is lost; plain ``down`` and ``up`` count the rows."""

from __future__ import annotations

import importlib.util
import pathlib
import shutil
import subprocess
import tempfile
import typing as t
import uuid

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.discover import find
from mounts_lab import PREFIX, proof
from state_layouts import LAYOUTS, ROWS, StateStack, servers

IMAGES = pathlib.Path(__file__).parents[2] / "testbed" / "backup" / "images.py"
_RECORD: list[tuple[str, str, str, int]] = []


def _images() -> t.Any:
    spec = importlib.util.spec_from_file_location("state_images", IMAGES)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def stack(python_image: str) -> t.Iterator[StateStack]:
    """All layouts on Docker."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{PREFIX}-state-", dir="/var/tmp"))
    folder.chmod(0o755)
    known = servers(_images().ensure, python_image)
    made = StateStack(f"{PREFIX}-state-{uuid.uuid4().hex[:6]}", folder, ["docker", "compose"], known)
    before = _volumes()
    try:
        yield made
    finally:
        made.close()
        # Those that ``down`` left behind.
        for name in sorted(_volumes() - before):
            if len(name) == 64:
                subprocess.run(["docker", "volume", "rm", name], capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _volumes() -> set[str]:
    done = subprocess.run(["docker", "volume", "ls", "-q"], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_layouts_that_lose_rows_are_named_before_and_others_are_not(stack: StateStack) -> None:
    engine = find("docker", world=World.real())
    stack.run("up", "-d", "-t", "0")
    stack.write()
    report = proof(engine, project=stack.project)
    before = stack.rows()
    stack.run("down")
    stack.run("up", "-d")
    after = stack.rows()

    assert len(LAYOUTS) >= 30
    wrong = []
    for layout in LAYOUTS:
        home = stack.home(layout)
        places = [row for row in report["data_places"] if row["service"] == layout.name]
        data = [row for row in places if row["path"] == home or home.startswith(row["path"].rstrip("/") + "/")]
        verdicts = {max(data, key=lambda row: len(row["path"]))["verdict"]} if data else set()
        lost = before[layout.name] - after[layout.name]
        _RECORD.append((layout.name, ", ".join(sorted(verdicts)) or "-", layout.verdict, lost))
        if before[layout.name] != ROWS:
            wrong.append(f"{layout.name}: has {before[layout.name]} rows before")
        if verdicts != {layout.verdict}:
            wrong.append(f"{layout.name}: {verdicts} and not {layout.verdict}: {places}")
        if bool(lost) != (layout.verdict != "persistent"):
            wrong.append(f"{layout.name}: lost {lost} rows, verdict {verdicts}")
        risky = any(row["at_risk"] for row in places)
        if risky != (layout.verdict != "persistent" and layout.what != "tmpfs"):
            wrong.append(f"{layout.name}: at risk is {risky}: {places}")
    _print()
    assert not wrong, "\n".join(wrong)
    assert not report["ok"]
    assert "on no declared mount would be lost" in report["message"]


def _print() -> None:
    print(f"\n{'layout':18} {'named before as':30} {'rows lost by plain down; up'}")
    for name, found, _wanted, lost in _RECORD:
        print(f"{name:18} {found:30} {lost}")
    named = sum(1 for _name, found, _wanted, lost in _RECORD if lost and "lost" in found)
    losing = sum(1 for row in _RECORD if row[3])
    print(f"{len(_RECORD)} layouts: {losing} lose rows, {named} of them are named before")
