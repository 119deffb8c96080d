# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the files, finding the tool, and reading what it says. The tools' answers are recorded ones."""

import dataclasses
import json
import os

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers import find as provider
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.docker_compose import model as resolve
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.find import Provider
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import environment
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import locate
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine


class FakeEngine(Engine):
    """An engine as far as choosing a tool goes."""

    def __init__(self, name, socket=""):
        self.name, self.socket = name, socket


def answers(**by_word):
    """A world whose runner answers by the first known word of the command line; what it saw is in ``run.seen``."""
    seen = []

    def run(argv, **options):
        seen.append((list(argv), options))
        for word, (rc, out, err) in by_word.items():
            if word.replace("_", "-") in argv or word in argv:
                result = process.Result(tuple(argv), rc, out, err, 0.0)
                if rc and options.get("check", True):
                    raise process.CommandError("failed", result)
                return result
        raise process.CommandMissing(f"cannot run {argv[0]}", process.Result(tuple(argv), -1, "", "", 0.0))

    run.seen = seen
    return dataclasses.replace(World.real(), run=run)


class TestLocate:
    def test_the_file_that_is_there(self, tmp_path):
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
    def test_the_files_that_docker_compose_takes(self, tmp_path, there, read):
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
    def test_the_files_that_the_environment_file_chooses(self, tmp_path, text, read):
        for name in ("compose.yaml", "gpu.yaml", "compose.override.yaml"):
            (tmp_path / name).write_text("")
        (tmp_path / ".env").write_text(text)
        found = locate("shop", str(tmp_path), (), None, ())
        assert found.files_read == [str(tmp_path / name) for name in [*read, ".env"]]
        assert locate("shop", str(tmp_path), ("gpu.yaml",), None, ()).files == (str(tmp_path / "gpu.yaml"),)

    def test_a_missing_file_that_the_environment_file_chooses_names_the_variable(self, tmp_path):
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

    def test_nothing_there(self, tmp_path):
        with pytest.raises(BadStack, match=r"compose\.yml"):
            locate("shop", str(tmp_path), (), None, ())

    def test_all_that_is_missing_at_once(self, tmp_path):
        with pytest.raises(BadStack) as caught:
            locate("shop", str(tmp_path), ("a.yml", "b.yml"), "c.env", ())
        assert [row.code for row in caught.value.problems] == ["no_compose_file", "no_compose_file", "no_env_file"]

    def test_no_directory(self, tmp_path):
        with pytest.raises(BadStack, match="does not exist"):
            locate("shop", str(tmp_path / "none"), (), None, ())

    def test_a_relative_directory(self):
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


class TestProvider:
    ENV = {"PATH": "/nowhere", "HOME": "/nowhere"}

    def test_docker_takes_compose_v2_over_its_socket(self):
        world = answers(version=(0, "2.26.1-4\n", ""))
        found = provider.find("auto", FakeEngine("docker", "/run/d.sock"), self.ENV, world, executable="/x/dc")
        assert (found.kind, found.version) == ("docker-compose", (2, 26, 1))
        assert found.env["DOCKER_HOST"] == "unix:///run/d.sock"

    @pytest.mark.parametrize(("engine", "builder"), [("docker", None), ("podman", "0")])
    def test_podman_builds_without_buildkit_which_it_has_not_got(self, engine, builder):
        world = answers(version=(0, "2.40.3", ""))
        found = provider.find("docker-compose", FakeEngine(engine, "/run/x.sock"), {"PATH": "/none"}, world)
        assert found.env.get("DOCKER_BUILDKIT") == builder

    def test_podman_without_a_socket_takes_podman_compose(self):
        world = answers(version=(0, "1.6.0\n", ""))
        found = provider.find("auto", FakeEngine("podman"), self.ENV, world, executable="/x/pc")
        assert (found.kind, found.version) == ("podman-compose", (1, 6, 0))
        assert "DOCKER_HOST" not in found.env

    @pytest.mark.parametrize(
        ("wanted", "engine", "version", "why"),
        [
            ("docker-compose", FakeEngine("podman"), "2.40.3", "no socket"),
            ("podman-compose", FakeEngine("docker", "/s"), "1.6.0", "drives podman only"),
            ("docker-compose", FakeEngine("docker", "/s"), "1.29.2", "too old"),
            ("podman-compose", FakeEngine("podman"), "1.0.6", "too old"),
            ("docker-compose", FakeEngine("docker", "/s"), "what", "cannot read its version"),
        ],
    )
    def test_what_does_not_fit_is_said(self, wanted, engine, version, why):
        world = answers(version=(0, version, ""))
        with pytest.raises(ComposeError, match=why):
            provider.find(wanted, engine, self.ENV, world, executable="/x/tool")

    def test_nothing_installed_names_what_was_tried(self, monkeypatch):
        monkeypatch.setattr(provider, "PRIVATE_PODMAN_COMPOSE", "/nowhere/podman-compose")
        with pytest.raises(ComposeError, match=r"cannot run docker-compose.*cannot run podman-compose"):
            provider.find("auto", FakeEngine("podman", "/s"), self.ENV, answers())

    def test_a_known_binary_is_not_asked_again_until_it_changes(self, tmp_path):
        tool = tmp_path / "docker-compose"
        tool.write_text("one")
        known = {provider.fingerprint([str(tool)]): "2.40.3"}
        world = answers(version=(0, "2.41.0", ""))
        options = {"world": world, "executable": str(tool), "known": known}
        assert provider.find("auto", FakeEngine("docker", "/s"), self.ENV, **options).version == (2, 40, 3)
        assert world.run.seen == []
        tool.write_text("another")
        assert provider.find("auto", FakeEngine("docker", "/s"), self.ENV, **options).version == (2, 41, 0)

    def test_an_unknown_one(self):
        with pytest.raises(ComposeError, match="provider must be one of"):
            provider.find("kubernetes", None, self.ENV, answers())


