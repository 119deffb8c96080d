# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The testbed's engines match their fixtures. If these tests fail, fix them before any other."""

import subprocess

import pytest


@pytest.mark.parametrize("engine_name", ["docker_engine", "podman_engine"])
def test_engine_runs_a_container(engine_name, request, tiny_image, python_image):
    engine = request.getfixturevalue(engine_name)
    assert engine.run("run", "--rm", tiny_image, "echo", "it runs").stdout == "it runs\n"
    said = engine.run("run", "--rm", python_image, "python", "-c", "import sys; print(sys.version_info[:2])").stdout
    assert said == "(3, 11)\n"


@pytest.mark.parametrize("compose_name", ["compose_v2", "podman_compose"])
def test_compose_reads_a_file(compose_name, request, tiny_image, tmp_path):
    compose = request.getfixturevalue(compose_name)
    (tmp_path / "compose.yml").write_text(f"services:\n  one:\n    image: {tiny_image}\n")
    said = subprocess.run(
        [*compose.argv, "-p", "obx-testbed", "config"],
        cwd=tmp_path,
        env=compose.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert tiny_image in said.stdout
