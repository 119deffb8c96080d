# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two operators deploy one stack at the same time, and some of their runs are killed. The engine is on paper.

Processes, locks and files are real. ``make attacks`` and OBX_FAULTS=full try 200 interleavings.
"""

from __future__ import annotations

import json
import os
import pathlib
import random
import signal
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import image_tags
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.releases import Releases
from ansible_collections.onebox.stack.plugins.module_utils.core import files
from paper_engine import Paper


def _operator(paper: Paper, version: str, bad: bool, wait: float) -> int:
    """A process of its own that stages and deploys one version after a moment; its id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        time.sleep(wait)
        paper.services["web"]["environment"] = {
            "LEVEL": "${LEVEL}",
            "VERSION": version,
            **({"BAD": "1"} if bad else {}),
        }
        paper.services["web"]["volumes"] = ["./conf/app:/conf:ro"]
        paper.env = {"LEVEL": version}
        paper.source = paper.root / f"source-{version}"
        paper.source.mkdir()
        paper.write(conf__app=version)
        # A slow host: there is time for the other one between any two steps.
        paper.before = lambda step: time.sleep(0.01)
        result = paper.deploy(wait_timeout=0.3)
        status = 2 if result.get("failed") else 0
    finally:
        os._exit(status)


def _whole(paper: Paper) -> str:
    """What is wrong: "" when a healthy version runs from its own files, and the release is one that ran."""
    running = paper.running()
    version = running.get("web", {}).get("VERSION", "")
    if not version:
        return f"no healthy service: {running}"
    if running["web"]["LEVEL"] != version:
        return f"the variables are of another version: {running}"
    with paper.engine.rows() as rows:
        read = list(rows["web"]["Read"].values())
    if read != [version]:
        return f"version {version} read the files {read}"
    good = Releases(str(paper.state / "shop"), "shop").sets()
    for each in good:
        folder = paper.state / "shop" / "good" / str(each.number) / "files"
        model = json.loads((folder / "compose.yml").read_text())
        kept = model["services"]["web"]["environment"]["VERSION"]
        if "BAD" in model["services"]["web"]["environment"]:
            return f"release {each.number} was never healthy"
        if (folder / "conf" / "app").read_text() != kept or f"LEVEL={kept}" not in (folder / ".env").read_text():
            return f"release {each.number} is a mixture"
        if any(files.digest(str(folder / name))[0] != digest for name, digest in each.files.items()):
            return f"release {each.number} is not what was judged"
    return "" if good else "no release is kept"


def test_two_operators_end_with_a_healthy_service_and_a_release_that_ran(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, tally, how_many
):
    for name in ("tag", "untag"):
        monkeypatch.setattr(image_tags.Tagger, name, lambda *words: None)
    chance = random.Random(13)
    tried, wrong = how_many(20, 200), []
    for number in range(tried):
        folder = tmp_path / str(number)
        folder.mkdir()
        paper = Paper(folder, monkeypatch)
        paper.services["web"]["environment"]["VERSION"] = "v0"
        paper.services["web"]["volumes"] = ["./conf/app:/conf:ro"]
        paper.env = {"LEVEL": "v0"}
        paper.write(conf__app="v0")
        assert not paper.deploy().get("failed")
        bad = chance.random() < 0.4
        runs = [
            _operator(paper, f"a{number}", bad=False, wait=0.0),
            _operator(paper, f"b{number}", bad=bad, wait=chance.random() * 0.15),
        ]
        if chance.random() < 0.5:
            time.sleep(chance.random() * 0.25)
            os.kill(runs[chance.randrange(2)], signal.SIGKILL)
        statuses = [os.waitpid(child, 0)[1] for child in runs]
        if any(os.WIFSIGNALED(status) for status in statuses):
            # What a killed run left is for the next run; it is that of an operator, too.
            os.waitpid(_operator(paper, f"c{number}", bad=False, wait=0.0), 0)
        found = _whole(paper)
        if found:
            wrong.append(f"{number} (bad: {bad}, {statuses}): {found}")
    print("\n".join(wrong))
    tally("two operators deploy one stack at once, some runs are killed: not whole", tried, len(wrong))
