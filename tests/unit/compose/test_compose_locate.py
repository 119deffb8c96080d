# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which compose files and environment file of a stack are read, and which variables of the caller are kept."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import environment
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import locate


class TestLocate:
    def test_existing_compose_file_is_found(self, tmp_path):
        (tmp_path / "docker-compose.yaml").write_text("")
        found = locate("shop", str(tmp_path), (), None, ())
        assert found.files == (str(tmp_path / "docker-compose.yaml"),)
        assert found.env_file == ""

    @pytest.mark.parametrize(
        ("there", "read"),
        [
            (["compose.yml", "compose.yaml"], ["compose.yaml"]),
            (["docker-compose.yaml", "docker-compose.yml"], ["docker-compose.yml"]),
            (["compose.yml", "compose.override.yaml"], ["compose.yml", "compose.override.yaml"]),
            (
                ["compose.yaml", "compose.override.yaml", "compose.override.yml"],
                ["compose.yaml", "compose.override.yml"],
            ),
            (["docker-compose.yml", "compose.override.yml"], ["docker-compose.yml", "compose.override.yml"]),
            (["compose.yaml", "docker-compose.override.yml"], ["compose.yaml", "docker-compose.override.yml"]),
        ],
    )
    def test_compose_files_are_those_of_docker_compose(self, tmp_path, there, read):
        for name in there:
            (tmp_path / name).write_text("")
        found = locate("shop", str(tmp_path), (), None, ())
        assert found.files_read == [str(tmp_path / name) for name in read]
        assert found.searched

    @pytest.mark.parametrize(
        ("text", "read"),
        [
            ("COMPOSE_FILE=compose.yaml:gpu.yaml\n", ["compose.yaml", "gpu.yaml"]),
            ("COMPOSE_FILE='gpu.yaml'\n", ["gpu.yaml"]),
            ("V=gpu\nCOMPOSE_FILE=compose.yaml,${V}.yaml\nCOMPOSE_PATH_SEPARATOR=,\n", ["compose.yaml", "gpu.yaml"]),
            ("COMPOSE_FILE=\n", ["compose.yaml", "compose.override.yaml"]),
            ("#COMPOSE_FILE=gpu.yaml\n", ["compose.yaml", "compose.override.yaml"]),
        ],
    )
    def test_environment_file_chooses_the_compose_files(self, tmp_path, text, read):
        for name in ("compose.yaml", "gpu.yaml", "compose.override.yaml"):
            (tmp_path / name).write_text("")
        (tmp_path / ".env").write_text(text)
        found = locate("shop", str(tmp_path), (), None, ())
        assert found.files_read == [str(tmp_path / name) for name in [*read, ".env"]]
        assert locate("shop", str(tmp_path), ("gpu.yaml",), None, ()).files == (str(tmp_path / "gpu.yaml"),)

    def test_missing_file_of_the_environment_file_names_the_variable(self, tmp_path):
        (tmp_path / "compose.yaml").write_text("")
        (tmp_path / ".env").write_text("COMPOSE_FILE=compose.yaml:gpu.yaml\n")
        with pytest.raises(BadStack) as caught:
            locate("shop", str(tmp_path), (), None, ())
        (problem,) = caught.value.problems
        assert (problem.code, problem.where) == ("no_compose_file", str(tmp_path / "gpu.yaml"))
        assert f"COMPOSE_FILE in {tmp_path}/.env names it" in problem.message

    def test_files_and_env_file_by_name(self, tmp_path):
        for name in ("a.yml", "b.yml", "my.env"):
            (tmp_path / name).write_text("")
        found = locate("shop", str(tmp_path), ("a.yml", str(tmp_path / "b.yml")), "my.env", ("x",))
        assert found.files == (str(tmp_path / "a.yml"), str(tmp_path / "b.yml"))
        assert found.env_file == str(tmp_path / "my.env")

    def test_empty_directory_names_the_expected_files(self, tmp_path):
        with pytest.raises(BadStack, match=r"compose\.yml"):
            locate("shop", str(tmp_path), (), None, ())

    def test_all_that_is_missing_at_once(self, tmp_path):
        with pytest.raises(BadStack) as caught:
            locate("shop", str(tmp_path), ("a.yml", "b.yml"), "c.env", ())
        assert [row.code for row in caught.value.problems] == ["no_compose_file", "no_compose_file", "no_env_file"]

    def test_missing_directory_is_refused(self, tmp_path):
        with pytest.raises(BadStack, match="does not exist"):
            locate("shop", str(tmp_path / "none"), (), None, ())

    def test_relative_directory_is_refused(self):
        with pytest.raises(BadStack, match="absolute"):
            locate("shop", "shop", (), None, ())


def test_only_what_is_needed_of_the_environment_is_kept():
    kept = environment.clean(
        {
            "HOME": "/root",
            "DATA_DIR": "/x",
            "COMPOSE_FILE": "y",
            "COMPOSE_PROJECT_NAME": "z",
            "CONTAINERS_CONF": "/c",
            "DOCKER_CONTEXT": "far",
            "REDIS_HOST": "h",
        }
    )
    assert kept == {"HOME": "/root", "CONTAINERS_CONF": "/c", "PATH": environment.DEFAULT_PATH, "LC_ALL": "C"}
    assert environment.clean({"USER": "root", "HTTP_PROXY": "p", "PATH": "/bin"}, {"USER": "1000", "PATH": "/x"}) == {
        "HTTP_PROXY": "p",
        "PATH": "/bin",
        "LC_ALL": "C",
    }