class TestInterpreter:
    @pytest.mark.parametrize(
        ("script", "command"),
        [
            ("#!/usr/bin/python3\n", ("/usr/bin/python3",)),
            ("#!/usr/bin/python3 -s\n", ("/usr/bin/python3", "-s")),
            ("#!/usr/bin/env python3\n", ("python3",)),
            ('#!/bin/sh\n\'\'\'exec\' "/opt/with space/bin/python" "$0" "$@"\n', ("/opt/with space/bin/python",)),
            ("#!/bin/sh\n'''exec' /opt/long/bin/python3 \"$0\" \"$@\"\n", ("/opt/long/bin/python3",)),
        ],
    )
    def test_of_a_script(self, tmp_path, script, command):
        (tmp_path / "podman-compose").write_text(script)
        assert provider.interpreter_of(str(tmp_path / "podman-compose"), {}) == command

    @pytest.mark.parametrize("script", ["#!/bin/bash\n", "\x7fELF", ""])
    def test_of_something_else(self, tmp_path, script):
        (tmp_path / "podman-compose").write_text(script)
        with pytest.raises(ComposeError, match="not a Python script"):
            provider.interpreter_of(str(tmp_path / "podman-compose"), {})


DOCKER = Provider("docker-compose", ("dc",), (2, 40, 3), {"PATH": "/bin"})
MODEL = {"name": "shop", "services": {"web": {"image": "a", "environment": {"A": "x$$y"}}}}


@pytest.fixture
def source(tmp_path):
    (tmp_path / "compose.yml").write_text("services: {web: {image: a}}")
    return locate("shop", str(tmp_path), (), None, ())


class TestDockerCompose:
    def test_dollars_are_single_again(self, source):
        model = resolve.resolve(DOCKER, source, answers(config=(0, json.dumps(MODEL), "")))
        assert model.services["web"].environment == {"A": "x$y"}

    def test_the_same_arguments_for_every_call(self, source):
        words = resolve.arguments(DOCKER, source)
        assert words[:5] == ["dc", "-p", "shop", "--project-directory", source.project_dir]
        assert words[words.index("--env-file") + 1] == os.devnull

    def test_unset_variables_are_read_from_its_warnings(self, source):
        said = (
            'time="2026-11-21T09:00:00Z" level=warning msg="The \\"DB_HOST\\" variable is not set. '
            'Defaulting to a blank string."\n'
        )
        model = resolve.resolve(DOCKER, source, answers(config=(0, json.dumps(MODEL), said)))
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
    def test_what_it_refuses(self, source, said, code, where):
        with pytest.raises(BadStack) as caught:
            resolve.resolve(DOCKER, source, answers(config=(15, "", said)))
        assert [row.code for row in caught.value.problems] == [code]
        assert where in caught.value.problems[0].where
        assert "hunter22" not in str(caught.value)

    def test_environment_file_it_refuses_is_named_with_the_line_and_without_the_value(self, source, tmp_path):
        def resolved(text):
            (tmp_path / ".env").write_text(text)
            found = locate("shop", source.project_dir, (), None, ())
            return resolve.resolve(DOCKER, found, answers(config=(0, json.dumps(MODEL), "")))

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
        resolve.resolve(DOCKER, source, world)
        seen = ["--no-path-resolution" in argv for argv, _options in world.run.seen]
        assert sorted(seen) == [False, True][:calls]

    def test_source_below_the_deploy_directory_is_relative_unless_a_file_has_the_directory(self, source, tmp_path):
        rows = [{"type": "bind", "source": place, "target": "/x"} for place in (str(tmp_path / "x"), "/data/x")]
        body = {"services": {"web": {"image": "a", "volumes": rows}}}
        model = resolve.resolve(DOCKER, source, answers(config=(0, json.dumps(body), "")))
        assert [bind.relative for bind in model.services["web"].binds] == [True, False]
        (tmp_path / "compose.yml").write_text(f"services: {{web: {{volumes: ['{tmp_path}/x:/x']}}}}")
        model = resolve.resolve(DOCKER, source, answers(config=(0, json.dumps(body), "")))
        assert [bind.relative for bind in model.services["web"].binds] == [False, False]


