# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model that each compose tool resolves from a stack. The answers of the tools are recorded."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.docker_compose.driver import DockerCompose
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose.driver import PodmanCompose
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import locate
from recorded_tool import answers

DOCKER = DockerCompose(("dc",), (2, 40, 3), {"PATH": "/bin"})
MODEL = {"name": "shop", "services": {"web": {"image": "a", "environment": {"A": "x$$y"}}}}


@pytest.fixture
def source(tmp_path):
    (tmp_path / "compose.yml").write_text("services: {web: {image: a}}")
    return locate("shop", str(tmp_path), (), None, ())


class TestDockerCompose:
    def test_dollars_are_single_again(self, source):
        model = DOCKER.resolve(source, answers(config=(0, json.dumps(MODEL), "")))
        assert model.services["web"].environment == {"A": "x$y"}

    def test_arguments_are_the_same_for_every_call(self, source):
        words = DOCKER.arguments(source)
        assert words[:5] == ["dc", "-p", "shop", "--project-directory", source.project_dir]
        assert words[words.index("--env-file") + 1] == os.devnull

    def test_unset_variables_are_read_from_its_warnings(self, source):
        said = (
            'time="2026-11-21T09:00:00Z" level=warning msg="The \\"DB_HOST\\" variable is not set. '
            'Defaulting to a blank string."\n'
        )
        model = DOCKER.resolve(source, answers(config=(0, json.dumps(MODEL), said)))
        assert model.unset == {"DB_HOST": ""}

    @pytest.mark.parametrize(
        ("said", "code", "where"),
        [
            ("yaml: line 3: found character that cannot start any token", "not_yaml", "compose.yml"),
            ("failed to parse /x/compose.yaml: yaml: line 3: found", "not_yaml", "compose.yml"),
            ("validating /x/compose.yaml: services.web.restart must be a string", "refused", "compose.yml"),
            ("validating compose.yml: services.web additional properties 'imag' not allowed", "refused", "compose.yml"),
            (
                "error while interpolating services.web.image: required variable TAG is missing a value: say which",
                "unset_variable",
                "TAG",
            ),
            ('failed to read .env: line 2: unterminated quoted value "hunter22 and more', "refused", "compose.yml"),
            ('unexpected character "+" in variable name near "hunter22+/x\nA=1"', "refused", "compose.yml"),
        ],
    )
    def test_refusal_names_code_and_place(self, source, said, code, where):
        with pytest.raises(BadStack) as caught:
            DOCKER.resolve(source, answers(config=(15, "", said)))
        assert [row.code for row in caught.value.problems] == [code]
        assert where in caught.value.problems[0].where
        assert "hunter22" not in str(caught.value)

    def test_environment_file_it_refuses_is_named_with_the_line_and_without_the_value(self, source, tmp_path):
        def resolved(text):
            (tmp_path / ".env").write_text(text)
            found = locate("shop", source.project_dir, (), None, ())
            return DOCKER.resolve(found, answers(config=(0, json.dumps(MODEL), "")))

        assert resolved("A='it\\'s'\nB=$A\n").variables == {"A": "it's", "B": "it's"}
        with pytest.raises(BadStack) as caught:
            resolved("A=1\nB='hunter22\n")
        (problem,) = caught.value.problems
        assert (problem.code, problem.where) == ("not_dotenv", f"{source.project_dir}/.env, line 2")
        assert "hunter22" not in str(caught.value)

    @pytest.mark.parametrize(
        ("row", "calls"),
        [
            ("./x:/x", 1),
            ("/data/x:/x", 1),
            ("/data/a..b:/x", 1),
            ("../x:/x", 2),
            ("..:/x", 2),
            ("./../x:/x", 2),
            ("${HERE}../x:/x", 2),
            ("${UP:-../x}:/x", 2),
            ("HERE/x:/x", 2),
        ],
    )
    def test_one_call_of_config_serves_unless_a_relative_source_could_lead_out(self, source, tmp_path, row, calls):
        world = answers(config=(0, json.dumps(MODEL), ""))
        row = row.replace("HERE", str(tmp_path))
        (tmp_path / "compose.yml").write_text(f"services: {{web: {{image: a, volumes: ['{row}']}}}}")
        DOCKER.resolve(source, world)
        seen = ["--no-path-resolution" in argv for argv, _options in world.run.seen]
        assert sorted(seen) == [False, True][:calls]

    def test_source_below_the_deploy_directory_is_relative_unless_a_file_has_the_directory(self, source, tmp_path):
        rows = [{"type": "bind", "source": place, "target": "/x"} for place in (str(tmp_path / "x"), "/data/x")]
        body = {"services": {"web": {"image": "a", "volumes": rows}}}
        model = DOCKER.resolve(source, answers(config=(0, json.dumps(body), "")))
        assert [bind.relative for bind in model.services["web"].binds] == [True, False]
        (tmp_path / "compose.yml").write_text(f"services: {{web: {{volumes: ['{tmp_path}/x:/x']}}}}")
        model = DOCKER.resolve(source, answers(config=(0, json.dumps(body), "")))
        assert [bind.relative for bind in model.services["web"].binds] == [False, False]


