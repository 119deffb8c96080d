# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every layout that loses data is named before the data is lost; plain ``down`` and ``up`` count the rows."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import shutil
import tempfile
import typing as t
import uuid

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.discover import find
from mounts_lab import PREFIX, proof
from state_layouts import LAYOUTS, ROWS, StateStack, servers

IMAGES = pathlib.Path(__file__).parents[2] / "testbed" / "backup" / "images.py"
_ANONYMOUS = 64


def _images() -> t.Any:
    spec = importlib.util.spec_from_file_location("state_images", IMAGES)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Bench:
    """All layouts in one engine, and the volumes that it had before."""

    def __init__(self, engine: t.Any, tool: t.Any, python: str) -> None:
        self.engine = engine
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{PREFIX}-state-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        made = _images()
        known = servers(lambda part: str(made.ensure(part, engine.name)), python)
        argv = [*tool.argv, *(["--in-pod=false"] if engine.name == "podman" else [])]
        project = f"{PREFIX}-state-{uuid.uuid4().hex[:6]}"
        self.stack = StateStack(project, self.folder, argv, known, engine.name, {**engine.environ, **tool.env})
        self._before = self._volumes()

    def _volumes(self) -> set[str]:
        return set(self.engine.run("volume", "ls", "-q").stdout.split())

    def close(self) -> None:
        self.stack.close()
        # Those that ``down`` left behind.
        for name in sorted(self._volumes() - self._before):
            if len(name) == _ANONYMOUS:
                self.engine.run("volume", "rm", name, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


# make test-state runs both.
FULL = pytest.mark.skipif(os.environ.get("OBX_FAULTS") != "full", reason="the same on Podman takes minutes more")


@pytest.fixture(params=["docker", pytest.param("podman", marks=FULL)])
def bench(request: pytest.FixtureRequest, python_image: str) -> t.Iterator[Bench]:
    """All layouts on Docker with Compose, and on rootful Podman with podman-compose."""
    tool = request.getfixturevalue("compose_v2" if request.param == "docker" else "podman_compose")
    made = Bench(request.getfixturevalue(f"{request.param}_engine"), tool, python_image)
    try:
        yield made
    finally:
        made.close()


def test_layouts_that_lose_rows_are_named_before_and_others_are_not(bench: Bench) -> None:
    stack = bench.stack
    engine = find(bench.engine.name, bench.engine.socket, world=World.real())
    stack.run("up", "-d")
    stack.write()
    report = proof(engine, project=stack.project)
    before = stack.rows()
    stack.run("down")
    stack.run("up", "-d")
    after = stack.rows()

    assert len(LAYOUTS) >= 30
    wrong, record = [], []
    for layout in LAYOUTS:
        home = stack.home(layout)
        places = [row for row in report["data_places"] if row["service"] == layout.name]
        data = [row for row in places if row["path"] == home or home.startswith(row["path"].rstrip("/") + "/")]
        verdicts = {max(data, key=lambda row: len(row["path"]))["verdict"]} if data else set()
        lost = before[layout.name] - after[layout.name]
        record.append((layout.name, ", ".join(sorted(verdicts)) or "-", lost))
        if before[layout.name] != ROWS:
            wrong.append(f"{layout.name}: has {before[layout.name]} rows before")
        expected = layout.verdict_on(bench.engine.name)
        if verdicts != {expected}:
            wrong.append(f"{layout.name}: {verdicts} and not {expected}: {places}")
        if bool(lost) != (expected != "persistent"):
            wrong.append(f"{layout.name}: lost {lost} rows, verdict {verdicts}")
        risky = any(row["at_risk"] for row in places)
        if risky != (expected != "persistent" and layout.what != "tmpfs"):
            wrong.append(f"{layout.name}: at risk is {risky}: {places}")
    _print(bench.engine.name, record)
    assert not wrong, "\n".join(wrong)
    assert not report["ok"]
    assert "on no declared mount would be lost" in report["message"]


def _print(engine: str, record: list[tuple[str, str, int]]) -> None:
    print(f"\n{engine + ': layout':26} {'named before as':20} {'rows lost by plain down; up'}")
    for name, found, lost in record:
        print(f"{name:26} {found:20} {lost}")
    named = sum(1 for _name, found, lost in record if lost and "lost" in found)
    losing = sum(1 for row in record if row[2])
    total = sum(row[2] for row in record)
    print(f"{engine}: {len(record)} layouts, {losing} lose {total} rows, {named} of them are named before")
