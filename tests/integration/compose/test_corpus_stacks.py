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


def measured_rows(out, folder, tool):
    program = [sys.executable, str(CORPUS / "measure.py"), str(folder), "--out", str(out)]
    environment = {**tool.environ, "PYTHONPATH": str(COLLECTIONS)}
    run = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return [json.loads(line) for line in out.read_text().splitlines()], run.stdout


@pytest.fixture(scope="module")
def measured(tmp_path_factory, compose_v2):
    rows, text = measured_rows(tmp_path_factory.mktemp("corpus") / "rows.jsonl", CORPUS / "stacks", compose_v2)
    return {pathlib.Path(row["folder"]).name: row for row in rows}, text


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


def test_folder_of_a_checkout_deploys_as_it_is_proposed(tmp_path, compose_v2):
    top = tmp_path / "repo"
    files = {
        "app/main.py": "print()\n",
        "conf/app.yml": "level: info\n",
        "deploy/Dockerfile": "FROM scratch\nCOPY app /app\n",
        "deploy/compose.yml": """
services:
  app:
    build: {context: .., dockerfile: deploy/Dockerfile}
    ports: ["8080:80"]
    volumes: [".:/code", "../conf/app.yml:/app.yml:ro", "/srv/app/nginx/app.conf:/nginx.conf:ro", "./ssl:/ssl:ro"]
  certificates:
    image: docker.io/example/certificates:1
    volumes: ["./ssl/:/out"]
""",
        "deploy/nginx/app.conf": "user app\n",
    }
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    for words in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", "-C", str(top), *words], check=True)
    (row,) = measured_rows(tmp_path / "rows.jsonl", top / "deploy", compose_v2)[0]
    assert {step: found["outcome"] for step, found in row["steps"].items()} == {
        "as cloned": "refused",
        "two lines": "refused",
        "scaffold": "planned",
        "advice": "planned",
        "files": "planned",
    }
