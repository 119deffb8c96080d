# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The measure of other people's stacks, on stacks of our own that are written in their manner."""

import json
import pathlib
import subprocess
import sys

import pytest

CORPUS = pathlib.Path(__file__).resolve().parents[2] / "corpus"
COLLECTIONS = CORPUS.parents[1] / ".collections"
ALL = ("media", "monitor", "proxy", "search", "shop", "vpn", "wiki")


@pytest.fixture(scope="module")
def measured(tmp_path_factory, compose_v2):
    out = tmp_path_factory.mktemp("corpus") / "rows.jsonl"
    program = [sys.executable, str(CORPUS / "measure.py"), str(CORPUS / "stacks"), "--out", str(out)]
    environment = {**compose_v2.environ, "PYTHONPATH": str(COLLECTIONS)}
    run = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    rows = {pathlib.Path(row["folder"]).name: row for row in map(json.loads, out.read_text().splitlines())}
    return rows, run.stdout


def outcomes(rows, step):
    return {name for name, row in rows.items() if row["steps"][step]["outcome"] == "planned"}


def test_steps_count_what_each_brings(measured):
    rows, _text = measured
    assert set(rows) == set(ALL)
    assert {name for name, row in rows.items() if not row["resolves"]} == {"monitor", "proxy"}
    rows = {name: row for name, row in rows.items() if row["resolves"]}
    assert outcomes(rows, "as cloned") == set()
    assert outcomes(rows, "scaffold") == {"media", "shop", "wiki"}
    assert outcomes(rows, "advice") == {"media", "shop", "vpn", "wiki"}
    assert outcomes(rows, "files") == {"media", "search", "shop", "vpn", "wiki"}


def test_table_has_a_line_for_each_step(measured):
    rows, text = measured
    assert text.startswith(f"{len(rows)} stacks, 5 resolved by Docker Compose as cloned")
    assert "scaffold" in text
    assert "60.0 %" in text
