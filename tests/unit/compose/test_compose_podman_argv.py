# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No value of a variable, label or build argument is on a command line of Podman."""

import json
import os
import pathlib
import stat
import sys

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose import argv as podman_argv
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose.driver import PodmanCompose
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose.interpreter import (
    without_values,
)
from ansible_collections.onebox.stack.plugins.module_utils.core import process

OWN = "com.docker.compose.project=shop"


@pytest.mark.parametrize(
    ("given", "argv", "environ", "variables", "labels"),
    [
        (["create", "-e", "A=v w"], ["create", "-e", "A"], {"A": "v w"}, [], []),
        (["run", "-d", "-e", "A=1\n2"], ["run", "-d", "-e", "A"], {"A": "1\n2"}, [], []),
        (["create", "-e", "A="], ["create", "-e", "A"], {"A": ""}, [], []),
        (["create", "-e", "A"], ["create", "-e", "A"], {}, [], []),
        (["create", "-e", "a.b-c=x=y"], ["create", "-e", "a.b-c"], {"a.b-c": "x=y"}, [], []),
        (["create", "-e", "PATH=/x"], ["create"], {}, ["PATH=/x"], []),
        (["create", "-e", "https_proxy=u:p"], ["create"], {}, ["https_proxy=u:p"], []),
        (["create", "-e", "X*=1"], ["create"], {}, ["X*=1"], []),
        (["create", "-e", "PATH=/x\n/y"], ["create", "-e", "PATH=/x\n/y"], {}, [], []),
        (["create", "--label", "a=v w"], ["create"], {}, [], ["a=v w"]),
        (["create", "--label", OWN], ["create", "--label", OWN], {}, [], []),
        (["create", "--label", "a=1\n2"], ["create", "--label", "a=1\n2"], {}, [], []),
        (["create", "--label", "a b=1"], ["create", "--label", "a b=1"], {}, [], []),
        (["create", "--label", "#a=1"], ["create", "--label", "#a=1"], {}, [], []),
        (["create", "--label", "a=1\r"], ["create", "--label", "a=1\r"], {}, [], []),
        (["build", "--build-arg", "A=x", "."], ["build", "--build-arg", "A", "."], {"A": "x"}, [], []),
        (
            ["build", "--build-arg", "HTTP_PROXY=u:p", "."],
            ["build", "--build-arg", "HTTP_PROXY", "."],
            {"HTTP_PROXY": "u:p"},
            [],
            [],
        ),
        # Behind the image all words are the container's.
        (["create", "--name=x", "img", "-e", "A=1"], ["create", "--name=x", "img", "-e", "A=1"], {}, [], []),
        (["create", "--tty", "img", "-e", "A=1"], ["create", "--tty", "img", "-e", "A=1"], {}, [], []),
        (["create", "--user", "-e", "A=1"], ["create", "--user", "-e", "A=1"], {}, [], []),
        (["network", "create", "--label", "a=1"], ["network", "create", "--label", "a=1"], {}, [], []),
        (["ps"], ["ps"], {}, [], []),
    ],
)
def test_values_leave_the_command_line(given, argv, environ, variables, labels):
    call = podman_argv.without_values(["podman", *given])
    assert call == (["podman", *argv], environ, variables, labels)


def test_podman_compose_runs_with_values_off_the_command_line_and_nothing_of_its_directory(tmp_path):
    """A script in place of podman-compose, run as podman-compose is; what it starts says what it got."""
    said = "import json, os, sys; a = sys.argv[1:]; f = [a[i + 1] for i, w in enumerate(a) if w.endswith('-file')]\n"
    said += "print(json.dumps([a, os.environ.get('A'), [[open(p).read(), os.stat(p).st_mode] for p in f]]))\n"
    (tmp_path / "podman").write_text(f"#!{sys.executable}\n{said}")
    (tmp_path / "podman").chmod(0o755)
    script = tmp_path / "podman-compose"
    script.write_text(
        f"#!{sys.executable}\nimport asyncio, sys\nasync def main():\n    p = await asyncio.create_subprocess_exec("
        f"'{tmp_path}/podman', 'create', '-e', 'A=canary', '-e', 'HOME=canary', '--label', 'b=canary', *sys.argv[1:])\n"
        "    await p.wait()\nif __name__ == '__main__':\n    asyncio.run(main())\n"
    )
    folder, project = tmp_path / "private", tmp_path / "project"
    folder.mkdir()
    project.mkdir()
    for name in ("asyncio", "tempfile", "runpy"):
        (project / f"{name}.py").write_text("raise SystemExit('a module of the project was imported')")
    tool = PodmanCompose((str(script),), (1, 6), dict(os.environ))
    argv = without_values(tool, str(folder), [str(script), "img", "-e", "C=mine"])
    argv_read, variable, files = json.loads(process.run(argv, timeout=60, cwd=str(project)).stdout)
    assert argv_read[0] == "create"
    assert argv_read[-5:] == ["-e", "A", "img", "-e", "C=mine"]
    assert "canary" not in " ".join(argv_read)
    assert variable == "canary"
    assert [text for text, _mode in files] == ["HOME=canary\n", "b=canary\n"]
    assert {stat.S_IMODE(mode) for _text, mode in files} == {0o600}
    assert list(pathlib.Path(folder).iterdir()) == []