class TestPodmanCompose:
    @pytest.fixture
    def tool(self, tmp_path):
        script = tmp_path / "podman-compose"
        script.write_text("#!/usr/bin/python3\n")
        return PodmanCompose((str(script),), (1, 6, 0), {"PATH": "/bin"})

    def _world(self, *rows, rc=0, said="", python_dotenv="1.2.4"):
        parsed = json.dumps(
            {"rows": [{"data": data, "error": error} for data, error in rows], "python_dotenv": python_dotenv}
        )
        return answers(config=(rc, "services: {}", said), **{"-c": (0, parsed, "")})

    def test_variables_it_says_nothing_about(self, tool, source):
        text = {"services": {"web": {"image": "${TAG}"}}}
        world = self._world((text, ""), ({"services": {"web": {"image": ""}}}, ""))
        assert tool.resolve(source, world).unset == {"TAG": ""}

    def test_required_variable_is_named_without_a_traceback(self, tool, source):
        text = {"services": {"web": {"image": "${TAG:?which}"}}}
        world = self._world(
            (text, ""), ({}, ""), rc=1, said="Traceback (most recent call last):\n  File ...\nRuntimeError"
        )
        with pytest.raises(BadStack, match=r"TAG: is not set \(which\)"):
            tool.resolve(source, world)

    @pytest.mark.parametrize(("python_dotenv", "unused"), [("1.2.4", ""), ("", ""), ("1.0.1", "# no value")])
    def test_environment_files_are_read_as_its_library_does(self, tool, source, tmp_path, python_dotenv, unused):
        (tmp_path / ".env").write_text("TITLE='it\\'s'\n")
        (tmp_path / "web.env").write_text("NAME='it\\'s'\nAGAIN=${NAME} ${PATH}\nUNUSED= # no value\nOPEN='\n")
        service = {"image": "a", "env_file": ["web.env"], "environment": {"TITLE": None}}
        row = ({"services": {"web": service}}, "")
        found = locate("shop", source.project_dir, (), None, ())
        model = tool.resolve(found, self._world(row, row, python_dotenv=python_dotenv))
        assert model.variables == {"TITLE": "it's"}
        assert model.services["web"].environment == {
            "TITLE": "it's",
            "NAME": "it's",
            "AGAIN": "it's /bin",
            "UNUSED": unused,
        }

    def test_environment_file_that_is_not_utf8_is_refused(self, tool, source, tmp_path):
        (tmp_path / ".env").write_bytes(b"A=1\nB=\xff\n")
        found = locate("shop", source.project_dir, (), None, ())
        row = ({"services": {"web": {"image": "a"}}}, "")
        with pytest.raises(BadStack, match=r"\.env: is not UTF-8"):
            tool.resolve(found, self._world(row, row))

    def test_invalid_yaml_is_refused(self, tool, source):
        world = self._world((None, "while parsing a flow mapping"), ({}, ""), rc=1, said="x")
        with pytest.raises(BadStack, match="not valid YAML: while parsing"):
            tool.resolve(source, world)

    def test_not_a_compose_file(self, tool, source):
        with pytest.raises(BadStack, match="top level is not a mapping"):
            tool.resolve(source, self._world(("text", ""), ({}, ""), rc=1, said="x"))

    def test_features_that_cannot_be_planned_are_refused(self, tool, source):
        text = {"services": {"web": {"extends": {"service": "base"}}}}
        with pytest.raises(BadStack, match="extends cannot be planned"):
            tool.resolve(source, self._world((text, ""), ({"services": {}}, "")))

    @pytest.mark.parametrize(
        ("service", "why"),
        [
            ({"configs": ["c"]}, "ignores configs"),
            ({"secrets": ["s"]}, "secrets from the environment"),
            ({"secrets": ["e"]}, "only under their own names"),
        ],
    )
    def test_features_that_podman_compose_gets_wrong_are_refused(self, tool, source, service, why):
        external = {"external": True, "name": "shop-e"}
        text = {"services": {"web": service}, "secrets": {"s": {"environment": "S"}, "e": external}}
        with pytest.raises(BadStack, match=why):
            tool.resolve(source, self._world((text, ""), ({"services": {}}, "")))

    def test_compose_file_in_another_directory_is_refused(self, tool, source, tmp_path):
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "c.yml").write_text("")
        other = locate("shop", str(tmp_path), ("sub/c.yml",), None, ())
        with pytest.raises(BadStack, match="directory of the first compose file"):
            tool.resolve(other, self._world())

    def test_pass_through_as_it_hands_it_on(self, tool, source, tmp_path):
        (tmp_path / ".env").write_text("GIVEN=here\n")
        located = locate("shop", str(tmp_path), (), None, ())
        body = {"services": {"web": {"image": "a", "environment": {"GIVEN": None, "NOT": None}}}}
        model = tool.resolve(located, self._world(({}, ""), (body, "")))
        assert model.services["web"].environment == {"GIVEN": "here", "NOT": None}