class TestPodmanCompose:
    @pytest.fixture
    def tool(self, tmp_path):
        script = tmp_path / "podman-compose"
        script.write_text("#!/usr/bin/python3\n")
        return Provider("podman-compose", (str(script),), (1, 6, 0), {"PATH": "/bin"})

    def _world(self, *rows, rc=0, said="", python_dotenv="1.2.4"):
        parsed = json.dumps(
            {"rows": [{"data": data, "error": error} for data, error in rows], "python_dotenv": python_dotenv}
        )
        return answers(config=(rc, "services: {}", said), **{"-c": (0, parsed, "")})

    def test_variables_it_says_nothing_about(self, tool, source):
        text = {"services": {"web": {"image": "${TAG}"}}}
        world = self._world((text, ""), ({"services": {"web": {"image": ""}}}, ""))
        assert resolve.resolve(tool, source, world).unset == {"TAG": ""}

    def test_a_required_one_is_named_instead_of_its_traceback(self, tool, source):
        text = {"services": {"web": {"image": "${TAG:?which}"}}}
        world = self._world(
            (text, ""), ({}, ""), rc=1, said="Traceback (most recent call last):\n  File ...\nRuntimeError"
        )
        with pytest.raises(BadStack, match=r"TAG: is not set \(which\)"):
            resolve.resolve(tool, source, world)

    @pytest.mark.parametrize(("python_dotenv", "unused"), [("1.2.4", ""), ("", ""), ("1.0.1", "# no value")])
    def test_environment_files_are_read_as_its_library_does(self, tool, source, tmp_path, python_dotenv, unused):
        (tmp_path / ".env").write_text("TITLE='it\\'s'\n")
        (tmp_path / "web.env").write_text("NAME='it\\'s'\nAGAIN=${NAME} ${PATH}\nUNUSED= # no value\nOPEN='\n")
        service = {"image": "a", "env_file": ["web.env"], "environment": {"TITLE": None}}
        row = ({"services": {"web": service}}, "")
        found = locate("shop", source.project_dir, (), None, ())
        model = resolve.resolve(tool, found, self._world(row, row, python_dotenv=python_dotenv))
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
            resolve.resolve(tool, found, self._world(row, row))

    def test_not_yaml(self, tool, source):
        world = self._world((None, "while parsing a flow mapping"), ({}, ""), rc=1, said="x")
        with pytest.raises(BadStack, match="not valid YAML: while parsing"):
            resolve.resolve(tool, source, world)

    def test_not_a_compose_file(self, tool, source):
        with pytest.raises(BadStack, match="top level is not a mapping"):
            resolve.resolve(tool, source, self._world(("text", ""), ({}, ""), rc=1, said="x"))

    def test_what_no_plan_could_be_made_for_is_refused(self, tool, source):
        text = {"services": {"web": {"extends": {"service": "base"}}}}
        with pytest.raises(BadStack, match="extends cannot be planned"):
            resolve.resolve(tool, source, self._world((text, ""), ({"services": {}}, "")))

    @pytest.mark.parametrize(
        ("service", "why"),
        [
            ({"configs": ["c"]}, "leaves configs out"),
            ({"secrets": ["s"]}, "secrets from the environment"),
            ({"secrets": ["e"]}, "only under their own names"),
        ],
    )
    def test_what_it_would_get_wrong_is_refused(self, tool, source, service, why):
        external = {"external": True, "name": "shop-e"}
        text = {"services": {"web": service}, "secrets": {"s": {"environment": "S"}, "e": external}}
        with pytest.raises(BadStack, match=why):
            resolve.resolve(tool, source, self._world((text, ""), ({"services": {}}, "")))

    def test_a_file_elsewhere(self, tool, source, tmp_path):
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "c.yml").write_text("")
        other = locate("shop", str(tmp_path), ("sub/c.yml",), None, ())
        with pytest.raises(BadStack, match="directory of the first compose file"):
            resolve.resolve(tool, other, self._world())

    def test_pass_through_as_it_hands_it_on(self, tool, source, tmp_path):
        (tmp_path / ".env").write_text("GIVEN=here\n")
        located = locate("shop", str(tmp_path), (), None, ())
        body = {"services": {"web": {"image": "a", "environment": {"GIVEN": None, "NOT": None}}}}
        model = resolve.resolve(tool, located, self._world(({}, ""), (body, "")))
        assert model.services["web"].environment == {"GIVEN": "here", "NOT": None}
