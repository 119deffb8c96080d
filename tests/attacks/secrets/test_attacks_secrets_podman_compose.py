# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What real versions of podman-compose put on Podman's command lines, written down by a program in Podman's place."""

from __future__ import annotations

import json
import os
import pathlib
import stat
import subprocess
import sys

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose.driver import PodmanCompose
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose.interpreter import (
    without_values,
)
from onebox_testbed import podman

CACHE = pathlib.Path(__file__).resolve().parents[3] / ".cache" / "testbed"
RECORDER = """
import json, os, sys
words = sys.argv[1:]
files = [words[i + 1] for i, word in enumerate(words) if word in ("--env-file", "--label-file")]
values = {name: value for name, value in os.environ.items() if "hidden-" in value}
row = [words, values, [[open(path).read(), os.stat(path).st_mode] for path in files]]
with open(os.environ["RECORD"], "a") as stream:
    stream.write(json.dumps(row) + chr(10))
if words[:1] == ["--version"]:
    print("podman version 4.3.1")
if words[:1] == ["ps"] and "json" in words:
    print("[]")
"""
STACK = {
    "services": {
        "web": {
            "image": "x",
            "environment": {
                "PLAIN": "hidden-1",
                "HOME": "hidden-2",
                "LINES": "hidden-3\nhidden-4",
                "FILLED": "${FILLED}",
            },
            "env_file": ["app.env"],
            "labels": {"auth": "admin:hidden-5", "other": "plain"},
            "command": ["sh", "-c", "exec sleep 1", "-e", "MINE=1"],
            **dict.fromkeys(("tty", "stdin_open", "read_only", "privileged", "init"), True),
            "healthcheck": {"test": ["CMD", "true"]},
        },
        "built": {"build": {"context": ".", "args": {"TOKEN": "hidden-6"}}},
    }
}
CANARIES = {f"hidden-{number}" for number in range(1, 9)}


@pytest.mark.parametrize("version", ["1.3.0", "1.5.0", "1.6.0"])
def test_no_value_is_on_a_command_line_and_each_arrives(version: str, tmp_path: pathlib.Path, tally):
    script = podman.compose(f"podman-compose=={version}", CACHE / f"podman-compose-{version}")
    recorder = tmp_path / "bin" / "podman"
    recorder.parent.mkdir()
    recorder.write_text(f"#!{sys.executable}\n{RECORDER}")
    recorder.chmod(0o755)
    project, private = tmp_path / "project", tmp_path / "private"
    project.mkdir()
    private.mkdir(mode=0o700)
    (project / "compose.yml").write_text(json.dumps(STACK))
    (project / "app.env").write_text("FROM_FILE=hidden-7\n")
    (project / "values.env").write_text("FILLED=hidden-8\n")
    (project / "Dockerfile").write_text("FROM x\n")
    record = tmp_path / "record"
    environ = {**os.environ, "PATH": f"{recorder.parent}:{os.environ['PATH']}", "RECORD": str(record)}
    tool = PodmanCompose((str(script),), (1, 3), environ)
    options = [
        "--in-pod=false",
        "-p",
        "t",
        "-f",
        str(project / "compose.yml"),
        "--env-file",
        str(project / "values.env"),
    ]
    for words in (["build", "built"], ["up", "-d", "--no-build", "web"]):
        argv = without_values(tool, str(private), [str(script), *options, *words])
        assert not any("hidden-" in word for word in argv)
        subprocess.run(argv, env=environ, cwd=project, check=True, capture_output=True)
    rows = [json.loads(line) for line in record.read_text().splitlines()]
    leaks = [words for words, _environ, _files in rows if any("hidden-" in word for word in words)]
    arrived = json.dumps([row[1:] for row in rows])
    assert [each for each in sorted(CANARIES) if each not in arrived] == []
    assert {stat.S_IMODE(mode) for row in rows for _text, mode in row[2]} == {0o600}
    assert list(private.iterdir()) == []
    (created,) = [words for words, *_rest in rows if words[0] in ("create", "run")]
    assert created[-4:] == ["-c", "exec sleep 1", "-e", "MINE=1"]
    tally(f"podman-compose {version}: values on Podman's command lines", len(CANARIES), len(leaks))
